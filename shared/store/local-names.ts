/** What the local store takes as names, conditions, ranges and attributes: Amazon S3's rules. */
import { Failure } from "../errors.ts"
import type { Attributes, ByteRange, ObjectRef, ReadOptions, Tag, WriteCondition, WriteOptions } from "../ports.ts"
import { isBucketName, KEY_LIMIT, METADATA_LIMIT } from "./s3-limits.ts"

const TAG_LIMIT = 10 // (S3 user guide, "Categorizing your objects using tags")
// (S3 user guide, "General purpose bucket naming rules")
const RESERVED_START = /^(?:xn--|sthree-|amzn-s3-demo-)/
const RESERVED_END = /(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/

/** Throws `store-refused` for what S3 takes as no bucket name. */
export function checkBucketName(bucket: string): void {
  const valid = isBucketName(bucket) && !RESERVED_START.test(bucket) && !RESERVED_END.test(bucket)
  if (!valid) throw new Failure("store-refused", "this is not a valid bucket name")
}

/** The key's bytes. Throws `store-refused` for a key that is empty, longer than 1,024 bytes, or not Unicode. */
export function keyBytes({ key }: ObjectRef): Buffer {
  const bytes = Buffer.from(key)
  const valid = bytes.length >= 1 && bytes.length <= KEY_LIMIT && bytes.toString() === key
  if (!valid) throw new Failure("store-refused", `a key is 1 to ${KEY_LIMIT} bytes of UTF-8`)
  return bytes
}

type Described = Pick<WriteOptions, "attributes" | "tags" | "encryption">

/** Throws `store-refused` for attributes, tags or encryption that the store would not keep as they are. */
export function checkWriteOptions({ attributes, tags, encryption }: Described): void {
  if (encryption) throw new Failure("store-refused", "the local store has no server-side encryption")
  const metadata = Object.entries(attributes?.metadata ?? {}).flat().join("")
  if (Buffer.byteLength(metadata) > METADATA_LIMIT) {
    throw new Failure("store-refused", `metadata has at most ${METADATA_LIMIT} bytes`)
  }
  if (tags && tags.length > TAG_LIMIT) throw new Failure("store-refused", `an object has at most ${TAG_LIMIT} tags`)
}

/** The attributes and tags to store. */
export function keptOptions({ attributes, tags }: Described): { attributes: Attributes; tags: readonly Tag[] } {
  return { attributes: { ...attributes, metadata: attributes?.metadata ?? {} }, tags: tags ?? [] }
}

/** Throws `precondition-failed` if a write may not replace what is there. */
export function checkWrite(current: { readonly etag: string } | undefined, condition?: WriteCondition): void {
  if (!condition) return
  const holds = "ifMatch" in condition ? current?.etag === condition.ifMatch : !current
  if (!holds) throw new Failure("precondition-failed", "the object is not what the condition says")
}

/** Throws `precondition-failed` or `not-modified` if a read's condition does not hold (RFC 9110, section 13.2.2). */
export function checkRead({ etag }: { readonly etag: string }, { ifMatch, ifNoneMatch }: ReadOptions): void {
  if (ifMatch !== undefined && ifMatch !== etag) throw new Failure("precondition-failed", "the object has another ETag")
  if (ifNoneMatch !== undefined && ifNoneMatch === etag) throw new Failure("not-modified", "the object has not changed")
}

/** The bytes that a range means in an object of `size` bytes, `end` inclusive. Throws `range-not-satisfiable` where it
 *  means none. */
export function resolveRange(range: ByteRange, size: number): { start: number; end: number } {
  const last = size - 1
  const start = "suffix" in range ? Math.max(0, size - range.suffix) : range.start
  const end = "suffix" in range ? last : Math.min(range.end ?? last, last)
  if (start > end) throw new Failure("range-not-satisfiable", "the range is beyond the end of the object")
  return { start, end }
}
