import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createSocketServer } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { Failure } from "../shared/errors.ts"
import { chunksOf, readBody } from "../shared/net/answer-body.ts"
import { httpClient, type HttpClientOptions, type HttpResponse, type RequestBody } from "../shared/net/request.ts"
import { patterned, pieces } from "./bytes.ts"
import { answer, closeServers, listen, reset, scripted, servers } from "./scripted-server.ts"

afterEach(closeServers)

interface Sent {
  readonly method?: string
  readonly body?: RequestBody
  readonly repeatable?: boolean
  readonly signal?: AbortSignal
}

/** A client with short waits, and how often the headers were made: once an attempt. */
function client(port: number, options: Partial<HttpClientOptions> = {}) {
  const send = httpClient({ allowHttp: true, backOff: 1, ...options })
  const made = { attempts: 0 }
  const request = (sent: Sent = {}): Promise<HttpResponse> => send({
    origin: { protocol: "http:", hostname: "127.0.0.1", port },
    method: sent.method ?? "GET",
    target: "/a/../b//%2e?x=1",
    headers: () => {
      made.attempts++
      const length = sent.body === undefined ? [] : [["content-length", String(sent.body.length)] as const]
      return Promise.resolve([["host", "store.test"], ...length])
    },
    body: sent.body,
    repeatable: sent.repeatable ?? true,
    signal: sent.signal,
  })
  return { request, made }
}

const textOf = async (response: HttpResponse) => (await readBody(response.body, 1000)).toString()
const codeOf = (promise: Promise<unknown>) => promise.then(
  () => "no failure",
  (error: unknown) => (error instanceof Failure ? error.code : `no Failure but ${String(error)}`),
)

describe("a request", () => {
  it("goes out as it was given, target and headers, and its answer comes back", async () => {
    const server = await scripted(answer(201, "made", { "X-Thing": "1" }))
    const response = await client(server.port).request({ method: "PUT", body: Buffer.from("bytes") })
    expect([response.status, response.headers["x-thing"], await textOf(response)]).toEqual([201, "1", "made"])
    expect(server.seen).toMatchObject([{ method: "PUT", url: "/a/../b//%2e?x=1", headers: { host: "store.test" } }])
    expect(server.seen[0]?.body.toString()).toBe("bytes")
  })

  it("is refused over plain HTTP unless that is allowed", async () => {
    const server = await scripted(answer(200))
    expect(await codeOf(client(server.port, { allowHttp: false }).request())).toBe("bad-field")
    expect(server.seen).toEqual([])
  })

  it("is answered by a redirect, which is not followed", async () => {
    const server = await scripted(answer(307, "", { location: "http://127.0.0.1:1/elsewhere" }))
    expect((await client(server.port).request()).status).toBe(307)
    expect(server.seen).toHaveLength(1)
  })

  it("uses the connection of the one before", async () => {
    const server = await scripted(answer(200, "x"))
    const { request } = client(server.port)
    for (let round = 0; round < 3; round++) await textOf(await request())
    expect(new Set(server.seen.map(({ port }) => port)).size).toBe(1)
  })
})

describe("repetition", () => {
  it.each([429, 500, 502, 503, 504])("a repeatable request is sent again after %i", async (status) => {
    const server = await scripted(answer(status, "wait"), answer(status, "wait"), answer(200, "ok"))
    expect(await textOf(await client(server.port).request({ method: "PUT", body: Buffer.from("b") }))).toBe("ok")
    expect(server.seen.map(({ body }) => body.toString())).toEqual(["b", "b", "b"])
  })

  it.each([400, 403, 404, 409, 412, 416, 501])("and not after %i", async (status) => {
    const server = await scripted(answer(status), answer(200))
    expect((await client(server.port).request()).status).toBe(status)
    expect(server.seen).toHaveLength(1)
  })

  it("ends after the attempts allowed, with the last answer", async () => {
    const server = await scripted(answer(503, "busy"))
    const response = await client(server.port, { attempts: 3 }).request()
    expect([response.status, await textOf(response), server.seen.length]).toEqual([503, "busy", 3])
  })

  it("ends after the attempts allowed, with unavailable where no answer came", async () => {
    const server = await scripted(reset)
    expect(await codeOf(client(server.port, { attempts: 3 }).request())).toBe("unavailable")
    expect(server.seen).toHaveLength(3)
  })

  it.each([["a 503", answer(503)], ["a 500", answer(500)], ["a 429", answer(429)], ["a reset", reset]])(
    "a request that is not repeatable is not sent again after %s",
    async (_, step) => {
      const server = await scripted(step, answer(200))
      const sent = client(server.port).request({ method: "PUT", body: Buffer.from("b"), repeatable: false })
      expect(await codeOf(sent)).toBe(step === reset ? "unavailable" : "no failure")
      expect(server.seen).toHaveLength(1)
    },
  )

  it("any request is sent again where no connection was made", async () => {
    const server = await scripted(answer(200))
    const [{ server: closing } = { server: undefined }] = servers
    closing?.close()
    const { request, made } = client(server.port, { attempts: 4 })
    expect(await codeOf(request({ method: "PUT", body: Buffer.from("b"), repeatable: false }))).toBe("unavailable")
    expect(made.attempts).toBe(4)
  })

  it("makes the headers anew for each attempt", async () => {
    const server = await scripted(answer(500), answer(500), answer(200))
    const { request, made } = client(server.port)
    await request()
    expect(made.attempts).toBe(3)
  })

  it("waits a random time of up to twice as much as before", async () => {
    const server = await scripted(answer(500))
    const asked: number[] = []
    const random = () => {
      asked.push(asked.length)
      return 0
    }
    await client(server.port, { attempts: 4, random, backOff: 10_000_000 }).request() // hours, but for the 0
    expect(asked).toHaveLength(3)
  })

  it("stops waiting when the caller gives up", async () => {
    const abort = new AbortController()
    const server = await scripted((request, response, body) => {
      setTimeout(() => abort.abort(), 20)
      answer(503)(request, response, body)
    })
    const slow = client(server.port, { backOff: 1_000_000, random: () => 0.999 })
    expect(await codeOf(slow.request({ signal: abort.signal }))).toBe("unavailable")
    expect(server.seen).toHaveLength(1)
  })
})

describe("a kept-alive connection that died", () => {
  /** Answers the first request, and resets the connection at the first byte of the second. */
  async function dying(): Promise<{ port: number; requests: () => number }> {
    let requests = 0
    const server = createSocketServer((socket) => {
      let first = true
      socket.on("error", () => {})
      socket.on("data", () => {
        requests++
        if (requests === 2 && !first) return void socket.resetAndDestroy()
        first = false
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
      })
    })
    return { port: await listen(server), requests: () => requests }
  }

  it("costs a repeatable request none of its attempts", async () => {
    const server = await dying()
    const { request } = client(server.port, { attempts: 2, backOff: 1_000_000_000, random: () => 1 })
    await textOf(await request())
    expect(await textOf(await request({ method: "PUT", body: Buffer.from("b") }))).toBe("ok")
    expect(server.requests()).toBe(3)
  })

  it("ends a request that is not repeatable: unavailable", async () => {
    const server = await dying()
    const { request } = client(server.port)
    await textOf(await request())
    expect(await codeOf(request({ method: "PUT", body: Buffer.from("b"), repeatable: false }))).toBe("unavailable")
    expect(server.requests()).toBe(2)
  })

  it("is found by a large stream before its body is begun, which then goes over a new one", async () => {
    const bytes = patterned(2 * 1024 * 1024)
    const server = await scripted(answer(200, "ok"), (request, response, body) => {
      answer(200, body.equals(bytes) ? "whole" : "damaged")(request, response, body)
    })
    const first = servers[0]
    const { request } = client(server.port)
    await textOf(await request())
    for (const socket of first?.sockets ?? []) socket.resetAndDestroy()
    const body = { length: bytes.length, stream: pieces(bytes, 65_536) }
    expect(await textOf(await request({ method: "PUT", body, repeatable: false }))).toBe("whole")
  })
})

describe("time", () => {
  it("a server that says nothing is given up after the idle time: unavailable", async () => {
    const server = await scripted(() => {})
    expect(await codeOf(client(server.port, { idleTimeout: 50, attempts: 2 }).request())).toBe("unavailable")
    expect(server.seen).toHaveLength(2)
  })

  it("a server that stops in the middle of its body breaks the body off", async () => {
    const server = await scripted((_, response) => void response.writeHead(200, { "content-length": 10 }).write("half"))
    const response = await client(server.port, { idleTimeout: 50 }).request()
    expect(await codeOf(textOf(response))).toBe("unavailable")
  })

  it("a reader that takes longer than the idle time loses nothing", async () => {
    const bytes = patterned(4 * 1024 * 1024)
    const server = await scripted((_, response) => {
      response.writeHead(200, { "content-length": bytes.length }).end(bytes)
    })
    const { body } = await client(server.port, { idleTimeout: 40 }).request()
    const chunks: Uint8Array[] = []
    for await (const chunk of chunksOf(body)) {
      if (chunks.length === 0) await new Promise((resolve) => setTimeout(resolve, 200))
      chunks.push(chunk)
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
  })

  it("a body stream that takes longer than the idle time is waited for", async () => {
    const server = await scripted(answer(200, "ok"))
    async function* slow() {
      yield Buffer.from("a")
      await new Promise((resolve) => setTimeout(resolve, 200))
      yield Buffer.from("b")
    }
    const body = { length: 2, stream: slow() }
    expect(await textOf(await client(server.port, { idleTimeout: 40 }).request({ method: "PUT", body }))).toBe("ok")
    expect(server.seen[0]?.body.toString()).toBe("ab")
  })

  it("the caller's signal ends a request that waits, and one whose body is being read", async () => {
    const waiting = await scripted(() => {})
    expect(await codeOf(client(waiting.port).request({ signal: AbortSignal.timeout(30) }))).toBe("unavailable")
    expect(waiting.seen).toHaveLength(1)
    const half = await scripted((_, response) => void response.writeHead(200, { "content-length": 10 }).write("half"))
    const response = await client(half.port).request({ signal: AbortSignal.timeout(30) })
    expect(await codeOf(textOf(response))).toBe("unavailable")
  })

  it("a signal that was given up already sends nothing", async () => {
    const server = await scripted(answer(200))
    expect(await codeOf(client(server.port).request({ signal: AbortSignal.abort() }))).toBe("unavailable")
    expect(server.seen).toEqual([])
  })
})

describe("an answer's body", () => {
  const cut: [string, string][] = [
    ["before its Content-Length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"],
    ["in the middle of a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhalf"],
    ["before the last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
  ]
  it.each(cut)("that ends %s fails", async (_, text) => {
    const port = await listen(createSocketServer((socket) => void socket.once("data", () => socket.end(text))))
    const response = await client(port, { attempts: 1 }).request()
    expect(await codeOf(textOf(response))).toBe("unavailable")
  })

  it.each(cut)("that ends %s fails also when reading begins later", async (_, text) => {
    const port = await listen(createSocketServer((socket) => void socket.once("data", () => socket.end(text))))
    const response = await client(port, { attempts: 1 }).request()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await codeOf(textOf(response))).toBe("unavailable")
  })

  it("longer than the limit is refused: store-refused", async () => {
    const server = await scripted(answer(200, "x".repeat(1001)))
    expect(await codeOf(textOf(await client(server.port).request()))).toBe("store-refused")
  })
})

describe("a body stream", () => {
  it("waits for the connection: no more is asked for than the server takes", async () => {
    let given = 0
    async function* endless() {
      for (; given < 1000; given++) yield Buffer.alloc(1024 * 1024)
    }
    const stopped = createServer((request) => void request.pause())
    const port = await listen(stopped)
    const body = { length: 1000 * 1024 * 1024, stream: endless() }
    await codeOf(client(port, { idleTimeout: 300 }).request({ method: "PUT", body, repeatable: false }))
    expect(given).toBeLessThan(50) // what kernels buffer on loopback is a few MiB
  })

  it("may reuse a chunk's memory as soon as it is asked for the next one", async () => {
    const bytes = patterned(8 * 1024 * 1024)
    const server = await scripted(answer(200))
    await client(server.port).request({ method: "PUT", body: { length: bytes.length, stream: pieces(bytes, 100_003) } })
    expect(server.seen[0]?.body.equals(bytes)).toBe(true)
  })

  /** Waits until the connections to the first server are closed. */
  async function disconnected() {
    for (const socket of servers[0]?.sockets ?? []) {
      if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve))
    }
  }

  const failures = [["at once", 0], ["after its last byte", 5], ["half-way", 10], ["half-way", 2_000_000]] as const
  it.each(failures)("that fails %s, of %i bytes, ends no request, and its own error comes out", async (_, length) => {
    const server = await scripted(answer(200))
    async function* failing() {
      yield Buffer.alloc(Math.min(length, 5))
      throw new RangeError("the source broke")
    }
    const sent = client(server.port).request({ method: "PUT", body: { length, stream: failing() } })
    await expect(sent).rejects.toThrow(new RangeError("the source broke"))
    await disconnected()
    expect(server.ended()).toBe(0)
  })

  const lengths = [["longer", 0], ["longer", 5], ["longer", 9], ["shorter", 11]] as const
  it.each(lengths)("of 10 bytes that is %s than its length, %i, fails the request", async (word, length) => {
    const server = await scripted(answer(200))
    const body = { length, stream: pieces(Buffer.alloc(10), 5) }
    const sent = client(server.port).request({ method: "PUT", body })
    await expect(sent).rejects.toThrow(`the body is ${word} than its length`)
    await disconnected()
    expect(server.ended()).toBe(0)
  })

  it("is asked for nothing when a large request is refused before its body", async () => {
    const server = createServer()
    server.on("checkContinue", (_, response) => response.writeHead(412, { "content-length": 0 }).end())
    const port = await listen(server)
    let given = 0
    async function* counted() {
      given++
      yield Buffer.alloc(2_000_000)
    }
    const response = await client(port).request({ method: "PUT", body: { length: 2_000_000, stream: counted() } })
    expect([response.status, given]).toEqual([412, 0])
  })

  it("is sent after a second to a server that does not say whether it wants it", async () => {
    const server = await scripted(answer(200, "ok"))
    const [{ server: listening } = { server: undefined }] = servers
    listening?.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      listening.emit("request", request, response)
    })
    const body = { length: 2_000_000, stream: pieces(Buffer.alloc(2_000_000), 65_536) }
    expect(await textOf(await client(server.port).request({ method: "PUT", body }))).toBe("ok")
  })

  it("is stopped by an answer that comes while it is being sent", async () => {
    let given = 0
    async function* counted() {
      for (; given < 1000; given++) {
        yield Buffer.alloc(1024 * 1024)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const port = await listen(createServer((request, response) => {
      request.once("data", () => response.writeHead(403, { "content-length": 4 }).end("stop"))
    }))
    const body = { length: 1000 * 1024 * 1024, stream: counted() }
    const response = await client(port).request({ method: "PUT", body })
    expect([response.status, await textOf(response)]).toEqual([403, "stop"])
    expect(given).toBeLessThan(1000)
  })

  it.each([10, 2_000_000])("of %i bytes is not stored by a success that comes before its end", async (length) => {
    const port = await listen(createServer((request, response) => {
      request.once("data", () => response.writeHead(200, { "content-length": 0 }).end())
    }))
    async function* slow() {
      yield Buffer.alloc(5)
      await new Promise(() => {}) // until the answer comes
    }
    const sent = client(port).request({ method: "PUT", body: { length, stream: slow() } })
    expect(await codeOf(sent)).toBe("unavailable")
    await disconnected()
  })
})
