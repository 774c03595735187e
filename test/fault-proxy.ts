/** A proxy between a store client and a real store that breaks what a network and a busy store break. */
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { once } from "node:events"

/** What the proxy does to one request. Where it says `after`, the store has done what was asked. */
export type Fault =
  | { readonly kind: "pass" }
  /** The store answers, the client gets nothing. */
  | { readonly kind: "drop-answer" }
  /** The connection is closed when the request's head is there; the store sees nothing. */
  | { readonly kind: "close" }
  | { readonly kind: "answer"; readonly status: number; readonly code: string; readonly after: boolean }
  /** The answer's body breaks off behind so many bytes. */
  | { readonly kind: "cut-body"; readonly bytes: number }
  /** The bytes of the request's body arrive changed. */
  | { readonly kind: "corrupt" }

export const pass: Fault = { kind: "pass" }
export const dropAnswer: Fault = { kind: "drop-answer" }
export const close: Fault = { kind: "close" }

/** A busy store's answer, before it has done anything or behind it. */
export const slowDown = (after: boolean): Fault => ({ kind: "answer", status: 503, code: "SlowDown", after })
export const internalError = (after: boolean): Fault => ({ kind: "answer", status: 500, code: "InternalError", after })

/** A running proxy. */
export interface FaultProxy {
  readonly url: string
  /** The requests since the last `plan`, as `PUT` or `GET`, … with what was done to them. */
  readonly seen: readonly { readonly method: string; readonly target: string; readonly fault: Fault["kind"] }[]
  /** What happens to the next requests of these methods, one after another; the rest passes. */
  plan(methods: readonly string[], ...faults: readonly Fault[]): void
  close(): Promise<void>
}

/** Starts a proxy in front of an endpoint, `http://host:port`, on a free port of 127.0.0.1. */
export async function faultProxy(endpoint: string): Promise<FaultProxy> {
  let seen: { method: string; target: string; fault: Fault["kind"] }[] = []
  let planned: { methods: readonly string[]; faults: Fault[] } = { methods: [], faults: [] }
  const server = createServer((incoming, outgoing) => {
    const method = incoming.method ?? ""
    const fault = (planned.methods.includes(method) ? planned.faults.shift() : undefined) ?? pass
    seen.push({ method, target: incoming.url ?? "", fault: fault.kind })
    serve(endpoint, incoming, outgoing, fault).catch(() => outgoing.destroy())
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get seen() {
      return seen
    },
    plan(methods, ...faults) {
      seen = []
      planned = { methods, faults: [...faults] }
    },
    async close() {
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function serve(endpoint: string, incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault): Promise<void> {
  if (fault.kind === "close") return void incoming.socket.destroy()
  if (fault.kind === "answer" && !fault.after) {
    incoming.resume()
    await once(incoming, "end")
    return refuse(outgoing, fault)
  }
  const answer = await forward(endpoint, incoming, fault.kind === "corrupt")
  if (fault.kind === "drop-answer" || fault.kind === "answer") {
    answer.resume()
    await once(answer, "end")
    return fault.kind === "answer" ? refuse(outgoing, fault) : void outgoing.destroy()
  }
  outgoing.writeHead(answer.statusCode ?? 500, answer.rawHeaders)
  let room = fault.kind === "cut-body" ? fault.bytes : Infinity
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const sent = chunk.subarray(0, Math.min(chunk.length, room))
    room -= sent.length
    if (!outgoing.write(sent)) await Promise.race([once(outgoing, "drain"), once(outgoing, "close")])
    if (room > 0) continue
    answer.destroy()
    return void outgoing.socket?.destroySoon()
  }
  outgoing.end()
}

/** Sends the request on, its headers untouched: the signature covers them. */
async function forward(endpoint: string, incoming: IncomingMessage, corrupt: boolean): Promise<IncomingMessage> {
  const { hostname, port } = new URL(endpoint)
  const { method, url: path, rawHeaders: headers } = incoming
  const onward = request({ hostname, port, method, path, headers, agent: false })
  const answered = once(onward, "response") as Promise<[IncomingMessage]>
  answered.catch(() => undefined) // is awaited below; the body may fail before
  for await (const chunk of incoming as AsyncIterable<Buffer>) onward.write(corrupt ? chunk.map((byte) => byte ^ 1) : chunk)
  onward.end()
  const [answer] = await answered
  return answer
}

function refuse(outgoing: ServerResponse, { status, code }: Extract<Fault, { kind: "answer" }>): void {
  outgoing.writeHead(status, { "content-type": "application/xml" })
  outgoing.end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message/></Error>`)
}
