/**
 * How the local store's index keys what belongs to an object: `bucket 00 key`, and where a key has several entries in
 * one table, behind it `00` and what sets them apart.
 *
 * Every byte of a key is kept one higher. UTF-8 has no byte over F4 (RFC 3629), so that this always works, takes no room
 * and keeps the order. 00 then only ever ends a name, also that of a key with 00 in it: all entries of a key stand
 * together, in the place that the order of the keys gives it.
 */
import type { ObjectRef } from "../ports.ts"
import { keyBytes } from "./local-names.ts"

const separator = Buffer.of(0)

/** The key of what a bucket has once for an object. Throws `store-refused` for what can be no key. */
export function objectKey(ref: ObjectRef): Buffer {
  return Buffer.concat([Buffer.from(ref.bucket), separator, moved(keyBytes(ref), 1)])
}

/** The key of one of several entries of an object: they are in the order of `suffix`. */
export function entryKey(ref: ObjectRef, suffix: Uint8Array): Buffer {
  return Buffer.concat([objectKey(ref), separator, suffix])
}

/** All entries of an object, but for the one that has no suffix: from `start` to before `end`. */
export function entriesOf(ref: ObjectRef): { start: Buffer; end: Buffer } {
  return { start: entryKey(ref, Buffer.alloc(0)), end: Buffer.concat([objectKey(ref), Buffer.of(1)]) }
}

/** All entries of a bucket whose keys begin with a prefix: from `start` to before `end`. */
export function keysUnder(bucket: string, prefix: string): { start: Buffer; end: Buffer } {
  const start = Buffer.concat([Buffer.from(bucket), separator, moved(Buffer.from(prefix), 1)])
  const end = Buffer.from(start)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1 // at most F6
  return { start, end }
}

/** The object's key that an entry of a bucket belongs to. */
export function nameOf(bucket: string, key: Uint8Array): string {
  const start = bucket.length + 1
  const end = key.indexOf(0, start)
  return moved(key.subarray(start, end < 0 ? key.length : end), -1).toString()
}

/** The same bytes, each so much higher. */
function moved(bytes: Uint8Array, by: 1 | -1): Buffer {
  return Buffer.from(bytes.map((byte) => byte + by))
}
