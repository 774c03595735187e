/**
 * Uploads in parts. All parts of an upload are written into one file, each where there is room when it begins, so
 * completing copies nothing and a reader of the object holds one open file. The room of a part that breaks off is given
 * back, and what is behind the last part when the upload is completed. A part that is replaced or left out before it
 * stays in the file, unnamed, until the object is removed.
 */
import { Failure } from "../errors.ts"
import type { MultipartStore, ObjectRef, Part } from "../ports.ts"
import type { Extent, Index, StoredPart, Upload } from "./local-index.ts"
import { keysUnder } from "./local-keys.ts"
import { checkWriteOptions, keptOptions } from "./local-names.ts"
import { checkReplace, writeResult } from "./local-objects.ts"
import { newUploadId, uploadIdOf, uploadKey } from "./local-upload-ids.ts"
import { bucketRecord, putVersion } from "./local-versions.ts"
import { etagOfParts, isPartNumber, LEAST_PART_SIZE, PART_LIMIT } from "./s3-limits.ts"
import type { Local } from "./local.ts"

/** The multipart part of the store. */
export function localUploads(local: Local): Omit<MultipartStore, "listUploads"> {
  const { index, bodies, clock } = local
  return {
    createUpload: async (ref, options = {}) => {
      checkWriteOptions(options)
      const id = newUploadId(clock())
      const key = placeOf(ref, id)
      index.read(() => bucketRecord(index, ref.bucket))
      const file = await bodies.create()
      const { checksum } = options
      await local.commit(() => {
        bucketRecord(index, ref.bucket)
        if (!bodies.exists(file)) throw new Failure("unavailable", "the upload's file was taken for an orphan")
        void index.files.put(file, [])
        void index.uploads.put(key, { file, end: 0, ...keptOptions(options), ...(checksum && { checksum }) })
      })
      return id
    },
    putPart: async (ref, id, number, body, options = {}) => {
      if (!isPartNumber(number)) throw new Failure("store-refused", `part numbers are 1 to ${PART_LIMIT}`)
      options.signal?.throwIfAborted()
      const { file, end: offset } = await local.commit(() => reserve(index, ref, id, body.length))
      const extent = [offset, body.length] as const
      const keep = async () => {
        const received = await bodies.receiveAt(file, offset, body, options)
        if (!received) throw noUpload()
        const { md5: etag, checksum } = received
        const part = { etag, lastModified: clock(), extent, ...(checksum && { checksum }) }
        await local.commit(() => namePart(index, ref, id, number, part))
        return { etag }
      }
      return keep().catch(async (error: unknown) => {
        // What fails here is the smaller trouble, and only leaves the room unused.
        await local.commit(() => giveBack(index, ref, id, number, extent)).catch(() => undefined)
        throw error
      })
    },
    completeUpload: async (ref, id, parts, options = {}) => {
      const checksum = options.checksum?.()
      const { version, file, end } = await local.commit((freed) => {
        const upload = findUpload(index, ref, id)
        const stored = chooseParts(index, id, parts)
        checkReplace(index, ref, options.condition)
        forgetUpload(index, placeOf(ref, id), id)
        const extents = stored.map((part) => part.extent)
        void index.files.put(upload.file, join(extents))
        const { attributes, tags, file } = upload
        const size = extents.reduce((sum, extent) => sum + extent[1], 0)
        const made = { lastModified: clock(), size, etag: etagOfParts(stored), ...(checksum && { checksum }) }
        const version = putVersion(index, ref, { ...made, attributes, tags, body: { file } }, freed)
        return { version, file, end: Math.max(...extents.map(endOf)) }
      })
      await bodies.shorten(file, end)
      return writeResult(local, ref, version)
    },
    abortUpload: async (ref, id) => {
      const key = uploadKey(ref, id)
      await local.commit((freed) => {
        bucketRecord(index, ref.bucket)
        const upload = key && index.uploads.get(key)
        if (upload) abort(index, key, upload, freed)
      })
    },
    listParts: (ref, id, { after = 0, limit = PART_LIMIT } = {}) =>
      local.look(() => {
        const { checksum, attributes: { storageClass } } = findUpload(index, ref, id)
        const range = { ...partsOf(id, after), limit }
        const parts = [...index.parts.getRange(range).map(({ key, value }) => partOf(numberOf(key), value))]
        return { parts, ...(storageClass !== undefined && { storageClass }), ...(checksum && { checksum }) }
      }),
  }
}

/** Aborts all uploads of a bucket, inside a transaction. */
export function abortUploads(index: Index, bucket: string, freed: string[]): void {
  for (const { key, value } of [...index.uploads.getRange(keysUnder(bucket, ""))]) abort(index, key, value, freed)
}

const noUpload = () => new Failure("not-found", "there is no such upload")

function partKey(id: string, number: number): Buffer {
  return Buffer.concat([Buffer.from(id), Buffer.of(number >> 8, number & 0xff)])
}
const numberOf = (key: Uint8Array) => ((key.at(-2) ?? 0) << 8) | (key.at(-1) ?? 0)

/** All parts of an upload, or those of higher numbers: from `start` to before `end`. */
function partsOf(id: string, after = 0): { start: Buffer; end: Buffer } {
  const last = PART_LIMIT + 1
  return { start: partKey(id, Math.min(after + 1, last)), end: partKey(id, last) }
}

function findUpload(index: Index, ref: ObjectRef, id: string): Upload {
  bucketRecord(index, ref.bucket)
  const upload = index.uploads.get(placeOf(ref, id))
  if (!upload) throw noUpload()
  return upload
}

/** Where an upload stands in the index. Throws `not-found` for what is no id, `store-refused` for what can be no key. */
function placeOf(ref: ObjectRef, id: string): Buffer {
  const key = uploadKey(ref, id)
  if (!key) throw noUpload()
  return key
}

/** Keeps room for a part in the upload's file; gives the upload as it was before. */
function reserve(index: Index, ref: ObjectRef, id: string, size: number): Upload {
  const upload = findUpload(index, ref, id)
  void index.uploads.put(placeOf(ref, id), { ...upload, end: upload.end + size })
  return upload
}

/** Names a part that was received. Gaps before it stay: the end never comes back behind it. */
function namePart(index: Index, ref: ObjectRef, id: string, number: number, part: StoredPart): void {
  const { gaps, ...upload } = findUpload(index, ref, id)
  void index.parts.put(partKey(id, number), part)
  if (!gaps) return
  const left = gaps.filter(([offset]) => offset > part.extent[0])
  void index.uploads.put(placeOf(ref, id), { ...upload, ...(left.length > 0 && { gaps: left }) })
}

/** Gives back the room of a part that was not stored: the end moves back over all the gaps before it. */
function giveBack(index: Index, ref: ObjectRef, id: string, number: number, extent: Extent): void {
  const upload = index.uploads.get(placeOf(ref, id))
  if (!upload || index.parts.get(partKey(id, number))?.extent[0] === extent[0]) return
  const gaps = [...(upload.gaps ?? []), extent].sort(([a], [b]) => a - b)
  let { end } = upload
  for (let last = gaps.at(-1); last && endOf(last) === end; last = gaps.at(-1)) {
    end = last[0]
    gaps.pop()
  }
  const { gaps: _, ...others } = upload
  void index.uploads.put(placeOf(ref, id), { ...others, end, ...(gaps.length > 0 && { gaps }) })
}

const endOf = ([offset, size]: Extent) => offset + size

function forgetUpload(index: Index, place: Uint8Array, id: string): void {
  void index.uploads.remove(place)
  for (const key of [...index.parts.getKeys(partsOf(id))]) void index.parts.remove(key)
}

function abort(index: Index, place: Uint8Array, { file }: Upload, freed: string[]): void {
  forgetUpload(index, place, uploadIdOf(place))
  void index.files.remove(file)
  freed.push(file)
}

function partOf(number: number, { etag, extent, lastModified, checksum }: StoredPart): Part {
  return { number, etag, size: extent[1], lastModified, ...(checksum && { checksum }) }
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

/** The same extents, those that follow one another joined. */
function join(extents: readonly Extent[]): readonly Extent[] {
  const joined: Extent[] = []
  for (const [offset, size] of extents) {
    const last = joined.at(-1)
    if (last && endOf(last) === offset) joined[joined.length - 1] = [last[0], last[1] + size]
    else joined.push([offset, size])
  }
  return joined
}
