import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateBucketCommand, CreateMultipartUploadCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { censusSum, restLines } from "../cli/census-sum.ts"
import type { CensusResult } from "../functions/census.ts"
import { Failure } from "../shared/errors.ts"
import type { CensusItem } from "../shared/objects/census-tally.ts"
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

describe("all runs of a census together", () => {
  const item = (key: string, fix: string): CensusItem => ({ bucket: BUCKET, key, outcome: "plain", bytes: 1, fix })
  const many = (count: number, fix: string, length = 0) =>
    Array.from({ length: count }, (_, n) => item(`${n}`.padStart(length, "k"), fix))
  const result = (items: CensusItem[], left: number, more?: true): CensusResult =>
    ({ done: true, counts: { plain: items.length }, bytes: {}, fixed: {}, items, left, ...(more ? { more } : {}) })
  const sumOf = (...results: CensusResult[]) => censusSum(async (cursor = "0") => {
    const [at, one] = [Number(cursor), results[Number(cursor)]]
    if (!one) throw new Error("a run behind the last one")
    return at + 1 < results.length ? { ...one, done: false, cursor: `${at + 1}` } : one
  })

  it("name what is not well first, however much was mended before", async () => {
    const sum = await sumOf(result(many(100, "sealed"), 0), result([item("bad", "parked"), ...many(9, "sealed")], 1))
    expect(sum).toMatchObject({ counts: { plain: 110 }, left: 1, more: true })
    expect([sum.items.length, sum.items[0]?.key, sum.items[1]?.key]).toEqual([100, "bad", "0"])
    expect(restLines(sum)).toEqual(["  and more, of which none is unwell: the log names all"])
  })

  it("say how much more is not well than is named: at most 100 and 64 KiB", async () => {
    const sum = await sumOf(result(many(80, "parked"), 80), result(many(80, "parked"), 80))
    expect([sum.items.length, sum.more, restLines(sum)]).toEqual([100, true, ["  and 60 more that are not well"]])
    const long = await sumOf(result(many(40, "parked", 1_000), 40), result(many(40, "parked", 1_000), 41, true))
    expect(Buffer.byteLength(JSON.stringify(long.items))).toBeLessThanOrEqual(64 * 1_024)
    expect([long.items.length > 50, restLines(long)]).toEqual([true, [`  and ${81 - long.items.length} more that are not well`]])
  })

  it("are given as far as they went where the approval ends in between, and why; not so where it never held", async () => {
    const refuse = (): Promise<CensusResult> => Promise.reject(new Failure("forbidden", "the approval has expired"))
    const cut = await censusSum((cursor) => cursor === undefined ? Promise.resolve({ ...result(many(2, "sealed"), 0), done: false, cursor: "1" }) : refuse())
    expect(cut).toMatchObject({ counts: { plain: 2 }, left: 0, ended: "the approval has expired" })
    await expect(censusSum(refuse)).rejects.toMatchObject({ code: "forbidden" })
  })

  it("say that there is more where a run did, and nothing where all is named", async () => {
    expect((await sumOf(result([], 0, true), result([], 0))).more).toBe(true)
    const all = await sumOf(result(many(3, "parked"), 3), result(many(3, "sealed"), 0))
    expect([all.items.length, all.more, restLines(all)]).toEqual([6, undefined, []])
  })
})
