import { Failure } from "../errors.ts"
import { decodeHeader, encodeHeader, isHeaderName } from "../net/header-text.ts"
import type { HttpResponse } from "../net/request.ts"
import { percentEncode } from "../net/sigv4-canonical.ts"
import type {
  Attributes, ByteRange, ObjectInfo, ReadOptions, ServerSideEncryption, WriteCondition, WriteOptions,
} from "../ports.ts"
import type { Header } from "./s3-call.ts"

type Headers = HttpResponse["headers"]

/** The attributes that have a header of their own, and its name (S3 reference, PutObject). */
export const attributeHeaders = [
  ["contentType", "content-type"],
  ["cacheControl", "cache-control"],
  ["contentDisposition", "content-disposition"],
  ["contentEncoding", "content-encoding"],
  ["contentLanguage", "content-language"],
  ["expires", "expires"],
  ["websiteRedirect", "x-amz-website-redirect-location"],
  ["storageClass", "x-amz-storage-class"],
] as const satisfies readonly (readonly [Exclude<keyof Attributes, "metadata">, string])[]

/** What the header of an object's user metadata begins with. */
export const metadataPrefix = "x-amz-meta-"

/** The value of a header, repeated ones joined. */
export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(", ") : value
}

/** An ETag without quotes; empty where there is none. */
export const bareEtag = (etag: string | undefined): string => etag?.replace(/^"|"$/g, "") ?? ""

/**
 * What GET and HEAD say of an object of `size` bytes. Text in headers is read as UTF-8, and anything else so that
 * writing it gives the very bytes again. AWS shows metadata that is not ASCII as RFC 2047 words and takes these for the
 * same text (S3 user guide, "Working with object metadata"), so that they too survive as they are.
 */
export function infoOf(headers: Headers, size: number): ObjectInfo {
  const tags = header(headers, "x-amz-tagging-count")
  const versionId = header(headers, "x-amz-version-id")
  const encryption = encryptionOf(headers)
  return {
    size,
    etag: bareEtag(header(headers, "etag")),
    lastModified: Date.parse(header(headers, "last-modified") ?? ""),
    ...attributesOf(headers),
    ...(versionId ? { versionId } : {}),
    ...(tags === undefined ? {} : { tagCount: Number(tags) }),
    ...(encryption ? { encryption } : {}),
    ...(isLocked(headers) ? { locked: true } : {}),
  }
}

function attributesOf(headers: Headers): Attributes {
  const attributes: { -readonly [name in keyof Attributes]: Attributes[name] } = { metadata: metadataOf(headers) }
  for (const [name, headerName] of attributeHeaders) {
    const value = header(headers, headerName)
    if (value !== undefined) attributes[name] = decodeHeader(value)
  }
  if (attributes.storageClass === defaultClass) delete attributes.storageClass
  return attributes
}

/** The class of an object that was stored without naming one (S3 reference, PutObject). Stores differ in whether they
 *  name it. */
export const defaultClass = "STANDARD"

function metadataOf(headers: Headers): Record<string, string> {
  const entries: [string, string][] = []
  for (const name in headers) {
    if (!name.startsWith(metadataPrefix)) continue
    entries.push([name.slice(metadataPrefix.length), decodeHeader(header(headers, name) ?? "")])
  }
  return Object.fromEntries(entries)
}

function encryptionOf(headers: Headers): ServerSideEncryption | undefined {
  if (header(headers, "x-amz-server-side-encryption-customer-algorithm") !== undefined) return { kind: "customer" }
  const kind = header(headers, "x-amz-server-side-encryption")
  const keyId = header(headers, "x-amz-server-side-encryption-aws-kms-key-id")
  return kind === undefined ? undefined : { kind, ...(keyId === undefined ? {} : { keyId }) }
}

function isLocked(headers: Headers): boolean {
  const retained = header(headers, "x-amz-object-lock-mode") !== undefined
  return retained || header(headers, "x-amz-object-lock-legal-hold") === "ON"
}

/** The headers of a conditional read. */
export function readHeaders(options: ReadOptions): Header[] {
  const headers: Header[] = []
  if (options.ifMatch !== undefined) headers.push(["if-match", `"${options.ifMatch}"`])
  if (options.ifNoneMatch !== undefined) headers.push(["if-none-match", `"${options.ifNoneMatch}"`])
  return headers
}

/** The value of a `range` header (RFC 9110, section 14.2). */
export function rangeHeader(range: ByteRange): string {
  return "suffix" in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ""}`
}

/** The headers of a condition on a write. */
export function conditionHeaders(condition: WriteCondition | undefined): Header[] {
  if (!condition) return []
  if ("ifNoneMatch" in condition) return [["if-none-match", condition.ifNoneMatch]]
  return [["if-match", condition.form === "unquoted" ? condition.ifMatch : `"${condition.ifMatch}"`]]
}

/**
 * The headers of what a write carries beside its bytes. Throws `store-refused` for what no header can carry, and for
 * encryption under a customer's key (SSE-C), whose key nobody has given us.
 */
export function writeHeaders(options: Pick<WriteOptions, "attributes" | "tags" | "encryption">): Header[] {
  const { attributes = {}, tags = [], encryption } = options
  const headers: Header[] = []
  for (const [name, headerName] of attributeHeaders) {
    const value = attributes[name]
    if (value !== undefined) headers.push([headerName, carried(value)])
  }
  for (const [name, value] of Object.entries(attributes.metadata ?? {})) {
    if (!isHeaderName(name)) throw new Failure("store-refused", "a metadata name is no header name", { name })
    headers.push([metadataPrefix + name, carried(value)])
  }
  if (tags.length > 0) headers.push(["x-amz-tagging", tags.map((pair) => pair.map(percentEncode).join("=")).join("&")])
  if (encryption) headers.push(...encryptionHeaders(encryption))
  return headers
}

function carried(value: string): string {
  const encoded = encodeHeader(value)
  if (encoded === undefined) throw new Failure("store-refused", "an attribute has a control character")
  return encoded
}

function encryptionHeaders({ kind, keyId }: ServerSideEncryption): Header[] {
  if (kind === "customer") throw new Failure("store-refused", "nothing can be written under a customer's key (SSE-C)")
  const headers: Header[] = [["x-amz-server-side-encryption", kind]]
  if (keyId !== undefined) headers.push(["x-amz-server-side-encryption-aws-kms-key-id", keyId])
  return headers
}
