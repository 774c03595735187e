/** Looking at an object that may be sealed: is it plain, or a sealed one that was moved here; how large; how is it to be written? */
import { sealedSize } from "../crypto/chunked.ts"
import { MAX_HEADER_SIZE, parseHeader } from "../crypto/header.ts"
import { isFailure } from "../errors.ts"
import type { Authority, ObjectInfo, ObjectRef } from "../ports.ts"
import { openFrom } from "./open.ts"
import { parkedAs, type SealResult } from "./outcome.ts"
import { partSizeFor } from "./parts.ts"
import type { Setting } from "./protocol.ts"
import { lacksCustomerKey, readSpan, readStart, type ObjectStart } from "./reading.ts"
import type { Registration, Registrations } from "./registrations.ts"
import { examine, sourceOf, type Kind } from "./sealed.ts"
import type { Plaintext, StepTools, View } from "./steps.ts"

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

/** One object, and the registrations of where it is and of where it is sealed to. */
export interface Case {
  readonly registration: Registration
  readonly owner: Registration
  readonly ref: ObjectRef
  readonly hint: SealHint
  readonly signal: AbortSignal | undefined
}

/** Looks at the source, and what the last look came to where nothing is to be sealed. */
export function lookingAt(sealer: Sealer, one: Case, { removal }: Setting) {
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

async function readUnlessSseC({ store }: Sealer, ref: ObjectRef, hint: SealHint, signal?: AbortSignal) {
  try {
    return await readStart(store, ref, { expectedSize: hint.size, ...(signal ? { signal } : {}) })
  } catch (error) {
    if (lacksCustomerKey(error)) return "sse-c"
    if (isFailure(error, "bucket-not-found")) return undefined
    throw error
  }
}

/** What can't be rewritten without losing something, or must not be. */
function refusal(ref: ObjectRef, info: ObjectInfo): SealResult | undefined {
  if (info.size === 0 && ref.key.endsWith("/")) return { outcome: "ignored", reason: "directory-marker" }
  if (info.locked) return parkedAs("locked")
  return undefined
}

function ofKind(kind: Exclude<Kind, "plain">): SealResult {
  if (kind === "sealed") return { outcome: "already-sealed" }
  if (kind === "sealed-unverified") return { outcome: "already-sealed", reason: "unverified" }
  return parkedAs(kind)
}
