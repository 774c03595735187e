/**
 * URLs presigned by AWS Signature Version 2, as boto3 and s3cmd make them unless told otherwise (S3 user guide,
 * "Signing and authenticating REST requests": "Query string request authentication alternative").
 *
 * Such a signature covers neither a body nor the whole query. So only reads are taken, and only parameters that it does
 * cover: nothing unsigned changes what is read. Their values are signed decoded, one behind the other, so that one with
 * an `&` in it can be presented as two: whoever signs must not let others choose such a value. The key is not at risk.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import type { WireRequest } from "../../shared/net/sigv4.ts"
import { S3Error } from "./errors.ts"
import { responseOverrides } from "./objects.ts"
import type { Target } from "./target.ts"

/** The parameters that are the signature. */
export const v2Parameters: readonly string[] = ["AWSAccessKeyId", "Expires", "Signature"]

// "Constructing the CanonicalizedResource element".
const signedParameters: readonly string[] = [
  "acl", "lifecycle", "location", "logging", "notification", "partNumber", "policy", "requestPayment", "torrent",
  "uploadId", "uploads", "versionId", "versioning", "versions", "website", ...responseOverrides,
]

/** Whether the request says that it is presigned so. */
export const isPresignedV2 = (query: Query): boolean => query.has("AWSAccessKeyId")

type Query = Target["query"]

/** What a signature is checked against. */
interface Circumstances {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The secret of an access key, or `undefined` for an unknown one. */
  readonly secretOf: (accessKeyId: string) => string | undefined
}

/** The access key that presigned the request. The query is given as the operation will read it. A URL may hold for
 *  any time, as at AWS. Throws `InvalidRequest` for what is no read, `AccessDenied` for a URL that is incomplete,
 *  expired or has parameters that are not signed, and `InvalidAccessKeyId` or `SignatureDoesNotMatch`. */
export function verifyPresignedV2(request: WireRequest, query: Query, circumstances: Circumstances): string {
  if (!["GET", "HEAD"].includes(request.method)) throw new S3Error("InvalidRequest", version4Wanted)
  const [accessKeyId, expires, signature] = v2Parameters.map((name) => query.get(name))
  if (!accessKeyId || !expires || !signature) throw new S3Error("AccessDenied", incomplete)
  const isCovered = (name: string): boolean => v2Parameters.includes(name) || signedParameters.includes(name)
  if (![...query.keys()].every(isCovered)) throw new S3Error("AccessDenied", unsigned)
  const { now, secretOf } = circumstances
  const secret = secretOf(accessKeyId)
  if (secret === undefined) throw new S3Error("InvalidAccessKeyId")
  if (!/^\d+$/.test(expires)) throw new S3Error("AccessDenied", "Expires must be in seconds since the epoch.")
  if (now > Number(expires) * 1000) throw new S3Error("AccessDenied", "Request has expired")
  const text = stringToSign(request, query, expires)
  const expected = Buffer.from(createHmac("sha1", secret).update(text, "latin1").digest("base64"))
  const sent = Buffer.from(signature)
  if (sent.length === expected.length && timingSafeEqual(sent, expected)) return accessKeyId
  throw new S3Error("SignatureDoesNotMatch")
}

const version4Wanted = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
const incomplete = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters."
const unsigned = "There were parameters present in the request which were not signed."

/** One character a byte. */
function stringToSign({ method, path, headers }: WireRequest, query: Query, expires: string): string {
  const values = new Map<string, string>()
  for (const [header, raw] of headers) {
    const name = header.toLowerCase()
    const value = trimmed(raw)
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before},${value}`)
  }
  const standard = [values.get("content-md5") ?? "", values.get("content-type") ?? ""]
  const amz = [...values.keys()].filter((name) => name.startsWith("x-amz-")).sort()
  const lines = [method, ...standard, expires, ...amz.map((name) => `${name}:${values.get(name)}`)]
  return [...lines, path + signedPart(query)].join("\n")
}

/** Without blanks at its ends. Not by /[\t ]+$/, which takes the square of a run of blanks that is not at the end; nor by
 *  `trim`, for which 0xA0 is white space too: here it is a byte, the end of UTF-8's `à`. */
function trimmed(value: string): string {
  const isBlank = (at: number) => value[at] === " " || value[at] === "\t"
  let [start, end] = [0, value.length]
  while (start < end && isBlank(start)) start++
  while (end > start && isBlank(end - 1)) end--
  return value.slice(start, end)
}

/** The path goes in as it was sent; the values of parameters decoded, and an empty one without its equals sign. */
function signedPart(query: Query): string {
  const names = signedParameters.filter((name) => query.has(name)).sort()
  const pairs = names.map((name) => [name, query.get(name)].filter((part) => part !== "").join("="))
  return pairs.length === 0 ? "" : `?${Buffer.from(pairs.join("&")).toString("latin1")}`
}
