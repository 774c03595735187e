/**
 * What the Node host does by time: `retry-parked` every minute, and every day of each registered bucket a sweep, and of all a
 * probe. Of several hosts on one state one does it, under a lease. What fails is logged, and comes again; it never ends the host.
 */
import { encryptBucket } from "../functions/encrypt-bucket.ts"
import { probeStore } from "../functions/probe-store.ts"
import { retryParked } from "../functions/retry-parked.ts"
import type { JobsContext } from "../shared/context.ts"
import { isFailure } from "../shared/errors.ts"
import { finishedSweep, plannedSweep } from "../shared/objects/sweeps.ts"
import { wait as realWait, type Wait } from "../shared/objects/wait.ts"
import type { JobResult } from "../shared/runtime/job.ts"
import { inboxHolder } from "./inbox-holder.ts"
import { takeLease, type Holder } from "./lease.ts"

/** Schedules under way. */
export interface Schedules {
  /** Stops what is being done: it is gone on with by whoever comes next. */
  close(): Promise<void>
}

/** Time and chance, where they are not the system's; who else shares the schedules. */
export interface SchedulesOptions extends Partial<Pick<Holder, "holder" | "isDead">> {
  readonly wait?: Wait
  /** 0 to 1. */
  readonly random?: () => number
}

const MINUTE = 60_000
const RETRY_EVERY = MINUTE
const FIRST_SWEEP = 5 * MINUTE // who starts a host to look at something is not to wait for a sweep, nor hosts that crash to begin one each
const DAY = 24 * 60 * MINUTE
const SWEEP_LOOK_EVERY = 15 * MINUTE // costs a request for each registered bucket; a sweep is late by at most that

/** Starts them. */
export async function schedules(context: JobsContext, options: SchedulesOptions = {}): Promise<Schedules> {
  const { wait = realWait, random = Math.random } = options
  const { state, clock, log } = context
  const by: Holder = { state, clock, log, wait, ...await inboxHolder(), ...options }
  const stop = new AbortController()

  /** Does something after a first pause and then again and again, each pause another by up to a tenth. */
  async function repeat(what: string, first: number, every: number, work: () => Promise<void>): Promise<void> {
    for (let pause = first; ; pause = every) {
      await wait(pause * (0.95 + random() / 10), stop.signal)
      if (stop.signal.aborted) return
      await work().catch((cause: unknown) => {
        if (!stop.signal.aborted) log.error("what is done by time has failed; it comes again", { what, cause })
      })
    }
  }

  /** Runs a job to its end, if no other host does or just did. */
  async function run(name: string, every: number, job: (cursor: { cursor?: string }, signal: AbortSignal) => Promise<JobResult>) {
    const lease = await takeLease(by, name, every, stop.signal)
    if (!lease) return
    let { cursor } = lease
    let isDone = false
    try {
      for (;;) {
        const result = await job(cursor === undefined ? {} : { cursor }, lease.signal)
        isDone = result.done
        cursor = result.done ? undefined : result.cursor
        if (cursor === undefined || lease.signal.aborted) break
        await lease.advance(cursor)
      }
    } catch (error) {
      if (isFailure(error, "bad-field")) cursor = undefined // kept by another release of this program: begin anew
      throw error
    } finally {
      await (isDone ? lease.finish() : lease.release(cursor))
    }
  }

  const retry = () => run("retry-parked", RETRY_EVERY / 2, (cursor, signal) => retryParked.run(cursor, context, signal))

  /** Its lease keeps hosts that come and go from probing more often. */
  const probe = () => run("probe-store", DAY, (cursor, signal) => probeStore.run(cursor, context, signal))

  async function sweep(): Promise<void> {
    for (const bucket of await registeredBuckets(context)) {
      if (stop.signal.aborted) return
      await sweepIfDue(bucket).catch((cause: unknown) => log.error("a bucket can't be swept now", { bucket, cause }))
    }
  }

  async function sweepIfDue(bucket: string): Promise<void> {
    const planned = plannedSweep(bucket, await finishedSweep(state, bucket), clock())
    if (!planned) return
    log.info("sweeping a bucket", { ...planned })
    await run(`sweep-${bucket}`, 0, (cursor, signal) => encryptBucket.run({ ...planned, ...cursor }, context, signal))
  }

  const loops = [
    repeat("retry-parked", RETRY_EVERY, RETRY_EVERY, retry), repeat("sweep", FIRST_SWEEP, SWEEP_LOOK_EVERY, sweep),
    repeat("probe-store", 2 * FIRST_SWEEP, 60 * MINUTE, probe), // late by at most an hour
  ]
  return {
    async close() {
      stop.abort()
      await Promise.all(loops)
    },
  }
}

/** Buckets of which something is to be sealed. */
async function registeredBuckets({ registrations }: JobsContext): Promise<readonly string[]> {
  return [...new Set((await registrations.list()).filter(({ enabled }) => enabled).map(({ bucket }) => bucket))]
}
