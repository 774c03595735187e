import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  CreateBucketCommand, DeleteBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, PutBucketVersioningCommand, PutObjectCommand,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { s3ClientOf } from "./api.ts"
import { bucketseal, type Ran } from "./cli-process.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

describe("bucketseal probe, the modes of bucketseal register, and bucketseal sweep", () => {
  let stack: StackProcess
  let folder: string
  let key: string
  const around = () => ({ cwd: folder, env: { ...stack.env, BUCKETSEAL_DATA: stack.folder } })
  const run = (...args: string[]): Promise<Ran> => bucketseal(args, around())

  beforeAll(async () => {
    stack = await startStackProcess({ BUCKETSEAL_LOG_LEVEL: "warn" })
    folder = await mkdtemp(join(tmpdir(), "bucketseal-probe-cli-"))
    for (const Bucket of ["inbox", "vault"]) await s3ClientOf(stack.env).send(new CreateBucketCommand({ Bucket }))
    await s3ClientOf(stack.env).send(new PutBucketVersioningCommand({ Bucket: "vault", VersioningConfiguration: { Status: "Enabled" } }))
    key = (await run("keys", "create", "kept")).out.trim()
    await run("authorize", "--key", key)
  })
  afterAll(async () => {
    await stack.stop()
    await removeFolder(stack.folder)
    await removeFolder(folder)
  })

  it("S10: says before under which prefix it writes, then what it found and what follows, and leaves nothing", async () => {
    const { code, out, err } = await run("probe", "s3://vault")
    expect([code, err]).toEqual([0, expect.stringMatching(/^writing canaries under s3:\/\/vault\/\.bucketseal-probe\/[0-9a-f]{16}\/\n$/)])
    expect(out).toMatch(/^ {2}versioning: enabled$/m)
    expect(out).toMatch(/^ {2}\+ versionDeleteExact: deleting a version removes exactly that one$/m)
    expect(out).toMatch(/^in place: yes, then the source's version is deleted\nas a vault: yes\nsealed from here into a vault: yes, and the sources' versions are deleted\n$/m)
    expect((await s3ClientOf(stack.env).send(new ListObjectsV2Command({ Bucket: "vault" }))).KeyCount).toBe(0)
  })

  it("--json is the whole report, with its date", async () => {
    const { out } = await run("probe", "s3://inbox", "--json")
    expect(JSON.parse(out)).toMatchObject({
      bucket: "inbox", versioning: "off", staleMatchRefused: true, markerMatchRefused: "unknown", settings: { objectLock: false },
      probed: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), requests: expect.any(Number),
    })
  })

  it("on Ctrl-C it removes what it has written", async () => {
    const interruptAtOnce = async (child: ChildProcess) => {
      await once(child.stderr ?? child, "data")
      child.kill("SIGINT")
    }
    const codes: (number | null)[] = []
    for (let tries = 0; tries < 5 && codes.at(-1) !== 130; tries++) { // a probe may be over before the signal arrives
      codes.push((await bucketseal(["probe", "s3://inbox"], { ...around(), meanwhile: interruptAtOnce })).code)
    }
    expect(codes.at(-1)).toBe(130)
    const s3 = s3ClientOf(stack.env)
    expect((await s3.send(new ListObjectsV2Command({ Bucket: "inbox" }))).KeyCount).toBe(0)
    expect((await s3.send(new ListMultipartUploadsCommand({ Bucket: "inbox" }))).Uploads ?? []).toEqual([])
  })

  it("of a bucket that is not there, or of a part of one, it says so", async () => {
    expect(await run("probe", "s3://nowhere")).toMatchObject({ code: 1, err: expect.stringContaining("no bucket nowhere") })
    expect(await run("probe", "s3://inbox/part")).toMatchObject({ code: 2, err: expect.stringContaining("write s3://inbox") })
  })

  it("registers a vault, and a bucket that is sealed into it", async () => {
    expect(await run("register", "s3://inbox", "--key", key, "--destination", "vault")).toMatchObject({ code: 2, err: expect.stringContaining("mode: vault") })
    expect(await run("register", "s3://vault", "--key", key, "--mode", "vault")).toMatchObject({ code: 0, out: expect.stringMatching(/^s3:\/\/vault is a vault for what is sealed under crn:/) })
    expect(await run("register", "s3://inbox", "--key", key, "--destination", "vault")).toMatchObject({ code: 0, out: expect.stringMatching(/^s3:\/\/inbox is sealed into s3:\/\/vault under crn:\S+\n$/) })
    expect((await run("register", "list")).out).toMatch(/^s3:\/\/inbox +enabled +into s3:\/\/vault +settle 5 +crn:\S+\ns3:\/\/vault +enabled +vault +settle 5 +crn:\S+\n$/)
    expect(await run("register", "s3://inbox", "--key", key, "--mode", "vault", "--destination", "vault")).toMatchObject({ code: 2 })
  })

  it("a destination is a bucket's name: an address is refused, and the error says so", async () => {
    expect(await run("register", "s3://inbox", "--key", key, "--destination", "s3://vault"))
      .toMatchObject({ code: 2, err: expect.stringContaining("without s3://") })
  })

  it("a sweep of all goes on with the others where a bucket is gone, names it, and ends with 4", async () => {
    const s3 = s3ClientOf(stack.env)
    await s3.send(new CreateBucketCommand({ Bucket: "gone" }))
    for (const place of ["s3://gone", "s3://inbox"]) await run("register", place, "--key", key, "--settle", "0")
    await s3.send(new DeleteBucketCommand({ Bucket: "gone" }))
    await s3.send(new PutObjectCommand({ Bucket: "inbox", Key: "a", Body: "plaintext" }))
    const { code, out } = await run("sweep")
    expect([code, out]).toEqual([4, expect.stringMatching(/^ {2}failed s3:\/\/gone \(bucket-not-found\)$/m)])
    expect(out).toMatch(/\b1 (already-)?sealed\b/)
    await run("register", "remove", "s3://gone")
  })

  it("a sweep of what is disabled says that it is, and how to enable it", async () => {
    await run("register", "s3://inbox", "--disable")
    expect(await run("sweep", "s3://inbox")).toMatchObject({
      code: 1, err: expect.stringMatching(/disabled.*enables it:\nbucketseal register s3:\/\/inbox --key crn:\S+\n$/),
    })
    expect(await run("sweep", "s3://elsewhere")).toMatchObject({ code: 1, err: expect.stringContaining("register s3://elsewhere --key KEY") })
  })
})
