import { createHmac, timingSafeEqual } from "node:crypto"
import { canonicalRequest, deriveSigningKey, stringToSign, type WireRequest } from "./sigv4-canonical.ts"

/** Who signed a request, or why it is refused, in the words of the S3 reference's error codes. */
export type Verified =
  | {
      readonly ok: true
      readonly accessKeyId: string
      /** The value of `x-amz-content-sha256`: hex, `UNSIGNED-PAYLOAD`, `STREAMING-…`. Who reads the body checks it. */
      readonly payload: string
      readonly signature: string
      /** For `chunkSignature`, with `scope` and `date`. */
      readonly signingKey: Buffer
      readonly scope: string
      readonly date: string
    }
  | { readonly ok: false; readonly code: RefusalCode; readonly message: string }

type RefusalCode =
  | "AccessDenied"
  | "SignatureDoesNotMatch"
  | "InvalidAccessKeyId"
  | "RequestTimeTooSkewed"
  | "AuthorizationHeaderMalformed"

/** How to verify. */
export interface VerifyOptions {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly service: "s3"
  /** The secret of an access key, or `undefined` for an unknown one. */
  readonly secretOf: (accessKeyId: string) => string | undefined
}

// S3 reference, "RequestTimeTooSkewed": 15 minutes.
const maxSkew = 15 * 60_000
// S3 reference, "Authenticating requests: using query parameters": at most seven days.
const maxExpires = 7 * 24 * 3600

/**
 * Checks the signature of a request to S3, in its header form or, where the query has `X-Amz-Signature`, its query form
 * (presigned). Every `x-amz-…` header that was sent must be signed, and `host`. The signature is compared in constant
 * time. The body is not looked at: the caller compares it with `payload`.
 */
export function verify(request: WireRequest, options: VerifyOptions): Verified {
  const presigned = /(?:^|&)X-Amz-Signature=/.test(request.query)
  const claim = presigned ? queryClaim(request) : headerClaim(request)
  if (!("signature" in claim)) return claim
  const secret = options.secretOf(claim.accessKeyId)
  if (secret === undefined) return refuse("InvalidAccessKeyId", "The access key ID is not known.")
  const [day = "", region = "", service = "", terminator] = claim.scope.split("/")
  if (service !== options.service || terminator !== "aws4_request" || day !== claim.date.slice(0, 8)) {
    return refuse("AuthorizationHeaderMalformed", "The credential scope must be <date>/<region>/s3/aws4_request.")
  }
  const refusal = untimely(claim, options.now) ?? uncovered(claim, request)
  return refusal ?? compare(claim, request, deriveSigningKey(secret, day, { region, service }))
}

/** What a request says about its signature. */
interface Claim {
  readonly accessKeyId: string
  readonly scope: string
  readonly date: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  readonly payload: string
  /** Seconds, in the query form only. */
  readonly expires?: number
}

type Refusal = Extract<Verified, { ok: false }>

const refuse = (code: RefusalCode, message: string): Refusal => ({ ok: false, code, message })

const authorizationForm =
  /^AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})$/

function headerClaim(request: WireRequest): Claim | Refusal {
  const authorization = headerOf(request, "authorization")
  if (authorization === undefined) return refuse("AccessDenied", "The request is not signed.")
  const fields = authorizationForm.exec(authorization)
  const payload = headerOf(request, "x-amz-content-sha256")
  const date = headerOf(request, "x-amz-date")
  if (!fields || payload === undefined || date === undefined) return malformed()
  return claimOf({ credential: fields[1], date, signedHeaders: fields[2], signature: fields[3] }, payload)
}

function queryClaim(request: WireRequest): Claim | Refusal {
  const query = new URLSearchParams(request.query)
  const field = (name: string): string | undefined => query.get(name) ?? undefined
  const expires = Number(field("X-Amz-Expires") ?? NaN)
  if (field("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256") return malformed()
  if (!Number.isInteger(expires) || expires < 1 || expires > maxExpires) return malformed()
  const payload = headerOf(request, "x-amz-content-sha256") ?? field("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD"
  const claim = claimOf({
    credential: field("X-Amz-Credential"),
    date: field("X-Amz-Date"),
    signedHeaders: field("X-Amz-SignedHeaders"),
    signature: field("X-Amz-Signature"),
  }, payload)
  return "signature" in claim ? { ...claim, expires } : claim
}

function claimOf(
  fields: Record<"credential" | "date" | "signedHeaders" | "signature", string | undefined>,
  payload: string,
): Claim | Refusal {
  const credential = /^(.+?)\/(\d{8}\/[^/]+\/[^/]+\/[^/]+)$/.exec(fields.credential ?? "")
  const { date = "", signedHeaders = "", signature = "" } = fields
  if (!credential || Number.isNaN(timeOf(date)) || !/^[0-9a-f]{64}$/.test(signature)) return malformed()
  const [, accessKeyId = "", scope = ""] = credential
  return { accessKeyId, scope, date, signedHeaders: signedHeaders.split(";"), signature, payload }
}

const malformed = (): Refusal =>
  refuse("AuthorizationHeaderMalformed", "The authorization is not in the form of AWS Signature Version 4.")

function headerOf(request: WireRequest, name: string): string | undefined {
  return request.headers.find(([header]) => header.toLowerCase() === name)?.[1].trim()
}

/** Milliseconds since the epoch of `20150830T123600Z`, or NaN. */
function timeOf(date: string): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
}

function untimely(claim: Claim, now: number): Refusal | undefined {
  const age = now - timeOf(claim.date)
  if (claim.expires === undefined) {
    return Math.abs(age) <= maxSkew
      ? undefined
      : refuse("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
  }
  if (age < -maxSkew) return refuse("AccessDenied", "Request is not valid yet.")
  return age <= claim.expires * 1000 ? undefined : refuse("AccessDenied", "Request has expired.")
}

/** The payload's hash is covered as the last line of the canonical request, whether or not its header is. */
function uncovered(claim: Claim, request: WireRequest): Refusal | undefined {
  const sent = new Set(request.headers.map(([name]) => name.toLowerCase()))
  const signed = new Set(claim.signedHeaders)
  const mustBeSigned = [...sent].filter((name) => name.startsWith("x-amz-") && name !== "x-amz-content-sha256")
  if (!mustBeSigned.every((name) => signed.has(name)) || !signed.has("host")) {
    return refuse("AccessDenied", "There were headers present in the request which were not signed.")
  }
  return claim.signedHeaders.every((name) => sent.has(name)) ? undefined : mismatch()
}

function compare(claim: Claim, request: WireRequest, signingKey: Buffer): Verified {
  const signed = new Set(claim.signedHeaders)
  const isSigned = (name: string) => signed.has(name)
  const canonical = canonicalRequest(request, { service: "s3", payloadHash: claim.payload, isSigned })
  const text = stringToSign(claim.date, claim.scope, canonical.text)
  const expected = createHmac("sha256", signingKey).update(text, "latin1").digest()
  if (!timingSafeEqual(expected, Buffer.from(claim.signature, "hex"))) return mismatch()
  const { accessKeyId, payload, signature, scope, date } = claim
  return { ok: true, accessKeyId, payload, signature, signingKey, scope, date }
}

const mismatch = (): Refusal =>
  refuse("SignatureDoesNotMatch", "The request signature does not match the signature that was sent.")
