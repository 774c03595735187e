import { Failure } from "../errors.ts"
import { chunksOf, discard } from "../net/answer-body.ts"
import type { HttpResponse } from "../net/request.ts"
import { percentEncode } from "../net/sigv4-canonical.ts"
import type {
  ByteRange, DeleteMarker, DeleteResult, ObjectRef, ObjectStore, StoredObject, Tag, WriteResult,
} from "../ports.ts"
import { documentOf, type SendCall } from "./s3-call.ts"
import { bodyChecksum } from "./s3-checksums.ts"
import { s3Copy } from "./s3-copy.ts"
import { bareEtag, conditionHeaders, header, infoOf, rangeHeader, readHeaders, writeHeaders } from "./s3-headers.ts"
import { listing } from "./s3-listing.ts"
import { versionListing } from "./s3-marked-listing.ts"
import { failureOf, writeFailure, type Refusal } from "./s3-refusal.ts"
import { childrenOf, escapeXml, textOf } from "./xml.ts"

/** Objects of an S3 store. */
export function s3Objects(send: SendCall): ObjectStore {
  const listVersions = versionListing(send)
  return {
    async get(ref, options = {}) {
      const { range, versionId, signal } = options
      const headers = readHeaders(options)
      if (range) headers.push(["range", rangeHeader(range)])
      const call = { ...place(ref), query: versionQuery(versionId), headers, repeatable: true, signal }
      const answer = await send({ method: "GET", ...call })
      return answer.refusal ? absentOr(answer.refusal) : opened(answer.response, range)
    },

    async head(ref, options = {}) {
      const query = versionQuery(options.versionId)
      const call = { ...place(ref), query, headers: readHeaders(options), repeatable: true, signal: options.signal }
      const answer = await send({ method: "HEAD", ...call })
      if (answer.refusal) return absentOr(answer.refusal, [""])
      answer.response.body.resume() // there is none, whatever Content-Length says
      return infoOf(answer.response.headers, lengthOf(answer.response))
    },

    async put(ref, body, options = {}) {
      const { condition, signal } = options
      const checksum = bodyChecksum(body, options.checksum)
      const headers = [...conditionHeaders(condition), ...writeHeaders(options), ...checksum]
      const call = { ...place(ref), headers, body, repeatable: condition === undefined, signal }
      const answer = await send({ method: "PUT", ...call })
      if (answer.refusal) throw writeFailure(answer.refusal, condition)
      discard(answer.response.body)
      return resultOf(answer.response)
    },

    copy: s3Copy(send),

    async delete(ref, options = {}) {
      const { versionId, condition, signal } = options
      const wanted = { query: versionQuery(versionId), headers: conditionHeaders(condition) }
      const call = { ...place(ref), ...wanted, repeatable: condition === undefined, signal }
      const answer = await send({ method: "DELETE", ...call })
      if (!answer.refusal) return discarded(answer.response, deletionOf(answer.response))
      if (condition) throw writeFailure(answer.refusal, condition)
      absentOr(answer.refusal)
      return { marker: false }
    },

    list: listing(send),
    listVersions,

    async deleteMarker(ref, { versionId, signal } = {}) {
      if (versionId === undefined) return newestMarker(listVersions, ref, signal)
      const call = { ...place(ref), query: versionQuery(versionId), repeatable: true, signal }
      const answer = await send({ method: "HEAD", ...call })
      if (!answer.refusal) return discarded(answer.response, undefined)
      absentOr(answer.refusal, [""])
      return isMarker(answer.refusal) ? markerOf(answer.refusal, versionId) : undefined
    },

    async getTags(ref, options = {}) {
      const query = taggingQuery(options.versionId)
      const answer = await send({ method: "GET", ...place(ref), query, repeatable: true, signal: options.signal })
      if (answer.refusal?.code === "NoSuchTagSet") return []
      if (answer.refusal) return absentOr(answer.refusal)
      // Ceph RGW 16 has no document for an object that never had a tag.
      if (header(answer.response.headers, "content-length") === "0") return discarded(answer.response, [])
      const tagging = await documentOf(answer.response, "Tagging")
      return childrenOf(tagging, "TagSet").flatMap((set) => childrenOf(set, "Tag")).map((tag) => [
        textOf(tag, "Key") ?? "", textOf(tag, "Value") ?? "",
      ] as const)
    },

    async putTags(ref, tags, options = {}) {
      // An empty set, and not DELETE of the sub-resource: a store that does not know that one deletes the object.
      const call = { ...place(ref), query: taggingQuery(options.versionId), body: tagging(tags), repeatable: true }
      const answer = await send({ method: "PUT", ...call, signal: options.signal })
      if (answer.refusal) return absentOr(answer.refusal)
      const { versionId } = resultOf(answer.response)
      return discarded(answer.response, versionId === undefined ? {} : { versionId })
    },
  }
}

function discarded<T>(response: HttpResponse, result: T): T {
  discard(response.body)
  return result
}

/** Bucket and key of a reference, and nothing else that it may carry. */
export const place = ({ bucket, key }: ObjectRef): ObjectRef => ({ bucket, key })

const versionQuery = (versionId: string | undefined): string =>
  versionId === undefined ? "" : `versionId=${percentEncode(versionId)}`

const taggingQuery = (versionId: string | undefined): string =>
  versionId === undefined ? "tagging=" : `tagging=&${versionQuery(versionId)}`

function tagging(tags: readonly Tag[]): Uint8Array {
  const set = tags.map(([name, value]) => `<Tag><Key>${escapeXml(name)}</Key><Value>${escapeXml(value)}</Value></Tag>`)
  const xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
  return Buffer.from(`<Tagging xmlns="${xmlns}"><TagSet>${set.join("")}</TagSet></Tagging>`)
}

function deletionOf({ headers }: HttpResponse): DeleteResult {
  const versionId = header(headers, "x-amz-version-id")
  const marker = header(headers, "x-amz-delete-marker") === "true"
  return { marker, ...(versionId ? { versionId } : {}) }
}

/** `undefined` where the refusal says that there is no such object or version, or a delete marker; else throws. A 404
 *  without one of the codes may come from anything on the way; only HEAD's refusals have none. */
function absentOr(refusal: Refusal, codes: readonly string[] = ["NoSuchKey", "NoSuchVersion"]): undefined {
  const absent = refusal.status === 404 && codes.includes(refusal.code)
  if (absent || isMarker(refusal)) return undefined
  throw failureOf(refusal)
}

/** Whether the version that was asked for is a delete marker (S3 reference, GetObject, "x-amz-delete-marker"). */
const isMarker = ({ status, headers }: Refusal): boolean =>
  status === 405 && header(headers, "x-amz-delete-marker") === "true"

function markerOf({ headers }: Refusal, versionId: string): DeleteMarker {
  const lastModified = Date.parse(header(headers, "last-modified") ?? "")
  return { versionId, ...(Number.isNaN(lastModified) ? {} : { lastModified }) }
}

/** The marker that hides an object. Its key comes first of all that begin with it, the newest version first. */
async function newestMarker(
  listVersions: ObjectStore["listVersions"],
  { bucket, key }: ObjectRef,
  signal: AbortSignal | undefined,
): Promise<DeleteMarker | undefined> {
  const { versions: [first] } = await listVersions(bucket, { prefix: key, limit: 1, ...(signal && { signal }) })
  if (first?.key !== key || !first.marker) return undefined
  return { versionId: first.versionId, lastModified: first.lastModified }
}

/** The ETag and version that a write made. */
export function resultOf(response: HttpResponse): WriteResult {
  const versionId = header(response.headers, "x-amz-version-id")
  return { etag: bareEtag(header(response.headers, "etag")), ...(versionId ? { versionId } : {}) }
}

function lengthOf(response: HttpResponse): number {
  const length = header(response.headers, "content-length")
  if (length !== undefined) return Number(length)
  response.body.destroy()
  throw new Failure("store-refused", "the store doesn't say how long the object is")
}

function opened(response: HttpResponse, range: ByteRange | undefined): StoredObject {
  const { body, headers } = response
  const delivered = range ? deliveredRange(response, range) : demandWhole(response)
  const size = delivered?.size ?? lengthOf(response)
  return {
    ...infoOf(headers, size),
    body: chunksOf(body),
    cancel: () => discard(body),
    ...(delivered ? { range: { start: delivered.start, end: delivered.end } } : {}),
  }
}

/** A store may not deliver a part of an object unasked (RFC 9110, section 15.3.7). */
function demandWhole({ status, body }: HttpResponse): undefined {
  if (status === 200) return undefined
  body.destroy()
  throw new Failure("store-refused", "the store didn't deliver the whole object", { status })
}

/** The range delivered, which must be the one asked for: a store may ignore `Range` (RFC 9110, section 14.2). */
function deliveredRange(response: HttpResponse, range: ByteRange): { start: number; end: number; size: number } {
  const content = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header(response.headers, "content-range") ?? "")
  const [start = NaN, end = NaN, size = NaN] = content?.slice(1).map(Number) ?? []
  const first = "suffix" in range ? Math.max(0, size - range.suffix) : range.start
  const last = "suffix" in range ? size - 1 : Math.min(range.end ?? Infinity, size - 1)
  const right = response.status === 206 && start === first && end === last && lengthOf(response) === end - start + 1
  if (right) return { start, end, size }
  response.body.destroy()
  throw new Failure("store-refused", "the store didn't deliver the range asked for", { status: response.status })
}
