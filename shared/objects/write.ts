/** The write that puts a sealed object in the place of plaintext, and the look at what is there behind it. */
import { createHash, type Hash } from "node:crypto"
import { crc32 } from "node:zlib"
import { Failure, isFailure } from "../errors.ts"
import type {
  Attributes, Body, ObjectInfo, ObjectRef, ObjectStore, StoredChecksum, Tag, WriteCondition, WriteOptions, WriteResult,
} from "../ports.ts"
import { beginsWith, isStored, sealedObject, type Message } from "./message.ts"
import type { Found, Target } from "./protocol.ts"
import { collect, readStart, START_SIZE } from "./reading.ts"
import type { Registration } from "./registrations.ts"

/** How a write went. `verified`: its answer proves every byte of what is stored. */
export interface Written {
  readonly result?: WriteResult
  readonly verified?: boolean
  /** The MD5 of what was sent, where it was made and all of it was sent. */
  readonly md5?: string | undefined
  readonly refusal?: Failure
}

/** One whole write. */
export interface WholeWrite {
  readonly store: Pick<ObjectStore, "put" | "getTags">
  readonly ref: ObjectRef
  readonly target: ObjectRef
  readonly registration: Registration
  readonly owner: Registration
  readonly source: ObjectInfo
  readonly message: Message
  readonly condition: WriteCondition
  readonly reopen: boolean
  readonly reading: {
    span(from: number, end: number): AsyncIterable<Uint8Array>
    /** False where the source is not as it was. */
    lookAgain(): Promise<boolean>
    readonly changed: boolean
  }
  readonly signal?: AbortSignal | undefined
}

/** Writes a sealed object with one request. One that the store refuses or does not answer is no error of this. */
export async function writeWhole(write: WholeWrite): Promise<Written> {
  const { store, ref, target, registration, owner, source, message, condition, signal } = write
  const tags = await tagsOf(store, registration, ref, source)
  const proof = proofFor(owner, source)
  const stream = sentBytes(write, proof)
  const options: WriteOptions = {
    condition, attributes: attributesFor(source, message.plaintextSize),
    ...(tags.length > 0 ? { tags } : {}),
    ...(source.encryption ? { encryption: source.encryption } : {}),
    ...(proof.checksum ? { checksum: proof.checksum } : {}),
    ...(signal ? { signal } : {}),
  }
  try {
    const body: Body = message.size <= START_SIZE ? await collect(stream) : { length: message.size, stream }
    const result = await store.put(target, body, options)
    const md5 = proof.md5()
    return { result, md5, verified: proof.checksum !== undefined || (md5 !== undefined && result.etag === md5) }
  } catch (error) {
    if (!isFailure(error)) throw error
    return { refusal: error, md5: proof.md5() }
  }
}

/** What proves that the store has the bytes that were sent: the checksum where it refuses a wrong one, else the ETag where
 *  it is the MD5. */
function proofFor({ store }: Registration, source: ObjectInfo) {
  if (store.refusesWrongStreamChecksum) {
    let sum = 0
    const checksum = (): StoredChecksum => ({ algorithm: "crc32", type: "full", value: bigEndian(sum) })
    return { update: (piece: Uint8Array) => void (sum = crc32(piece, sum)), end: () => undefined, md5: () => undefined, checksum }
  }
  const hash: Hash | undefined = hasMd5({ store }, source) ? createHash("md5") : undefined
  let md5: string | undefined
  return { update: (piece: Uint8Array) => void hash?.update(piece), end: () => void (md5 = hash?.digest("hex")), md5: () => md5 }
}

function bigEndian(sum: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(sum)
  return bytes.toString("base64")
}

/** True where the ETag of what is written is the MD5 of its bytes. With SSE-KMS it is not (S3 reference, Object: ETag). */
export const hasMd5 = ({ store }: Pick<Registration, "store">, { encryption }: ObjectInfo): boolean =>
  store.etagIsMd5 && !encryption?.kind.startsWith("aws:kms")

const LONG_MS = 1_000 // a seal that took longer looks again before its write: a change of the description has no new ETag

async function* sentBytes({ message, reading, reopen }: WholeWrite, proof: ReturnType<typeof proofFor>) {
  const began = performance.now()
  let left = message.size
  for await (const piece of sealedObject(message, reading.span(0, message.plaintextSize), { reopen })) {
    proof.update(piece)
    left -= piece.length
    if (left === 0 && performance.now() - began > LONG_MS && !(await reading.lookAgain())) throw changed() // nothing is stored then
    yield piece
  }
  proof.end()
}

const changed = () => new Failure("precondition-failed", "the object's description was changed while it was sealed")

/** What is carried over, and a convenience copy of what the header and the size say anyway: left off where it does not fit.
 *  What describes the bytes stays behind: they are others now. */
export function attributesFor(info: ObjectInfo, plaintextSize: number): Attributes {
  const { size: _, etag, lastModified, versionId, tagCount, encryption, locked, checksum, ...attributes } = info
  const marked = { ...info.metadata, bucketseal: "1", "bucketseal-length": String(plaintextSize) }
  const size = Object.entries(marked).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
  return { ...attributes, metadata: size <= MAX_USER_METADATA ? marked : info.metadata }
}

const MAX_USER_METADATA = 2_048 // S3's limit: names and values of all user metadata, in bytes

/** The tags to be carried over. Asked for only where there may be any. */
export async function tagsOf(
  store: Pick<ObjectStore, "getTags">, { store: facts }: Pick<Registration, "store">, ref: ObjectRef, info: ObjectInfo,
): Promise<readonly Tag[]> {
  const count = info.tagCount ?? (facts.reportsTagCount ? 0 : undefined)
  return count === 0 ? [] : (await store.getTags(ref)) ?? []
}

/** True if the object is the one that was looked at, by its bytes and by what it says of itself. */
export async function isUnchanged(store: Pick<ObjectStore, "head">, ref: ObjectRef, then: ObjectInfo): Promise<boolean> {
  const now = await store.head(ref)
  return now !== undefined && now.etag === then.etag && now.size === then.size && now.lastModified === then.lastModified
    && now.versionId === then.versionId && (now.tagCount ?? then.tagCount) === (then.tagCount ?? now.tagCount)
} // a store may tell the number of tags to a GET alone

/** What is at the target now. */
export async function foundAt(
  store: Pick<ObjectStore, "get">, target: ObjectRef, message: Message, before: Target, { result, md5 }: Written,
): Promise<Found> {
  const now = await readStart(store, target)
  if (!now) return before.etag === undefined ? "as-before" : "absent"
  const { etag } = now.info
  if (md5 === undefined ? await isStored(store, target, now, message) : etag === md5) return "ours"
  if (beginsWith(now, message) || (result && result.etag === etag)) return "ours-damaged"
  return etag === before.etag ? "as-before" : "other"
}
