import { createHmac, hash } from "node:crypto"

/** The key pair that signs, with the token that goes with temporary ones. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/**
 * A request as it stands on the wire. `path` and `query` are raw (percent-encoded as sent; query without `?`). Header
 * names in any case. All strings hold one character a byte (ISO 8859-1), as node:http gives and takes them.
 */
export interface WireRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** Whom a signature is for. */
export interface Scope {
  readonly region: string
  readonly service: string
}

/** Lower-case hex SHA-256. A string is hashed as its characters' bytes (ISO 8859-1). */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash("sha256", typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, "hex")
}

/** Percent-encodes all but RFC 3986's unreserved characters, in UTF-8, with upper-case hex as AWS wants it. Throws
 *  `URIError` for a string that is no Unicode text (a lone surrogate). */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, percent)
}

const percent = (byte: string): string => "%" + byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")

/** `20150830T123600Z` of milliseconds since the epoch. */
export function amzDate(now: number): string {
  return new Date(now).toISOString().replace(/[-:]|\.\d+/g, "")
}

/** The credential scope: `20150830/us-east-1/s3/aws4_request`. */
export function scopeOf(date: string, scope: Scope): string {
  return `${date.slice(0, 8)}/${scope.region}/${scope.service}/aws4_request`
}

/** The key of one day, region and service (SigV4, "calculate the signature"). */
export function deriveSigningKey(secretAccessKey: string, day: string, scope: Scope): Buffer {
  return [day, scope.region, scope.service, "aws4_request"].reduce<Buffer>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    Buffer.from("AWS4" + secretAccessKey),
  )
}

/** What goes into a canonical request beside the request itself. */
export interface CanonicalOptions {
  readonly service: string
  /** The payload hash, or the word that stands for it. */
  readonly payloadHash: string
  /** Removes empty and dot segments from the path. Never set for S3, where they are part of the key. */
  readonly normalizePath?: boolean
  /** Which headers are signed, by lower-case name. */
  readonly isSigned: (name: string) => boolean
}

/** The canonical request and the list of headers it covers (SigV4, "create a canonical request"). The parameter
 *  `X-Amz-Signature` is left out. S3's path is encoded once, as sent; that of any other service is encoded again. */
export function canonicalRequest(
  request: WireRequest,
  options: CanonicalOptions,
): { readonly text: string; readonly signedHeaders: string } {
  const headers = canonicalHeaders(request.headers, options.isSigned)
  const path = options.service === "s3" ? recode(request.path) : encodeBytes(normalized(request.path, options))
  const query = canonicalQuery(request.query)
  const text = `${request.method}\n${path}\n${query}\n${headers.lines}\n${headers.names}\n${options.payloadHash}`
  return { text, signedHeaders: headers.names }
}

/** The string to sign (SigV4, "create a string to sign"). */
export function stringToSign(date: string, scope: string, canonical: string): string {
  return `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256Hex(canonical)}`
}

function normalized(path: string, options: CanonicalOptions): string {
  if (!options.normalizePath) return path
  const kept: string[] = []
  for (const segment of path.split("/")) {
    if (segment === "..") kept.pop()
    else if (segment !== "" && segment !== ".") kept.push(segment)
  }
  return kept.length === 0 ? "/" : `/${kept.join("/")}${path.endsWith("/") ? "/" : ""}`
}

function canonicalQuery(query: string): string {
  if (query === "") return ""
  return query
    .split("&")
    .filter((pair) => pair !== "" && !pair.startsWith("X-Amz-Signature="))
    .map((pair) => {
      const [, name = "", value = ""] = /^([^=]*)=?([^]*)$/.exec(pair) ?? []
      return [recode(name, true), recode(value, true)] as const
    })
    .sort(([a, x], [b, y]) => order(a, b) || order(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join("&")
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Decodes and encodes again, so that every way to write the same bytes becomes one. */
function recode(text: string, slashToo = false): string {
  if (/^[\w\-.~/]*$/.test(text) && !(slashToo && text.includes("/"))) return text
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return encodeBytes(bytes, slashToo)
}

function encodeBytes(text: string, slashToo = false): string {
  return text.replace(slashToo ? /[^\w\-.~]/g : /[^\w\-.~/]/g, percent)
}

function canonicalHeaders(headers: WireRequest["headers"], isSigned: (name: string) => boolean) {
  const values = new Map<string, string>()
  for (const [header, raw] of headers) {
    const name = header.toLowerCase()
    if (!isSigned(name)) continue
    // ASCII white space only: for JavaScript 0xA0 is white space too, but here it is a byte, the end of UTF-8's `à`.
    const value = raw.replace(/[\t-\r ]+/g, " ").replace(/^ | $/g, "")
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before},${value}`)
  }
  const names = [...values.keys()].sort()
  return { names: names.join(";"), lines: names.map((name) => `${name}:${values.get(name)}\n`).join("") }
}
