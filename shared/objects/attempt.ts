/** A try at sealing an object, after which it is sealed, or needs not be, or is noted as parked: what nobody notes is lost. */
import type { MissingAuthorization, ObjectRef, StateStore } from "../ports.ts"
import type { SealResult } from "./outcome.ts"
import { park, type Parking } from "./parking.ts"
import { sealObject, type Sealer, type SealHint } from "./seal.ts"

/** What a try needs. */
export interface Tries {
  readonly sealer: Sealer
  readonly state: StateStore
}

/** What became of an object, as results of jobs and the log have it. */
export interface Tried extends ObjectRef {
  /** `failed`: it could not even be noted as parked. */
  readonly outcome: SealResult["outcome"] | "failed"
  readonly reason?: string
  /** The authorization to create, where that is what is missing. */
  readonly missing?: MissingAuthorization
  /** When it is worth another try, in ISO 8601: not settled yet, or busy. */
  readonly due?: string
}

/** Seals an object or parks it; what has not settled or is busy is the caller's to come back to. Throws only where the state
 *  can't be read or written: an object that makes sealing throw is parked as `failed`, so that it can't be in others' way, and
 *  one at which the signal stopped as `unfinished`. */
export async function sealOrPark(tries: Tries, ref: ObjectRef, hint: SealHint, signal: AbortSignal): Promise<Tried> {
  const result = await sealOrFail(tries.sealer, ref, hint, signal)
  if (result.outcome === "parked") await park(tries.state, ref, result, tries.sealer.clock())
  if (result.outcome === "unfinished") await parkFor(tries, ref, { reason: "unfinished", ...(result.goesOn ? { due: tries.sealer.clock() } : {}) })
  return { ...ref, outcome: result.outcome, ...reasonOf(result), ...missingOf(result), ...dueOf(result) }
}

/** As `sealOrPark`; what has not settled yet is left to `retry-parked`, which also looks for what was begun. */
export async function sealOrParkSettling(tries: Tries, { bucket, key }: ObjectRef, hint: SealHint, signal: AbortSignal): Promise<Tried> {
  const tried = await sealOrPark(tries, { bucket, key }, hint, signal)
  if (tried.outcome !== "not-settled" || tried.due === undefined) return tried
  return parkSettling(tries, { bucket, key }, Date.parse(tried.due))
}

/** Has an object gone on with as soon as possible: where nobody calls a job again, `retry-parked` does. */
export async function parkUnfinished(tries: Tries, ref: ObjectRef): Promise<void> {
  await parkFor(tries, ref, { reason: "unfinished", due: tries.sealer.clock() })
}

/** Has an object sealed when it has settled (milliseconds since the epoch), by `retry-parked`. */
export async function parkSettling(tries: Tries, ref: ObjectRef, due: number): Promise<Tried> {
  await parkFor(tries, ref, { reason: "settling", due })
  return { ...ref, outcome: "parked", reason: "settling" }
}

/** True for what needs no more thought: a note on it may go. What was `superseded` has an event of its own, and the sweep. */
export const isOver = ({ outcome }: { readonly outcome: string }): boolean =>
  ["sealed", "already-sealed", "gone", "ignored", "superseded", "not-registered"].includes(outcome)

const parkFor = ({ state, sealer }: Tries, ref: ObjectRef, parking: Parking) => park(state, ref, parking, sealer.clock())

async function sealOrFail(sealer: Sealer, ref: ObjectRef, hint: SealHint, signal: AbortSignal): Promise<SealResult> {
  try {
    return await sealObject(sealer, ref, hint, signal)
  } catch (cause) {
    if (signal.aborted) return { outcome: "unfinished" }
    sealer.log.error("an object can't be sealed, for no reason that was foreseen; it is parked", { ...ref, cause })
    return { outcome: "parked", reason: "failed" }
  }
}

const reasonOf = (result: SealResult) => ("reason" in result ? { reason: result.reason } : {})
const missingOf = (result: SealResult) => ("missing" in result ? { missing: result.missing } : {})

function dueOf(result: SealResult): { due?: string } {
  if (result.outcome === "not-settled") return { due: new Date(result.due).toISOString() }
  return result.outcome === "busy" ? { due: new Date(result.until).toISOString() } : {}
}
