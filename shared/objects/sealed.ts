/** Telling sealed objects from others: by header, keyring, and where the key is at hand by the first and final chunk. */
import { chunkOffset, messageShape, openPrefix, type MessageKey } from "../crypto/chunked.ts"
import { parseHeader, type Header } from "../crypto/header.ts"
import { openChunks } from "../crypto/stream.ts"
import { isFailure } from "../errors.ts"
import type { DataKeys } from "../keys/data-keys.ts"
import type { ObjectInfo, ObjectRef, ObjectStore } from "../ports.ts"
import { collect, readSpan, type ObjectStart } from "./reading.ts"
import type { Registration } from "./registrations.ts"

/** What an object turns out to be. Only `plain` is sealed over; only `sealed` counts as sealed. */
export type Kind =
  | "plain" | "sealed" | "sealed-unverified" | "moved" | "unknown-data-key" | "unknown-format" | "damaged-or-forged"

/** What examining needs. */
export interface Examiner {
  readonly store: ObjectStore
  readonly dataKeys: DataKeys
}

/** Examines an object by its start. A header alone proves nothing: whoever reads an object can copy its header, salt and
 *  commitment in front of plaintext, so the first and the final chunk are opened where this function may unwrap. */
export async function examine(
  { store, dataKeys }: Examiner,
  registration: Registration,
  ref: ObjectRef,
  start: ObjectStart,
): Promise<Kind> {
  const parsed = parseHeader(start.bytes)
  if (parsed.kind === "none") return "plain"
  if (parsed.kind === "unknown-format") return "unknown-format"
  if (!isHere(parsed.header, ref) && registration.moved !== "allow") return "moved"
  const name = { id: parsed.header.dek, bucket: parsed.header.bucket, rootKeys: registration.rootKeys }
  if (!(await dataKeys.known(name))) return "unknown-data-key"
  if (!dataKeys.canUnwrap) return "sealed-unverified"
  const dek = await dataKeys.forOpening(name)
  if (!dek) return "unknown-data-key"
  try {
    const message = openMessageKey(dek, start.bytes, parsed.size)
    await openEnds(store, ref, start, parsed.size, message)
    return "sealed"
  } catch (error) {
    if (!isFailure(error, "undecryptable")) throw error
    return "damaged-or-forged"
  } finally {
    dek.fill(0)
  }
}

/** True where the header names the place at which the object was found. */
export const isHere = (header: Header, ref: ObjectRef): boolean => header.bucket === ref.bucket && header.key === ref.key

/** The message's key, its commitment checked. `headerSize` bytes of context come before the message. */
export function openMessageKey(dek: Uint8Array, start: Buffer, headerSize: number): MessageKey {
  return openPrefix(dek, start.subarray(0, headerSize), start.subarray(headerSize))
}

async function openEnds(store: ObjectStore, ref: ObjectRef, start: ObjectStart, headerSize: number, message: MessageKey) {
  const { finalChunk } = messageShape(start.info.size - headerSize)
  if (finalChunk > 0) {
    const first = start.bytes.subarray(headerSize + chunkOffset(0), headerSize + chunkOffset(1))
    await collect(openChunks(message, { first: 0, count: 1, final: false }, once(first)))
  }
  await proveSize(store, ref, start, headerSize, message)
}

/** Opens the final chunk, which proves the message's length, and gives its plaintext size in bytes. Throws `undecryptable`.
 *  Costs a request only where the chunk is not within the object's start. */
export async function proveSize(
  store: ObjectStore,
  ref: ObjectRef,
  { info, bytes }: { readonly info: ObjectInfo; readonly bytes: Buffer },
  headerSize: number,
  message: MessageKey,
): Promise<number> {
  const { plaintextSize, finalChunk } = messageShape(info.size - headerSize)
  const from = headerSize + chunkOffset(finalChunk)
  const sealed = bytes.length === info.size ? once(bytes.subarray(from)) : readSpan(store, ref, info, from, info.size)
  await collect(openChunks(message, { first: finalChunk, count: 0, final: true }, sealed))
  return plaintextSize
}

/** One piece as a source. */
export async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield piece
}

