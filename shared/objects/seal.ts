/**
 * Sealing one object in place: is it registered, settled, authorized – read its start – sealed already? – write it anew,
 * sealed. A small object without tags costs two requests to the bucket, one with tags three.
 */
import { isFailure, type FailureCode } from "../errors.ts"
import type { Clock, ObjectInfo, ObjectRef, Subject } from "../ports.ts"
import type { Authority } from "../ports.ts"
import type { ParkReason, SealResult } from "./outcome.ts"
import { readStart } from "./reading.ts"
import type { Registration, Registrations } from "./registrations.ts"
import { rewriteSealed, type Rewriter } from "./rewrite.ts"
import { examine, type Kind } from "./sealed.ts"

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
  const due = hint.uploaded + registration.settle * 1_000
  if (due > sealer.clock()) return { outcome: "not-settled", due }
  try {
    return await sealRegistered(sealer, registration, ref, hint, signal)
  } catch (error) {
    const reason = isFailure(error) ? parkReasons[error.code] : undefined
    if (!reason) throw error
    sealer.log.warn("an object can't be sealed now", { ...ref, reason, cause: error })
    return { outcome: "parked", reason }
  }
}

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
  return refusal(ref, start.info) ?? unlessPlain(await examine(sealer, registration, ref, start))
    ?? (await rewriteSealed(sealer, registration, ref, start, signal))
}

/** The service that acts for a registration: its bucket, by CRN (`crn-` and the CRN is IAM's id for it). */
export function sourceOf(registration: Pick<Registration, "source">): Subject {
  return { iamId: `crn-${registration.source}`, account: registration.source.split(":a/")[1]?.split(":")[0] ?? "", crn: registration.source }
}

/** A plain read that is answered 400 lacks the key that only the uploader has: AWS says InvalidRequest, RGW InvalidArgument. */
async function readUnlessSseC({ store }: Sealer, ref: ObjectRef, hint: SealHint, signal?: AbortSignal) {
  try {
    return await readStart(store, ref, { expectedSize: hint.size, ...(signal ? { signal } : {}) })
  } catch (error) {
    if (isFailure(error, "store-refused") && statusIn(error.cause) === 400) return "sse-c"
    throw error
  }
}

const statusIn = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "status" in cause ? cause.status : undefined

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
