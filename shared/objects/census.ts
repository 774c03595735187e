/**
 * A census of a bucket, or of what in it begins with a prefix: what is sealed, what is not, what is left behind. It
 * reads; what it mends, it mends by sealing, and only where that was approved. It stops at any time, and goes on from
 * there.
 */
import { Failure } from "../errors.ts"
import type { Clock } from "../ports.ts"
import { objectPage, versionPage } from "./census-objects.ts"
import type { CensusScope, CensusTaker, Entry, Found } from "./census-page.ts"
import type { Phase, Position } from "./census-position.ts"
import { progressPage } from "./census-progress.ts"
import { tally, type CensusSums, type Finding, type Mended } from "./census-tally.ts"
import { uploadPage } from "./census-uploads.ts"

export type { CensusScope, CensusTaker } from "./census-page.ts"

/** How far to go. */
export interface CensusOptions {
  /** Where an earlier run stopped. */
  readonly from?: Position | undefined
  /** At most so many entries of listings are looked at, 1 to 1,000. */
  readonly limit: number
  /** Absent: nothing is changed. Else until when (milliseconds since the epoch) it may be; then it stops. */
  readonly fixUntil?: number | undefined
}

/** What one run found, and where to go on; absent at the end. */
export type CensusRun = CensusSums & { readonly next?: Position }

const AT_ONCE = 16 // entries looked at at once: each holds at most two pieces of 64 KiB

const pages = { objects: objectPage, versions: versionPage, uploads: uploadPage, progress: progressPage } as const

/** Takes a census, or goes on with one. Throws `not-found` where nothing of the bucket is registered,
 *  `bucket-not-found`, and  what the stores throw to a listing; what can't be read of a single object is a
 *  finding. */
export async function takeCensus(
  taker: CensusTaker, place: Omit<CensusScope, "versioned">, options: CensusOptions, signal: AbortSignal,
): Promise<CensusRun> {
  const scope = { ...place, versioned: await keepsVersions(taker, place.bucket) }
  const sums = tally(scope.bucket, taker.log)
  const mender = { until: options.fixUntil, clock: taker.clock, signal }
  let position: Position | undefined = options.from ?? { phase: scope.versioned ? "versions" : "objects" }
  for (let left = options.limit; position && left > 0;) {
    const { phase, after }: Position = position
    const wanted = { ...(after ? { after } : {}), limit: left, signal }
    const page = await unlessAborted(signal, () => pages[phase](taker, scope, wanted))
    if (!page) break
    const taken = await takeEntries(page.entries, mender, sums.add)
    const last = page.entries[taken - 1]
    if (last) position = { phase, after: last.at }
    if (taken < page.entries.length) break
    if (page.more && !last) throw new Failure("unavailable", "a listing of the store doesn't go on; try again")
    if (!page.more) position = phaseBehind(phase)
    left -= taken
  }
  return { ...sums.sums(), ...(position ? { next: position } : {}) }
}

/** A bucket of which nothing is registered is nobody's business here. */
async function keepsVersions({ store, registrations }: CensusTaker, bucket: string): Promise<boolean> {
  const registered = await registrations.list(bucket)
  if (registered.length === 0) throw new Failure("not-found", `nothing of bucket ${bucket} is registered`)
  const settings = await store.bucketSettings(bucket)
  if (!settings) throw new Failure("bucket-not-found", `there is no bucket ${bucket}`)
  if (settings.versioning !== "unknown") return settings.versioning !== "off"
  return registered.some((one) => one.store.versioning !== "off")
}

function phaseBehind(phase: Phase): Position | undefined {
  if (phase === "progress") return undefined
  return { phase: phase === "uploads" ? "progress" : "uploads" }
}

/** Whether to mend, and until when. */
interface Mender {
  readonly until: number | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Looks at many at once, and mends one after the other; gives how many were done. One that the signal cut short is not
 *  counted: the next run does it again. */
async function takeEntries(
  entries: readonly Entry[], mender: Mender, add: (finding: Finding, done?: Mended) => void,
): Promise<number> {
  let taken = 0
  while (taken < entries.length && !mender.signal.aborted) {
    for (const found of await Promise.all(entries.slice(taken, taken + AT_ONCE).map(({ look }) => look()))) {
      const done = found?.fix && (await mend(found.fix, mender))
      if (done === "stopped") return taken
      if (found) add(found.finding, done)
      taken++
    }
  }
  return taken
}

type Fix = NonNullable<Found["fix"]>

/** Mends where that was approved, until it is to stop or the approval ends. */
async function mend(fix: Fix, { until, clock, signal }: Mender): Promise<Mended | "stopped" | undefined> {
  if (until === undefined) return undefined
  if (signal.aborted || clock() >= until) return "stopped"
  const done = await unlessAborted(signal, () => fix(signal))
  return done === undefined || done.outcome === "unfinished" ? "stopped" : done
}

/** `undefined` where the signal ended it. */
async function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}
