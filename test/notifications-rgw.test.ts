import { createHash, randomBytes } from "node:crypto"
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, GetObjectCommand, PutObjectCommand,
  UploadPartCommand, type S3Client,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { signHeaders } from "../shared/net/sigv4.ts"
import { apiClient, tokenFor, type Api } from "./api.ts"
import { bucketseal } from "./cli-process.ts"
import { openGate, type Gate } from "./notify-gate.ts"
import { rgwFromEnvironment, rgwHarness, rgwSdk, withoutRgw } from "./rgw.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const rgw = rgwFromEnvironment()

// A new topic's first event takes up to 30 s (seen), and all topics here are made before the first wait.
const FIRST_EVENT = 120_000

describe.skipIf(!rgw)(`bucketseal notify on Ceph RGW (${rgw ? "there" : withoutRgw})`, () => {
  const harness = rgw ? rgwHarness(rgw) : undefined
  const secret = randomBytes(24).toString("hex")
  const masterKey = randomBytes(32).toString("base64")
  let variables: Record<string, string>
  let stack: StackProcess
  let s3: S3Client
  let api: Api
  let gate: Gate
  let direct: string
  let gated: string

  const start = async (folder?: string) => {
    stack = await startStackProcess(variables, folder)
    const { BUCKETSEAL_URL = "", BUCKETSEAL_API_KEY = "" } = stack.env
    api = apiClient(stack.env, await tokenFor(BUCKETSEAL_URL, BUCKETSEAL_API_KEY))
  }

  const notifyAs = (env: Record<string, string>, ...args: string[]) =>
    bucketseal(["notify", ...args, "--data", stack.folder, "--json"], { cwd: stack.folder, env })

  async function notify(...args: string[]) {
    const ran = await notifyAs({ ...variables, BUCKETSEAL_URL: stack.env["BUCKETSEAL_URL"] ?? "" }, ...args)
    return { ...ran, json: ran.code === 0 ? JSON.parse(ran.out) as unknown : undefined }
  }

  async function register(bucket: string, prefix: string, rootKey: string): Promise<void> {
    const body = { rootKey, source: api.bucketCrn(bucket), settle: 0, otherRegion: true }
    const { status, text } = await api.call("PUT", `/registrations/${bucket}?prefix=${encodeURIComponent(prefix)}`, body)
    expect(text && status).toBe(201)
  }

  beforeAll(async () => {
    if (!rgw || !harness) return
    const state = await harness.bucket()
    direct = await harness.bucket()
    gated = await harness.bucket()
    s3 = rgwSdk(rgw)
    variables = {
      BUCKETSEAL_STORE: "s3", BUCKETSEAL_STATE: `s3://${state}/of/bucketseal`, BUCKETSEAL_S3_ENDPOINT: rgw.endpoint,
      BUCKETSEAL_S3_REGION: rgw.region, BUCKETSEAL_S3_ALLOW_HTTP: "true", BUCKETSEAL_EVENTS_SECRET: secret,
      BUCKETSEAL_MASTER_KEY: masterKey, AWS_ACCESS_KEY_ID: rgw.accessKeyId, AWS_SECRET_ACCESS_KEY: rgw.secretAccessKey,
    }
    await start()
    gate = await openGate(() => stack.env["BUCKETSEAL_URL"] ?? "")
    const rootKey = await api.createRootKey("uploads")
    await api.authorize()
    await register(direct, "", rootKey.crn)
    await register(gated, "in/", rootKey.crn)
    await register(gated, "other/", rootKey.crn)
    expect(await notify("set", `s3://${direct}`)).toMatchObject({ code: 0 })
    expect(await notify("set", `s3://${gated}/in/`, "--to", gate.url)).toMatchObject({ code: 0 })
    expect(await notify("set", `s3://${gated}/other/`, "--to", gate.url)).toMatchObject({ code: 0 })
    await put(direct, "first")
    await put(gated, "in/first")
    await put(gated, "other/first")
  }, 120_000)

  afterAll(async () => {
    if (!rgw || !harness) return
    for (const bucket of [direct, gated]) expect(await notify("clear", `s3://${bucket}`, "--all")).toMatchObject({ code: 0 })
    expect(await stack.stop()).toBe(0)
    await gate.close()
    await removeFolder(stack.folder)
    await harness.close()
    s3.destroy()
  })

  async function put(bucket: string, key: string, body = Buffer.from(`what ${key} holds`)): Promise<Buffer> {
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }))
    return body
  }

  async function copy(bucket: string, key: string): Promise<Buffer> {
    const body = await put(gated, `plain/${key}`) // no registration covers it: it stays plaintext
    const CopySource = `${gated}/plain/${key.split("/").map(encodeURIComponent).join("/")}`
    await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: key, CopySource }))
    return body
  }

  async function multipart(bucket: string, key: string): Promise<Buffer> {
    const parts = [Buffer.alloc(5 * 2 ** 20, "part 1 "), Buffer.from("part 2")]
    const upload = { Bucket: bucket, Key: key }
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(upload))
    const Parts = []
    for (const [index, Body] of parts.entries()) {
      const { ETag } = await s3.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: index + 1, Body }))
      Parts.push({ ETag, PartNumber: index + 1 })
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts } }))
    return Buffer.concat(parts)
  }

  async function isSealed(bucket: string, key: string): Promise<boolean> {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: "bytes=0-12" }))
    return await Body?.transformToString() === "bucketseal/1\n"
  }

  const untilSealed = (bucket: string, key: string) => until(`${bucket}/${key} is sealed`, () => isSealed(bucket, key))

  async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    for (let tries = 0; !await holds(); tries++) {
      if (tries > 1_200) throw new Error(`not so after a minute: ${what}\n${stack.output().slice(-3_000)}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async function readBack(bucket: string, key: string): Promise<Buffer> {
    const { BUCKETSEAL_URL = "", BUCKETSEAL_API_KEY = "" } = stack.env
    const token = await tokenFor(BUCKETSEAL_URL, BUCKETSEAL_API_KEY)
    const response = await fetch(api.objectUrl(bucket, key), { headers: { authorization: `Bearer ${token}` } })
    expect(response.status).toBe(200)
    return Buffer.from(await response.arrayBuffer())
  }

  /** What the server's log says of an object, in order. */
  function outcomes(bucket: string, key: string): string[] {
    const lines = stack.output().split("\n").filter((line) => line.includes("looked at an upload"))
    const looks = lines.map((line) => JSON.parse(line) as { bucket: string; key: string; outcome: string })
    return looks.filter((look) => look.bucket === bucket && look.key === key).map(({ outcome }) => outcome)
  }

  const names = ["a b+c%20é ü.txt", "d/\"quoted\" & 'single' <x>", "100%/+ +/%2F"]
  const shapes = { Put: put, Copy: copy, CompleteMultipartUpload: multipart }

  it.each(Object.entries(shapes))("an object made by %s is told, sealed and reads back identical, whatever its name", async (shape, make) => {
    await untilSealed(direct, "first")
    for (const name of names) {
      const body = await make(direct, `${shape}/${name}`)
      await untilSealed(direct, `${shape}/${name}`)
      expect((await readBack(direct, `${shape}/${name}`)).equals(body)).toBe(true)
    }
  }, FIRST_EVENT)

  it("sealing's own write is told too: it is looked at once more, and then nothing follows", async () => {
    const keys = Object.keys(shapes).flatMap((shape) => names.map((name) => `${shape}/${name}`))
    const both = (key: string) => outcomes(direct, key).length >= 2
    await until("each was looked at twice", () => keys.every(both))
    await put(direct, "last")
    await until("the last was looked at twice", () => both("last"))
    for (const key of keys) expect([key, outcomes(direct, key)]).toEqual([key, ["sealed", "already-sealed"]])
  })

  it("show names the entry and the server it tells, and never the secret", async () => {
    const shown = await notify("show", `s3://${direct}`)
    const host = new URL(stack.env["BUCKETSEAL_URL"] ?? "").host
    expect(shown.json).toMatchObject({ entries: [{ id: "bucketseal", events: ["s3:ObjectCreated:*"], prefix: "", to: host }] })
    expect(shown.out + shown.err).not.toContain(secret)
  })

  it("only what is under the prefix is told", async () => {
    await untilSealed(gated, "in/first")
    await untilSealed(gated, "other/first")
    await put(gated, "elsewhere")
    await put(gated, "in/some")
    await until("the seal's own write was told", () => gate.told("in/some").length >= 2)
    expect(gate.told("elsewhere")).toEqual([])
  }, FIRST_EVENT)

  it.each(Object.entries(shapes))("the event of an object made by %s says so", async (shape, make) => {
    await make(gated, `in/${shape}`)
    await until("the seal's own write was told", () => gate.told(`in/${shape}`).length >= 2)
    expect(gate.told(`in/${shape}`)[0]).toBe(`ObjectCreated:${shape}`)
  })

  it("set again leaves one entry, also with another address, to which the next event goes", async () => {
    const elsewhere = await openGate(() => stack.env["BUCKETSEAL_URL"] ?? "")
    const entries = async () => (await notify("show", `s3://${gated}`)).json as { entries: { prefix: string; to: string }[] }
    const ofPrefix = async () => (await entries()).entries.filter(({ prefix }) => prefix === "in/").map(({ to }) => to)
    await notify("set", `s3://${gated}/in/`, "--to", gate.url)
    expect(await ofPrefix()).toEqual([new URL(gate.url).host])
    expect(await notify("set", `s3://${gated}/in/`, "--to", elsewhere.url)).toMatchObject({ code: 1, err: expect.stringContaining(new URL(gate.url).host) as string })
    expect(await ofPrefix()).toEqual([new URL(gate.url).host])
    await notify("set", `s3://${gated}/in/`, "--to", elsewhere.url, "--force")
    expect(await ofPrefix()).toEqual([new URL(elsewhere.url).host])
    await put(gated, "in/moved")
    await untilSealed(gated, "in/moved")
    await until("the seal's own write was told", () => elsewhere.told("in/moved").length >= 2)
    expect(gate.told("in/moved")).toEqual([])
    await notify("set", `s3://${gated}/in/`, "--to", gate.url, "--force")
    await put(gated, "in/back")
    await until("it was told here", () => gate.told("in/back").length >= 2)
    await elsewhere.close()
  }, FIRST_EVENT)

  it("an entry of our id with a topic of somebody else's is replaced by --force, and one that works outlives a typo, where the store would add a second one", async () => {
    const other = `arn:aws:sns:${rgw?.region ?? ""}::${await otherTopic()}`
    const set = (...flags: string[]) => notify("set", `s3://${gated}/other/`, ...flags)
    const before = (await notify("show", `s3://${gated}`)).json
    expect(await set("--topic-arn", other)).toMatchObject({ code: 1, err: expect.stringContaining(new URL(gate.url).host) as string })
    expect(await set("--topic-arn", `${other}-typo`, "--force")).toMatchObject({ code: 1, err: expect.stringContaining("no such topic") as string })
    expect((await notify("show", `s3://${gated}`)).json).toEqual(before)
    expect(await set("--topic-arn", other, "--force")).toMatchObject({ code: 0, json: { arn: other } })
    expect(await set("--to", gate.url, "--force")).toMatchObject({ code: 0 })
    const { json } = await notify("show", `s3://${gated}`)
    const { entries } = json as { entries: { prefix: string; arn: string }[] }
    expect(entries.filter(({ prefix }) => prefix === "other/").map(({ arn }) => arn)).not.toContain(other)
    expect(entries).toHaveLength(2)
  })

  /** A topic that tells nobody. */
  async function otherTopic(): Promise<string> {
    const { json } = await notify("show", `s3://${direct}`)
    const [entry] = (json as { entries: { arn: string }[] }).entries
    return entry?.arn.split(":").at(-1) ?? ""
  }

  it("an event that is answered 503 is told again until it is taken", async () => {
    gate.refuse(5)
    await put(gated, "in/refused")
    await untilSealed(gated, "in/refused")
    expect(gate.refused("in/refused")).toBe(5)
  })

  // Not without the proxy: where the connection is refused, a queue of RGW 16 may stall for good, at times within a second.
  it("an upload while the server is down, behind a proxy that says so, is sealed after its restart", async () => {
    const folder = stack.folder
    expect(await stack.stop()).toBe(0)
    const body = await put(gated, "in/meanwhile")
    await until("the proxy has refused it", () => gate.refused("in/meanwhile") > 0)
    await start(folder)
    await untilSealed(gated, "in/meanwhile")
    expect((await readBack(gated, "in/meanwhile")).equals(body)).toBe(true)
  })

  it("after clear nothing is told of that prefix, and its topic is gone; other entries stay", async () => {
    const cleared = await notify("clear", `s3://${gated}/in/`)
    expect(cleared).toMatchObject({ code: 0, json: { removed: [{ prefix: "in/" }] } })
    await put(gated, "in/untold")
    await put(gated, "other/told")
    await until("the other prefix's seal was told", () => gate.told("other/told").length >= 2)
    expect(gate.told("in/untold")).toEqual([])
    expect(await isSealed(gated, "in/untold")).toBe(false)
    const { json } = await notify("show", `s3://${gated}`)
    expect(json).toMatchObject({ entries: [{ prefix: "other/" }] })
    expect(await notify("clear", `s3://${gated}/in/`)).toMatchObject({ code: 0, json: { removed: [] } })
  })

  it("a bucket that is not there is named, and leaves no topic behind", async () => {
    const missing = `bucketseal-test-${randomBytes(6).toString("hex")}`
    expect(await notify("set", `s3://${missing}`)).toMatchObject({ code: 1, err: expect.stringContaining(missing) as string })
    expect(await topics()).not.toContain(missing)
  })

  it("a bucket of somebody else's is not allowed", async () => {
    const { S3_TEST_ACCESS_KEY_ID_2: AWS_ACCESS_KEY_ID = "", S3_TEST_SECRET_ACCESS_KEY_2: AWS_SECRET_ACCESS_KEY = "" } = process.env
    const keys = { AWS_ACCESS_KEY_ID: AWS_ACCESS_KEY_ID || "nobody", AWS_SECRET_ACCESS_KEY: AWS_SECRET_ACCESS_KEY || "no secret" }
    expect(await notifyAs({ ...variables, ...keys }, "show", `s3://${direct}`)).toMatchObject({ code: 3, err: expect.stringContaining("s3:GetBucketNotification") as string })
  })

  it("clear leaves no topic behind", async () => {
    expect(await topics()).toContain(direct)
    expect(await notify("clear", `s3://${direct}`)).toMatchObject({ code: 0, json: { removed: [{ id: "bucketseal" }] } })
    expect(await notify("clear", `s3://${gated}`, "--all")).toMatchObject({ code: 0, json: { removed: [{ prefix: "other/" }] } })
    const left = await topics()
    for (const bucket of [direct, gated]) expect(left).not.toContain(bucket)
  })

  /** What the store says of all topics. */
  async function topics(): Promise<string> {
    if (!rgw) throw new Error("no RGW is given")
    const { host } = new URL(rgw.endpoint)
    const body = "Action=ListTopics&Version=2010-03-31"
    const wire = { method: "POST", path: "/", query: "", headers: [["host", host]] as [string, string][] }
    const payloadHash = createHash("sha256").update(body).digest("hex")
    const signed = signHeaders(wire, { region: rgw.region, service: "sns", credentials: rgw, now: Date.now(), payloadHash })
    const headers = { ...Object.fromEntries(signed), "content-type": "application/x-www-form-urlencoded" }
    const response = await fetch(rgw.endpoint, { method: "POST", body, headers })
    expect(response.status).toBe(200)
    return response.text()
  }
})
