import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { S3ServerOptions } from "../local/s3-server.ts"
import { decodeChunks } from "../local/s3/chunked.ts"
import { S3Error } from "../local/s3/errors.ts"
import { Failure } from "../shared/errors.ts"
import type { ObjectInfo, Store } from "../shared/ports.ts"
import { patterned, pieces } from "./bytes.ts"
import {
  credentials, exchange, head, openEndpoint, send, serveStore, signed,
  type RawRequest, type TestEndpoint,
} from "./s3-endpoint.ts"
import { checksumOf, chunkedHeaders, signedRequest, unsignedChunks, unsignedTrailer } from "./s3-framing.ts"

let endpoint: TestEndpoint
beforeAll(async () => {
  endpoint = await openEndpoint()
  await send(endpoint.server, { method: "PUT", target: "/raw" })
})
afterAll(() => endpoint.close())

const hello = Buffer.from("hello, world")
const ask = (raw: RawRequest) => send(endpoint.server, raw)
const text = async (target: string) => (await ask({ method: "GET", target })).body

describe("bodies", () => {
  const checksums = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const

  it.each(checksums)("with the right %s are stored and answered with it", async (name) => {
    const value = checksumOf(name, hello)
    const header = { [`x-amz-checksum-${name}`]: value }
    const plain = await ask({ method: "PUT", target: "/raw/sum", body: hello, headers: header })
    expect([plain.status, plain.headers[`x-amz-checksum-${name}`]]).toEqual([200, value])
    const body = unsignedChunks([hello.subarray(0, 1), hello.subarray(1)], header)
    const headers = chunkedHeaders(hello, `x-amz-checksum-${name}`)
    const chunked = await ask({ method: "PUT", target: "/raw/sum", body, headers, payload: unsignedTrailer })
    expect([chunked.status, chunked.headers[`x-amz-checksum-${name}`]]).toEqual([200, value])
    expect(await text("/raw/sum")).toBe("hello, world")
  })

  it("in signed chunks are stored, with a trailer and without", async () => {
    for (const trailers of [undefined, { "x-amz-checksum-crc32": checksumOf("crc32", hello) }]) {
      expect((await exchange(endpoint.server, signedRequest(endpoint.server, hello, trailers))).status).toBe(200)
      expect(await text("/raw/k")).toBe("hello, world")
      await ask({ method: "DELETE", target: "/raw/k" })
    }
  })

  it("with the right MD5 are stored", async () => {
    const headers = { "content-md5": checksumOf("md5", hello) }
    expect((await ask({ method: "PUT", target: "/raw/md5", body: hello, headers })).status).toBe(200)
  })

  it("keep their other content encodings, but not aws-chunked", async () => {
    const headers = { ...chunkedHeaders(hello), "content-encoding": "aws-chunked, gzip" }
    const body = unsignedChunks([hello], {})
    await ask({ method: "PUT", target: "/raw/gz", body, headers, payload: unsignedTrailer })
    expect((await ask({ method: "HEAD", target: "/raw/gz" })).headers["content-encoding"]).toBe("gzip")
  })

  it("decode the same wherever the network cuts the framing", async () => {
    const bytes = patterned(1000)
    const chunks = [bytes.subarray(0, 1), bytes.subarray(1, 600), bytes.subarray(600)]
    const framed = unsignedChunks(chunks, { "x-amz-checksum-crc32": "AAAAAA==" })
    for (const size of [1, 2, 3, 7, 64, 1001]) {
      const decoded = decodeChunks(pieces(framed, size), { trailer: true })
      const received: Buffer[] = []
      let step = await decoded.next()
      for (; !step.done; step = await decoded.next()) received.push(Buffer.from(step.value))
      expect(Buffer.concat(received).equals(bytes)).toBe(true)
      expect([...step.value]).toEqual([["x-amz-checksum-crc32", "AAAAAA=="]])
    }
  })

  it("of an endless line are not collected", async () => {
    let taken = 0
    const endless = async function* () {
      for (; taken < 1000; taken++) yield Buffer.alloc(1000, "0")
    }
    await expect(decodeChunks(endless(), { trailer: true }).next()).rejects.toThrow(S3Error)
    expect(taken).toBeLessThan(3)
  })

  it("of XML are refused over their limit, malformed, with another root, or with a document type", async () => {
    const versioning = (body: string) => ask({ method: "PUT", target: "/raw?versioning", body: Buffer.from(body) })
    expect((await versioning("<VersioningConfiguration>" + " ".repeat(1 << 20))).code).toBe("MaxMessageLengthExceeded")
    for (const body of [
      "", "no xml", "<VersioningConfiguration>", "<Other><Status>Enabled</Status></Other>", "\u00ff<<<",
      "<!DOCTYPE a [<!ENTITY b 'Enabled'>]><VersioningConfiguration><Status>&b;</Status></VersioningConfiguration>",
    ]) {
      expect((await versioning(body)).code).toBe("MalformedXML")
    }
  })
})

describe("If-Range", () => {
  it("lets a range be answered only of the object that it names; else the whole is", async () => {
    await ask({ method: "PUT", target: "/raw/parts", body: hello })
    const info = await ask({ method: "HEAD", target: "/raw/parts" })
    const answer = async (validator: string, range: string) => {
      const headers = { range, "if-range": validator }
      const { status, body } = await ask({ method: "GET", target: "/raw/parts", headers })
      return [status, body]
    }
    for (const validator of [info.headers["etag"] ?? "", info.headers["last-modified"] ?? ""]) {
      expect(await answer(validator, "bytes=7-11")).toEqual([206, "world"])
    }
    for (const validator of ['"other"', "Thu, 01 Jan 1970 00:00:00 GMT"]) {
      expect(await answer(validator, "bytes=7-11")).toEqual([200, "hello, world"])
      expect(await answer(validator, "bytes=99-")).toEqual([200, "hello, world"])
    }
  })
})

describe("connections", () => {
  /** Reads until what was received matches, or the connection ends. */
  const readUntil = async (socket: Socket, pattern: RegExp) => {
    let received = ""
    for (let turn = 0; turn < 1000 && !pattern.test(received) && !socket.readableEnded; turn++) {
      const bytes: unknown = socket.read()
      if (Buffer.isBuffer(bytes)) received += bytes.toString("latin1")
      else await Promise.race([once(socket, "readable"), once(socket, "close")])
    }
    return received
  }
  const opened = () => connect(endpoint.server.port, "127.0.0.1")
  const expecting = (body: Buffer, more: Partial<RawRequest> = {}): Buffer => {
    const raw: RawRequest = { method: "PUT", target: "/raw/expected", body, ...more }
    return head(raw, [...signed(endpoint.server, raw), ["expect", "100-continue"]])
  }

  it("a client that expects 100-continue is told to go on before it sends its body", async () => {
    const socket = opened()
    socket.write(expecting(hello))
    expect(await readUntil(socket, /\r\n\r\n/)).toBe("HTTP/1.1 100 Continue\r\n\r\n")
    socket.write(hello)
    expect(await readUntil(socket, /\r\n\r\n/)).toMatch(/^HTTP\/1.1 200 /)
    socket.destroy()
    expect(await text("/raw/expected")).toBe("hello, world")
  })

  it.each([
    ["a wrong secret", { credentials: { ...credentials, secretAccessKey: "x" } }, "SignatureDoesNotMatch"],
    ["too much metadata", { headers: { "x-amz-meta-a": "x".repeat(2048) } }, "MetadataTooLarge"],
    ["over 5 GiB", { headers: { "content-length": String(5 * 1024 ** 3 + 1) } }, "EntityTooLarge"],
    ["an absent bucket", { target: "/not-there/k", body: patterned(20_000) }, "NoSuchBucket"],
  ] as const)("one with %s is refused before it sends its body, and the connection closed", async (_, more, code) => {
    const socket = opened()
    socket.write(expecting(hello, more))
    const answer = await readUntil(socket, /<\/Error>/)
    expect(answer).toMatch(/^HTTP\/1.1 4/)
    expect(answer).toContain(`<Code>${code}</Code>`)
    expect(answer.toLowerCase()).toContain("\r\nconnection: close\r\n")
    socket.destroy()
  })

  const body = patterned(3_000_000)
  it.each([
    ["unread", { headers: { "x-amz-storage-class": "FAST" } }, "InvalidStorageClass"],
    ["half read", { headers: chunkedHeaders(hello), payload: unsignedTrailer }, "IncompleteBody"],
  ])("a connection serves on after a request that was refused with its large body %s", async (_, more, code) => {
    const answers = await exchangeAll([
      { method: "PUT", target: "/raw/k", body, ...more },
      { method: "GET", target: "/raw?location" },
    ])
    expect(answers).toMatch(new RegExp(`${code}[^]*HTTP/1.1 200 [^]*LocationConstraint`))
  })
  const exchangeAll = async (requests: readonly RawRequest[]) => {
    const socket = opened()
    for (const raw of requests) {
      socket.write(head(raw, signed(endpoint.server, raw)))
      if (raw.body) socket.write(raw.body)
    }
    const received = await readUntil(socket, /LocationConstraint/)
    socket.destroy()
    return received
  }

  it("what was wrong with a body is answered also where the store says only that it failed", async () => {
    const vague = await instead({
      put: async (_, body) => {
        if (body instanceof Uint8Array) throw new Error("not a stream")
        try {
          for await (const bytes of body.stream) expect(bytes.length).toBeGreaterThan(0)
        } catch {
          throw new Failure("unavailable", "something went wrong")
        }
        return { etag: "x" }
      },
    })
    const headers = { "x-amz-checksum-crc32": "AAAAAA==" }
    expect((await send(vague.server, { method: "PUT", target: "/raw/k", body, headers })).code).toBe("BadDigest")
    await vague.close()
  })

  it("a listener that fails is logged and does not fail the write that it is told of", async () => {
    const deaf = await instead({ put: async () => ({ etag: "x" }) }, async () => { throw new Error("nobody listens") })
    expect((await send(deaf.server, { method: "PUT", target: "/raw/k", body: hello })).status).toBe(200)
    expect(deaf.logged.join()).toContain("nobody listens")
    await deaf.close()
  })

  const info: ObjectInfo = { size: 1 << 30, etag: "x", lastModified: 0, metadata: {} }
  /** The endpoint's own store, but for what a test puts in its place. */
  const instead = async (some: Partial<Store>, onWrite?: S3ServerOptions["onWrite"]) => {
    const settings = {
      versioning: "off", mfaDelete: false, objectLock: false, defaultRetention: false, replicated: false, notifies: false,
      policy: false, lifecycle: [],
    } as const
    const none = (): never => { throw new Error("not part of this test") }
    const rest: Store = {
      get: none, head: none, put: none, copy: none, delete: none, list: none, listVersions: none,
      deleteMarker: none, getTags: none, putTags: none,
      createUpload: none, putPart: none, completeUpload: none, abortUpload: none, listParts: none, listUploads: none,
      createBucket: none, deleteBucket: none, listBuckets: none, bucketSettings: async () => settings,
      setVersioning: none,
    }
    return serveStore({ ...rest, ...some }, onWrite)
  }

  it("a store that fails half-way through a get breaks the connection, and the answer is not whole", async () => {
    const broken = await instead({
      get: async () => ({ ...info, size: 1000, cancel: () => undefined, body: (async function* () {
        yield Buffer.from("first")
        throw new Error("the disk is gone")
      })() }),
    })
    const raw: RawRequest = { method: "GET", target: "/raw/k" }
    const socket = connect(broken.server.port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.write(head(raw, signed(broken.server, raw)))
    const received = await readUntil(socket, /a clean end would never match/)
    expect(received.length).toBeLessThan(1000)
    expect(socket.destroyed || socket.readableEnded).toBe(true)
    expect(broken.logged.join()).toContain("the disk is gone")
    await broken.close()
  })

  it("an error of the server's own is InternalError, tells nothing, and is logged with the request's id", async () => {
    const broken = await instead({ list: async () => { throw new Error("secret") } })
    const answer = await send(broken.server, { method: "GET", target: "/raw" })
    expect([answer.status, answer.code]).toEqual([500, "InternalError"])
    expect(answer.body).not.toContain("secret")
    expect(broken.logged.join()).toContain(answer.headers["x-amz-request-id"])
    await broken.close()
  })

  /** Waits until a count no longer grows. */
  const settled = async (count: () => number) => {
    for (let turn = 0, before = -1; turn < 200 && count() !== before; turn++) {
      before = count()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return count()
  }

  it("a get reads no more of the store than its client takes, and gives up with it", async () => {
    const source = { taken: 0, givenUp: false }
    const slow = await instead({
      get: async () => ({ ...info, cancel: () => void (source.givenUp = true), body: (async function* () {
        for (; source.taken < info.size; source.taken += 65_536) yield Buffer.alloc(65_536)
      })() }),
    })
    const raw: RawRequest = { method: "GET", target: "/raw/k" }
    const socket = connect(slow.server.port, "127.0.0.1")
    socket.write(head(raw, signed(slow.server, raw)))
    socket.pause()
    expect(await settled(() => source.taken)).toBeLessThan(32 << 20) // What the kernel's socket buffers take, at most.
    socket.destroy()
    for (let turn = 0; turn < 200 && !source.givenUp; turn++) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(source.givenUp).toBe(true)
    await slow.close()
  })

  it("a put reads no more of its client than the store takes", async () => {
    let open: () => void = () => undefined
    const waiting = new Promise<void>((resolve) => { open = resolve })
    const slow = await instead({ put: async () => { await waiting; throw new Error("refused in the end") } })
    const headers = { "content-length": String(256 << 20) }
    const raw: RawRequest = { method: "PUT", target: "/raw/k", headers, payload: "UNSIGNED-PAYLOAD" }
    const socket = connect(slow.server.port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.write(head(raw, signed(slow.server, raw)))
    socket.write(Buffer.alloc(256 << 20))
    expect(await settled(() => socket.bytesWritten - socket.writableLength)).toBeLessThan(32 << 20)
    socket.destroy()
    open()
    await slow.close()
  })

  it("closing ends connections that are kept alive, and soon cuts a request that hangs", async () => {
    const hanging = await instead({ head: () => new Promise(() => undefined) })
    const [settings, object] = [{ method: "GET", target: "/raw?location" }, { method: "HEAD", target: "/raw/k" }]
    const idle = connect(hanging.server.port, "127.0.0.1")
    idle.write(head(settings, signed(hanging.server, settings)))
    await readUntil(idle, /LocationConstraint/)
    const stuck = connect(hanging.server.port, "127.0.0.1")
    stuck.on("error", () => undefined)
    stuck.write(head(object, signed(hanging.server, object)))
    await once(stuck, "connect")
    await hanging.close()
    for (const socket of [idle, stuck]) if (!socket.destroyed) await once(socket.resume(), "close")
  })
})
