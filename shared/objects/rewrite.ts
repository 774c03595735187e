/**
 * The write that replaces plaintext by its sealed form: header and chunks, under the condition that nobody has written
 * meanwhile; then what the store says it has is compared with what was sent.
 */
import { createHash, type Hash } from "node:crypto"
import { deriveMessageKey, SALT_SIZE, sealedSize } from "../crypto/chunked.ts"
import { encodeHeader, MAX_HEADER_SIZE } from "../crypto/header.ts"
import { sealMessage } from "../crypto/stream.ts"
import { isFailure, type FailureCode } from "../errors.ts"
import type { DataKeys } from "../keys/data-keys.ts"
import type { Attributes, Body, Log, ObjectInfo, ObjectRef, ObjectStore, Tag, WriteOptions, WriteResult } from "../ports.ts"
import type { SealResult } from "./outcome.ts"
import { collect, readSpan, readStart, START_SIZE, type ObjectStart } from "./reading.ts"
import type { Registration } from "./registrations.ts"

/** What rewriting needs. */
export interface Rewriter {
  readonly store: ObjectStore
  readonly dataKeys: DataKeys
  readonly log: Log
  /** Random bytes from the system's generator. */
  readonly random: (size: number) => Uint8Array
  /** Open each sealed chunk again before it is sent. */
  readonly reopen: boolean
}

const MAX_SINGLE_PUT = 5 * 2 ** 30 // S3's limit for one PUT, of the sealed bytes
const MAX_USER_METADATA = 2_048 // S3's limit: names and values of all user metadata, in bytes

/** Writes the object anew, sealed, unless it is no longer the version that `start` was read from. */
export async function rewriteSealed(
  sealer: Rewriter, registration: Registration, ref: ObjectRef, start: ObjectStart, signal?: AbortSignal,
): Promise<SealResult> {
  const { info } = start
  if (MAX_HEADER_SIZE + sealedSize(info.size) > MAX_SINGLE_PUT) return { outcome: "parked", reason: "too-large" }
  const tags = await tagsOf(sealer, registration, ref, info)
  const { id, message, salt, header } = await newMessage(sealer, registration, ref, info.size)
  const size = header.length + sealedSize(info.size)
  const md5 = createHash("md5")
  const plaintext = wholeObject(sealer.store, ref, start, signal)
  const stream = sealedBytes(header, sealMessage(message, salt, plaintext, sealer), md5)
  const beginning = Buffer.concat([header, salt, message.commitment])
  try {
    const body: Body = size <= START_SIZE ? await collect(stream) : { length: size, stream }
    const result = await sealer.store.put(ref, body, writeOptions(registration, info, tags, signal))
    return await verify(sealer, registration, ref, result, { md5: md5.digest("hex"), beginning, size, dek: id })
  } catch (error) {
    if (!isFailure(error)) throw error
    return lookAgain(sealer, ref, info, { md5: "", beginning, size, dek: id }, error.code)
  }
}

function writeOptions(registration: Registration, info: ObjectInfo, tags: readonly Tag[], signal?: AbortSignal): WriteOptions {
  return {
    condition: { ifMatch: info.etag, form: registration.store.matchForm },
    attributes: sealedAttributes(info),
    ...(tags.length > 0 ? { tags } : {}),
    ...(info.encryption ? { encryption: info.encryption } : {}),
    ...(signal ? { signal } : {}),
  }
}

/** A fresh salt for each sealing, and the data key's bytes used only here. */
async function newMessage(sealer: Rewriter, registration: Registration, ref: ObjectRef, size: number) {
  const { id, dek } = await sealer.dataKeys.forSealing(registration, size)
  try {
    const header = encodeHeader({ dek: id, ...ref })
    const salt = sealer.random(SALT_SIZE)
    return { id, header, salt, message: deriveMessageKey(dek, salt, header) }
  } finally {
    dek.fill(0)
  }
}

async function* wholeObject(store: ObjectStore, ref: ObjectRef, { info, bytes }: ObjectStart, signal?: AbortSignal) {
  yield bytes
  yield* readSpan(store, ref, info, bytes.length, info.size, signal)
}

async function* sealedBytes(header: Buffer, message: AsyncIterable<Uint8Array>, md5: Hash) {
  md5.update(header)
  yield header
  for await (const piece of message) {
    md5.update(piece)
    yield piece
  }
}

/** What is carried over, and a convenience copy of what the header and the size say anyway: left off where it does not fit. */
function sealedAttributes(info: ObjectInfo): Attributes {
  const marked = { ...info.metadata, bucketseal: "1", "bucketseal-length": String(info.size) }
  const size = Object.entries(marked).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
  return { ...info, metadata: size <= MAX_USER_METADATA ? marked : info.metadata }
}

async function tagsOf(sealer: Rewriter, registration: Registration, ref: ObjectRef, info: ObjectInfo): Promise<readonly Tag[]> {
  const count = info.tagCount ?? (registration.store.reportsTagCount ? 0 : undefined)
  return count === 0 ? [] : (await sealer.store.getTags(ref)) ?? []
}

/** What was sent: its MD5, its first bytes (header, salt, commitment: no other object has them) and its length. */
interface Sent {
  readonly md5: string
  readonly beginning: Buffer
  readonly size: number
  readonly dek: string
}

async function verify(sealer: Rewriter, registration: Registration, ref: ObjectRef, result: WriteResult, sent: Sent): Promise<SealResult> {
  if (result.versionId !== undefined && result.versionId !== "null") {
    sealer.log.error("versioning was switched on after the probe: the plaintext lies under the sealed object", { ...ref })
    return { outcome: "parked", reason: "plaintext-version-left" }
  }
  const proven = registration.store.etagIsMd5 && result.etag === sent.md5
  if (proven) return { outcome: "sealed", size: sent.size, dek: sent.dek }
  const now = await readStart(sealer.store, ref)
  if (!now) return { outcome: "gone" }
  if (now.info.etag !== result.etag) return { outcome: "superseded" }
  if (begins(now, sent) && now.info.size === sent.size) return { outcome: "sealed", size: sent.size, dek: sent.dek }
  sealer.log.error("the store holds other bytes than were sent", { ...ref })
  return { outcome: "parked", reason: "stored-bytes-differ" }
}

const begins = (start: ObjectStart, sent: Sent): boolean =>
  start.bytes.subarray(0, sent.beginning.length).equals(sent.beginning)

/** After a conditional write that was not answered with success: what is there now decides, not the answer. */
async function lookAgain(sealer: Rewriter, ref: ObjectRef, source: ObjectInfo, sent: Sent, code: FailureCode): Promise<SealResult> {
  const now = await readStart(sealer.store, ref)
  if (!now) return { outcome: "gone" }
  if (begins(now, sent) && now.info.size === sent.size) return { outcome: "sealed", size: sent.size, dek: sent.dek }
  if (now.info.etag !== source.etag) return { outcome: "superseded" }
  return { outcome: "parked", reason: code === "precondition-failed" ? "condition-misbehaves" : "unavailable" }
}
