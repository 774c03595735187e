import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateBucketCommand, CreateMultipartUploadCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { s3ClientOf } from "./api.ts"
import { bucketseal, type Ran } from "./cli-process.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const BUCKET = "letters"
const PLACE = `s3://${BUCKET}`
let stack: StackProcess
let folder: string

const run = (...args: string[]): Promise<Ran> => bucketseal(args, { cwd: folder, env: { ...stack.env, BUCKETSEAL_DATA: stack.folder } })

/** Runs what must succeed, and gives what it printed. */
async function shown(...args: string[]): Promise<string> {
  const { code, out, err } = await run(...args)
  if (code !== 0) throw new Error(err)
  return out.trim()
}
const approve = async (place: string, ...args: string[]): Promise<string> =>
  (JSON.parse(await shown("approve", "fix", place, ...args, "--json")) as { id: string }).id

beforeAll(async () => {
  stack = await startStackProcess({ BUCKETSEAL_CACHE_SECONDS: "0", BUCKETSEAL_LOG_LEVEL: "warn" })
  folder = await mkdtemp(join(tmpdir(), "bucketseal-census-cli-"))
  const s3 = s3ClientOf(stack.env)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  for (const Key of ["a", "b\u0007"]) await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: "plaintext" }))
  await s3.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: "user" }))
  const key = await shown("keys", "create", "letters")
  await shown("authorize")
  await shown("register", PLACE, "--key", key, "--settle", "0")
})
afterAll(async () => {
  await stack.stop()
  await removeFolder(stack.folder)
  await removeFolder(folder)
})

describe("bucketseal census", () => {
  it("shows how many of which kind, their bytes, and what is not well: exit code 4", async () => {
    const { code, out } = await run("census", PLACE)
    expect(code).toBe(4)
    expect(out).toMatch(/^plain +2 +18 bytes$/m)
    expect(out).toMatch(/^ {2}plain s3:\/\/letters\/a$/m)
    expect(out).toContain("b\\u0007")
    expect(out).toMatch(/^ {2}upload-other s3:\/\/letters\/user \(upload \S+, since 20\S+Z\)$/m)
    expect(out).not.toContain("plaintext\n")
  })

  it("--fix takes the id of an approval that covers the place", async () => {
    expect(await run("census", PLACE, "--fix")).toMatchObject({ code: 2, err: expect.stringContaining("bucketseal approve fix s3://letters") })
    expect((await run("census", PLACE, "--approval", "x")).code).toBe(2)
    expect((await run("census", PLACE, "--fix", "--approval", "x")).code).toBe(3)
    const narrow = await approve(`${PLACE}/a`)
    expect(await run("census", PLACE, "--fix", "--approval", narrow)).toMatchObject({ code: 3, err: expect.stringContaining('only what begins with "a"') })
    const withdrawn = await approve(PLACE)
    expect((await run("approve", "withdraw", withdrawn)).code).toBe(0)
    expect((await run("census", PLACE, "--fix", "--approval", withdrawn)).code).toBe(3)
    expect((await run("approve", "fix", PLACE, "--expires", "604801")).code).toBe(2)
  })

  it("--fix seals, and leaves users' uploads alone; then all is well: exit code 0", async () => {
    const approval = await approve(PLACE, "--abort-uploads-older-than", "86400")
    const fixed = await run("census", PLACE, "--fix", "--approval", approval, "--abort-uploads-older-than", "86400", "--json")
    expect(fixed.code).toBe(0)
    expect(JSON.parse(fixed.out)).toMatchObject({ counts: { plain: 2, "upload-other": 1 }, bytes: { plain: 18 }, fixed: { sealed: 2 }, left: 0 })
    const again = await run("census", PLACE, "--json")
    expect([again.code, JSON.parse(again.out)]).toMatchObject([0, { counts: { sealed: 2, "upload-other": 1 }, fixed: {}, left: 0 }])
  })

  it("a bucket of which nothing is registered is refused", async () => {
    expect(await run("census", "s3://nowhere")).toMatchObject({ code: 1, err: expect.stringContaining("registered") })
  })
})
