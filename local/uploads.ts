/** From upload events to `encrypt-object`, through the inbox. */
import { encryptObject } from "../functions/encrypt-object.ts"
import { probeStore } from "../functions/probe-store.ts"
import type { ObjectsContext } from "../shared/context.ts"
import type { UploadEvent } from "../shared/objects/events.ts"
import type { Handled } from "../shared/objects/inbox-looks.ts"
import { inbox } from "../shared/objects/inbox.ts"
import { settledAt } from "../shared/objects/seal.ts"
import { inboxHolder } from "./inbox-holder.ts"

/** Uploads being taken care of. */
export interface Uploads {
  /** Stores the events that are about registered places, and gives how many these are. With the setting `events` =
   *  `inline` it also handles what settles within 5 seconds before it answers. */
  accept(events: readonly UploadEvent[]): Promise<number>
  /** As `accept`, but never waits for the handling. */
  store(events: readonly UploadEvent[]): Promise<number>
  /** Resolves when no accepted event is due or being handled. */
  idle(): Promise<void>
  /** Resolves when nothing is being done any more; a probe under way ends early, and removes what it wrote. */
  close(): Promise<void>
}

/** How uploads are taken care of. */
export interface UploadsOptions {
  /** For how long a host holds an event before another one may take it over, in milliseconds; the same on all hosts. */
  readonly lease?: number
}

const LEASE_MS = 60_000 // the delay after a host was lost, and twice of what the clocks of two hosts may differ
const CONCURRENCY = 8 // small objects wait for the store most of the time; each large one in flight holds its buffers
const INLINE_MS = 5_000 // the default of `settle`; senders give up after some 15 seconds, and send again
const PROBE_PAUSE_MS = 600_000 // a probe costs some 300 requests
const GRACE_MS = 5_000 // what is being sealed may end; a longer one is aborted, and its event stays in the inbox

/** Starts handling what is waiting, and accepts more. */
export async function uploads(context: ObjectsContext, { lease = LEASE_MS }: UploadsOptions = {}): Promise<Uploads> {
  const { state, clock, log, registrations, settings } = context
  const probed = new Map<string, number>() // at most one a registered bucket
  const probes = new Set<Promise<void>>()
  const stop = new AbortController()

  /** The event with the time from which `settle` counts – never later than now, or a clock that is ahead would put
   *  sealing off – and when it is due; `undefined` for a place that is not registered. */
  async function settling(event: UploadEvent) {
    const registration = await registrations.findRecent(event.bucket, event.key)
    if (!registration?.enabled) return undefined
    const time = Math.min(event.time ?? clock(), clock())
    return { event: { ...event, time }, due: settledAt(registration, time, clock()) }
  }

  /** A probe holds for what it saw, until an answer contradicts it. */
  function probeAgain(bucket: string): void {
    if (stop.signal.aborted || clock() - (probed.get(bucket) ?? -Infinity) < PROBE_PAUSE_MS) return
    probed.set(bucket, clock())
    const running = probeNow(bucket).finally(() => probes.delete(running))
    probes.add(running)
  }

  async function probeNow(bucket: string): Promise<void> {
    try {
      await probeStore.run({ bucket }, context, stop.signal)
    } catch (cause) {
      if (!stop.signal.aborted) log.error("a bucket can't be probed now", { bucket, cause })
    }
  }

  /** What was parked is done with, here: `retry-parked` goes back to it. */
  async function handle(accepted: UploadEvent, signal: AbortSignal): Promise<Handled> {
    const known = await settling(accepted)
    if (!known) return "handled" // another host may have accepted it by what this one has not seen before
    const { event } = known
    const { done, items: [item] } = await encryptObject.run({ uploads: [event] }, context, signal)
    if (item?.reason === "condition-misbehaves") probeAgain(event.bucket)
    if (!done) return { event, due: clock() }
    return item?.due === undefined ? "handled" : { event, due: Date.parse(item.due) }
  }

  async function accept(events: readonly UploadEvent[], within?: number): Promise<number> {
    const registered = []
    for (const event of events) { // one after another: the first of a bucket fills the cache for the others
      const due = await settling(event)
      if (due) registered.push(due)
    }
    await box.accept(registered, within)
    return registered.length
  }

  const box = await inbox({ state, clock, log, lease, concurrency: CONCURRENCY, handle, ...await inboxHolder() })
  return {
    accept: (events) => accept(events, settings.events === "inline" ? INLINE_MS : undefined),
    store: (events) => accept(events),
    idle: () => box.idle(),
    async close() {
      stop.abort()
      await Promise.all([box.close(GRACE_MS), ...probes])
    },
  }
}
