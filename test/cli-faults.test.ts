import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import { mkdtemp, readdir, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { bucketseal, type Around } from "./cli-process.ts"
import { removeFolder } from "./stack-process.ts"

const plaintext = Buffer.alloc(1_000_003, "plaintext ") // more than a pipe holds
let server: Server // gives a token, no registration, and one object whatever is asked for, or the beginning of it
let variables: Readonly<Record<string, string>>
let folder: string

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume()
    if (request.url === "/identity/token") response.end('{"access_token":"token"}')
    else if (request.url === "/registrations") response.end('{"registrations":[]}')
    else if (!request.url?.endsWith("broken")) response.end(plaintext)
    else {
      response.writeHead(200, { "content-length": plaintext.length })
      response.write(plaintext.subarray(1), () => response.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  variables = { BUCKETSEAL_URL: `http://127.0.0.1:${port}`, BUCKETSEAL_API_KEY: "any" }
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bucketseal-cli-faults-"))
})

afterEach(() => removeFolder(folder))

afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const run = (args: readonly string[], around: Partial<Around> = {}) => bucketseal(args, { cwd: folder, env: variables, ...around })
const OBJECT = "s3://letters/object"

/** The variables for a process whose file system fails: `fault` runs before it, and may replace functions of `fs`, and
 *  methods of `FileHandle`. */
function withFault(fault: string): Record<string, string> {
  const text = `import fs from "node:fs/promises"
    const { open } = fs
    const probe = await open("/dev/null")
    const FileHandle = Object.getPrototypeOf(probe)
    await probe.close()
    ${fault}`
  return { ...variables, NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(text)}` }
}

const SYNC_HANGS = "FileHandle.sync = () => new Promise(() => void setInterval(() => 0, 1_000))"
const SYNC_UNTIL_SIGINT = `FileHandle.sync = () => new Promise((resolve) => {
  const alive = setInterval(() => 0, 1_000)
  process.once("SIGINT", () => void setImmediate(() => resolve(clearInterval(alive))))
})`
const CLOSE_FAILS = `fs.open = async (path, ...rest) => {
  const file = await open(path, ...rest)
  const { close } = file
  const failing = () => close().then(() => { throw Object.assign(new Error("closing fails"), { syscall: "close" }) })
  return path.endsWith(".part") ? Object.assign(file, { close: failing }) : file
}`
const FOLDER_UNREADABLE = `fs.open = async (path, ...rest) => {
  if ((await fs.stat(path).catch(() => undefined))?.isDirectory()) throw Object.assign(new Error("denied"), { code: "EACCES" })
  return open(path, ...rest)
}`

describe("bucketseal open -o, where the file system fails", () => {
  it.each(["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const)("%s while the file hangs in its sync: exit code 130, and nothing of it stays", async (signal) => {
    const { code } = await run(["open", OBJECT, "-o", "out"], { env: withFault(SYNC_HANGS), meanwhile: (child) => killOnceWritten(child, signal) })
    expect([code, await readdir(folder)]).toEqual([130, []])
  })

  it("interrupted in a sync that then succeeds: exit code 130, and no file", async () => {
    const { code, err } = await run(["open", OBJECT, "-o", "out"], { env: withFault(SYNC_UNTIL_SIGINT), meanwhile: (child) => killOnceWritten(child, "SIGINT") })
    expect([code, err, await readdir(folder)]).toEqual([130, "interrupted\n", []])
  })

  it("what breaks off half-way, and closing the file fails too: exit code 1, what failed first, and nothing stays", async () => {
    const { code, err } = await run(["open", "s3://letters/broken", "-o", "out"], { env: withFault(CLOSE_FAILS) })
    expect([code, err, await readdir(folder)]).toEqual([1, expect.not.stringContaining("closing fails"), []])
  })

  it("a folder that may be written but not read: the file is there, exit code 0 and a remark", async () => {
    const { code, out, err } = await run(["open", OBJECT, "-o", "out"], { env: withFault(FOLDER_UNREADABLE) })
    expect([code, out, err]).toEqual([0, "", expect.stringMatching(/^out is there, .*can't be synced: EACCES\n$/)])
    expect(await readdir(folder)).toEqual(["out"])
    expect((await readFile(join(folder, "out"))).equals(plaintext)).toBe(true)
  })

  it("a folder that isn't there: exit code 1, and which", async () => {
    expect(await run(["open", OBJECT, "-o", "none/out"])).toMatchObject({ code: 1, out: "", err: "there is no folder none\n" })
  })
})

describe("a reader that goes away", () => {
  const goAway = async (child: ChildProcess) => {
    child.stdout?.destroy()
    await once(child, "exit")
  }

  it("before the end of an object: exit code 1, quietly", async () => {
    expect(await run(["open", OBJECT], { meanwhile: goAway })).toMatchObject({ code: 1, err: "" })
  })

  it("of a listing: exit code 0, quietly", async () => {
    expect(await run(["register", "list"], { meanwhile: goAway })).toMatchObject({ code: 0, err: "" })
  })

  it("only once it has all of an object: exit code 0", async () => {
    const { code, bytes } = await run(["open", OBJECT])
    expect([code, bytes.equals(plaintext)]).toEqual([0, true])
  })
})

/** Sends the signal when all of the plaintext is in the file under way. */
async function killOnceWritten(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    const draft = (await readdir(folder)).find((name) => name.endsWith(".part"))
    if (draft !== undefined && (await readFile(join(folder, draft))).equals(plaintext)) return void child.kill(signal)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  child.kill("SIGKILL")
  throw new Error("the file under way was never whole")
}
