import { createHash } from "node:crypto"
import { Failure } from "../errors.ts"
import type { Body, Clock, ObjectRef } from "../ports.ts"
import { readBody } from "../net/answer-body.ts"
import type { HttpClient, HttpResponse } from "../net/request.ts"
import { sha256Hex } from "../net/sigv4-canonical.ts"
import { signHeaders, type Credentials } from "../net/sigv4.ts"
import { addresses, type AddressOptions } from "./s3-address.ts"
import type { Refusal } from "./s3-refusal.ts"
import { childrenOf, parseXml, type XmlElement } from "./xml.ts"

/** What signs and sends. */
export interface CallOptions extends AddressOptions {
  readonly http: HttpClient
  readonly credentials: () => Promise<Credentials>
  readonly traceHeader: (() => string | undefined) | undefined
  readonly clock: Clock
}

/** One request to the store. */
interface S3Call extends Partial<ObjectRef> {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE"
  /** Percent-encoded, without `?`. */
  readonly query?: string
  readonly headers?: readonly Header[]
  readonly body?: Body
  /** Whether it may be sent again when it may have had its effect already. */
  readonly repeatable: boolean
  readonly signal?: AbortSignal | undefined
}

/** A header of a request, one character a byte. */
export type Header = readonly [name: string, value: string]

/** A success, whose body must be read or given up; or a refusal, whose body has been read. */
type S3Answer = { readonly response: HttpResponse; readonly refusal?: undefined } | { readonly refusal: Refusal }

/** Sends a request to the store, signed. Throws `unavailable` where no answer came. */
export type SendCall = (call: S3Call) => Promise<S3Answer>

/** The largest XML answer that is read, in bytes: a page of 1,000 keys of 1,024 bytes, escaped, is a third of it. */
export const maxXml = 8 * 1024 * 1024

// The bodies that are hashed before they are sent. Larger ones go as UNSIGNED-PAYLOAD: hashing them costs more than
// sending them, and TLS protects them on the way.
const maxHashed = 1024 * 1024
const emptyHash = sha256Hex("")

// A clock that is off by less has not made a store refuse a request (S3 reference, RequestTimeTooSkewed: 15 minutes).
const plausibleSkew = 5 * 60_000

/**
 * Makes the function that sends: it signs each attempt anew, corrects the clock by the `Date` of a store that finds it
 * wrong, and learns the region of a bucket from a store that names it; after either the request is repeated once, as it
 * was refused unread. A redirect's target is never followed. Streams, and bytes beyond 1 MiB, are sent as
 * UNSIGNED-PAYLOAD, over plain HTTP too where that is allowed: AWS takes it over HTTPS only, Ceph RGW over both.
 */
export function caller(options: CallOptions): SendCall {
  const addressOf = addresses(options)
  const regions = new Map<string, string>()
  let offset = 0
  const regionOf = (bucket: string | undefined) => regions.get(bucket ?? "") ?? options.region

  async function once(call: S3Call): Promise<S3Answer> {
    const region = regionOf(call.bucket)
    const { origin, host, path } = addressOf(region, call.bucket, call.key)
    const payloadHash = payloadHashOf(call.body)
    const fixed: Header[] = [["host", host], ...(call.headers ?? []), ...bodyHeaders(call, payloadHash)]
    const trace = options.traceHeader?.()
    if (trace !== undefined) fixed.push(["x-amzn-trace-id", trace])
    const { method, query = "", body, repeatable, signal } = call
    const headers = async () => {
      const credentials = await options.credentials()
      const now = options.clock() + offset
      const wire = { method, path, query, headers: fixed }
      return [...fixed, ...signHeaders(wire, { region, service: "s3", credentials, now, payloadHash })]
    }
    const target = query === "" ? path : `${path}?${query}`
    return answerOf(call, await options.http({ origin, method, target, headers, body, repeatable, signal }))
  }

  /** Whether something was learnt that makes it worth asking again. */
  function learn(call: S3Call, refusal: Refusal): boolean {
    const region = namedRegion(refusal)
    if (call.bucket !== undefined && region !== undefined && region !== regionOf(call.bucket)) {
      if (regions.size >= 10_000) regions.clear() // a bound on memory, far above the buckets of one process
      regions.set(call.bucket, region)
      return true
    }
    const skew = skewOf(refusal, options.clock())
    if (skew === undefined || Math.abs(skew - offset) < plausibleSkew) return false
    offset = skew
    return true
  }

  return async (call) => {
    const answer = await once(call)
    if (!answer.refusal || !learn(call, answer.refusal) || isStream(call.body)) return answer
    return once(call)
  }
}

const isStream = (body: Body | undefined): boolean => body !== undefined && !(body instanceof Uint8Array)

function payloadHashOf(body: Body | undefined): string {
  if (body === undefined) return emptyHash
  return body instanceof Uint8Array && body.length <= maxHashed ? sha256Hex(body) : "UNSIGNED-PAYLOAD"
}

/** `content-length`, and for small bodies the `content-md5` that buckets with Object Lock demand. */
function bodyHeaders(call: S3Call, payloadHash: string): Header[] {
  const { method, body } = call
  if (body === undefined) return method === "PUT" || method === "POST" ? [["content-length", "0"]] : []
  const length: Header = ["content-length", String(body.length)]
  if (!(body instanceof Uint8Array) || payloadHash === "UNSIGNED-PAYLOAD") return [length]
  return [length, ["content-md5", createHash("md5").update(body).digest("base64")]]
}

async function answerOf(call: S3Call, response: HttpResponse): Promise<S3Answer> {
  const { status, headers, body } = response
  if (status >= 200 && status < 300) return { response }
  if (call.method === "HEAD" || status === 304) {
    body.resume() // there is none, whatever Content-Length says
    return { refusal: { status, headers, code: "", region: undefined } }
  }
  const document = parseXml((await readBody(body, maxXml)).toString())
  const said = (name: string) => {
    const [text] = document?.root === "Error" ? childrenOf(document.element, name) : []
    return typeof text === "string" ? text : undefined
  }
  return { refusal: { status, headers, code: said("Code") ?? "", region: said("Region") } }
}

/** The region a store names for a bucket that is elsewhere (S3 reference, "Error responses": 301, 307, 400). */
function namedRegion(refusal: Refusal): string | undefined {
  if (![301, 307, 400].includes(refusal.status)) return undefined
  const header = refusal.headers["x-amz-bucket-region"]
  const region = typeof header === "string" ? header : refusal.region
  return region !== undefined && /^[a-z0-9-]{1,32}$/.test(region) ? region : undefined
}

/** How far the store's clock is ahead, in milliseconds, where it may have refused for that: HEAD's refusals don't say. */
function skewOf(refusal: Refusal, now: number): number | undefined {
  if (refusal.status !== 403 || (refusal.code !== "RequestTimeTooSkewed" && refusal.code !== "")) return undefined
  const date = Date.parse(String(refusal.headers["date"]))
  return Number.isNaN(date) ? undefined : date - now
}

/** The XML document of an answer, which must have this root. Throws `store-refused` for anything else. */
export async function documentOf(response: HttpResponse, root: string): Promise<XmlElement> {
  return documentIn((await readBody(response.body, maxXml)).toString(), root)
}

/** As `documentOf`, of an answer that was read. */
export function documentIn(text: string, root: string): XmlElement {
  const document = parseXml(text)
  if (document?.root === root) return document.element
  const cause = { root: document?.root, expected: root }
  throw new Failure("store-refused", "the store's answer is not what was asked for", cause)
}
