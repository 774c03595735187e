/** A sealed object in the making: its header, its message's key and salt, and its bytes, whole or from any offset to any other. */
import {
  CHUNK_SIZE, chunkOffset, deriveMessageKey, PREFIX_SIZE, SEALED_CHUNK_SIZE, sealedSize, type MessageKey,
} from "../crypto/chunked.ts"
import { encodeHeader } from "../crypto/header.ts"
import { sealChunks, sealMessage, type SealOptions } from "../crypto/stream.ts"
import { isFailure } from "../errors.ts"
import type { ObjectRef } from "../ports.ts"
import { trim, type ObjectStart, type ReadableStore } from "./reading.ts"
import { proveSize } from "./sealed.ts"

/** What determines every byte of a sealed object, but for the plaintext. */
export interface Message {
  /** The data key's id. */
  readonly dek: string
  readonly salt: Uint8Array
  readonly header: Buffer
  readonly key: MessageKey
  readonly plaintextSize: number
  /** Sealed bytes, header included. */
  readonly size: number
}

/** The message of one plaintext, for the place `target`. A salt is for one plaintext alone. */
export function messageFor(
  target: ObjectRef, id: string, dek: Uint8Array, salt: Uint8Array, plaintextSize: number,
): Message {
  const header = encodeHeader({ dek: id, ...target })
  const key = deriveMessageKey(dek, salt, header)
  return { dek: id, salt, header, key, plaintextSize, size: header.length + sealedSize(plaintextSize) }
}

/** The whole sealed object. */
export async function* sealedObject(message: Message, plaintext: AsyncIterable<Uint8Array>, options: SealOptions) {
  yield message.header
  yield* sealMessage(message.key, message.salt, plaintext, options)
}

/** The sealed bytes from `from` up to and not including `end`, cut anywhere. `plaintext` is asked once for what they take. */
export function sealedSpan(
  message: Message, from: number, end: number,
  plaintext: (from: number, end: number) => AsyncIterable<Uint8Array>, options: SealOptions,
): AsyncIterable<Uint8Array> {
  const body = message.header.length + PREFIX_SIZE // where chunk 0 starts
  const final = Math.floor(message.plaintextSize / CHUNK_SIZE)
  const first = Math.max(0, Math.floor((from - body) / SEALED_CHUNK_SIZE))
  const last = Math.min(final, Math.floor((end - 1 - body) / SEALED_CHUNK_SIZE)) // -1 where the span ends within the prefix
  const chunks = { first, count: Math.min(last + 1, final) - first, final: last === final }
  async function* pieces() {
    if (from < body) yield Buffer.concat([message.header, message.salt, message.key.commitment]).subarray(from)
    if (last < first) return
    const source = plaintext(first * CHUNK_SIZE, Math.min(message.plaintextSize, (last + 1) * CHUNK_SIZE))
    yield* sealChunks(message.key, chunks, source, options)
  }
  const begins = from < body ? from : message.header.length + chunkOffset(first)
  return trim(pieces(), from - begins, end - from)
}

/** True if what is stored is this message, whole, as far as its first bytes (no other object has this salt and commitment),
 *  its size and its final chunk say. */
export async function isStored(store: ReadableStore, ref: ObjectRef, now: ObjectStart, message: Message): Promise<boolean> {
  if (!beginsWith(now, message) || now.info.size !== message.size) return false
  try {
    await proveSize(store, ref, now, message.header.length, message.key)
    return true
  } catch (error) {
    if (!isFailure(error, "undecryptable")) throw error
    return false
  }
}

/** True if what is stored begins as this message does. */
export function beginsWith({ bytes }: ObjectStart, { header, salt, key }: Message): boolean {
  const beginning = Buffer.concat([header, salt, key.commitment])
  return bytes.subarray(0, beginning.length).equals(beginning)
}
