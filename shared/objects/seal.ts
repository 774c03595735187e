/**
 * Sealing one object: is it registered, settled, authorized – then the steps of the protocol: read its start – sealed already?
 * – write it anew, sealed. A small object without tags in a bucket without versions costs two requests to the bucket, one with
 * tags three.
 */
import { Failure, isFailure, type FailureCode } from "../errors.ts"
import type { ObjectRef } from "../ports.ts"
import { lookingAt, type Case, type Sealer, type SealHint } from "./looking.ts"
import { parkedAs, type Parked, type ParkReason, type SealResult } from "./outcome.ts"
import { begin, decide, type End, type Setting } from "./protocol.ts"
import type { Registration } from "./registrations.ts"
import { sourceOf } from "./sealed.ts"
import { stepsOn, type Steps } from "./steps.ts"

export type { Sealer, SealHint } from "./looking.ts"

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
  if (registration.mode === "vault" && !sealer.alone) return { outcome: "ignored", reason: "vault" }
  const due = settledAt(registration, hint.uploaded, sealer.clock())
  if (due > sealer.clock()) return { outcome: "not-settled", due }
  try {
    return await sealRegistered(sealer, registration, ref, hint, signal)
  } catch (error) {
    if (isFailure(error, "bucket-not-found")) { // its own bucket is missed at the look
      return typeof registration.mode === "string" ? { outcome: "gone" } : parkedAs("destination-not-registered")
    }
    const reason = isFailure(error) ? parkReasons[error.code] : undefined
    if (!reason || signal?.aborted) throw error
    sealer.log.warn("an object can't be sealed now", { ...ref, reason, cause: error })
    return parkedAs(reason)
  }
}

/** When an upload has settled, in milliseconds since the epoch. An upload from the future counts as one of now: what an event
 *  says of time must not put sealing off for ever. */
export const settledAt = ({ settle }: Pick<Registration, "settle">, uploaded: number, now: number): number =>
  Math.min(uploaded, now) + settle * 1_000

const parkReasons: Partial<Record<FailureCode, ParkReason>> = {
  "key-state": "key-state", "key-deleted": "key-state", "key-not-found": "key-state", "not-a-root-key": "key-state",
  unavailable: "unavailable", throttled: "unavailable",
  conflict: "unavailable", "precondition-failed": "unavailable", // it was changed at this very moment: again, later
  archived: "archived", forbidden: "store-forbids",
  "store-refused": "store-refuses", "not-implemented": "store-refuses", undecryptable: "damaged-or-forged",
}

async function sealRegistered(
  sealer: Sealer, registration: Registration, ref: ObjectRef, hint: SealHint, signal?: AbortSignal,
): Promise<SealResult> {
  const owner = await ownerOf(sealer, registration, ref)
  if (!owner) return parkedAs("destination-not-registered")
  const unsafe = registration.store.unsafe ?? owner.store.unsafe
  if (unsafe !== undefined) return parkedAs("condition-misbehaves")
  return await missingFor(sealer, registration) ?? (owner === registration ? undefined : await missingFor(sealer, owner))
    ?? sealAs(sealer, { registration, owner, ref, hint, signal })
}

/** The registration under which it is sealed: that of the place where it is sealed to. */
async function ownerOf({ registrations }: Sealer, registration: Registration, { key }: ObjectRef): Promise<Registration | undefined> {
  const { mode } = registration
  if (typeof mode === "string") return registration
  const owner = await registrations.find(mode.destination, key)
  const fits = owner?.enabled && owner.rootKey === registration.rootKey && typeof owner.mode === "string"
  return fits ? owner : undefined
}

async function missingFor({ authority }: Sealer, registration: Registration): Promise<Parked | undefined> {
  const { allowed, missing } = await authority.decide(sourceOf(registration), "kms.secrets.wrap", registration.rootKey)
  return allowed ? undefined : { outcome: "parked", reason: "not-authorized", ...(missing ? { missing } : {}) }
}

/** Decision, step, decision, … until the end. */
async function sealAs(sealer: Sealer, one: Case): Promise<SealResult> {
  const { registration, owner, ref, signal } = one
  const setting = settingOf(sealer, registration)
  const looks = lookingAt(sealer, one, setting)
  const target = { bucket: owner.bucket, key: ref.key }
  const steps = stepsOn(sealer, { ref, target, registration, owner, look: looks.look, signal })
  try {
    let { memory, next } = begin(setting)
    while (next.step !== "end") ({ memory, next } = decide(memory, await steps.perform(next)))
    return resultOf(next.end, looks.result, steps, sealer)
  } finally {
    await steps.release()
  }
}

function settingOf({ alone }: Sealer, { mode, store }: Registration): Setting {
  if (alone) return { destination: false, removal: "none" }
  // A null version may be another upload by the time it is deleted, and no condition sees that.
  if (typeof mode !== "string") return { destination: true, removal: store.versioning === "suspended" ? "keep" : store.removeSource }
  return { destination: false, removal: store.versioning === "off" ? "none" : "version" }
}

const parkedEnds = ["condition-misbehaves", "stored-bytes-differ", "keeps-changing", "cannot-resume"] as const

function resultOf(end: End, asLooked: SealResult, steps: Steps, { clock, lease }: Sealer): SealResult {
  const parked = parkedEnds.find((reason) => reason === end)
  if (parked) return parkedAs(parked)
  if (end === "sealed") {
    const { message } = steps
    if (!message) throw new Error("sealed without a message")
    return { outcome: "sealed", size: message.size, dek: message.dek }
  }
  if (end === "unavailable") throw steps.refusal ?? new Failure("unavailable", "the store did not answer")
  if (end === "as-looked") return asLooked
  if (end === "busy") return { outcome: "busy", until: Math.max(steps.heldUntil, clock() + lease / 4) }
  return end === "unfinished" ? { outcome: end, goesOn: true } : { outcome: end as "gone" | "superseded" }
}

