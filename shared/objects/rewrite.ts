/**
 * The write that replaces plaintext by its sealed form: header and chunks, under the condition that nobody has written
 * meanwhile; then what the store says it has is compared with what was sent.
 */
import { createHash, type Hash } from "node:crypto"
import { deriveMessageKey, SALT_SIZE, sealedSize, type MessageKey } from "../crypto/chunked.ts"
import { encodeHeader, MAX_HEADER_SIZE } from "../crypto/header.ts"
import { sealMessage } from "../crypto/stream.ts"
import { isFailure, type Failure } from "../errors.ts"
import type { DataKeys } from "../keys/data-keys.ts"
import type { Attributes, Body, Log, ObjectInfo, ObjectRef, ObjectStore, Tag, WriteOptions, WriteResult } from "../ports.ts"
import type { SealResult } from "./outcome.ts"
import { collect, readSpan, readStart, START_SIZE, type ObjectStart, type ReadableStore } from "./reading.ts"
import type { Registration } from "./registrations.ts"
import { proveSize } from "./sealed.ts"

/** What rewriting needs. */
export interface Rewriter {
  readonly store: Pick<ObjectStore, "get" | "put" | "getTags">
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
  const sent = await newMessage(sealer, registration, ref, info)
  const stream = sealedBytes(sent, sealMessage(sent.message, sent.salt, wholeObject(sealer.store, ref, start, signal), sealer))
  try {
    const body: Body = sent.size <= START_SIZE ? await collect(stream) : { length: sent.size, stream }
    const result = await sealer.store.put(ref, body, writeOptions(registration, info, tags, signal))
    return await verify(sealer, ref, result, sent)
  } catch (error) {
    if (!isFailure(error)) throw error
    return lookAgain(sealer, ref, info, sent, error)
  }
}

/** What is sent, and how it is known again. */
interface Sent {
  readonly dek: string
  readonly header: Buffer
  readonly salt: Uint8Array
  readonly message: MessageKey
  /** Sealed bytes, header included. */
  readonly size: number
  /** Where the store's ETag is the MD5 of the bytes: the MD5 so far. */
  readonly md5: Hash | undefined
  /** The MD5 of all of it, once all of it was sent. */
  etag?: string
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
async function newMessage(sealer: Rewriter, registration: Registration, ref: ObjectRef, info: ObjectInfo): Promise<Sent> {
  const { id, dek } = await sealer.dataKeys.forSealing(registration, info.size)
  try {
    const header = encodeHeader({ dek: id, ...ref })
    const salt = sealer.random(SALT_SIZE)
    const etagIsMd5 = registration.store.etagIsMd5 && !info.encryption?.kind.startsWith("aws:kms") // SSE-KMS: opaque on AWS
    return {
      dek: id, header, salt, message: deriveMessageKey(dek, salt, header), size: header.length + sealedSize(info.size),
      md5: etagIsMd5 ? createHash("md5") : undefined,
    }
  } finally {
    dek.fill(0)
  }
}

async function* wholeObject(store: ReadableStore, ref: ObjectRef, { info, bytes }: ObjectStart, signal?: AbortSignal) {
  yield bytes
  yield* readSpan(store, ref, info, bytes.length, info.size, signal)
}

async function* sealedBytes(sent: Sent, message: AsyncIterable<Uint8Array>) {
  sent.md5?.update(sent.header)
  yield sent.header
  for await (const piece of message) {
    sent.md5?.update(piece)
    yield piece
  }
  if (sent.md5) sent.etag = sent.md5.digest("hex")
}

/** What is carried over, and a convenience copy of what the header and the size say anyway: left off where it does not fit.
 *  What describes the bytes stays behind: they are others now. */
function sealedAttributes(info: ObjectInfo): Attributes {
  const { size: plaintextSize, etag, lastModified, versionId, tagCount, encryption, locked, checksum, ...attributes } = info
  const marked = { ...info.metadata, bucketseal: "1", "bucketseal-length": String(plaintextSize) }
  const size = Object.entries(marked).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
  return { ...attributes, metadata: size <= MAX_USER_METADATA ? marked : info.metadata }
}

async function tagsOf(sealer: Rewriter, registration: Registration, ref: ObjectRef, info: ObjectInfo): Promise<readonly Tag[]> {
  const count = info.tagCount ?? (registration.store.reportsTagCount ? 0 : undefined)
  return count === 0 ? [] : (await sealer.store.getTags(ref)) ?? []
}

/** The answer's ETag, where it is the MD5 of what was sent, proves every byte; else what is stored is looked at. */
async function verify(sealer: Rewriter, ref: ObjectRef, result: WriteResult, sent: Sent): Promise<SealResult> {
  if (result.versionId !== undefined && result.versionId !== "null") {
    sealer.log.error("versioning was switched on after the probe: the plaintext lies under the sealed object", { ...ref })
    return { outcome: "parked", reason: "plaintext-version-left" }
  }
  if (sent.etag !== undefined && result.etag === sent.etag) return sealed(sent)
  const now = await readStart(sealer.store, ref)
  if (!now) return { outcome: "gone" }
  if (now.info.etag !== result.etag) return { outcome: "superseded" }
  if (await isOurs(sealer.store, ref, now, sent)) return sealed(sent)
  sealer.log.error("the store holds other bytes than were sent", { ...ref })
  return { outcome: "parked", reason: "stored-bytes-differ" }
}

const sealed = ({ size, dek }: Sent): SealResult => ({ outcome: "sealed", size, dek })

/** True if what is stored is what was sent: by ETag where that is the MD5, else by its first bytes (no other object has this
 *  salt and commitment) and its final chunk. */
async function isOurs(store: ReadableStore, ref: ObjectRef, now: ObjectStart, sent: Sent): Promise<boolean> {
  if (sent.etag !== undefined) return now.info.etag === sent.etag
  const beginning = Buffer.concat([sent.header, sent.salt, sent.message.commitment])
  if (now.info.size !== sent.size || !now.bytes.subarray(0, beginning.length).equals(beginning)) return false
  try {
    await proveSize(store, ref, now, sent.header.length, sent.message)
    return true
  } catch (error) {
    if (!isFailure(error, "undecryptable")) throw error
    return false
  }
}

/** After a conditional write that was not answered with success: what is there now decides, not the answer. */
async function lookAgain(sealer: Rewriter, ref: ObjectRef, source: ObjectInfo, sent: Sent, error: Failure): Promise<SealResult> {
  const now = await readStart(sealer.store, ref)
  if (!now) return { outcome: "gone" }
  if (await isOurs(sealer.store, ref, now, sent)) return sealed(sent)
  if (now.info.etag !== source.etag) return { outcome: "superseded" }
  if (error.code === "precondition-failed") return { outcome: "parked", reason: "condition-misbehaves" }
  throw error // nothing has happened: the caller knows what stands for this failure
}
