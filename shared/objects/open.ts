/**
 * Opening a sealed object: whole or a range, authenticated. Length and range are told only after the final chunk was
 * opened. A small object costs one request; a large one two (its end, its bytes) behind that for its start.
 */
import { CHUNK_SIZE, chunkOffset, undecryptable, type MessageKey } from "../crypto/chunked.ts"
import { parseHeader, type Header } from "../crypto/header.ts"
import { openChunks } from "../crypto/stream.ts"
import { Failure } from "../errors.ts"
import type { DataKeys } from "../keys/data-keys.ts"
import type { Authority, ObjectInfo, ObjectRef, ReadOptions, Subject } from "../ports.ts"
import type { Registration, Registrations } from "./registrations.ts"
import { isHere, messageKey, proveSize, sourceOf } from "./sealed.ts"
import { readSpan, readStart, trim, type ObjectStart, type ReadableStore } from "./reading.ts"

/** What opening needs. */
export interface Opener {
  readonly store: ReadableStore
  readonly dataKeys: DataKeys
  readonly registrations: Registrations
  readonly authority: Authority
}

/** An object proven to be whole: what it says of itself, its plaintext size, and a way to its bytes. */
export interface OpenedObject {
  readonly info: ObjectInfo
  /** Plaintext bytes, authenticated. */
  readonly size: number
  /** Plaintext from `start` up to and including `end`. Throws `undecryptable` at the first chunk that does not verify, and
   *  gives out nothing of it. A piece is valid until the next is asked for. */
  read(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/**
 * Opens an object on behalf of `reader`, or gives `undefined` if there is none. Throws `conflict` where it is not sealed,
 * `moved` where it was sealed for another place, `forbidden` where the bucket's service may no longer use the root key,
 * `undecryptable`, and what the store and the key service throw.
 */
export async function openObject(
  opener: Opener,
  ref: ObjectRef,
  reader: Subject,
  options: ReadOptions = {},
): Promise<OpenedObject | undefined> {
  const start = await readStart(opener.store, ref, options)
  if (!start) return undefined
  const { header, size: headerSize } = headerOf(start)
  const registration = await registrationFor(opener, header, ref, reader)
  return openFrom(opener, registration, ref, start, header, headerSize)
}

/** The object that starts so, under the registration of the place which its header names; whoever calls has made sure that it
 *  may be opened where it was found. Throws `forbidden` where that registration's service may not use the root key any more,
 *  and `undecryptable`. */
export async function openFrom(
  opener: Pick<Opener, "store" | "dataKeys" | "authority">, registration: Registration, ref: ObjectRef, start: ObjectStart,
  header: Header, headerSize: number,
): Promise<OpenedObject> {
  const message = await messageOf(opener, registration, header, start, headerSize)
  const size = await proveSize(opener.store, ref, start, headerSize, message)
  const proven = { store: opener.store, ref, start, headerSize, message, size }
  return { info: start.info, size, read: (from, to, signal) => read(proven, from, to, signal) }
}

function headerOf(start: ObjectStart) {
  const parsed = parseHeader(start.bytes)
  if (parsed.kind === "header") return parsed
  if (parsed.kind === "unknown-format") throw new Failure("conflict", "the object is sealed in a format this version doesn't know")
  throw new Failure("conflict", "the object isn't sealed (yet); read it from the bucket itself")
}

/** The registration of the bucket that the header names: key use is decided for that one, never for where the bytes lie. */
async function registrationFor(opener: Opener, header: Header, ref: ObjectRef, reader: Subject): Promise<Registration> {
  const registration = await opener.registrations.find(header.bucket, header.key)
  if (isHere(header, ref)) {
    if (!registration) throw new Failure("not-found", "the bucket isn't registered")
    return registration
  }
  const moved = new Failure("moved", "the object was sealed for another bucket or key, and its registration doesn't allow that")
  if (registration?.moved !== "allow") throw moved
  const decision = await opener.authority.decide(reader, "cloud-object-storage.object.get", registration.source)
  if (!decision.allowed) throw moved
  return registration
}

/** The message's key, if the bucket's service may still use the very root key that wraps the data key. */
async function messageOf(
  { dataKeys, authority }: Pick<Opener, "dataKeys" | "authority">, registration: Registration, header: Header, start: ObjectStart, headerSize: number,
): Promise<MessageKey> {
  const wanted = { id: header.dek, bucket: header.bucket, rootKeys: registration.rootKeys }
  const rootKey = await dataKeys.rootKeyOf(wanted)
  if (rootKey === undefined) throw undecryptable("its data key isn't in the keyring")
  const decision = await authority.decide(sourceOf(registration), "kms.secrets.unwrap", rootKey)
  if (!decision.allowed) {
    throw new Failure("forbidden", "the bucket's service may not use the root key: its authorization is missing", decision.missing)
  }
  const dek = await dataKeys.forOpening(wanted)
  if (!dek) throw undecryptable("its data key isn't in the keyring")
  return messageKey(dek, start.bytes, headerSize)
}

/** An object of which the final chunk was opened, with what reading its chunks takes. */
interface Proven {
  readonly store: ReadableStore
  readonly ref: ObjectRef
  readonly start: ObjectStart
  readonly headerSize: number
  readonly message: MessageKey
  readonly size: number
}

async function* read(object: Proven, from: number, to: number, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (from > to || object.size === 0) return
  const first = Math.floor(from / CHUNK_SIZE)
  const last = Math.floor(to / CHUNK_SIZE)
  const final = Math.floor(object.size / CHUNK_SIZE)
  const begin = object.headerSize + chunkOffset(first)
  const end = Math.min(object.headerSize + chunkOffset(last + 1), object.start.info.size)
  const run = { first, count: Math.min(last + 1, final) - first, final: last === final }
  const sealed = sealedSpan(object, begin, end, signal)
  yield* trim(openChunks(object.message, run, sealed), from - first * CHUNK_SIZE, to - from + 1)
}

async function* sealedSpan({ store, ref, start }: Proven, begin: number, end: number, signal?: AbortSignal) {
  if (begin < start.bytes.length) yield start.bytes.subarray(begin, end)
  yield* readSpan(store, ref, start.info, Math.max(begin, start.bytes.length), end, signal)
}
