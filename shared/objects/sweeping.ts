/** One page of a sweep: what a listing shows is sealed where it is not sealed yet. */
import { parseHeader } from "../crypto/header.ts"
import { Failure, isFailure } from "../errors.ts"
import type { ListedObject, ObjectRef, ObjectStore } from "../ports.ts"
import { parkSettling, sealOrPark, type Tried, type Tries } from "./attempt.ts"
import { inLanes } from "./lanes.ts"
import { readStart } from "./reading.ts"
import { wait } from "./wait.ts"

/** What sweeping needs. */
export interface Sweeper extends Tries {
  readonly store: Pick<ObjectStore, "get" | "list">
}

/** Where a page of a sweep begins, and what of it is of interest. */
export interface SweepPage {
  readonly bucket: string
  readonly prefix: string
  /** The key behind which it begins. */
  readonly after?: string | undefined
  /** Only what the store says was modified then or later (milliseconds since the epoch). */
  readonly modifiedSince?: number | undefined
}

const AT_ONCE = 8 // small objects wait for the store most of the time; each large one in flight holds its buffers
const PATIENCE_MS = 10_000 // settling, 5 seconds unless a registration says otherwise, is waited for once a page

/**
 * Looks at one page of at most 1,000 objects, and gives what became of each, and the key that it ended with where there are
 * more. `settle` counts from the listing: where it is short it is waited for, and what a second listing shows unchanged has
 * settled; what is new, or has to wait for longer, is parked as `settling`. Once the signal is aborted it begins no more, and
 * answers `undefined`: the page is to be swept again. Throws what the store throws to a listing.
 */
export async function sweepPage(
  sweeper: Sweeper, page: SweepPage, signal: AbortSignal,
): Promise<{ readonly items: readonly Tried[]; readonly next?: string } | undefined> {
  const { bucket, prefix, after, modifiedSince = -Infinity } = page
  const list = () => sweeper.store.list(bucket, { prefix, signal, ...(after === undefined ? {} : { startAfter: after }) })
  const seen = sweeper.sealer.clock()
  const { objects, next } = await list()
  const wanted = objects.filter(({ lastModified }) => lastModified >= modifiedSince)
  const pause = await settleOf(sweeper, bucket, wanted)
  if (pause > 0) await wait(pause + TIMERS_EARLY_MS, signal)
  const now = pause > 0 && !signal.aborted ? new Map((await list()).objects.map(({ key, etag }) => [key, etag])) : undefined
  const items: Tried[] = []
  await inLanes(wanted, AT_ONCE, async (object) => {
    if (signal.aborted) return
    const isUnchanged = !now || now.get(object.key) === object.etag
    items.push(await sweepObject(sweeper, bucket, object, isUnchanged ? seen : sweeper.sealer.clock(), signal))
  })
  if (signal.aborted) return undefined
  if (next === undefined) return { items }
  const last = objects.at(-1)
  if (!last) throw new Failure("unavailable", "a listing of the store doesn't go on; try again")
  return { items, next: last.key }
}

/** One object that can't even be noted as parked must not keep the others from being sealed. */
async function sweepObject(
  sweeper: Sweeper, bucket: string, object: ListedObject, uploaded: number, signal: AbortSignal,
): Promise<Tried> {
  const ref = { bucket, key: object.key }
  const { log } = sweeper.sealer
  try {
    const tried = await seal(sweeper, ref, { size: object.size, uploaded }, signal)
    if (!quiet.includes(tried.outcome)) log.info("a sweep met an object", { ...tried })
    return tried
  } catch (cause) {
    log.error("an object that a sweep met can be neither sealed nor parked now", { ...ref, cause })
    return { ...ref, outcome: "failed" }
  }
}

async function seal(
  sweeper: Sweeper, ref: ObjectRef, hint: { readonly size: number; readonly uploaded: number }, signal: AbortSignal,
): Promise<Tried> {
  const tried = await sealOrPark(sweeper, ref, hint, signal)
  if (tried.outcome !== "not-settled" || tried.due === undefined) return tried
  if (await isPlain(sweeper, ref, hint.size, signal)) return parkSettling(sweeper, ref, Date.parse(tried.due))
  return sealOrPark(sweeper, ref, { ...hint, uploaded: 0 }, signal) // nothing that has to settle
}

/** Whether the object begins with no header; not so where it can't be read. */
async function isPlain({ store }: Sweeper, ref: ObjectRef, expectedSize: number, signal: AbortSignal): Promise<boolean> {
  try {
    const start = await readStart(store, ref, { expectedSize, signal })
    return start !== undefined && parseHeader(start.bytes).kind === "none"
  } catch (error) {
    if (isFailure(error)) return false
    throw error
  }
}

/** The longest settle of these objects that is waited for, in milliseconds. */
async function settleOf({ sealer }: Sweeper, bucket: string, objects: readonly ListedObject[]): Promise<number> {
  let longest = 0
  for (const { key } of objects) {
    const registration = await sealer.registrations.find(bucket, key)
    const settle = registration?.enabled ? registration.settle * 1_000 : 0
    if (settle <= PATIENCE_MS) longest = Math.max(longest, settle)
  }
  return longest
}

const TIMERS_EARLY_MS = 2 // Node rounds to whole milliseconds

/** Outcomes without a line in the log each: most of a swept bucket. */
const quiet: readonly string[] = ["already-sealed", "not-registered"]
