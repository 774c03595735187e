/**
 * The C2SP chunked-encryption message, AES-256 variant (c2sp.org/chunked-encryption@v1).
 *
 *     offset 0    salt          24 bytes, random for every message
 *     offset 24   commitment    32 bytes, fixes input key, salt and context
 *     offset 56   chunk 0 ‖ chunk 1 ‖ … ‖ final chunk
 *
 * A chunk is AES-256-GCM over 16,384 plaintext bytes, 16,400 sealed. There is always exactly one final chunk, and it is
 * always shorter, maybe empty: that is the whole end mark. The nonce of chunk i is the base nonce XOR i.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto"
import { Failure } from "../errors.ts"

/** Bytes of an input key (a data key). */
export const KEY_SIZE = 32
/** Bytes of a salt. */
export const SALT_SIZE = 24
/** Bytes before the first chunk: salt and commitment. */
export const PREFIX_SIZE = 56
/** Plaintext bytes of every chunk but the final one. */
export const CHUNK_SIZE = 16_384
/** Sealed bytes of every chunk but the final one. */
export const SEALED_CHUNK_SIZE = 16_400

const TAG_SIZE = SEALED_CHUNK_SIZE - CHUNK_SIZE
const CHUNK_LIMIT = 2 ** 38 // the specification's: the counter never reaches the first seven bytes of the nonce
const LABEL = Buffer.from("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0", "latin1")

/** What one message is sealed under: derived from input key, salt and context. */
export interface MessageKey {
  readonly aead: KeyObject
  readonly baseNonce: Buffer
  readonly commitment: Buffer
}

/** Derives a message's key: HKDF-Expand with SHA-512 (RFC 5869, section 2.3), without Extract, as the format demands.
 *  Throws a plain `Error` for an input key or salt of another size: that is a bug, not bad input. */
export function deriveMessageKey(dek: Uint8Array, salt: Uint8Array, context: Uint8Array): MessageKey {
  if (dek.length !== KEY_SIZE) throw new Error(`an input key has ${KEY_SIZE} bytes, not ${dek.length}`)
  if (salt.length !== SALT_SIZE) throw new Error(`a salt has ${SALT_SIZE} bytes, not ${salt.length}`)
  const first = createHmac("sha512", dek).update(LABEL).update(salt).update(context).update("\x01").digest()
  const second = createHmac("sha512", dek).update(first).update(LABEL).update(salt).update(context).update("\x02").digest()
  try {
    return {
      aead: createSecretKey(first.subarray(0, 32)),
      baseNonce: Buffer.from(first.subarray(32, 44)),
      commitment: Buffer.concat([first.subarray(44), second.subarray(0, 12)]),
    }
  } finally {
    first.fill(0)
    second.fill(0)
  }
}

/** The key of the message that starts with these bytes (at least salt and commitment). Throws `undecryptable` where they
 *  are too few or the commitment does not fit: wrong key, wrong context and damage can't be told apart. */
export function openPrefix(dek: Uint8Array, context: Uint8Array, prefix: Uint8Array): MessageKey {
  if (prefix.length < PREFIX_SIZE) throw undecryptable("truncated before the first chunk")
  const message = deriveMessageKey(dek, prefix.subarray(0, SALT_SIZE), context)
  if (!timingSafeEqual(message.commitment, prefix.subarray(SALT_SIZE, PREFIX_SIZE))) throw undecryptable("commitment")
  return message
}

/** Sealed bytes of a message of this many plaintext bytes. */
export function sealedSize(plaintextSize: number): number {
  return plaintextSize + PREFIX_SIZE + TAG_SIZE * (Math.floor(plaintextSize / CHUNK_SIZE) + 1)
}

/** What a message of this many sealed bytes holds. Throws `undecryptable` for a size that no message has. The size alone
 *  proves nothing: open the final chunk for that. */
export function messageShape(size: number): { plaintextSize: number; finalChunk: number; finalSize: number } {
  const body = size - PREFIX_SIZE
  const finalChunk = Math.floor(body / SEALED_CHUNK_SIZE)
  const finalSize = body - finalChunk * SEALED_CHUNK_SIZE
  if (body < TAG_SIZE || finalSize < TAG_SIZE || finalChunk >= CHUNK_LIMIT) throw undecryptable(`no message has ${size} bytes`)
  return { plaintextSize: CHUNK_SIZE * finalChunk + finalSize - TAG_SIZE, finalChunk, finalSize }
}

/** Where chunk `index` starts in the message. */
export const chunkOffset = (index: number): number => PREFIX_SIZE + SEALED_CHUNK_SIZE * index

/** Seals one chunk into `out` at `offset` and gives the number of bytes written, 16 more than the plaintext has. A chunk
 *  of fewer than 16,384 bytes ends the message. The same chunk number must never be sealed with other plaintext. */
export function sealChunk(
  message: MessageKey,
  index: number,
  plaintext: Uint8Array,
  out: Uint8Array,
  offset: number,
): number {
  if (plaintext.length > CHUNK_SIZE) throw new Error("a chunk is longer than the format allows")
  const cipher = createCipheriv("aes-256-gcm", message.aead, nonceOf(message, index))
  moveInto(out, offset, cipher.update(plaintext))
  cipher.final() // gives no bytes in GCM; it makes the tag
  out.set(cipher.getAuthTag(), offset + plaintext.length)
  return plaintext.length + TAG_SIZE
}

/** Opens one sealed chunk into `out` at `offset` and gives the number of plaintext bytes. Throws `undecryptable`, and has
 *  then overwritten with zeros what it wrote: nothing unverified stays behind. */
export function openChunk(
  message: MessageKey,
  index: number,
  sealed: Uint8Array,
  out: Uint8Array,
  offset: number,
): number {
  const size = sealed.length - TAG_SIZE
  if (size < 0 || size > CHUNK_SIZE) throw undecryptable("a chunk of an impossible size")
  const decipher = createDecipheriv("aes-256-gcm", message.aead, nonceOf(message, index), { authTagLength: TAG_SIZE })
  decipher.setAuthTag(sealed.subarray(size))
  moveInto(out, offset, decipher.update(sealed.subarray(0, size)))
  try {
    decipher.final()
  } catch (cause) {
    out.fill(0, offset, offset + size)
    throw undecryptable(`chunk ${index}`, cause)
  }
  return size
}

const nonce = Buffer.alloc(12) // rewritten for each chunk; a cipher copies it when it is made

function nonceOf(message: MessageKey, index: number): Buffer {
  if (!(Number.isInteger(index) && index >= 0 && index < CHUNK_LIMIT)) throw new Failure("too-large", "a message can't hold that many chunks")
  const { baseNonce } = message
  baseNonce.copy(nonce)
  nonce.writeUInt32BE((baseNonce.readUInt32BE(8) ^ (index % 2 ** 32)) >>> 0, 8)
  nonce[7] = (baseNonce[7] ?? 0) ^ Math.floor(index / 2 ** 32)
  return nonce
}

type Transferable = ArrayBufferLike & { transfer?: (size: number) => ArrayBuffer } // not in Node 20 and its types

/** Copies what a cipher gave and hands its memory back at once (`ArrayBuffer.transfer`, Node 22 on): left to the garbage
 *  collector these 16 KiB outputs cost a third of the time. A view of a shared pool is left alone. */
function moveInto(out: Uint8Array, offset: number, piece: Buffer): void {
  out.set(piece, offset)
  const buffer: Transferable = piece.buffer
  if (buffer.byteLength === piece.length) buffer.transfer?.(0)
}

/** The one error of opening. `why` is for the log. */
export function undecryptable(why: string, cause?: unknown): Failure {
  return new Failure("undecryptable", "the object can't be decrypted", new Error(why, { cause }))
}
