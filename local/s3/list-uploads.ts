/** The listings of uploads under way, and of the parts of one. */
import type { ListedUpload, Part, UploadPage } from "../../shared/ports.ts"
import { countOf, xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { frameOf, limitOf, markerOf, prefixElements } from "./listing.ts"
import { uploadIdOf } from "./multipart.ts"
import { checksumElements } from "./object-checksums.ts"
import { ownerElements } from "./owner.ts"
import { kindElements } from "./upload-checksums.ts"
import type { Element } from "./xml.ts"

/** ListMultipartUploads. */
export async function listMultipartUploads(call: Call, { store }: Endpoint): Promise<Answer> {
  const { prefix, delimiter, encode, elements } = frameOf(call)
  const limit = limitOf(call, "max-uploads")
  const after = markerOf(call, "upload-id-marker")
  const options = { prefix, delimiter, limit: Math.max(limit, 1), ...(after && { after }) }
  const listed = await store.listUploads(call.bucket, options)
  const page: UploadPage = limit === 0 ? { uploads: [], prefixes: [] } : listed
  return xmlAnswer(["ListMultipartUploadsResult", [
    ["Bucket", call.bucket],
    ...elements,
    ["KeyMarker", encode(after?.key ?? "")],
    ["UploadIdMarker", after?.id ?? ""],
    ["NextKeyMarker", page.next && encode(page.next.key)],
    ["NextUploadIdMarker", page.next?.id],
    ["MaxUploads", limit],
    ["IsTruncated", page.next !== undefined],
    ...page.uploads.map((upload) => uploadElement(upload, encode)),
    ...prefixElements(page.prefixes, encode),
  ]])
}

function uploadElement(upload: ListedUpload, encode: (name: string) => string): Element {
  return ["Upload", [
    ["Key", encode(upload.key)],
    ["UploadId", upload.uploadId],
    ...ownersAndClass(upload.storageClass),
    ["Initiated", new Date(upload.initiated).toISOString()],
    ...kindElements(upload.checksum),
  ]]
}

const ownersAndClass = (storageClass = "STANDARD"): readonly Element[] =>
  [["Initiator", ownerElements], ["Owner", ownerElements], ["StorageClass", storageClass]]

/** ListParts. */
export async function listParts(call: Call, { store }: Endpoint): Promise<Answer> {
  const limit = limitOf(call, "max-parts")
  const marker = countOf(call, "part-number-marker", 0)
  const listed = { after: marker, limit: limit + 1 } // one more tells whether there are more
  const { parts, checksum, storageClass } = await store.listParts(call, uploadIdOf(call), listed)
  const page = parts.slice(0, limit)
  return xmlAnswer(["ListPartsResult", [
    ["Bucket", call.bucket], ["Key", call.key], ["UploadId", uploadIdOf(call)],
    ...ownersAndClass(storageClass),
    ...kindElements(checksum),
    ["PartNumberMarker", marker], ["NextPartNumberMarker", page.at(-1)?.number ?? 0],
    ["MaxParts", limit], ["IsTruncated", parts.length > page.length],
    ...page.map(partElement),
  ]])
}

function partElement({ number, etag, size, lastModified, checksum }: Part): Element {
  return ["Part", [
    ["PartNumber", number],
    ["LastModified", lastModified === undefined ? undefined : new Date(lastModified).toISOString()],
    ["ETag", `"${etag}"`],
    ["Size", size],
    ...checksumElements(checksum, "part"),
  ]]
}
