/** Uploads in parts, but for completing and listing them. */
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { checksumHeaders } from "./object-checksums.ts"
import { partNumberOf } from "./part-number.ts"
import { storable } from "./payload.ts"
import { contentOptions, openLimited } from "./put.ts"
import { checksumKindOf, kindHeaders } from "./upload-checksums.ts"
import type { Element } from "./xml.ts"

/** CreateMultipartUpload. */
export async function createMultipartUpload(call: Call, { store }: Endpoint): Promise<Answer> {
  const checksum = checksumKindOf(call)
  const uploadId = await store.createUpload(call, { ...contentOptions(call), ...(checksum && { checksum }) })
  const upload: Element[] = [["Bucket", call.bucket], ["Key", call.key], ["UploadId", uploadId]]
  const answer = xmlAnswer(["InitiateMultipartUploadResult", upload])
  return { ...answer, headers: { ...answer.headers, ...kindHeaders(checksum) } }
}

/** UploadPart. That it has the checksum its upload was begun with is seen when that is completed: here it would cost
 *  another look at the store. */
export async function uploadPart(call: Call, { store }: Endpoint): Promise<Answer> {
  const number = partNumberOf(call)
  const payload = openLimited(call)
  const { checksum } = payload
  const { etag } = await store.putPart(call, uploadIdOf(call), number, await storable(payload), { checksum })
  return { status: 200, headers: { etag: `"${etag}"`, ...checksumHeaders(checksum(), "part") } }
}

/** AbortMultipartUpload. To a store an upload that is not there is none to forget; here it is refused. */
export async function abortMultipartUpload(call: Call, { store }: Endpoint): Promise<Answer> {
  await store.listParts(call, uploadIdOf(call), { limit: 1 })
  await store.abortUpload(call, uploadIdOf(call))
  return { status: 204 }
}

/** The upload that a request is about. */
export const uploadIdOf = (call: Call): string => call.query.get("uploadId") ?? ""
