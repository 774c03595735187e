/** Which version a request names, and what is answered where there is none. */
import type { DeleteMarker, ObjectRef } from "../../shared/ports.ts"
import type { Call, Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"

/** One version of an object, or its current one. */
export interface VersionRef extends ObjectRef {
  readonly versionId?: string
}

type Version = Pick<VersionRef, "versionId">

/** The version that a request names in its query. Throws `InvalidArgument` for an empty one, and for one that no header
 *  of an answer could name: ids are "URL-ready" text (S3 user guide, "Version IDs"). */
export function versionOf(call: Pick<Call, "query">): Version {
  const versionId = call.query.get("versionId")
  if (versionId === "") throw new S3Error("InvalidArgument", "Version id cannot be the empty string")
  if (versionId !== undefined && /[^\x20-\x7e]/.test(versionId)) throw new S3Error("InvalidArgument", "Invalid version id specified")
  return versionIn({ versionId })
}

/** A version id as an option of the store's, if there is one. */
export const versionIn = ({ versionId }: { readonly versionId?: string | undefined }): Version =>
  versionId === undefined ? {} : { versionId }

/** Refuses a read of what the store has not got. A delete marker that is named is no object, and that is told: 405 (S3
 *  reference, GetObject, "x-amz-delete-marker"). */
export async function refuseAbsent(call: Call, store: Endpoint["store"]): Promise<never> {
  const ref = { bucket: call.bucket, key: call.key, ...versionOf(call) }
  const marker = await store.deleteMarker(ref, versionIn(ref))
  if (!marker || ref.versionId === undefined) throw absenceOf(ref, marker)
  const details = [["Method", call.method], ["ResourceType", "DeleteMarker"]] as const
  const { lastModified } = marker
  throw new S3Error("MethodNotAllowed", undefined, details, {
    ...markerHeaders(marker), allow: "DELETE",
    "last-modified": lastModified === undefined ? undefined : new Date(lastModified).toUTCString(),
  })
}

/** What it means that there is no such object: no such key or no such version. */
export function absenceOf({ key, versionId }: Omit<VersionRef, "bucket">, marker?: DeleteMarker): S3Error {
  if (versionId !== undefined) return new S3Error("NoSuchVersion", undefined, [["Key", key], ["VersionId", versionId]])
  return new S3Error("NoSuchKey", undefined, [["Key", key]], marker && markerHeaders(marker))
}

const markerHeaders = ({ versionId }: DeleteMarker) =>
  ({ "x-amz-delete-marker": "true", "x-amz-version-id": versionId })
