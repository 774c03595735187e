import { Failure } from "../errors.ts"
import { discard } from "../net/answer-body.ts"
import type { HttpResponse } from "../net/request.ts"
import { percentEncode } from "../net/sigv4-canonical.ts"
import type { MultipartStore, Part, WriteOptions, WriteResult } from "../ports.ts"
import { documentOf, type SendCall } from "./s3-call.ts"
import {
  bodyChecksum, checksumElement, checksumKindOf, objectChecksum, partChecksumOf, uploadChecksum,
} from "./s3-checksums.ts"
import { bareEtag, conditionHeaders, header, writeHeaders } from "./s3-headers.ts"
import { lateDocument } from "./s3-late.ts"
import { etagOfParts, isPartNumber, PART_LIMIT } from "./s3-limits.ts"
import { classOf } from "./s3-listing.ts"
import { uploadListing } from "./s3-marked-listing.ts"
import { place, resultOf } from "./s3-objects.ts"
import { failureOf, writeFailure } from "./s3-refusal.ts"
import { childrenOf, escapeXml, textOf, type XmlElement } from "./xml.ts"

/** Multipart uploads of an S3 store. */
export function s3Uploads(send: SendCall): MultipartStore {
  return {
    async createUpload(ref, options = {}) {
      const headers = [...writeHeaders(options), ...uploadChecksum(options.checksum)]
      const call = { ...place(ref), query: "uploads=", headers, repeatable: true, signal: options.signal }
      const answer = await send({ method: "POST", ...call })
      if (answer.refusal) throw failureOf(answer.refusal)
      const id = textOf(await documentOf(answer.response, "InitiateMultipartUploadResult"), "UploadId")
      if (!id) throw new Failure("store-refused", "the store gave no upload id")
      return id
    },

    async putPart(ref, uploadId, number, body, options = {}) {
      // Ceph RGW 16 takes any number.
      if (!isPartNumber(number)) throw new Failure("store-refused", `parts are numbered from 1 to ${PART_LIMIT}`)
      const query = `partNumber=${number}&${uploadQuery(uploadId)}`
      const headers = bodyChecksum(body, options.checksum)
      const call = { ...place(ref), query, headers, body, repeatable: true, signal: options.signal }
      const answer = await send({ method: "PUT", ...call })
      if (answer.refusal) throw failureOf(answer.refusal)
      discard(answer.response.body)
      return { etag: resultOf(answer.response).etag }
    },

    async completeUpload(ref, uploadId, parts, options = {}) {
      const { condition, signal } = options
      const body = Buffer.from(completion(parts))
      const checksum = objectChecksum(options.checksum?.())
      const headers = [...conditionHeaders(condition), ...checksum, ["content-type", "application/xml"] as const]
      const call = { ...place(ref), query: uploadQuery(uploadId), headers, body, repeatable: false, signal }
      const answer = await send({ method: "POST", ...call })
      if (answer.refusal) throw writeFailure(answer.refusal, condition)
      return completed(answer.response, parts, condition)
    },

    async abortUpload(ref, uploadId, options = {}) {
      const call = { ...place(ref), query: uploadQuery(uploadId), repeatable: true, signal: options.signal }
      const answer = await send({ method: "DELETE", ...call })
      if (!answer.refusal) return discard(answer.response.body)
      if (answer.refusal.code !== "NoSuchUpload") throw failureOf(answer.refusal)
    },

    async listParts(ref, uploadId, options = {}) {
      const parts: Part[] = []
      const { after = 0, limit = PART_LIMIT } = options
      for (let marker = after; ; ) {
        const asked = Math.min(limit - parts.length, 1000) // no more come at once
        const query = `${uploadQuery(uploadId)}&part-number-marker=${marker}&max-parts=${asked}`
        const answer = await send({ method: "GET", ...place(ref), query, repeatable: true, signal: options.signal })
        if (answer.refusal) throw failureOf(answer.refusal)
        const result = await documentOf(answer.response, "ListPartsResult")
        parts.push(...childrenOf(result, "Part").map(partOf))
        const next = Number(textOf(result, "NextPartNumberMarker"))
        const checksum = checksumKindOf(result)
        const whole = textOf(result, "IsTruncated") !== "true" || parts.length >= limit
        if (whole) return { parts, ...classOf(result), ...(checksum ? { checksum } : {}) }
        if (!(next > marker)) throw new Failure("store-refused", "the store's list of parts does not go on")
        marker = next
      }
    },

    listUploads: uploadListing(send),
  }
}

const uploadQuery = (uploadId: string): string => `uploadId=${percentEncode(uploadId)}`

function completion(parts: readonly Part[]): string {
  const list = parts.map(({ number, etag, checksum }) => {
    const name = checksum && checksumElement(checksum.algorithm)
    const known = checksum ? `<${name}>${escapeXml(checksum.value)}</${name}>` : ""
    return `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(`"${etag}"`)}</ETag>${known}</Part>`
  })
  const xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
  return `<CompleteMultipartUpload xmlns="${xmlns}">${list.join("")}</CompleteMultipartUpload>`
}

async function completed(
  response: HttpResponse,
  parts: readonly Part[],
  condition: WriteOptions["condition"],
): Promise<WriteResult> {
  const document = await lateDocument(response, "CompleteMultipartUploadResult", condition)
  const versionId = header(response.headers, "x-amz-version-id")
  const etag = bareEtag(textOf(document, "ETag")) || etagOfParts(parts)
  return { etag, ...(versionId ? { versionId } : {}) }
}

function partOf(part: XmlElement): Part {
  const lastModified = Date.parse(textOf(part, "LastModified") ?? "")
  const checksum = partChecksumOf(part)
  return {
    number: Number(textOf(part, "PartNumber")),
    etag: bareEtag(textOf(part, "ETag")),
    size: Number(textOf(part, "Size")),
    ...(Number.isNaN(lastModified) ? {} : { lastModified }),
    ...(checksum ? { checksum } : {}),
  }
}
