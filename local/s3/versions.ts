/** Which version a request names, and what is answered where there is none. */
import type { ListedVersion, ListMarker, ObjectRef } from "../../shared/ports.ts"
import type { Call, Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"

/** One version of an object, or its current one. */
export interface VersionRef extends ObjectRef {
  readonly versionId?: string
}

type Version = Pick<VersionRef, "versionId">

/** The version that a request names in its query. Throws `InvalidArgument` for an empty one. */
export function versionOf(call: Pick<Call, "query">): Version {
  const versionId = call.query.get("versionId")
  if (versionId === "") throw new S3Error("InvalidArgument", "Version id cannot be the empty string")
  return versionIn({ versionId })
}

/** A version id as an option of the store's, if there is one. */
export const versionIn = ({ versionId }: { readonly versionId?: string | undefined }): Version =>
  versionId === undefined ? {} : { versionId }

/** Refuses a read of what the store has not got. A delete marker that is named is no object, and that is told: 405 (S3
 *  reference, GetObject, "x-amz-delete-marker"). */
export async function refuseAbsent(call: Call, store: Endpoint["store"]): Promise<never> {
  const ref = { bucket: call.bucket, key: call.key, ...versionOf(call) }
  const marker = await deleteMarkerAt(ref, store)
  if (!marker || ref.versionId === undefined) throw absenceOf(ref, marker)
  const details = [["Method", call.method], ["ResourceType", "DeleteMarker"]] as const
  const modified = new Date(marker.lastModified).toUTCString()
  throw new S3Error("MethodNotAllowed", undefined, details, {
    ...markerHeaders(marker), "last-modified": modified, allow: "DELETE",
  })
}

/** What it means that there is no such object: no such key or no such version. */
export function absenceOf({ key, versionId }: VersionRef, marker?: ListedVersion): S3Error {
  if (versionId !== undefined) return new S3Error("NoSuchVersion", undefined, [["Key", key], ["VersionId", versionId]])
  return new S3Error("NoSuchKey", undefined, [["Key", key]], marker && markerHeaders(marker))
}

const markerHeaders = ({ versionId }: ListedVersion) =>
  ({ "x-amz-delete-marker": "true", "x-amz-version-id": versionId })

/** The delete marker that is this version, or that hides the object. */
export async function deleteMarkerAt(
  { bucket, key, versionId }: VersionRef,
  store: Endpoint["store"],
): Promise<ListedVersion | undefined> {
  let after: ListMarker | undefined
  do {
    const limit = versionId === undefined ? 1 : 1000 // the key comes first of all that begin with it, the newest first
    const page = await store.listVersions(bucket, { prefix: key, limit, ...(after && { after }) })
    const version = page.versions.find((version) =>
      version.key === key && (versionId === undefined ? version.latest : version.versionId === versionId))
    if (version) return version.marker ? version : undefined
    after = versionId !== undefined && page.next?.key === key ? page.next : undefined
  } while (after)
  return undefined
}
