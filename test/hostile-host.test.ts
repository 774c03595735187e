/** The Node host under bytes that are no request of HTTP, or hardly one. */
import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { nodeHost, type NodeHost } from "../shared/runtime/node.ts"
import { hostWorld, KMS, type HostWorld } from "./host-world.ts"

let world: HostWorld
let host: NodeHost

beforeAll(async () => {
  world = await hostWorld()
  host = await nodeHost({ handle: world.handle, log: world.context.log, version: "1", port: 0, hostname: "127.0.0.1" })
})
afterAll(async () => {
  await host.close()
  await world.close()
})

/** Writes the lines, and gives the status and the error body of the first answer. */
async function asked(...lines: readonly string[]): Promise<readonly [status: number, errorMsg: string]> {
  const socket = connect(host.port, "127.0.0.1")
  socket.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"))
  let text = ""
  for await (const bytes of socket.iterator() as AsyncIterable<Buffer>) {
    text += bytes.toString("latin1")
    if (text.includes("\r\n\r\n") && /[}\n]$/.test(text)) break // the whole of an answer that is JSON
  }
  socket.destroy()
  return [Number(text.split(" ")[1]), /"errorMsg":"([^"]+)"/.exec(text)?.[1] ?? ""]
}

const refusals: readonly (readonly [what: string, status: number, lines: readonly string[]])[] = [
  ["no request", 400, ["GARBAGE"]], ["a control character in its target", 400, ["GET /\x01 HTTP/1.1", "Host: a"]], ["a huge header", 431, ["GET /health HTTP/1.1", "Host: a", `X: ${"x".repeat(20_000)}`]],
  ["two lengths", 400, ["POST /authorize HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2", "", "x"]], ["chunks that are none", 400, ["POST /events HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "zz"]],
  ["no host", 400, ["GET /health HTTP/1.1"]], ["a host with a blank", 400, ["GET /health HTTP/1.1", "Host: a b"]], ["a host with a path", 400, ["GET /health HTTP/1.1", "Host: evil.example/@x"]], ["a port that there is not", 400, ["GET /health HTTP/1.1", "Host: a:99999"]],
  ["a star for a target", 400, ["OPTIONS * HTTP/1.1", "Host: a"]], ["a backslash in its path", 400, ["GET /\\evil.example HTTP/1.1", "Host: a"]], ["dot segments in an absolute target", 400, ["GET http://a/objects/photos/x/../y HTTP/1.1", "Host: a"]],
  ["an expectation that there is not, and no token", 401, ["GET /status HTTP/1.1", "Host: a", "Expect: 200-ok"]], ["half a percent code in its path", 400, ["GET /objects/photos/%4 HTTP/1.1", "Host: a", `Bluemix-Instance: ${KMS}`]],
]

describe("a request with", () => {
  it.each(refusals)("%s is refused with an error body of ours", async (_, status, lines) => {
    const [given, message] = await asked(...lines)
    expect([given, message.length > 10]).toEqual([status, true])
    expect((await fetch(`http://127.0.0.1:${host.port}/health`)).status).toBe(200)
  })
})

it("what breaks off behind a request is answered after it, never in its place", async () => {
  const socket = connect(host.port, "127.0.0.1")
  const get = ["GET /status HTTP/1.1", "Host: a", `Authorization: Bearer ${world.ownerToken}`, "", ""].join("\r\n")
  socket.write(`${get}${get}GARBAGE\r\n\r\n`)
  const text = Buffer.concat(await socket.toArray() as Buffer[]).toString("latin1")
  expect([...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => status)).toEqual(["200", "200", "400"])
})
