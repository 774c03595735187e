/** Telling sealed objects from others: by header, keyring, and where the key is at hand by the first and final chunk. */
import { chunkOffset, messageShape, openPrefix, type MessageKey } from "../crypto/chunked.ts"
import { parseHeader, type Header } from "../crypto/header.ts"
import { openChunks } from "../crypto/stream.ts"
import { isFailure } from "../errors.ts"
import { parseCrn } from "../iam/crn.ts"
import type { DataKeys, WantedDataKey } from "../keys/data-keys.ts"
import type { Authority, ObjectInfo, ObjectRef, Subject } from "../ports.ts"
import { collect, readSpan, type ObjectStart, type ReadableStore } from "./reading.ts"
import type { Registration, Registrations } from "./registrations.ts"

/** What an object turns out to be. Only `plain` is sealed over; only `sealed` counts as sealed. */
export type Kind =
  | "plain" | "sealed" | "sealed-unverified" | "moved" | "unknown-data-key" | "unknown-format" | "damaged-or-forged"

/** What examining needs. */
export interface Examiner {
  readonly store: ReadableStore
  readonly dataKeys: DataKeys
  readonly registrations: Registrations
  readonly authority: Authority
}

/** Examines an object by its start. A header alone proves nothing: whoever reads an object can copy its header, salt and
 *  commitment in front of plaintext, so the first and the final chunk are opened where this function may unwrap, and the
 *  service of the bucket that the header names may use the root key for that. */
export async function examine(examiner: Examiner, ref: ObjectRef, start: ObjectStart): Promise<Kind> {
  const parsed = parseHeader(start.bytes)
  if (parsed.kind === "none") return "plain"
  if (parsed.kind === "unknown-format") return "unknown-format"
  const { header, size } = parsed
  const registration = await examiner.registrations.find(header.bucket, header.key)
  if (!isHere(header, ref) && registration?.moved !== "allow") return "moved"
  const wanted = { id: header.dek, bucket: header.bucket, rootKeys: registration?.rootKeys ?? [] }
  const rootKey = await examiner.dataKeys.rootKeyOf(wanted)
  if (!registration || rootKey === undefined) return "unknown-data-key"
  const { allowed } = await examiner.authority.decide(sourceOf(registration), "kms.secrets.unwrap", rootKey)
  if (!allowed || !examiner.dataKeys.canUnwrap) return "sealed-unverified"
  return proveSealed(examiner, ref, start, wanted, size)
}

async function proveSealed(
  { store, dataKeys }: Examiner, ref: ObjectRef, start: ObjectStart, wanted: WantedDataKey, headerSize: number,
): Promise<Kind> {
  try {
    const dek = await dataKeys.forOpening(wanted)
    if (!dek) return "unknown-data-key"
    await openEnds(store, ref, start, headerSize, messageKey(dek, start.bytes, headerSize))
    return "sealed"
  } catch (error) {
    if (!isFailure(error, "undecryptable")) throw error
    return "damaged-or-forged"
  }
}

/** The service that acts for a registration: its bucket, by CRN (`crn-` and the CRN is IAM's id for it). */
export function sourceOf({ source }: Pick<Registration, "source">): Subject {
  return { iamId: `crn-${source}`, account: parseCrn(source)?.account ?? "", crn: source }
}

/** True where the header names the place at which the object was found. */
export const isHere = (header: Header, ref: ObjectRef): boolean => header.bucket === ref.bucket && header.key === ref.key

/** The message's key, its commitment checked; `dek` is zeroed. `headerSize` bytes of context come before the message. */
export function messageKey(dek: Uint8Array, start: Buffer, headerSize: number): MessageKey {
  try {
    return openPrefix(dek, start.subarray(0, headerSize), start.subarray(headerSize))
  } finally {
    dek.fill(0)
  }
}

async function openEnds(store: ReadableStore, ref: ObjectRef, start: ObjectStart, headerSize: number, message: MessageKey) {
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
  store: ReadableStore,
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

