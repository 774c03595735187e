/** The operations on one object. */
import { isFailure } from "../../shared/errors.ts"
import type { GetOptions, ObjectInfo, StoredObject, WriteOptions } from "../../shared/ports.ts"
import { attributesOf, bytesOf, headersOf, tagsOf, validatorsOf } from "./attributes.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { rangeHolds, rangeOf, readDecision, writeConditionOf } from "./conditions.ts"
import { S3Error } from "./errors.ts"
import { recordOf } from "./notification.ts"
import { storable, type Payload } from "./payload.ts"

/** GetObject. */
export async function getObject(call: Call, { store }: Endpoint): Promise<Answer> {
  const overriding = overrides(call)
  const object = await openObject(call, store)
  const decision = readDecision(call, object)
  if (decision !== "read") {
    object.cancel()
    return declined(decision, object)
  }
  const { range, size } = object
  const length = range ? range.end - range.start + 1 : size
  return {
    status: range ? 206 : 200,
    headers: {
      ...headersOf(object),
      ...overriding,
      "content-length": String(length),
      "content-range": range && `bytes ${range.start}-${range.end}/${size}`,
    },
    body: { stream: object.body, cancel: () => object.cancel() },
  }
}

/** HeadObject. It knows no ranges: HTTP defines them for GET alone (RFC 9110, section 14.2). */
export async function headObject(call: Call, { store }: Endpoint): Promise<Answer> {
  const info = found(call, await store.head(call, versionOf(call)))
  const decision = readDecision(call, info)
  if (decision !== "read") return declined(decision, info)
  return { status: 200, headers: { ...headersOf(info), ...overrides(call), "content-length": String(info.size) } }
}

/** PutObject. */
export async function putObject(call: Call, endpoint: Endpoint): Promise<Answer> {
  const condition = writeConditionOf(call)
  const options: WriteOptions = { ...contentOptions(call), ...(condition && { condition }) }
  const payload = openLimited(call)
  const written = await endpoint.store.put(call, await storable(payload), options)
  await endpoint.onWrite(recordOf(call, endpoint, { ...written, size: payload.length, eventName: "ObjectCreated:Put" }))
  const headers = { etag: `"${written.etag}"`, "x-amz-version-id": written.versionId, ...payload.checksums }
  return { status: 200, headers }
}

/** DeleteObject, or one version of it. */
export async function deleteObject(call: Call, { store }: Endpoint): Promise<Answer> {
  const version = versionOf(call)
  await store.delete(call, version)
  return { status: 204, headers: { "x-amz-version-id": version.versionId } }
}

/** GetObjectTagging. */
export async function getObjectTagging(call: Call, { store }: Endpoint): Promise<Answer> {
  const tags = found(call, await store.getTags(call, versionOf(call)))
  return xmlAnswer(["Tagging", [["TagSet", tags.map(([key, value]) => ["Tag", [["Key", key], ["Value", value]]])]]])
}

/** What a new object has beside its bytes. */
export function contentOptions(call: Call): Pick<WriteOptions, "attributes" | "tags"> {
  const tags = tagsOf(call)
  return { attributes: attributesOf(call), ...(tags && { tags }) }
}

// S3 reference, "Amazon S3 multipart upload limits": one request carries at most 5 GiB.
const maxSingleUpload = 5 * 1024 ** 3

/** The body of a write. Throws `EntityTooLarge`. */
export function openLimited(call: Call): Payload {
  const payload = call.openPayload()
  if (payload.length > maxSingleUpload) throw new S3Error("EntityTooLarge")
  return payload
}

/** Opens the object as asked. With an If-Range that does not hold, opens it again, whole. */
async function openObject(call: Call, store: Endpoint["store"]): Promise<StoredObject> {
  const range = rangeOf(call)
  const options: GetOptions = { ...versionOf(call), ...(range && { range }) }
  try {
    const object = found(call, await store.get(call, options))
    if (!range || rangeHolds(call, object)) return object
    object.cancel()
  } catch (error) {
    if (!isFailure(error, "range-not-satisfiable")) throw error
    await refuseRange(call, store)
  }
  return found(call, await store.get(call, versionOf(call)))
}

/** Conditions come before ranges (RFC 9110, section 13.2.2); returns where the whole object is to be answered. */
async function refuseRange(call: Call, store: Endpoint["store"]): Promise<void> {
  const info = found(call, await store.head(call, versionOf(call)))
  if (readDecision(call, info) !== "read" || !rangeHolds(call, info)) return
  const details = [["RangeRequested", call.header("range")], ["ActualObjectSize", info.size]] as const
  throw new S3Error("InvalidRange", undefined, details)
}

/** The answer to a read that a condition stopped. */
function declined(decision: "not-modified" | "failed", info: ObjectInfo): Answer {
  if (decision === "failed") throw new S3Error("PreconditionFailed")
  const { "x-amz-version-id": version, "cache-control": caching } = headersOf(info)
  return { status: 304, headers: { ...validatorsOf(info), "cache-control": caching, "x-amz-version-id": version } }
}

function found<Found>(call: Call, result: Found | undefined): Found {
  if (result !== undefined) return result
  const versionId = call.query.get("versionId")
  if (versionId === undefined) throw new S3Error("NoSuchKey", undefined, [["Key", call.key]])
  throw new S3Error("NoSuchVersion", undefined, [["Key", call.key], ["VersionId", versionId]])
}

function versionOf(call: Call): { readonly versionId?: string } {
  const versionId = call.query.get("versionId")
  if (versionId === "") throw new S3Error("InvalidArgument", "Version id cannot be the empty string")
  return versionId === undefined ? {} : { versionId }
}

/** The parameters by which a request sets headers of its answer (S3 reference, GetObject). */
export const responseOverrides = [
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
]

function overrides(call: Call): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const parameter of responseOverrides) {
    const value = call.query.get(parameter)
    if (value === undefined) continue
    if (/[\u0000-\u001f\u007f]/.test(value)) throw new S3Error("InvalidArgument", `${parameter} is not a header value.`)
    headers[parameter.slice("response-".length)] = bytesOf(value)
  }
  return headers
}
