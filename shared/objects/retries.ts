/** Going back to parked objects: what is due is tried again, or looked at whether it still stands as it was. */
import { isFailure } from "../errors.ts"
import type { ObjectInfo, ObjectRef, ObjectStore } from "../ports.ts"
import { isOver, sealOrParkSettling, type Tried, type Tries } from "./attempt.ts"
import { behindEntry, keepChecking, unpark, type DueEntry, type ParkedObject } from "./parking.ts"

/** What going back needs. */
export interface Retries extends Tries {
  readonly store: Pick<ObjectStore, "head">
}

const WRITING_MS = 60_000 // an entry is written before its note: for so long it may be there without

/**
 * Does what an entry asks for, and gives what became of its object; `undefined` where there was nothing to do. What was tried
 * after `began` (milliseconds since the epoch) is left alone. Of an object that was written since the last try nobody knows
 * when it settles: that counts from now.
 */
export async function retryEntry(retries: Retries, entry: DueEntry, began: number, signal: AbortSignal): Promise<Tried | undefined> {
  const { state, sealer: { clock } } = retries
  const found = await behindEntry(state, entry)
  if (!found) return void await state.remove(entry.path)
  if (found === "stale") return entry.at < clock() - WRITING_MS ? void await state.remove(entry.path) : undefined
  const { ref, note } = found
  if (note && Date.parse(note.last) > began) return undefined
  if (note && note.next === undefined) return await checkNote(retries, entry, note, signal)
  const isNew = !note || await isWrittenSince(retries, note, signal)
  return await tryAgain(retries, entry, ref, isNew ? clock() : Date.parse(note.first), signal)
}

/** What no time cures is only looked at from outside, unless it was written since: then its event was lost. */
async function checkNote(retries: Retries, entry: DueEntry, note: ParkedObject, signal: AbortSignal): Promise<Tried | undefined> {
  const { state, sealer: { clock } } = retries
  if (entry.at > clock()) return undefined
  const seen = await look(retries, note, signal)
  if (seen === "gone") {
    await unpark(state, entry)
    return { bucket: note.bucket, key: note.key, outcome: "gone" }
  }
  if (seen !== "hidden" && seen.lastModified > Date.parse(note.last)) return await tryAgain(retries, entry, note, clock(), signal)
  await keepChecking(state, entry, clock())
  return undefined
}

async function tryAgain(
  retries: Retries, entry: DueEntry, ref: ObjectRef, uploaded: number, signal: AbortSignal,
): Promise<Tried> {
  const { state, sealer } = retries
  const now = await sealOrParkSettling(retries, ref, { uploaded, begun: true }, signal)
  sealer.log.info("went back to a parked object", { ...now })
  if (isOver(now)) await unpark(state, entry)
  else if (now.outcome !== "busy" && await behindEntry(state, entry) === "stale") await state.remove(entry.path)
  return now
}

/** Costs a request to the store only where an upload has to settle at all. */
async function isWrittenSince(retries: Retries, note: ParkedObject, signal: AbortSignal): Promise<boolean> {
  const registration = await retries.sealer.registrations.find(note.bucket, note.key)
  if (!registration?.settle) return false
  const seen = await look(retries, note, signal)
  return typeof seen === "object" && seen.lastModified > Date.parse(note.last)
}

/** `hidden`: the store does not show it, now or to us. */
async function look({ store }: Retries, { bucket, key }: ObjectRef, signal: AbortSignal): Promise<ObjectInfo | "gone" | "hidden"> {
  try {
    return await store.head({ bucket, key }, { signal }) ?? "gone"
  } catch (error) {
    if (isFailure(error, "bucket-not-found")) return "gone"
    if (isFailure(error)) return "hidden"
    throw error
  }
}
