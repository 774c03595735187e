/**
 * Sealing one object in place: is it registered, settled, authorized – read its start – sealed already? – write it anew,
 * sealed. A small object without tags costs two requests to the bucket, one with tags three.
 */
import { isFailure, type FailureCode } from "../errors.ts"
import type { Authority, Clock, ObjectInfo, ObjectRef } from "../ports.ts"
import type { ParkReason, SealResult } from "./outcome.ts"
import { readStart } from "./reading.ts"
import type { Registration, Registrations } from "./registrations.ts"
import { rewriteSealed, type Rewriter } from "./rewrite.ts"
import { examine, sourceOf, type Kind } from "./sealed.ts"

/** What sealing needs. */
export interface Sealer extends Rewriter {
  readonly registrations: Registrations
  readonly authority: Authority
  readonly clock: Clock
  /** Keys with this prefix are canaries of the store probe: never sealed. */
  readonly scratchPrefix: string
}

/** What is known of an object before it is looked at. Hints, never trusted. */
export interface SealHint {
  /** Bytes, as an event said. */
  readonly size?: number | undefined
  /** When it was uploaded, in milliseconds since the epoch: `settle` counts from here. */
  readonly uploaded: number
}

/** Seals the object if it is registered, settled, authorized and not sealed yet. Throws only what is a fault of ours. */
export async function sealObject(
  sealer: Sealer,
  ref: ObjectRef,
  hint: SealHint,
  signal?: AbortSignal,
): Promise<SealResult> {
  if (ref.key.startsWith(sealer.scratchPrefix)) return { outcome: "ignored", reason: "scratch" }
  const registration = await sealer.registrations.find(ref.bucket, ref.key)
  if (!registration?.enabled) return { outcome: "not-registered" }
  const due = settledAt(registration, hint.uploaded, sealer.clock())
  if (due > sealer.clock()) return { outcome: "not-settled", due }
  try {
    return await sealRegistered(sealer, registration, ref, hint, signal)
  } catch (error) {
    if (isFailure(error, "bucket-not-found")) return { outcome: "gone" }
    const reason = isFailure(error) ? parkReasons[error.code] : undefined
    if (!reason || signal?.aborted) throw error
    sealer.log.warn("an object can't be sealed now", { ...ref, reason, cause: error })
    return { outcome: "parked", reason }
  }
}

/** When an upload has settled, in milliseconds since the epoch. An upload from the future counts as one of now: what an event
 *  says of time must not put sealing off for ever. */
export const settledAt = ({ settle }: Pick<Registration, "settle">, uploaded: number, now: number): number =>
  Math.min(uploaded, now) + settle * 1_000

const parkReasons: Partial<Record<FailureCode, ParkReason>> = {
  "key-state": "key-state", "key-deleted": "key-state", "key-not-found": "key-state", "not-a-root-key": "key-state",
  unavailable: "unavailable", throttled: "unavailable", archived: "archived", forbidden: "store-forbids",
  "store-refused": "store-refuses", "not-implemented": "store-refuses",
}

async function sealRegistered(
  sealer: Sealer, registration: Registration, ref: ObjectRef, hint: SealHint, signal?: AbortSignal,
): Promise<SealResult> {
  const decision = await sealer.authority.decide(sourceOf(registration), "kms.secrets.wrap", registration.rootKey)
  if (!decision.allowed) {
    return { outcome: "parked", reason: "not-authorized", ...(decision.missing ? { missing: decision.missing } : {}) }
  }
  const start = await readUnlessSseC(sealer, ref, hint, signal)
  if (start === "sse-c") return { outcome: "parked", reason: "sse-c" }
  if (!start) return { outcome: "gone" }
  return refusal(ref, start.info) ?? unlessPlain(await examine(sealer, ref, start))
    ?? (await rewriteSealed(sealer, registration, ref, start, signal))
}

/** A plain read that is answered 400 lacks the key that only the uploader has: AWS says InvalidRequest, RGW InvalidArgument. */
async function readUnlessSseC({ store }: Sealer, ref: ObjectRef, hint: SealHint, signal?: AbortSignal) {
  try {
    return await readStart(store, ref, { expectedSize: hint.size, ...(signal ? { signal } : {}) })
  } catch (error) {
    if (isFailure(error, "store-refused") && lacksKey(error.cause)) return "sse-c"
    throw error
  }
}

const lacksKey = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && ["InvalidRequest", "InvalidArgument"].includes(String(cause.code))

/** What can't be rewritten without losing something, or must not be. */
function refusal(ref: ObjectRef, info: ObjectInfo): SealResult | undefined {
  if (info.size === 0 && ref.key.endsWith("/")) return { outcome: "ignored", reason: "directory-marker" }
  if (info.locked) return { outcome: "parked", reason: "locked" }
  return undefined
}

function unlessPlain(kind: Kind): SealResult | undefined {
  if (kind === "plain") return undefined
  if (kind === "sealed") return { outcome: "already-sealed" }
  if (kind === "sealed-unverified") return { outcome: "already-sealed", reason: "unverified" }
  return { outcome: "parked", reason: kind }
}
