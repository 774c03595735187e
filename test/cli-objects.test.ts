import type { ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import { copyFile, mkdtemp, open, readdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type PutObjectCommandInput } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { parseHeader } from "../shared/crypto/header.ts"
import { s3ClientOf } from "./api.ts"
import { bucketseal, type Around, type Ran } from "./cli-process.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const BUCKET = "letters"
const OTHER = "unregistered"
const UNAUTHORIZED = "unauthorized"
const big = randomBytes(1_000_003) // 61 chunks and a rest
let stack: StackProcess
let folder: string // a new one for each test
let key: string // the root key of the registered bucket
let policy: string // the authorization for it

const run = (args: readonly string[], around: Partial<Around> = {}): Promise<Ran> =>
  bucketseal(args, { cwd: folder, env: { ...stack.env, BUCKETSEAL_DATA: stack.folder }, ...around })

/** Runs what must succeed, and gives what it printed. */
async function print(args: readonly string[]): Promise<string> {
  const { code, out, err } = await run(args)
  if (code !== 0) throw new Error(err)
  return out.trim()
}

const place = (name: string, bucket = BUCKET): string => `s3://${bucket}/${name}`
const put = (Key: string, Body: Uint8Array | string, more: Partial<PutObjectCommandInput> = {}, Bucket = BUCKET) =>
  s3ClientOf(stack.env).send(new PutObjectCommand({ Bucket, Key, Body, ...more }))

async function stored(Key: string): Promise<Buffer> {
  const { Body } = await s3ClientOf(stack.env).send(new GetObjectCommand({ Bucket: BUCKET, Key }))
  return Buffer.from(await Body?.transformToByteArray() ?? [])
}

async function putSealed(name: string, body: Uint8Array | string, more: Partial<PutObjectCommandInput> = {}): Promise<void> {
  await put(name, body, more)
  await print(["seal", place(name)])
}

/** Changes one byte in the middle of a stored object. */
async function damage(name: string): Promise<void> {
  const bytes = await stored(name)
  const middle = Math.floor(bytes.length / 2)
  bytes[middle] = (bytes[middle] ?? 0) ^ 1
  await put(name, bytes)
}

beforeAll(async () => {
  stack = await startStackProcess({ BUCKETSEAL_CACHE_SECONDS: "0", BUCKETSEAL_LOG_LEVEL: "warn" })
  folder = await mkdtemp(join(tmpdir(), "bucketseal-cli-objects-"))
  for (const Bucket of [BUCKET, OTHER, UNAUTHORIZED]) await s3ClientOf(stack.env).send(new CreateBucketCommand({ Bucket }))
  key = await print(["keys", "create", "kept"])
  policy = await print(["authorize", "--key", key])
  await print(["register", `s3://${BUCKET}`, "--key", key, "--settle", "3600"]) // nothing is sealed before a test says so
  const revoked = await print(["keys", "create", "revoked"])
  const revokedPolicy = await print(["authorize", "--key", revoked])
  await print(["register", `s3://${UNAUTHORIZED}`, "--key", revoked, "--settle", "0"])
  await print(["authorize", "remove", revokedPolicy])
  await putSealed("big", big)
})

beforeEach(async () => {
  await removeFolder(folder)
  folder = await mkdtemp(join(tmpdir(), "bucketseal-cli-objects-"))
})

afterAll(async () => {
  await stack.stop()
  await removeFolder(stack.folder)
  await removeFolder(folder)
})

describe("bucketseal seal s3://…", () => {
  it("seals at once what has not settled yet, and again changes nothing", async () => {
    await put("now", "plain text")
    expect(await run(["seal", place("now")])).toMatchObject({ code: 0, out: "sealed s3://letters/now\n" })
    const sealed = await stored("now")
    expect(sealed.subarray(0, 13).toString()).toBe("bucketseal/1\n")
    const again = await run(["seal", place("now"), "--json"])
    expect([again.code, JSON.parse(again.out)]).toEqual([0, [{ bucket: BUCKET, key: "now", outcome: "already-sealed" }]])
    expect(await stored("now")).toEqual(sealed)
  })

  it("takes keys as they are, opens them again, and shows no control of theirs raw", async () => {
    const names = ["with  spaces", "100%41+b", "ü/ñ 日本 😀", "-dash", "a//b/./c", "?#&=", "\u001b[31mred\u0007", "new\nline", "'quoted\"", "über\u0301\u202e"]
    for (const name of names) await put(name, `text of ${name}`)
    const sealed = await run(["seal", ...names.map((name) => place(name))])
    expect(sealed.code).toBe(0)
    expect(sealed.out.split("\n")).toHaveLength(names.length + 1)
    expect(sealed.out).toContain(String.raw`\u001b[31mred\u0007`)
    expect(sealed.out).not.toMatch(/[^\P{Cc}\n]|\u202e/u)
    const opened = await Promise.all(names.map((name) => run(["open", place(name)])))
    expect(opened.map(({ code, out }) => [code, out])).toEqual(names.map((name) => [0, `text of ${name}`]))
  })

  it("without the authorization: exit code 3, and the command that makes it", async () => {
    await put("x", "plain", {}, UNAUTHORIZED)
    const { code, out } = await run(["seal", place("x", UNAUTHORIZED)])
    expect([code, out]).toEqual([3, expect.stringMatching(/^parked s3:\/\/unauthorized\/x \(not-authorized\)\n {2}its authorization is missing: bucketseal authorize --bucket-instance \S+ --key-instance \S+ --key \S+\n$/)])
  })

  it("one of several not sealed: exit code 4; none: 1", async () => {
    await put("one", "plain")
    await put("x", "plain", {}, OTHER)
    const mixed = await run(["seal", place("one"), place("none"), "--json"])
    expect([mixed.code, JSON.parse(mixed.out)]).toMatchObject([4, [{ outcome: "sealed" }, { outcome: "gone" }]])
    expect(await run(["seal", place("none")])).toMatchObject({ code: 1, out: "gone s3://letters/none\n" })
    expect(await run(["seal", place("x", OTHER)])).toMatchObject({ code: 1, out: expect.stringContaining("bucketseal register s3://unregistered --key KEY") })
  })

  it("what is damaged is left as it is: exit code 1 and the reason", async () => {
    await putSealed("damaged", "x".repeat(1_000))
    await damage("damaged")
    expect(await run(["seal", place("damaged")])).toMatchObject({ code: 1, out: "parked s3://letters/damaged (damaged-or-forged)\n" })
  })

  it("without a server's data: exit code 2, and nothing is made", async () => {
    const { code, err } = await run(["seal", place("big"), "--data", "nowhere"])
    expect([code, err]).toEqual([2, expect.stringContaining("--data")])
    expect(await readdir(folder)).toEqual([])
  })
})

describe("bucketseal seal FILE --for", () => {
  it.each([["an empty file", Buffer.alloc(0)], ["a short file", Buffer.from("a line that is short")], ["a file of many chunks", big]])("%s is sealed for its place, and opens there", async (what, bytes) => {
    await writeFile(join(folder, "file"), bytes)
    const name = `from files/${what}`
    expect(await run(["seal", "file", "--for", place(name)])).toMatchObject({ code: 0, out: `sealed file.sealed for ${place(name)}\n` })
    const sealed = await readFile(join(folder, "file.sealed"))
    expect(parseHeader(sealed)).toMatchObject({ kind: "header", header: { bucket: BUCKET, key: name } })
    if (bytes.length >= 16) expect(sealed.includes(bytes.subarray(0, 16))).toBe(false)
    await put(name, sealed)
    expect((await run(["open", place(name)])).bytes.equals(bytes)).toBe(true)
    expect((await run(["seal", place(name)])).out).toBe(`already-sealed ${place(name)}\n`)
    expect((await run(["open", "file.sealed"])).bytes.equals(bytes)).toBe(true)
    expect((await readdir(folder)).sort()).toEqual(["file", "file.sealed"])
  })

  it("a sealed file is its owner's alone, and replaces another only by force", async () => {
    await writeFile(join(folder, "file"), "text")
    await writeFile(join(folder, "out"), "precious")
    const refused = await run(["seal", "file", "--for", place("file"), "-o", "out"])
    expect([refused.code, refused.err]).toEqual([1, "out is there already; --force replaces it\n"])
    expect(await readFile(join(folder, "out"), "utf8")).toBe("precious")
    expect((await run(["seal", "file", "--for", place("file"), "-o", "out", "--force", "--json"])).code).toBe(0)
    expect((await stat(join(folder, "out"))).mode & 0o777).toBe(0o600)
  })

  it.each([
    ["a file that isn't there", "none", place("file"), 1, "none can't be read"],
    ["a folder", ".", place("file"), 2, "no regular file"],
    ["a place that isn't registered", "file", place("file", OTHER), 1, "bucketseal register s3://unregistered"],
    ["a place without its authorization", "file", place("file", UNAUTHORIZED), 3, "bucketseal authorize --bucket-instance"],
    ["no object's place", "file", "s3://letters", 2, "s3://bucket/key"],
  ])("%s: no file is made", async (_, file, where, exit, words) => {
    await writeFile(join(folder, "file"), "text")
    const { code, err } = await run(["seal", file, "--for", where, "-o", "out"])
    expect([code, err]).toEqual([exit, expect.stringContaining(words)])
    expect(await readdir(folder)).toEqual(["file"])
  })

  it("what is sealed already isn't sealed again", async () => {
    await writeFile(join(folder, "file"), "text")
    await run(["seal", "file", "--for", place("file")])
    const { code, err } = await run(["seal", "file.sealed", "--for", place("file"), "-o", "twice"])
    expect([code, err]).toEqual([1, "file.sealed is sealed for s3://letters/file already\n"])
    expect((await readdir(folder)).sort()).toEqual(["file", "file.sealed"])
  })

  it.each(["SIGINT", "SIGQUIT", "SIGTERM"] as const)("interrupted by %s: exit code 130, and no file stays", async (signal) => {
    await writeFile(join(folder, "huge"), "")
    await truncate(join(folder, "huge"), 4 * 2 ** 30) // sparse: longer in the sealing than a signal takes
    const { code, err } = await run(["seal", "huge", "--for", place("huge")], { meanwhile: (child) => signalOnceWritten(child, signal) })
    expect([code, err]).toEqual([130, "interrupted\n"])
    expect(await readdir(folder)).toEqual(["huge"])
  })
})

describe("bucketseal open s3://…", () => {
  it.each([["0-9", 0, 10], ["16380-16390", 16_380, 16_391], ["999999-", 999_999, undefined], ["-7", -7, undefined], ["1000002-2000000", 1_000_002, undefined]])(
    "the range %s is those bytes", async (range, from, to) => {
      const { code, bytes } = await run(["open", place("big"), `--range=${range}`])
      expect(code).toBe(0)
      expect(bytes.equals(big.subarray(from, to))).toBe(true)
    })

  it("a range behind the end: exit code 1, and no file", async () => {
    expect(await run(["open", place("big"), "--range", "2000000-", "-o", "out"])).toMatchObject({ code: 1, err: expect.stringContaining("behind the end") })
    expect(await readdir(folder)).toEqual([])
  })

  it("a file appears whole, for its owner alone, and replaces another only by force", async () => {
    const first = await run(["open", place("big"), "-o", "out", "--json"])
    expect([first.code, JSON.parse(first.out)]).toEqual([0, { from: "s3://letters/big", file: "out" }])
    expect((await readFile(join(folder, "out"))).equals(big)).toBe(true)
    expect((await stat(join(folder, "out"))).mode & 0o777).toBe(0o600)
    await writeFile(join(folder, "out"), "precious")
    expect(await run(["open", place("big"), "-o", "out"])).toMatchObject({ code: 1, err: "out is there already; --force replaces it\n" })
    expect(await readFile(join(folder, "out"), "utf8")).toBe("precious")
    expect((await run(["open", place("big"), "-o", "out", "--force"])).code).toBe(0)
    expect((await readFile(join(folder, "out"))).equals(big)).toBe(true)
    expect(await readdir(folder)).toEqual(["out"])
  })

  it("what is no regular file is never replaced", async () => {
    expect(await run(["open", place("big"), "-o", ".", "--force"])).toMatchObject({ code: 1, err: expect.stringContaining("no regular file") })
    await symlink("elsewhere", join(folder, "link"))
    expect(await run(["open", place("big"), "-o", "link", "--force"])).toMatchObject({ code: 1, err: expect.stringContaining("no regular file") })
  })

  it("an object with a Content-Encoding comes as it was uploaded", async () => {
    const packed = gzipSync("text that was packed by its uploader")
    await putSealed("packed.gz", packed, { ContentEncoding: "gzip" })
    expect((await run(["open", place("packed.gz")])).bytes.equals(packed)).toBe(true)
  })

  it("a reader that goes away before the end: exit code 1, quietly", async () => {
    const { code, err } = await run(["open", place("big")], {
      async meanwhile({ stdout }) {
        await once(stdout ?? process.stdin, "data")
        stdout?.destroy()
      },
    })
    expect([code, err]).toEqual([1, ""])
  })

  it("a damaged object: exit code 1, no file, and on standard output nothing but its good beginning", async () => {
    await putSealed("torn", big)
    await damage("torn")
    expect((await run(["open", place("torn"), "-o", "out"])).code).toBe(1)
    expect(await readdir(folder)).toEqual([])
    const { code, bytes } = await run(["open", place("torn")])
    expect(code).toBe(1)
    expect(bytes.length).toBeLessThan(big.length)
    expect(bytes.equals(big.subarray(0, bytes.length))).toBe(true)
  })

  it.each([["nothing there", "none", "no such object"], ["an object not sealed yet", "plain", "isn't sealed"]])("%s: exit code 1", async (_, name, words) => {
    await put("plain", "text")
    expect(await run(["open", place(name), "-o", "out"])).toMatchObject({ code: 1, out: "", err: expect.stringContaining(words) })
    expect(await readdir(folder)).toEqual([])
  })

  it("without the authorization of the bucket's service: exit code 3", async () => {
    await print(["authorize", "remove", policy])
    const refused = await run(["open", place("big")])
    policy = await print(["authorize", "--key", key])
    expect([refused.code, refused.out, refused.err]).toEqual([3, "", expect.stringContaining("bucketseal authorize makes it")])
    expect((await run(["open", place("big")])).code).toBe(0)
  })

  it("that was copied to another key: exit code 1", async () => {
    await put("copy", await stored("big"))
    expect(await run(["open", place("copy")])).toMatchObject({ code: 1, out: "", err: expect.stringContaining("another bucket or key") })
  })

  it("a connection that breaks half-way: exit code 1, and no file", async () => {
    const { code } = await withServer((response) => response.destroy(), (env) => run(["open", place("big"), "-o", "out"], { env }))
    expect(code).toBe(1)
    expect(await readdir(folder)).toEqual([])
  })

  it.each(["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const)("interrupted by %s half-way: exit code 130, and no file stays", async (signal) => {
    const { code, err } = await withServer(() => undefined, (env) =>
      run(["open", place("big"), "-o", "out"], { env, meanwhile: (child) => signalOnceWritten(child, signal) }))
    expect([code, err]).toEqual([130, "interrupted\n"])
    expect(await readdir(folder)).toEqual([])
  })
})

describe("bucketseal open FILE", () => {
  beforeEach(async () => {
    await writeFile(join(folder, "sealed"), await stored("big"))
  })

  it("opens by the server's settings, whole or a range, to a file or standard output", async () => {
    expect((await run(["open", "sealed", "-o", "out"])).code).toBe(0)
    expect((await readFile(join(folder, "out"))).equals(big)).toBe(true)
    expect((await run(["open", "sealed", "--range", "16380-16390"])).bytes.equals(big.subarray(16_380, 16_391))).toBe(true)
    expect((await run(["open", "sealed", "--for", place("big")])).bytes.equals(big)).toBe(true)
  })

  it("that is sealed for another place than is asked for: exit code 1", async () => {
    expect(await run(["open", "sealed", "--for", place("small")])).toMatchObject({ code: 1, out: "", err: expect.stringContaining("another bucket or key") })
  })

  it.each([
    ["cut", async (path: string) => truncate(path, 500_000)],
    ["lengthened", async (path: string) => writeFile(path, Buffer.concat([await readFile(path), Buffer.from("x")]))],
    ["changed in the middle", async (path: string) => changeByte(path, 600_000)],
    ["changed in its header", async (path: string) => changeByte(path, 30)],
    ["changed in its commitment", async (path: string) => changeByte(path, 120)],
  ])("that was %s: exit code 1, and no file", async (_, change) => {
    await copyFile(join(folder, "sealed"), join(folder, "other"))
    await change(join(folder, "other"))
    const { code, err } = await run(["open", "other", "-o", "out"])
    expect([code, err]).toEqual([1, expect.stringMatching(/can't be decrypted|isn't (sealed|registered)/)])
    expect((await readdir(folder)).sort()).toEqual(["other", "sealed"])
  })

  it("that isn't sealed, or isn't there: exit code 1", async () => {
    await writeFile(join(folder, "plain"), "text")
    expect(await run(["open", "plain"])).toMatchObject({ code: 1, err: "plain isn't sealed\n" })
    expect(await run(["open", "none"])).toMatchObject({ code: 1, err: expect.stringContaining("none can't be read") })
  })

  it("without a server's data: exit code 2", async () => {
    expect((await run(["open", "sealed", "--data", "nowhere"])).code).toBe(2)
  })
})

async function changeByte(path: string, at: number): Promise<void> {
  const file = await open(path, "r+")
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at)
  await file.close()
}

/** Sends the signal when the file under way has bytes in it. */
async function signalOnceWritten(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    const draft = (await readdir(folder)).find((name) => name.endsWith(".part"))
    const size = draft === undefined ? 0 : await stat(join(folder, draft)).then((info) => info.size, () => 0)
    if (size > 0) break
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  child.kill(signal)
}

/** A server that gives a token, and of each object the first tenth; `then` is what it does next. */
async function withServer(then: (response: ServerResponse) => void, work: (env: Record<string, string>) => Promise<Ran>): Promise<Ran> {
  const server = createServer((request, response) => {
    request.resume()
    if (request.url === "/identity/token") return void response.end('{"access_token":"token"}')
    response.writeHead(200, { "content-length": big.length })
    response.write(big.subarray(0, 100_000), () => void setTimeout(then, 300, response)) // time for the client to write them down
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  try {
    return await work({ BUCKETSEAL_URL: `http://127.0.0.1:${port}`, BUCKETSEAL_API_KEY: "any" })
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}
