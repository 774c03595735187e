import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { s3ClientOf } from "./api.ts"
import { bucketseal, type Around, type Ran } from "./cli-process.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const [BUCKET, SLOW, UNAUTHORIZED] = ["letters", "slow", "unauthorized"] as const
let stack: StackProcess
let folder: string
let key: string // the root key of the buckets that are authorized
let key2: string // that of the one that isn't, while it isn't
let policy2: string

const run = (args: readonly string[], around: Partial<Around> = {}): Promise<Ran> =>
  bucketseal(args, { cwd: folder, env: { ...stack.env, BUCKETSEAL_DATA: stack.folder }, ...around })

/** Runs what must succeed, and gives what it printed. */
async function shown(...args: string[]): Promise<string> {
  const { code, out, err } = await run(args)
  if (code !== 0) throw new Error(err)
  return out.trim()
}
const put = (Bucket: string, Key: string, Body: string | Uint8Array = "plaintext") =>
  s3ClientOf(stack.env).send(new PutObjectCommand({ Bucket, Key, Body }))
const MISSING = /^an authorization is missing: bucketseal authorize --bucket-instance \S+ --key-instance \S+ --key \S+$/m

beforeAll(async () => {
  stack = await startStackProcess({ BUCKETSEAL_CACHE_SECONDS: "0", BUCKETSEAL_LOG_LEVEL: "error" })
  folder = await mkdtemp(join(tmpdir(), "bucketseal-cli-jobs-"))
  for (const Bucket of [BUCKET, SLOW, UNAUTHORIZED]) await s3ClientOf(stack.env).send(new CreateBucketCommand({ Bucket }))
  for (const name of ["a", "b"]) await put(BUCKET, name) // before anything is registered: no event tells of them
  for (const name of ["x", "y"]) await put(UNAUTHORIZED, name)
  await put(SLOW, "s")
  key = await shown("keys", "create", "letters")
  key2 = await shown("keys", "create", "others")
  await shown("authorize", "--key", key)
  policy2 = await shown("authorize", "--key", key2)
  await shown("register", `s3://${BUCKET}`, "--key", key, "--settle", "0")
  await shown("register", `s3://${UNAUTHORIZED}`, "--key", key2, "--settle", "0")
  await shown("authorize", "remove", policy2)
})
afterAll(async () => {
  await stack.stop()
  await removeFolder(stack.folder)
  await removeFolder(folder)
})

it("bucketseal retry, where nothing is parked: exit code 0", async () => {
  expect(await run(["retry"])).toMatchObject({ code: 0, out: "nothing to do\n", err: "" })
})

describe("bucketseal sweep", () => {
  it("of a bucket that it seals whole: what became of how many, exit code 0", async () => {
    expect(await run(["sweep", `s3://${BUCKET}`])).toMatchObject({ code: 0, out: "2 sealed\n", err: "" })
    const again = await run(["sweep", `s3://${BUCKET}`, "--json"])
    expect([again.code, JSON.parse(again.out)]).toEqual([0, { counts: { "already-sealed": 2 }, items: [] }])
    expect(await run(["sweep", `s3://${BUCKET}/none`])).toMatchObject({ code: 0, out: "nothing to do\n" })
  })

  it("of one of which none is authorized: named, with the one command that authorizes all, exit code 3", async () => {
    const { code, out } = await run(["sweep", `s3://${UNAUTHORIZED}`])
    expect(code).toBe(3)
    expect(out).toMatch(/^2 parked$/m)
    expect(out).toMatch(/^ {2}parked s3:\/\/unauthorized\/x \(not-authorized\)$/m)
    expect(out.match(new RegExp(MISSING, "gm"))).toHaveLength(1)
  })

  it("of all registered buckets, of which some is sealed: exit code 4", async () => {
    const { code, out } = await run(["sweep"])
    expect([code, out]).toEqual([4, expect.stringMatching(/^2 already-sealed, 2 parked$|^2 parked, 2 already-sealed$/m)])
  })

  it("of a bucket that is not registered: exit code 1, and how to register it", async () => {
    expect(await run(["sweep", "s3://nowhere"])).toMatchObject({ code: 1, out: "", err: expect.stringContaining("bucketseal register s3://nowhere --key KEY") })
  })

  it("of what is no place: exit code 2", async () => {
    expect(await run(["sweep", "letters"])).toMatchObject({ code: 2, out: "" })
    expect(await run(["sweep", "s3://letters/", "more"])).toMatchObject({ code: 2, out: "" })
  })

  it("interrupted while it waits for what has to settle: exit code 130", async () => {
    await shown("register", `s3://${SLOW}`, "--key", key, "--settle", "10")
    const { code, out, err } = await run(["sweep", `s3://${SLOW}`], { meanwhile: async (child) => {
      await new Promise((resolve) => setTimeout(resolve, 2_000)) // it starts in less, and then waits for 10 seconds
      child.kill("SIGINT")
    } })
    expect([code, out, err]).toEqual([130, "", "interrupted\n"])
    await shown("register", `s3://${SLOW}`, "--disable")
  })
})

describe("bucketseal retry", () => {
  it("of what is parked as before: exit code 3 where an authorization is missing for all, with the command that makes it", async () => {
    const { code, out } = await run(["retry"])
    expect(code).toBe(3)
    expect(out).toMatch(/^2 parked$/m)
    expect(out).toMatch(MISSING)
    expect(out).toMatch(/^still parked: 2 \(2 not-authorized\);/m)
  })

  it("where another object stays parked that it leaves alone: says how many and why, exit code 4", async () => {
    await put(BUCKET, "newer", "bucketseal/2\nof a later version")
    expect((await run(["seal", `s3://${BUCKET}/newer`])).code).toBe(1)
    await shown("authorize", "--key", key2)
    const { code, out } = await run(["retry"]) // the server's own retries, once a minute, may have come first
    expect([code, out]).toEqual([4, expect.stringMatching(/^(2 sealed\n)?still parked: 1 \(1 unknown-format\); what no time cures waits/)])
    const left = await run(["retry", "--json"])
    expect([left.code, JSON.parse(left.out)]).toEqual([4, { counts: {}, items: [], parked: { total: 1, reasons: { "unknown-format": 1 } } }])
    expect((await run(["retry"])).out).not.toContain("nothing to do")
  })

  it("of what can't be sealed still, and not for an authorization: exit code 1", async () => {
    await shown("keys", "disable", key2)
    await put(UNAUTHORIZED, "z")
    expect((await run(["seal", `s3://${UNAUTHORIZED}/z`])).out).toContain("(key-state)")
    const { code, out } = await run(["retry"])
    expect([code, out]).toEqual([1, expect.stringMatching(/^1 parked\n {2}parked s3:\/\/unauthorized\/z \(key-state\)\nstill parked: 2 /)])
  })

  it("takes nothing but options: exit code 2", async () => {
    expect(await run(["retry", "letters"])).toMatchObject({ code: 2, out: "" })
  })
})
