/**
 * Sealing one object: is it registered, settled, authorized – then the steps of the protocol: read its start – sealed already?
 * – write it anew, sealed. A small object without tags in a bucket without versions costs two requests to the bucket, one with
 * tags three.
 */
import { sealedSize } from "../crypto/chunked.ts"
import { MAX_HEADER_SIZE, parseHeader } from "../crypto/header.ts"
import { Failure, isFailure, type FailureCode } from "../errors.ts"
import type { Authority, ObjectInfo, ObjectRef } from "../ports.ts"
import type { Parked, ParkReason, SealResult } from "./outcome.ts"
import { partSizeFor } from "./parts.ts"
import { begin, decide, type End, type Setting } from "./protocol.ts"
import { openFrom } from "./open.ts"
import { readSpan, readStart, type ObjectStart } from "./reading.ts"
import type { Registration, Registrations } from "./registrations.ts"
import { examine, sourceOf, type Kind } from "./sealed.ts"
import { stepsOn, type Plaintext, type StepTools, type Steps, type View } from "./steps.ts"

/** What sealing needs. */
export interface Sealer extends StepTools {
  readonly registrations: Registrations
  readonly authority: Authority
  /** Keys with this prefix are canaries of the store probe: never sealed. */
  readonly scratchPrefix: string
  /** Sealed bytes from which an object is written by a multipart upload, which can be resumed, where that is safe. */
  readonly multipartBytes: number
  /** The store holds this one object and no other version of it: it is written whole, and nothing is left to be removed. */
  readonly alone?: boolean
}

/** What is known of an object before it is looked at. Hints, never trusted. */
export interface SealHint {
  /** Bytes, as an event said. */
  readonly size?: number | undefined
  /** When it was uploaded, in milliseconds since the epoch: `settle` counts from here. */
  readonly uploaded: number
  /** A sealing of it may have been begun: that is looked for whatever the object is by now. */
  readonly begun?: boolean
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
    return { outcome: "parked", reason }
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
  if (!owner) return { outcome: "parked", reason: "destination-not-registered" }
  const unsafe = registration.store.unsafe ?? owner.store.unsafe
  if (unsafe !== undefined) return { outcome: "parked", reason: "condition-misbehaves" }
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

/** One object, and the registrations of where it is and of where it is sealed to. */
interface Case {
  readonly registration: Registration
  readonly owner: Registration
  readonly ref: ObjectRef
  readonly hint: SealHint
  readonly signal: AbortSignal | undefined
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

/** Looks at the source, and what the last look came to where nothing is to be sealed. */
function lookingAt(sealer: Sealer, one: Case, { removal }: Setting) {
  const { registration, owner, ref } = one
  const multipart = owner.store.conditionalComplete && !sealer.alone
  const isLarge = (size: number) => multipart && MAX_HEADER_SIZE + sealedSize(size) > sealer.multipartBytes
  const isTracked = (size: number) => removal !== "none" || one.hint.begun === true || isLarge(size)
  let result: SealResult = { outcome: "already-sealed" }

  async function look(): Promise<View> {
    const start = await readUnlessSseC(sealer, ref, one.hint, one.signal)
    if (!start) return { looked: { saw: "absent", tracked: multipart || isTracked(0) } }
    const found = start === "sse-c" ? parkedAs("sse-c") : await plaintextIn(sealer, one, start)
    const unfit = "outcome" in found ? found : tooLarge(multipart, found.size)
    if (start === "sse-c" || "outcome" in found || unfit) {
      result = unfit ?? result
      return { looked: { saw: "sealed", tracked: isTracked(start === "sse-c" ? 0 : start.info.size) } }
    }
    const write = isLarge(found.size) ? "multipart" : "put"
    const looked = { saw: "plain", tracked: isTracked(found.size), source: sourceIn(registration, start.info), write } as const
    return { looked, info: start.info, plaintext: found }
  }

  return { look, get result() { return result } }
}

/** What is to be sealed, or why nothing is: what can't be rewritten without losing something, what is sealed, what looks as if. */
async function plaintextIn(sealer: Sealer, one: Case, start: ObjectStart): Promise<Plaintext | SealResult> {
  const { store } = sealer
  const { ref, registration } = one
  const { info, bytes } = start
  const refused = refusal(ref, info)
  if (refused) return refused
  const kind = await examine(sealer, ref, start)
  if (kind === "moved" && registration.moved === "reseal") return await movedPlaintext(sealer, one, start)
  if (kind !== "plain") return ofKind(kind)
  return {
    size: info.size,
    async *span(from, end) {
      if (from < bytes.length) yield bytes.subarray(from, end)
      yield* readSpan(store, ref, info, Math.max(from, bytes.length), end)
    },
  }
}

/** The plaintext of a sealed object that was moved here, where both places are under one root key, and the service of this one
 *  may read at the other. */
async function movedPlaintext(sealer: Sealer, { ref, registration, owner }: Case, start: ObjectStart): Promise<Plaintext | SealResult> {
  const parsed = parseHeader(start.bytes)
  if (parsed.kind !== "header") return parkedAs("moved")
  const { header, size } = parsed
  const named = await sealer.registrations.find(header.bucket, header.key)
  if (!named || named.rootKey !== owner.rootKey || !(await mayRead(sealer, registration, named)) || !sealer.dataKeys.canUnwrap) return parkedAs("moved")
  try {
    const opened = await openFrom(sealer, named, ref, start, header, size)
    return { size: opened.size, span: (from, end) => opened.read(from, end - 1) }
  } catch (error) {
    if (isFailure(error, "undecryptable")) return parkedAs("damaged-or-forged")
    if (isFailure(error, "forbidden")) return parkedAs("moved")
    throw error
  }
}

async function mayRead({ authority }: Sealer, registration: Registration, named: Registration): Promise<boolean> {
  if (named.source === registration.source) return true
  return (await authority.decide(sourceOf(registration), "cloud-object-storage.object.get", named.source)).allowed
}

function sourceIn({ store }: Registration, { etag, size, lastModified, versionId }: ObjectInfo) {
  const version = store.versioning === "off" ? versionId : versionId ?? "null" // RGW leaves the id of a null version out
  return { etag, size, lastModified, ...(version === undefined ? {} : { versionId: version }) }
}

const MAX_SINGLE_PUT = 5 * 2 ** 30 // S3's limit for one PUT, of the sealed bytes

function tooLarge(multipart: boolean, size: number): SealResult | undefined {
  const sealed = MAX_HEADER_SIZE + sealedSize(size)
  if (multipart) return partSizeFor(sealed) === undefined ? parkedAs("too-large") : undefined
  return sealed > MAX_SINGLE_PUT ? parkedAs("too-large-for-store") : undefined
}

const parkedAs = (reason: ParkReason): Parked => ({ outcome: "parked", reason })

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

/** A plain read that is answered 400 lacks the key that only the uploader has: AWS says InvalidRequest, RGW InvalidArgument. */
async function readUnlessSseC({ store }: Sealer, ref: ObjectRef, hint: SealHint, signal?: AbortSignal) {
  try {
    return await readStart(store, ref, { expectedSize: hint.size, ...(signal ? { signal } : {}) })
  } catch (error) {
    if (isFailure(error, "store-refused") && lacksKey(error.cause)) return "sse-c"
    if (isFailure(error, "bucket-not-found")) return undefined
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

function ofKind(kind: Exclude<Kind, "plain">): SealResult {
  if (kind === "sealed") return { outcome: "already-sealed" }
  if (kind === "sealed-unverified") return { outcome: "already-sealed", reason: "unverified" }
  return parkedAs(kind)
}
