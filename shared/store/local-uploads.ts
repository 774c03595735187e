/**
 * Uploads in parts. All parts of an upload are written into one file, each where there is room when it begins, so
 * completing copies nothing and a reader of the object holds one open file. A part that is replaced, breaks off or is
 * left out stays in the file, unnamed, until the object is removed.
 */
import { createHash, randomBytes } from "node:crypto"
import { Failure } from "../errors.ts"
import type { MultipartStore, ObjectRef, Part } from "../ports.ts"
import type { Extent, Index, StoredPart, Upload } from "./local-index.ts"
import { checkWriteOptions, keptOptions, keyBytes } from "./local-names.ts"
import { checkReplace, writeResult } from "./local-objects.ts"
import { bucketRecord, putVersion } from "./local-versions.ts"
import type { Local } from "./local.ts"

// (S3 user guide, "Amazon S3 multipart upload limits")
const PART_LIMIT = 10_000
const LEAST_PART_SIZE = 5 * 1024 * 1024

/** The multipart part of the store. */
export function localUploads(local: Local): MultipartStore {
  const { index, bodies, clock } = local
  return {
    createUpload: async (ref, options = {}) => {
      checkWriteOptions(options)
      keyBytes(ref)
      index.read(() => bucketRecord(index, ref.bucket))
      const file = await bodies.create()
      const id = randomBytes(16).toString("hex")
      await local.commit(() => {
        bucketRecord(index, ref.bucket)
        if (!bodies.exists(file)) throw new Failure("unavailable", "the upload's file was taken for an orphan")
        void index.files.put(file, [])
        void index.uploads.put(uploadKey(ref.bucket, id), { key: ref.key, file, end: 0, ...keptOptions(options) })
      })
      return id
    },
    putPart: async (ref, id, number, body, options = {}) => {
      if (!isPartNumber(number)) throw new Failure("store-refused", `part numbers are 1 to ${PART_LIMIT}`)
      options.signal?.throwIfAborted()
      const { file, end: offset } = await local.commit(() => reserve(index, ref, id, body.length))
      const etag = await bodies.receiveAt(file, offset, body, options)
      if (etag === undefined) throw noUpload()
      await local.commit(() => {
        findUpload(index, ref, id)
        void index.parts.put(partKey(id, number), { etag, extent: [offset, body.length] })
      })
      return { etag }
    },
    completeUpload: async (ref, id, parts, { condition } = {}) => {
      const version = await local.commit((freed) => {
        const upload = findUpload(index, ref, id)
        const stored = chooseParts(index, id, parts)
        checkReplace(index, ref, condition)
        forgetUpload(index, ref.bucket, id)
        const extents = stored.map((part) => part.extent)
        void index.files.put(upload.file, join(extents))
        const { attributes, tags, file } = upload
        const size = extents.reduce((sum, extent) => sum + extent[1], 0)
        const fields = { lastModified: clock(), size, etag: combinedEtag(stored), attributes, tags, body: { file } }
        return putVersion(index, ref, fields, freed)
      })
      return writeResult(local, ref, version)
    },
    abortUpload: async (ref, id) => {
      if (id.length > ID_LIMIT) return
      await local.commit((freed) => {
        const upload = index.uploads.get(uploadKey(ref.bucket, id))
        if (upload?.key === ref.key) abort(index, ref.bucket, id, upload, freed)
      })
    },
    listParts: (ref, id) =>
      local.look(() => {
        findUpload(index, ref, id)
        const stored = index.parts.getRange(partsOf(id))
        return [...stored.map(({ key, value }) => ({ number: numberOf(key), etag: value.etag, size: value.extent[1] }))]
      }),
  }
}

/** Aborts all uploads of a bucket, inside a transaction. */
export function abortUploads(index: Index, bucket: string, freed: string[]): void {
  const range = { start: uploadKey(bucket, ""), end: Buffer.from(`${bucket}\x01`) }
  for (const { key, value } of [...index.uploads.getRange(range)]) {
    abort(index, bucket, Buffer.from(key.subarray(bucket.length + 1)).toString(), value, freed)
  }
}

const ID_LIMIT = 64 // characters: ours have fewer, and LMDB takes no long key
const noUpload = () => new Failure("not-found", "there is no such upload")
const uploadKey = (bucket: string, id: string) => Buffer.from(`${bucket}\0${id}`)
const isPartNumber = (number: number) => Number.isInteger(number) && number >= 1 && number <= PART_LIMIT

function partKey(id: string, number: number): Buffer {
  return Buffer.concat([Buffer.from(id), Buffer.of(number >> 8, number & 0xff)])
}
const numberOf = (key: Uint8Array) => ((key.at(-2) ?? 0) << 8) | (key.at(-1) ?? 0)
const partsOf = (id: string) => ({ start: partKey(id, 0), end: partKey(id, PART_LIMIT + 1) })

function findUpload(index: Index, ref: ObjectRef, id: string): Upload {
  bucketRecord(index, ref.bucket)
  if (id.length > ID_LIMIT) throw noUpload()
  const upload = index.uploads.get(uploadKey(ref.bucket, id))
  if (upload?.key !== ref.key) throw noUpload()
  return upload
}

/** Keeps room for a part in the upload's file; gives the upload as it was before. */
function reserve(index: Index, ref: ObjectRef, id: string, size: number): Upload {
  const upload = findUpload(index, ref, id)
  void index.uploads.put(uploadKey(ref.bucket, id), { ...upload, end: upload.end + size })
  return upload
}

function forgetUpload(index: Index, bucket: string, id: string): void {
  void index.uploads.remove(uploadKey(bucket, id))
  for (const key of [...index.parts.getKeys(partsOf(id))]) void index.parts.remove(key)
}

function abort(index: Index, bucket: string, id: string, { file }: Upload, freed: string[]): void {
  forgetUpload(index, bucket, id)
  void index.files.remove(file)
  freed.push(file)
}

/** The stored parts that completing names. Throws `store-refused`, with S3's error code as cause (S3 API reference,
 *  CompleteMultipartUpload). */
function chooseParts(index: Index, id: string, parts: readonly Part[]): readonly StoredPart[] {
  if (parts.length === 0) throw refused("MalformedXML", "an object has at least one part")
  return parts.map(({ number, etag }, at) => {
    const before = parts[at - 1]
    if (before && before.number >= number) throw refused("InvalidPartOrder", "parts come in ascending order")
    const stored = isPartNumber(number) ? index.parts.get(partKey(id, number)) : undefined
    if (stored?.etag !== etag) throw refused("InvalidPart", `there is no part ${number} with this ETag`)
    const small = at < parts.length - 1 && stored.extent[1] < LEAST_PART_SIZE
    if (small) throw refused("EntityTooSmall", "a part that is not the last has 5 MiB or more")
    return stored
  })
}

const refused = (code: string, message: string) => new Failure("store-refused", message, code)

/** MD5 of the parts' MD5s, and their number: what S3 gives as ETag. */
function combinedEtag(parts: readonly StoredPart[]): string {
  const hash = createHash("md5")
  for (const part of parts) hash.update(part.etag, "hex")
  return `${hash.digest("hex")}-${parts.length}`
}

/** The same extents, those that follow one another joined. */
function join(extents: readonly Extent[]): readonly Extent[] {
  const joined: Extent[] = []
  for (const [offset, size] of extents) {
    const last = joined.at(-1)
    if (last && last[0] + last[1] === offset) joined[joined.length - 1] = [last[0], last[1] + size]
    else joined.push([offset, size])
  }
  return joined
}
