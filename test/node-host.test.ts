import { request, type IncomingMessage } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Failure } from "../shared/errors.ts"
import { bodyOf } from "../shared/runtime/body.ts"
import { nodeHost, type NodeHost } from "../shared/runtime/node.ts"
import { patterned } from "./bytes.ts"
import { curl } from "./stack-process.ts"

const plaintext = patterned(1_000_000)
const cancelled: string[] = []

/** Gives pieces in one memory that it uses again, and fails behind the third where it is told to. */
async function* body(fails: boolean): AsyncGenerator<Uint8Array, void> {
  const memory = Buffer.alloc(100_000)
  try {
    for (let from = 0; from < plaintext.length; from += memory.length) {
      if (fails && from === 300_000) throw new Failure("undecryptable", "secret words")
      memory.set(plaintext.subarray(from, from + memory.length))
      yield memory
    }
  } finally {
    cancelled.push("closed")
  }
}

const answers: Record<string, () => Response> = {
  "/whole": () => new Response(bodyOf(body(false)), { headers: { "content-length": "1000000" } }),
  "/chunked": () => new Response(bodyOf(body(false))),
  "/fails": () => new Response(bodyOf(body(true)), { headers: { "content-length": "1000000" } }),
  "/fails-chunked": () => new Response(bodyOf(body(true))),
}

describe("the Node host", () => {
  let host: NodeHost
  let url: string
  beforeAll(async () => {
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
    const handle = async (incoming: Request) => answers[new URL(incoming.url).pathname]?.() ?? new Response(incoming.url, { status: 404 })
    host = await nodeHost({ handle, log, version: "1.2.3", port: 0, hostname: "127.0.0.1" })
    url = `http://127.0.0.1:${host.port}`
  })
  afterAll(() => host.close(0))

  it.each(["/whole", "/chunked"])("sends a stream whole: %s", async (path) => {
    const response = await fetch(url + path)
    expect(Buffer.from(await response.arrayBuffer()).equals(plaintext)).toBe(true)
  })

  it.each(["/fails", "/fails-chunked"])("breaks the connection under a stream that fails half-way, and adds no byte to it: %s", async (path) => {
    const got: Buffer[] = []
    const ended = await new Promise((resolve) => {
      request(url + path, (response: IncomingMessage) => {
        response.on("data", (chunk: Buffer) => void got.push(chunk))
        response.on("end", () => resolve("cleanly"))
        response.on("error", (error: NodeJS.ErrnoException) => resolve(error.code))
      }).end()
    })
    expect(ended).toBe("ECONNRESET")
    const bytes = Buffer.concat(got)
    expect(bytes.length).toBeLessThanOrEqual(300_000)
    expect(bytes.equals(plaintext.subarray(0, bytes.length))).toBe(true)
    const { exit } = await curl(url + path, {})
    expect([18, 56]).toContain(exit) // "transfer closed with outstanding read data remaining", "failure in receiving"
  })

  it("stops reading when the caller goes away", async () => {
    cancelled.length = 0
    const gone = new AbortController()
    const response = await fetch(`${url}/whole`, { signal: gone.signal })
    await response.body?.getReader().read()
    gone.abort()
    for (let tries = 0; cancelled.length === 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(cancelled).toEqual(["closed"])
  })

  it.each(["/a/../b", "/a/%2e%2e/b", "/a/%2E./b", "/./a", "/objects/x/..%2fy/.."])("refuses a raw path with a dot segment: %s", async (path) => {
    const status = await new Promise((resolve) => void request({ port: host.port, host: "127.0.0.1", path }, (response) => resolve(response.resume().statusCode)).end())
    expect(status).toBe(400)
  })

  it("answers GET /health", async () => {
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok", version: "1.2.3" })
  })

  it("says which port is taken", async () => {
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
    const again = nodeHost({ handle: async () => new Response(), log, version: "", port: host.port, hostname: "127.0.0.1" })
    await expect(again).rejects.toThrow(`port ${host.port} is taken`)
  })
})
