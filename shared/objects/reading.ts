/** Reading parts of a stored object, pinned to one version of it. */
import { Failure, isFailure } from "../errors.ts"
import type { ObjectInfo, ObjectRef, ObjectStore, ReadOptions, StoredObject } from "../ports.ts"

/** Bytes asked for first: a whole small object, or any header with the first chunk behind it. */
export const START_SIZE = 65_536

/** Where objects are read from: a store, or what else can give them like one. */
export type ReadableStore = Pick<ObjectStore, "get">

/** An object's description and its first `START_SIZE` bytes, or all of its bytes where it has no more. */
export interface ObjectStart {
  readonly info: ObjectInfo
  readonly bytes: Buffer
}

/** Reads an object's start with one request, or gives `undefined` if there is none. An empty object costs a second one
 *  where its size was not expected: no range of it can be satisfied (RFC 9110, section 14.1.2). */
export async function readStart(
  store: ReadableStore,
  ref: ObjectRef,
  options: ReadOptions & { readonly expectedSize?: number | undefined } = {},
): Promise<ObjectStart | undefined> {
  const { expectedSize, ...read } = options
  if (expectedSize === 0) return startOf(await store.get(ref, read))
  try {
    return await startOf(await store.get(ref, { ...read, range: { start: 0, end: START_SIZE - 1 } }))
  } catch (error) {
    if (!isFailure(error, "range-not-satisfiable")) throw error
    return startOf(await store.get(ref, read))
  }
}

async function startOf(object: StoredObject | undefined): Promise<ObjectStart | undefined> {
  if (!object) return undefined
  try {
    const { body, range, cancel, ...info } = object
    const bytes = await collect(body, START_SIZE)
    if (bytes.length < Math.min(info.size, START_SIZE)) throw cutShort() // a sealed object would look like a plain one
    return { info, bytes }
  } finally {
    object.cancel()
  }
}

/** The bytes from `from` up to and not including `end`, of exactly the version that `info` describes: if that is gone or
 *  another by now it throws `precondition-failed`. An empty span costs no request. */
export async function* readSpan(
  store: ReadableStore,
  ref: ObjectRef,
  info: ObjectInfo,
  from: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  if (from >= end) return
  const object = await store.get(ref, { ...pinTo(info, signal), range: { start: from, end: end - 1 } })
  if (!object) throw changed()
  try {
    if (!isPinned(object, info)) throw changed() // a store may ignore If-Match or the version on reads
    let left = end - from
    for await (const piece of object.body) {
      left -= piece.length
      yield piece
    }
    if (left > 0) throw cutShort()
  } finally {
    object.cancel()
  }
}

const isPinned = (object: StoredObject, info: ObjectInfo): boolean =>
  object.etag === info.etag && object.size === info.size && (object.versionId ?? info.versionId) === (info.versionId ?? object.versionId)

/** True for what a plain read of an SSE-C object is answered by, as it lacks the key that only the uploader has: AWS says
 *  InvalidRequest, RGW InvalidArgument. */
export function lacksCustomerKey(error: unknown): boolean {
  if (!isFailure(error, "store-refused")) return false
  const { cause } = error
  return typeof cause === "object" && cause !== null && "code" in cause && ["InvalidRequest", "InvalidArgument"].includes(String(cause.code))
}

/** Read options for exactly this version. */
function pinTo(info: ObjectInfo, signal?: AbortSignal): ReadOptions {
  const { etag, versionId } = info
  return { ifMatch: etag, ...(versionId === undefined ? {} : { versionId }), ...(signal ? { signal } : {}) }
}

const cutShort = () => new Failure("unavailable", "the store ended a read early") // as a proxy may, without an error

const changed = () => new Failure("precondition-failed", "the object was changed while it was read; try again")

/** Collects a stream, or its first `limit` bytes. */
export async function collect(source: AsyncIterable<Uint8Array>, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of source) {
    chunks.push(Uint8Array.from(chunk)) // its memory may be used again for the next one
    length += chunk.length
    if (length >= limit) break
  }
  return Buffer.concat(chunks, Math.min(length, limit))
}

/** `keep` bytes of a stream behind its first `skip`. It is read to its end, where it may still fail. */
export async function* trim(pieces: AsyncIterable<Uint8Array>, skip: number, keep: number): AsyncGenerator<Uint8Array, void> {
  let position = -skip
  for await (const piece of pieces) {
    const from = Math.max(0, -position)
    const to = Math.min(piece.length, keep - position)
    if (from < to) yield piece.subarray(from, to)
    position += piece.length
  }
}
