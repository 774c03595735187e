/** HTTP servers on loopback that do what a test tells them to. */
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { Server, Socket } from "node:net"

/** The servers that listen, in the order they began to. */
export const servers: { server: Server; sockets: Set<Socket> }[] = []
/** Ends all servers of this file: for `afterEach`. */
export async function closeServers(): Promise<void> {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, "close")
  }
}

/** Has a server listen on a port of its own, on loopback; gives the port. */
export async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => sockets.add(socket))
  servers.push({ server, sockets })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

/** What a server does when it has read a request. */
export type Step = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void

/** A server that answers the n-th request by the n-th step, the last one for all others; gives what it was sent, and how
 *  many requests came whole. */
export async function scripted(...steps: Step[]) {
  let ended = 0
  const seen: { method: string; url: string; headers: IncomingMessage["headers"]; body: Buffer; port: number }[] = []
  const server = createServer((request, response) => {
    const step = steps[Math.min(seen.length, steps.length - 1)]
    const record = {
      method: request.method ?? "", url: request.url ?? "", headers: request.headers, body: Buffer.alloc(0),
      port: request.socket.remotePort ?? 0,
    }
    seen.push(record)
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("error", () => {})
    request.on("end", () => {
      ended++
      record.body = Buffer.concat(chunks)
      step?.(request, response, record.body)
    })
  })
  return { port: await listen(server), seen, ended: () => ended }
}

/** Answers with this. */
export const answer = (status: number, body = "", headers: Record<string, string> = {}): Step => (_, response) => {
  response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers }).end(body)
}
/** Resets the connection instead of an answer. */
export const reset: Step = (request) => request.socket.resetAndDestroy()
