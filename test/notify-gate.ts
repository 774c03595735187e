/** A relay between a store and the events endpoint of a server: it counts what is told, and can refuse. */
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** An open relay. */
export interface Gate {
  readonly url: string
  /** The names of the events of a key that were passed on. */
  told(key: string): string[]
  /** Answers the next `count` requests by 503 itself, as it does while nobody answers at the server. */
  refuse(count: number): void
  /** How often it has refused an event of a key. */
  refused(key: string): number
  close(): Promise<void>
}

interface Told {
  readonly eventName: string
  readonly s3: { readonly object: { readonly key: string } }
}

/** Opens one on a port of its own, to the server at `upstream()`. */
export async function openGate(upstream: () => string): Promise<Gate> {
  const told: Told[] = []
  const refused: Told[] = []
  let toRefuse = 0

  async function relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray() as Buffer[])
    const { Records } = JSON.parse(body.toString()) as { Records: Told[] }
    const passOn = () => fetch(`${upstream()}${request.url ?? ""}`, { method: "POST", body }).catch(() => undefined)
    const answer = toRefuse-- > 0 ? undefined : await passOn()
    if (!answer) {
      refused.push(...Records)
      await new Promise((resolve) => setTimeout(resolve, 100)) // Ceph asks again at once, a thousand times a second
      return void response.writeHead(503).end()
    }
    if (answer.ok) told.push(...Records)
    response.writeHead(answer.status).end(await answer.text())
  }

  const server = createServer((request, response) => void relay(request, response))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    told: (key) => told.filter(({ s3 }) => s3.object.key === key).map(({ eventName }) => eventName),
    refuse: (count) => void (toRefuse = count),
    refused: (key) => refused.filter(({ s3 }) => s3.object.key === key).length,
    async close() {
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
