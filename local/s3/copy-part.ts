/** Copies of bytes of an object into a part of an upload. */
import type { Answer, Call, Endpoint } from "./call.ts"
import { copyAnswer } from "./copy.ts"
import { copiedBody, copySourceOf, openCopySource } from "./copy-source.ts"
import { S3Error } from "./errors.ts"
import { uploadIdOf } from "./multipart.ts"
import { checksumElements } from "./object-checksums.ts"
import { partNumberOf } from "./part-number.ts"
import { maxSingleUpload, storable } from "./payload.ts"

/** UploadPartCopy. A part whose upload was begun with a checksum gets it computed. */
export async function uploadPartCopy(call: Call, endpoint: Endpoint): Promise<Answer> {
  const { store } = endpoint
  const number = partNumberOf(call)
  const source = copySourceOf(call)
  const range = rangeOf(call)
  const begun = await store.listParts(call, uploadIdOf(call), { limit: 1 })
  const object = await openCopySource(call, store, source, range)
  try {
    if (range && range.end >= object.size) {
      throw new S3Error("InvalidArgument", `Range specified is not valid for source object of size: ${object.size}`)
    }
    const body = copiedBody(object, begun.checksum?.algorithm)
    if (body.length > maxSingleUpload) throw new S3Error("EntityTooLarge")
    const { checksum } = body
    const { etag } = await store.putPart(call, uploadIdOf(call), number, await storable(body), { checksum })
    const made = { lastModified: endpoint.clock(), etag, checksum: checksumElements(checksum(), "part") }
    return copyAnswer("CopyPartResult", made, object)
  } finally {
    object.cancel()
  }
}

/** The bytes to copy. Throws `InvalidArgument` for another form than `bytes=first-last`. */
function rangeOf(call: Call): { readonly start: number; readonly end: number } | undefined {
  const header = call.header("x-amz-copy-source-range")
  if (header === undefined) return undefined
  const [, start = "", end = ""] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header) ?? []
  if (start !== "" && Number(start) <= Number(end)) return { start: Number(start), end: Number(end) }
  const form = "bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
  throw new S3Error("InvalidArgument", `The x-amz-copy-source-range value must be of the form ${form}`)
}
