/** Writing one object. */
import type { WriteOptions } from "../../shared/ports.ts"
import { attributesOf } from "./attributes.ts"
import type { Answer, Call, Endpoint } from "./call.ts"
import { refuseWrite, writeConditionOf } from "./conditions.ts"
import { S3Error } from "./errors.ts"
import { recordOf } from "./notification.ts"
import { checksumHeaders } from "./object-checksums.ts"
import { maxSingleUpload, storable, type Payload } from "./payload.ts"
import { tagsOf } from "./tags.ts"

/** PutObject. */
export async function putObject(call: Call, endpoint: Endpoint): Promise<Answer> {
  const condition = writeConditionOf(call)
  const content = contentOptions(call)
  const payload = openLimited(call)
  const options: WriteOptions = { ...content, checksum: payload.checksum, ...(condition && { condition }) }
  const { store } = endpoint
  const written = await store.put(call, await storable(payload), options)
    .catch((error: unknown) => refuseWrite(call, store, condition, error))
  await endpoint.onWrite(recordOf(call, endpoint, { ...written, size: payload.length, eventName: "ObjectCreated:Put" }))
  const headers = { etag: `"${written.etag}"`, "x-amz-version-id": written.versionId }
  return { status: 200, headers: { ...headers, ...checksumHeaders(payload.checksum()) } }
}

/** What a new object has beside its bytes. */
export function contentOptions(call: Call): Pick<WriteOptions, "attributes" | "tags"> {
  const tags = tagsOf(call)
  return { attributes: attributesOf(call), ...(tags && { tags }) }
}

/** The body of a write. Throws `EntityTooLarge`. */
export function openLimited(call: Call): Payload {
  const payload = call.openPayload()
  if (payload.length > maxSingleUpload) throw new S3Error("EntityTooLarge")
  return payload
}
