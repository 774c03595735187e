import { createHmac } from "node:crypto"
import {
  amzDate, canonicalRequest, deriveSigningKey, percentEncode, scopeOf, stringToSign,
  type Credentials, type Scope, type WireRequest,
} from "./sigv4-canonical.ts"

export type { Credentials, WireRequest } from "./sigv4-canonical.ts"
export { verify, type Verified } from "./sigv4-verify.ts"

/** How to sign. */
export interface SignOptions extends Scope {
  readonly credentials: Credentials
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Hex SHA-256 of the body, `UNSIGNED-PAYLOAD`, or a `STREAMING-…` word. */
  readonly payloadHash: string
  /** Removes empty and dot segments from the path, as all services but S3 do. */
  readonly normalizePath?: boolean
}

// What proxies and agents add or change on the way; x-amzn-trace-id is rewritten at each hop.
const unsigned = new Set([
  "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id",
])
const isSigned = (name: string): boolean => !unsigned.has(name)

/**
 * The headers to add to a request to sign it (AWS Signature Version 4, header form): `x-amz-date`, for S3
 * `x-amz-content-sha256`, with temporary credentials `x-amz-security-token`, and `authorization`. The request must have
 * its `host` header, and all others that are to be signed; hop-by-hop and tracing headers are left unsigned.
 */
export function signHeaders(request: WireRequest, options: SignOptions): [name: string, value: string][] {
  const date = amzDate(options.now)
  const { credentials } = options
  const added: [string, string][] = [["x-amz-date", date]]
  if (options.service === "s3") added.push(["x-amz-content-sha256", options.payloadHash])
  if (credentials.sessionToken !== undefined) added.push(["x-amz-security-token", credentials.sessionToken])
  const scope = scopeOf(date, options)
  const canonical = canonicalRequest({ ...request, headers: [...request.headers, ...added] }, { ...options, isSigned })
  const signature = sign(stringToSign(date, scope, canonical.text), signingKeyOf(date, options))
  const credential = `Credential=${credentials.accessKeyId}/${scope}`
  const value = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${canonical.signedHeaders}, Signature=${signature}`
  added.push(["authorization", value])
  return added
}

/**
 * The query string that makes the request presigned for `expires` seconds (query form): the request's own query, the
 * `X-Amz-…` parameters, and the signature last. The headers given must be sent with it. S3 takes `UNSIGNED-PAYLOAD`.
 */
export function presign(request: WireRequest, options: SignOptions & { readonly expires: number }): string {
  const date = amzDate(options.now)
  const scope = scopeOf(date, options)
  const names = new Set(request.headers.map(([name]) => name.toLowerCase()).filter(isSigned))
  const { accessKeyId, sessionToken } = options.credentials
  const parameters = [
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
    ["X-Amz-Credential", `${accessKeyId}/${scope}`],
    ["X-Amz-Date", date],
    ["X-Amz-Expires", String(options.expires)],
    ...(sessionToken === undefined ? [] : [["X-Amz-Security-Token", sessionToken]]),
    ["X-Amz-SignedHeaders", [...names].sort().join(";")],
  ].map(([name, value]) => `${name}=${percentEncode(value ?? "")}`)
  const query = [...(request.query === "" ? [] : [request.query]), ...parameters].join("&")
  const canonical = canonicalRequest({ ...request, query }, { ...options, isSigned })
  return `${query}&X-Amz-Signature=${sign(stringToSign(date, scope, canonical.text), signingKeyOf(date, options))}`
}

/**
 * The signature of one chunk of a body sent as `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, or of its trailer (S3 reference,
 * "Signature calculations for the Authorization header: transferring payload in multiple chunks"). `previous` is the
 * signature before it, the first being the request's own; `hash` the hex SHA-256 of the chunk's bytes, or of the
 * trailer's lines `name:value LF`.
 */
export function chunkSignature(
  request: { readonly signingKey: Buffer; readonly date: string; readonly scope: string },
  part: { readonly kind: "chunk" | "trailer"; readonly previous: string; readonly hash: string },
): string {
  const head = `AWS4-HMAC-SHA256-${part.kind === "chunk" ? "PAYLOAD" : "TRAILER"}\n${request.date}\n${request.scope}`
  const tail = part.kind === "chunk" ? `${emptyHash}\n${part.hash}` : part.hash
  return sign(`${head}\n${part.previous}\n${tail}`, request.signingKey)
}

// SHA-256 of nothing: a chunk has no headers of its own to hash.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const sign = (text: string, signingKey: Buffer): string =>
  createHmac("sha256", signingKey).update(text, "latin1").digest("hex")

// A signing key holds for a day; deriving it takes four HMACs. One process signs for few scopes: eight are plenty.
const signingKeys = new Map<string, { readonly secret: string; readonly key: Buffer }>()
const keptSigningKeys = 8

function signingKeyOf(date: string, options: SignOptions): Buffer {
  const day = date.slice(0, 8)
  const { accessKeyId, secretAccessKey } = options.credentials
  const name = `${accessKeyId}/${day}/${options.region}/${options.service}`
  const kept = signingKeys.get(name)
  if (kept?.secret === secretAccessKey) return kept.key
  if (signingKeys.size >= keptSigningKeys) signingKeys.clear()
  const key = deriveSigningKey(secretAccessKey, day, options)
  signingKeys.set(name, { secret: secretAccessKey, key })
  return key
}
