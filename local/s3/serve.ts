/** One request, from the wire to its answer: parsed, authenticated, routed, run, answered. */
import { randomBytes } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { encodeHeader, isHeaderName } from "../../shared/net/header-text.ts"
import { verify, type Verified, type WireRequest } from "../../shared/net/sigv4.ts"
import type { Clock, Log } from "../../shared/ports.ts"
import type { Answer, Call, Endpoint } from "./call.ts"
import { S3Error, s3ErrorOf, type FailureMeanings } from "./errors.ts"
import { bodyOf, send, wireRequest, type Exchange } from "./exchange.ts"
import { openPayload } from "./payload.ts"
import { isPresignedV2, verifyPresignedV2 } from "./presigned-v2.ts"
import { routeOf } from "./routes.ts"
import { parseTarget, utf8, type Target } from "./target.ts"
import { document } from "./xml.ts"

/** Who is let in. */
export interface Gate {
  /** Requests must be signed for it. */
  readonly region: string
  /** The secret of an access key, or `undefined` for an unknown one. */
  readonly secretOf: (accessKeyId: string) => string | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Answers one request. Never rejects: what cannot be answered any more breaks the connection. */
export async function serve(exchange: Exchange, endpoint: Endpoint, gate: Gate): Promise<void> {
  const id = randomBytes(8).toString("hex").toUpperCase()
  exchange.response.setHeader("x-amz-request-id", id)
  try {
    await send(exchange, await answer(exchange, endpoint, gate, id))
  } catch (error) {
    // The client is gone, or the store broke under a body half sent: no answer can be given any more.
    if (!isClientsLeaving(error)) gate.log.error("S3 answer broke off", { requestId: id, error })
    exchange.response.destroy()
  }
}

const leaving = ["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "EPIPE"]
const isClientsLeaving = (error: unknown): boolean =>
  error instanceof Error && "code" in error && leaving.includes(String(error.code))

async function answer(exchange: Exchange, endpoint: Endpoint, gate: Gate, id: string): Promise<Answer> {
  const refusals: unknown[] = []
  let meanings: FailureMeanings | undefined
  try {
    const call = callOf(exchange, gate, id, (error) => refusals.push(error))
    const route = routeOf(call)
    meanings = route.failures
    return await route.run(call, endpoint)
  } catch (error) {
    // A store may wrap the error of the body it read: what the body said of itself counts.
    const refusal = s3ErrorOf(refusals[0] ?? error, meanings)
    const clientIsGone = exchange.request.socket.destroyed
    if (refusal.status >= 500 && refusal.code !== "NotImplemented" && !clientIsGone) {
      gate.log.error("S3 request failed", { requestId: id, method: exchange.request.method, code: refusal.code, error })
    }
    return errorAnswer(refusal, exchange.request, id)
  }
}

function errorAnswer(error: S3Error, request: IncomingMessage, id: string): Answer {
  const resource = utf8(request.url?.split("?", 1)[0] ?? "") ?? "/"
  const elements = [["Code", error.code], ["Message", error.message], ["Resource", resource], ...error.details] as const
  const body = document(["Error", [...elements, ["RequestId", id]]])
  return { status: error.status, headers: { "content-type": "application/xml", ...error.headers }, body }
}

function callOf(exchange: Exchange, gate: Gate, id: string, refused: (error: unknown) => void): Call {
  const { request } = exchange
  const target = parseTarget(request.url ?? "")
  const signer = authenticate(wireRequest(request, target.path, target.rawQuery), target, gate)
  const headers = headersOf(request, target)
  const header = (name: string): string | undefined => headers.get(name)
  return {
    ...target, id, headers, header,
    method: request.method ?? "",
    accessKeyId: signer.accessKeyId,
    sourceAddress: request.socket.remoteAddress ?? "",
    openPayload: (checksumsAbout = "body") => {
      const aboutBody = checksumsAbout === "body" ? header : withoutChecksums(header)
      if (!("payload" in signer)) throw new S3Error("InvalidRequest", "The signature does not cover a body.")
      const source = { bytes: bodyOf(exchange), payload: signer.payload, signing: signer }
      const payload = openPayload({ ...source, header: aboutBody })
      return { ...payload, stream: reporting(payload.stream, refused) }
    },
  }
}

const withoutChecksums = (header: Call["header"]) => (name: string) =>
  name.startsWith("x-amz-checksum-") ? undefined : header(name)

/** Who signed; only in version 4 with what the body is checked by. */
type Signer = Extract<Verified, { ok: true }> | Pick<Call, "accessKeyId">

function authenticate(request: WireRequest, { query }: Target, gate: Gate): Signer {
  const circumstances = { now: gate.clock(), secretOf: gate.secretOf }
  if (isPresignedV2(query)) return { accessKeyId: verifyPresignedV2(request, query, circumstances) }
  const verified = verify(request, { ...circumstances, service: "s3" })
  const inQuery = /(^|&)X-Amz-/.test(request.query)
  const malformed = inQuery ? "AuthorizationQueryParametersError" : "AuthorizationHeaderMalformed"
  if (!verified.ok) {
    throw new S3Error(verified.code === "AuthorizationHeaderMalformed" ? malformed : verified.code, verified.message)
  }
  const region = verified.scope.split("/")[1]
  if (region === gate.region) return verified
  const message = `The region '${region}' is wrong; expecting '${gate.region}'`
  throw new S3Error(malformed, message, [["Region", gate.region]])
}

/** The headers as UTF-8. A presigned request may carry `x-amz-` headers in its query, where the signature covers them,
 *  too, in any case of letters. Checksums there are left out, as S3 does: the AWS SDK puts that of an empty body into
 *  each URL it signs. Throws `InvalidArgument` for what no header could have carried, as none could give it back. */
function headersOf(request: IncomingMessage, { query }: Target): ReadonlyMap<string, string> {
  const hoisted = [...query].filter(([name]) => /^x-amz-(?!checksum-(?:crc|sha))/i.test(name)).map(([name, value]) => {
    const lowerCase = name.toLowerCase()
    if (isHeaderName(lowerCase) && encodeHeader(value) !== undefined) return [lowerCase, value] as const
    throw new S3Error("InvalidArgument", "A parameter that stands for a header is none.")
  })
  const sent = Object.entries(request.headers).map(([name, value]) => {
    const text = utf8(Array.isArray(value) ? value.join(", ") : (value ?? ""))
    if (text === undefined) throw new S3Error("InvalidArgument", `The header ${name} is not UTF-8.`)
    return [name, text] as const
  })
  return new Map([...hoisted, ...sent])
}

type Bytes = AsyncIterable<Uint8Array>

async function* reporting(stream: Bytes, refused: (error: unknown) => void): AsyncGenerator<Uint8Array> {
  try {
    yield* stream
  } catch (error) {
    refused(error)
    throw error
  }
}
