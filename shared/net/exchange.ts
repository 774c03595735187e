import {
  request as requestHttp, type Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage,
} from "node:http"
import { request as requestHttps } from "node:https"
import type { Socket } from "node:net"
import { sendBody, waitsForContinue, type RequestBody, type Sending } from "./send-body.ts"

/** Where a server listens. */
export interface Origin {
  readonly protocol: "http:" | "https:"
  readonly hostname: string
  readonly port: number
}

/** An answer. Header names are lower-case. The body must be read to its end, or destroyed. A body that ends before its
 *  Content-Length fails; it never ends early without failing. */
export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: IncomingMessage
}

/** One request, as it goes on the wire. */
export interface Exchange {
  readonly origin: Origin
  readonly method: string
  /** Path and query, percent-encoded; sent as it is. */
  readonly target: string
  /** All headers, `host` and `content-length` among them; one character a byte (ISO 8859-1). */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: RequestBody | undefined
  readonly signal: AbortSignal | undefined
}

/** The connections to use, and how long to wait for them. */
export interface Wire {
  readonly agents: { readonly "http:": Agent; readonly "https:": Agent }
  /** Milliseconds to wait for a connection, TLS included. */
  readonly connectTimeout: number
  /** Milliseconds to wait for the other side to take or to send the next byte. */
  readonly idleTimeout: number
}

/** No answer came, or a success that cannot be one. */
export class BrokenExchange extends Error {
  /** Whether the server can have seen enough of the request to act on it. */
  readonly reached: boolean
  /** Whether a kept-alive connection was found dead: reset before it gave any byte of an answer. */
  readonly stale: boolean

  constructor(cause: unknown, state: { reached: boolean; stale: boolean }) {
    super("the connection broke before an answer came", { cause })
    this.reached = state.reached
    this.stale = state.stale
  }
}

/**
 * Sends one request and gives the answer when its head is there; a redirect is an answer like any other. Throws
 * `BrokenExchange` if no answer came, and the body stream's own error, unchanged, if that failed: the connection is
 * then destroyed, so that the server sees a request cut short. An answer that comes early stops the sending; a success
 * that does has stored something else than the body, and is no answer.
 */
export function exchange(spec: Exchange, wire: Wire): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const request = open(spec, wire)
    const sending: Sending = { connected: false, begun: false, over: false, starved: false, wake: undefined }
    watchSocket(request, sending, spec, wire)
    giveUpOn(spec.signal, request)
    const stopSending = () => {
      sending.over = true
      sending.wake?.()
    }
    request.on("error", (error) => {
      reject(broken(error, request, sending))
      stopSending()
    })
    request.once("response", (body) => {
      stopSending()
      const status = body.statusCode ?? 0
      if (!request.writableEnded && status < 300) {
        const cause = new Error("a success before the end of the body")
        reject(new BrokenExchange(cause, { reached: true, stale: false }))
        return void request.destroy()
      }
      // A connection with half a request on it is of no more use than to read the answer from.
      if (!request.writableEnded) body.once("close", () => request.destroy())
      resolve({ status, headers: body.headers, body })
    })
    sendBody(request, spec.body, sending).catch((error: unknown) => {
      reject(error instanceof Error ? error : new Error("the body stream failed", { cause: error }))
      request.destroy()
    })
  })
}

function open({ origin, method, target, headers, body }: Exchange, wire: Wire): ClientRequest {
  const request = origin.protocol === "https:" ? requestHttps : requestHttp
  const lines = headers.flat()
  if (waitsForContinue(body)) lines.push("expect", "100-continue")
  const { hostname, port, protocol } = origin
  return request({ agent: wire.agents[protocol], host: hostname, port, method, path: target, headers: lines })
}

function broken(error: Error & { code?: string }, request: ClientRequest, sending: Sending): BrokenExchange {
  const reset = error.code === "ECONNRESET" || error.code === "EPIPE"
  const stale = request.reusedSocket && reset && !sending.over
  return new BrokenExchange(error, { reached: sending.connected && sending.begun, stale })
}

function giveUpOn(signal: AbortSignal | undefined, request: ClientRequest): void {
  if (!signal) return
  const giveUp = () => request.destroy(new Error("given up by the caller", { cause: signal.reason }))
  if (signal.aborted) giveUp()
  signal.addEventListener("abort", giveUp)
  request.once("close", () => signal.removeEventListener("abort", giveUp))
}

/** Ends the request when the connection is too long in coming, or when it stands still and it is the server's turn. */
function watchSocket(request: ClientRequest, sending: Sending, { origin }: Exchange, wire: Wire): void {
  let answer: IncomingMessage | undefined
  request.once("response", (body) => (answer = body))
  request.once("socket", (socket) => {
    connectWithin(wire.connectTimeout, request, socket, origin, sending)
    const standstill = () => {
      const ours = answer ? answer.readableLength > 0 : sending.starved
      if (ours) socket.setTimeout(wire.idleTimeout)
      else request.destroy(new Error(`nothing moved for ${wire.idleTimeout} ms`))
    }
    socket.setTimeout(wire.idleTimeout)
    socket.on("timeout", standstill)
    request.once("close", () => socket.off("timeout", standstill))
  })
}

function connectWithin(ms: number, request: ClientRequest, socket: Socket, origin: Origin, sending: Sending): void {
  sending.connected = request.reusedSocket
  if (sending.connected) return
  const timer = setTimeout(() => request.destroy(new Error(`no connection within ${ms} ms`)), ms)
  request.once("close", () => clearTimeout(timer))
  socket.once(origin.protocol === "https:" ? "secureConnect" : "connect", () => {
    sending.connected = true
    clearTimeout(timer)
  })
}
