/** The listing of all versions and delete markers of a bucket. */
import type { ListedVersion, VersionPage } from "../../shared/ports.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"
import { frameOf, limitOf, markerOf, prefixElements } from "./listing.ts"
import { ownerElements } from "./owner.ts"
import type { Element } from "./xml.ts"

/** ListObjectVersions. */
export async function listObjectVersions(call: Call, { store }: Endpoint): Promise<Answer> {
  const { prefix, delimiter, encode, elements } = frameOf(call)
  const limit = limitOf(call, "max-keys")
  const after = markerOf(call, "version-id-marker")
  if (!after && call.query.get("version-id-marker")) {
    throw new S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
  }
  const options = { prefix, delimiter, limit: Math.max(limit, 1), ...(after && { after }) }
  const listed = await store.listVersions(call.bucket, options)
  const page: VersionPage = limit === 0 ? { versions: [], prefixes: [] } : listed
  return xmlAnswer(["ListVersionsResult", [
    ["Name", call.bucket],
    ...elements,
    ["KeyMarker", encode(after?.key ?? "")],
    ["VersionIdMarker", after?.id ?? ""],
    ["NextKeyMarker", page.next && encode(page.next.key)],
    ["NextVersionIdMarker", page.next?.id],
    ["MaxKeys", limit],
    ["IsTruncated", page.next !== undefined],
    ...page.versions.map((version) => versionElement(version, encode)),
    ...prefixElements(page.prefixes, encode),
  ]])
}

function versionElement(version: ListedVersion, encode: (name: string) => string): Element {
  const { key, versionId, latest, lastModified, etag, size, storageClass = "STANDARD", marker } = version
  const always: Element[] = [
    ["Key", encode(key)],
    ["VersionId", versionId],
    ["IsLatest", latest],
    ["LastModified", new Date(lastModified).toISOString()],
    ["Owner", ownerElements],
  ]
  if (marker) return ["DeleteMarker", always]
  return ["Version", [...always, ["ETag", `"${etag}"`], ["Size", size], ["StorageClass", storageClass]]]
}
