/** Listings of the local store. Each reads only the entries it gives, and one more to know whether there are more. */
import { Failure } from "../errors.ts"
import type {
  ListedObject, ListedUpload, ListedVersion, ListOptions, ListPage, MarkedListOptions, UploadPage, VersionPage,
} from "../ports.ts"
import { hasKeys, type Index, type Marker, type Upload, type Version } from "./local-index.ts"
import { keysUnder, objectKey } from "./local-keys.ts"
import { behind, readPage, type Entry } from "./local-page.ts"
import { behindUpload, initiatedOf, uploadIdOf } from "./local-upload-ids.ts"
import { behindVersion, bucketRecord } from "./local-versions.ts"
import { KEY_LIMIT } from "./s3-limits.ts"

/** One page of the current objects of a bucket. Throws `bucket-not-found`. */
export function listObjects(index: Index, bucket: string, options: ListOptions): ListPage {
  bucketRecord(index, bucket)
  const { token, startAfter } = options
  const after = token === undefined ? startAfter : nameInToken(token)
  const from = after === undefined ? keysUnder(bucket, "").start : behind(bucket, after, options)
  const { entries, prefixes, next } = readPage(bucket, options, from, (range) => index.current.getRange(range))
  const objects = entries.map(({ name, value }) => listedObject(name, value))
  return { objects, prefixes, ...(next && { next: Buffer.from(next.name).toString("base64url") }) }
}

/** One page of the versions and delete markers of a bucket. Throws `bucket-not-found`, and `store-refused` where the
 *  marker can be none. */
export function listVersions(index: Index, bucket: string, options: MarkedListOptions): VersionPage {
  bucketRecord(index, bucket)
  const from = beginning(bucket, options, (ref, id) => behindVersion(index, ref, id))
  const walk = (range: { start: Uint8Array; end: Uint8Array }) =>
    inOneOrder<Version | Marker>(index.current.getRange(range), index.older.getRange(range))
  const { entries, prefixes, next } = readPage(bucket, options, from, walk)
  let key = keyOfEarlier(index, bucket, options, from)
  const versions = entries.map(({ name, value }) => {
    const latest = name !== key
    key = name
    return listedVersion(name, value, latest)
  })
  const id = next?.entry?.value.versionId
  return { versions, prefixes, ...(next && { next: { key: next.name, ...(id !== undefined && { id }) } }) }
}

/** One page of the uploads under way in a bucket. Throws as `listVersions`. */
export function listUploads(index: Index, bucket: string, options: MarkedListOptions): UploadPage {
  bucketRecord(index, bucket)
  const from = beginning(bucket, options, behindUpload)
  const { entries, prefixes, next } = readPage(bucket, options, from, (range) => index.uploads.getRange(range))
  const uploads = entries.map(({ name, key, value }) => listedUpload(name, uploadIdOf(key), value))
  const id = next?.entry && uploadIdOf(next.entry.key)
  return { uploads, prefixes, ...(next && { next: { key: next.name, ...(id !== undefined && { id }) } }) }
}

/** A token is the last key or prefix of the page before. */
function nameInToken(token: string): string {
  const name = Buffer.from(token, "base64url")
  const isText = Buffer.from(name.toString()).equals(name)
  const isOurs = isText && name.length <= KEY_LIMIT && name.toString("base64url") === token
  if (!isOurs) throw new Failure("store-refused", "this is not a token of a listing")
  return name.toString()
}

/** Where a listing begins that goes on behind a marker. */
function beginning(
  bucket: string,
  options: MarkedListOptions,
  behindEntry: (ref: { bucket: string; key: string }, id: string) => Buffer,
): Buffer {
  const { after } = options
  if (!after) return keysUnder(bucket, "").start
  return after.id === undefined ? behind(bucket, after.key, options) : behindEntry({ bucket, key: after.key }, after.id)
}

/** The key that a listing of versions begins in the middle of, if it does: its first version there is not the newest. */
function keyOfEarlier(index: Index, bucket: string, { after }: MarkedListOptions, from: Buffer): string | undefined {
  if (after?.id === undefined) return undefined
  const before = { start: objectKey({ bucket, key: after.key }), end: from }
  return hasKeys(index.current, before) || hasKeys(index.older, before) ? after.key : undefined
}

/** The entries of two tables, by their keys. Reads one ahead in each. */
function* inOneOrder<T>(some: Iterable<Entry<T>>, others: Iterable<Entry<T>>): Generator<Entry<T>, undefined> {
  const [left, right] = [some[Symbol.iterator](), others[Symbol.iterator]()]
  try {
    let [a, b] = [left.next(), right.next()]
    while (!a.done || !b.done) {
      if (b.done || (!a.done && Buffer.compare(a.value.key, b.value.key) < 0)) {
        if (!a.done) yield a.value
        a = left.next()
      } else {
        yield b.value
        b = right.next()
      }
    }
  } finally {
    left.return?.() // frees the cursors where the page was full before the end
    right.return?.()
  }
}

const classOf = (storageClass: string | undefined) => (storageClass === undefined ? {} : { storageClass })

function listedObject(key: string, { size, etag, lastModified, attributes }: Version): ListedObject {
  return { key, size, etag, lastModified, ...classOf(attributes.storageClass) }
}

function listedVersion(key: string, version: Version | Marker, latest: boolean): ListedVersion {
  const { versionId, lastModified } = version
  if (version.kind === "marker") return { key, versionId, lastModified, latest, marker: true, size: 0, etag: "" }
  return { ...listedObject(key, version), versionId, latest, marker: false }
}

function listedUpload(key: string, uploadId: string, { attributes, checksum }: Upload): ListedUpload {
  const initiated = initiatedOf(uploadId)
  return { key, uploadId, initiated, ...classOf(attributes.storageClass), ...(checksum && { checksum }) }
}
