/** A request and its answer on node:http. */
import type { IncomingMessage, ServerResponse } from "node:http"
import { pipeline } from "node:stream/promises"
import type { WireRequest } from "../../shared/net/sigv4.ts"
import type { Answer } from "./call.ts"

/** A request on the wire and the way to answer it. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** True while the client waits for `100 Continue` before it sends its body. */
  awaitsContinue: boolean
}

/** The request for its signature, exactly as it was sent. */
export function wireRequest(request: IncomingMessage, path: string, query: string): WireRequest {
  const { rawHeaders } = request
  const headers = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ""] as const] : [])
  return { method: request.method ?? "", path, query, headers }
}

/** The bytes of the body. A client that waits is told to go on when they are asked for. Fails if the client goes. */
export async function* bodyOf(exchange: Exchange): AsyncGenerator<Uint8Array> {
  if (exchange.awaitsContinue) {
    exchange.awaitsContinue = false
    exchange.response.writeContinue()
  }
  // Giving up half-way must not destroy the connection, on which the answer still has to go.
  yield* exchange.request.iterator({ destroyOnReturn: false })
}

// What a refused client has under way; beyond it the connection is cut, and a client that sends on sees a reset.
const maxReadAway = 16 * 1024 ** 2

/** Sends the answer. Rejects where a stream fails half-way; the connection is then broken, so that no answer ends
 *  cleanly without being whole. */
export async function send({ request, response, awaitsContinue }: Exchange, answer: Answer): Promise<void> {
  const { body } = answer
  const length = answer.status === 204 || answer.status === 304 ? undefined : lengthOf(answer)
  const { "content-length": announced = length, ...headers } = answer.headers ?? {}
  // The length goes last: once it is set, node:http takes Content-Disposition for UTF-8, and sends it in ISO 8859-1.
  for (const [name, value] of Object.entries({ ...headers, "content-length": announced })) {
    if (value !== undefined) response.setHeader(name, value)
  }
  response.statusCode = answer.status
  // A client refused while it waits may or may not send its body (RFC 9110, section 10.1.1): node:http closes then.
  if (!request.complete && !awaitsContinue) readAway(request)
  if (typeof body !== "object") return void response.end(request.method === "HEAD" ? undefined : body)
  try {
    await pipeline(body.stream, response)
  } finally {
    body.cancel()
  }
}

const lengthOf = ({ body }: Answer): string | undefined =>
  typeof body === "object" ? undefined : String(Buffer.byteLength(body ?? ""))

function readAway(request: IncomingMessage): void {
  let left = maxReadAway
  request.on("data", (bytes: Uint8Array) => {
    left -= bytes.length
    if (left < 0) request.destroy()
  })
  request.resume()
}
