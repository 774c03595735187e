/**
 * Listings that go on behind a marker: versions, and uploads under way. They are asked for without URL-encoding: Ceph RGW
 * 16 encodes keys and not markers, and does not say so of uploads. What XML 1.0 cannot carry comes as references then.
 */
import { readBody } from "../net/answer-body.ts"
import type { ListedUpload, ListedVersion, ListMarker, MarkedListOptions, MultipartStore, ObjectStore } from "../ports.ts"
import { documentIn, maxXml, type SendCall } from "./s3-call.ts"
import { checksumKindOf } from "./s3-checksums.ts"
import { classOf, listedObject, notGoingOn, ownerOf, queryOf } from "./s3-listing.ts"
import { failureOf } from "./s3-refusal.ts"
import { childrenInOrder, childrenOf, textOf, type XmlElement } from "./xml.ts"

/** Lists versions and delete markers by ListObjectVersions. */
export function versionListing(send: SendCall): ObjectStore["listVersions"] {
  return async (bucket, options = {}) => {
    const ids = [["version-id-marker", options.after?.id], ["max-keys", options.limit?.toString()]] as const
    const text = await ask(send, bucket, options, [["versions", ""], ...ids])
    const result = documentIn(text, "ListVersionsResult")
    const versions = childrenInOrder(text, result, ["Version", "DeleteMarker"])
    return {
      versions: versions.map(([kind, entry]) => listedVersion(entry, kind === "DeleteMarker")),
      ...pageEnd(result, "NextVersionIdMarker"),
    }
  }
}

/** Lists uploads by ListMultipartUploads. */
export function uploadListing(send: SendCall): MultipartStore["listUploads"] {
  return async (bucket, options = {}) => {
    const ids = [["upload-id-marker", options.after?.id], ["max-uploads", options.limit?.toString()]] as const
    const text = await ask(send, bucket, options, [["uploads", ""], ...ids])
    const result = documentIn(text, "ListMultipartUploadsResult")
    return {
      uploads: childrenOf(result, "Upload").map(listedUpload),
      ...pageEnd(result, "NextUploadIdMarker"),
    }
  }
}

async function ask(
  send: SendCall,
  bucket: string,
  { prefix, delimiter, after, signal }: MarkedListOptions,
  own: readonly (readonly [name: string, value: string | undefined])[],
): Promise<string> {
  const query = queryOf([...own, ["prefix", prefix], ["delimiter", delimiter], ["key-marker", after?.key]])
  const answer = await send({ method: "GET", bucket, query, repeatable: true, signal })
  if (answer.refusal) throw failureOf(answer.refusal)
  return (await readBody(answer.response.body, maxXml)).toString()
}

function pageEnd(result: XmlElement, idMarker: string): { prefixes: readonly string[]; next?: ListMarker } {
  const prefixes = childrenOf(result, "CommonPrefixes").map((entry) => textOf(entry, "Prefix") ?? "")
  if (textOf(result, "IsTruncated") !== "true") return { prefixes }
  const key = textOf(result, "NextKeyMarker") || notGoingOn()
  const id = prefixes.includes(key) ? undefined : textOf(result, idMarker) // Ceph RGW 16 gives a prefix an id too
  return { prefixes, next: { key, ...(id ? { id } : {}) } }
}

function listedVersion(entry: XmlElement, marker: boolean): ListedVersion {
  const key = textOf(entry, "Key") ?? ""
  const versionId = textOf(entry, "VersionId") ?? ""
  const latest = textOf(entry, "IsLatest") === "true"
  const lastModified = Date.parse(textOf(entry, "LastModified") ?? "")
  const owner = ownerOf(entry)
  const kept = { versionId, latest, marker, ...(owner ? { owner } : {}) }
  return marker ? { key, ...kept, lastModified, size: 0, etag: "" } : { ...listedObject(entry, key), ...kept }
}

function listedUpload(entry: XmlElement): ListedUpload {
  const checksum = checksumKindOf(entry)
  return {
    key: textOf(entry, "Key") ?? "",
    uploadId: textOf(entry, "UploadId") ?? "",
    initiated: Date.parse(textOf(entry, "Initiated") ?? ""),
    ...classOf(entry),
    ...(checksum ? { checksum } : {}),
  }
}
