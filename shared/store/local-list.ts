/** Listings of the local store. Each reads only the entries it gives, and one more to know whether there are more. */
import { Failure } from "../errors.ts"
import type { ListedObject, ListOptions, ListPage } from "../ports.ts"
import { hasKeys, type Index, type Version } from "./local-index.ts"
import { bucketRecord } from "./local-versions.ts"

const PAGE_LIMIT = 1000 // (S3 API reference, ListObjectsV2)
const KEY_LIMIT = 1024 // bytes (S3 user guide, "Naming objects"); LMDB takes no key of over 1,978

/** One page of the current objects of a bucket. Throws `bucket-not-found`. */
export function listObjects(index: Index, bucket: string, options: ListOptions): ListPage {
  bucketRecord(index, bucket)
  if (Buffer.byteLength(options.prefix ?? "") > KEY_LIMIT) return { objects: [], prefixes: [] } // no key is that long
  const limit = Math.min(Math.max(options.limit ?? PAGE_LIMIT, 1), PAGE_LIMIT)
  const bound = keysUnder(bucket, options.prefix ?? "")
  const objects: ListedObject[] = []
  const prefixes: string[] = []
  let start: Buffer | undefined = firstKey(bucket, options, bound.start)
  for (let room = limit; start && room > 0; room = limit - objects.length - prefixes.length) {
    const run = readRun(index, bucket, options, { start, end: bound.end, limit: room })
    objects.push(...run.objects)
    if (run.rolledUp !== undefined) prefixes.push(run.rolledUp)
    start = run.next
  }
  const more = start && hasKeys(index.current, { start, end: bound.end })
  return { objects, prefixes, ...(start && more && { next: start.toString("base64url") }) }
}

type Range = { readonly start: Buffer; readonly end: Buffer; readonly limit: number }

/** Reads objects up to the first that is rolled up. `next` is where to go on: behind all keys under that prefix. */
function readRun(index: Index, bucket: string, options: ListOptions, range: Range) {
  const objects: ListedObject[] = []
  let next: Buffer | undefined
  for (const { key, value } of index.current.getRange(range)) {
    const name = Buffer.from(key.subarray(bucket.length + 1)).toString()
    const rolledUp = rollUp(name, options)
    if (rolledUp !== undefined) return { objects, rolledUp, next: keysUnder(bucket, rolledUp).end }
    objects.push(listed(name, value))
    next = after(key)
  }
  return { objects, next: objects.length < range.limit ? undefined : next }
}

/** The prefix that a key is rolled up into, if it is. */
function rollUp(key: string, { prefix = "", delimiter }: ListOptions): string | undefined {
  if (!delimiter) return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : key.slice(0, at + delimiter.length)
}

/** Where the page begins: a token is the first key that may be on it. */
function firstKey(bucket: string, options: ListOptions, start: Buffer): Buffer {
  const { token, startAfter } = options
  if (token !== undefined) {
    const key = Buffer.from(token, "base64url")
    const isOurs = key.length <= bucket.length + 1 + KEY_LIMIT + 1 && key.subarray(0, bucket.length + 1).equals(Buffer.from(`${bucket}\0`))
    if (!isOurs) {
      throw new Failure("store-refused", "this is not a token of a listing of this bucket")
    }
    return later(key, start)
  }
  if (startAfter === undefined) return start
  const { start: whole, end } = keysUnder(bucket, startAfter)
  const key = whole.subarray(0, bucket.length + 1 + KEY_LIMIT + 1) // nothing sorts between this and a longer one
  return later(rollUp(startAfter, options) === startAfter ? end : after(key), start) // a whole prefix is skipped
}

const later = (a: Buffer, b: Buffer) => (Buffer.compare(a, b) < 0 ? b : a)

/** The first key after this one. */
const after = (key: Uint8Array) => Buffer.concat([key, Buffer.of(0)])

/** All keys of a bucket that begin with a prefix: from `start` to before `end`. The last byte of UTF-8 text, or the 00
 *  behind the bucket's name, can always be one more. */
function keysUnder(bucket: string, prefix: string): { start: Buffer; end: Buffer } {
  const start = Buffer.from(`${bucket}\0${prefix}`)
  const end = Buffer.from(start)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return { start, end }
}

function listed(key: string, { size, etag, lastModified, attributes }: Version): ListedObject {
  const { storageClass } = attributes
  return { key, size, etag, lastModified, ...(storageClass !== undefined && { storageClass }) }
}
