/** What is kept beside an object's bytes, from and to headers. */
import type { Attributes, ObjectInfo } from "../../shared/ports.ts"
import { attributeHeaders, metadataPrefix } from "../../shared/store/s3-headers.ts"
import { METADATA_LIMIT } from "../../shared/store/s3-limits.ts"
import type { Call } from "./call.ts"
import { S3Error } from "./errors.ts"

// S3 reference, PutObject, x-amz-storage-class; without the archive classes, whose objects cannot be read at once.
const storageClasses = [
  "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR",
]

/** The attributes that a write carries. Throws `MetadataTooLarge` or `InvalidStorageClass`. */
export function attributesOf(call: Call): Partial<Attributes> {
  const attributes: { -readonly [name in keyof Attributes]?: Attributes[name] } = { metadata: metadataOf(call) }
  for (const [name, header] of attributeHeaders) {
    const value = header === "content-encoding" ? contentEncodingOf(call) : call.header(header)
    if (value !== undefined) attributes[name] = value
  }
  const { storageClass } = attributes
  if (storageClass !== undefined && !storageClasses.includes(storageClass)) throw new S3Error("InvalidStorageClass")
  if (storageClass === "STANDARD") delete attributes.storageClass
  return attributes
}

/** `aws-chunked` says how the request's body was sent; S3 keeps the rest. */
function contentEncodingOf(call: Call): string | undefined {
  const codings = call.header("content-encoding")?.split(",").map((coding) => coding.trim())
  return codings?.filter((coding) => coding.toLowerCase() !== "aws-chunked").join(", ") || undefined
}

function metadataOf(call: Call): Record<string, string> {
  const entries = [...call.headers]
    .filter(([name]) => name.startsWith(metadataPrefix))
    .map(([name, value]) => [name.slice(metadataPrefix.length), value] as const)
  const bytes = entries.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
  if (bytes > METADATA_LIMIT) throw new S3Error("MetadataTooLarge")
  return Object.fromEntries(entries)
}

/** The headers of an object in an answer. Text goes out as its UTF-8 bytes, as it came in. */
export function headersOf(info: ObjectInfo): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {
    ...validatorsOf(info),
    "accept-ranges": "bytes",
    "x-amz-version-id": info.versionId,
    "x-amz-tagging-count": info.tagCount ? String(info.tagCount) : undefined,
  }
  for (const [name, header] of attributeHeaders) headers[header] = bytesOf(info[name])
  for (const [name, value] of Object.entries(info.metadata)) headers[metadataPrefix + name] = bytesOf(value)
  headers["content-type"] ??= "binary/octet-stream" // S3's default, PutObject reference.
  return headers
}

/** ETag and Last-Modified. */
export function validatorsOf(info: ObjectInfo): Record<string, string> {
  return { etag: `"${info.etag}"`, "last-modified": new Date(info.lastModified).toUTCString() }
}

/** Text as a header value: its UTF-8 bytes, one character each. */
export function bytesOf(text: string): string
export function bytesOf(text: string | undefined): string | undefined
export function bytesOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text).toString("latin1")
}
