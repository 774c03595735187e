import { mkdtemp, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { randomUUID } from "node:crypto"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { bucketseal } from "./cli-process.ts"
import { ceph, notificationStore, refuse, type NotificationStore } from "./notify-server.ts"
import { closeServers } from "./scripted-server.ts"
import { removeFolder } from "./stack-process.ts"

const nothing = "<NotificationConfiguration></NotificationConfiguration>"
const foreign = "<TopicConfiguration><Id>theirs</Id><Topic>arn:aws:sns:eu-west-1:1:t</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration>"
const withForeign = `<NotificationConfiguration>${foreign}</NotificationConfiguration>`
const queue = "arn:aws:sqs:eu-west-1:123456789012:uploads"
const secret = "a-secret-of-24-characters"
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bucketseal-notify-"))
  const names = { account: "account", kmsInstance: randomUUID(), storeInstance: randomUUID(), eventsSecret: secret }
  await writeFile(join(folder, "settings.json"), JSON.stringify(names))
})
afterEach(closeServers)
afterAll(() => removeFolder(folder))

function notifyAt({ port }: { readonly port: number }, env: Record<string, string> = {}) {
  const variables = {
    BUCKETSEAL_DATA: folder, BUCKETSEAL_STORE: "s3", BUCKETSEAL_S3_ENDPOINT: `http://127.0.0.1:${port}`,
    BUCKETSEAL_S3_REGION: "eu-west-1", BUCKETSEAL_S3_ALLOW_HTTP: "true", AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "of the store", ...env,
  }
  return (...args: string[]) => bucketseal(["notify", ...args], { cwd: folder, env: variables })
}

describe("bucketseal notify", () => {
  it("sets, shows and clears an entry that tells a queue, and leaves those of others", async () => {
    const store = await notificationStore({ text: withForeign })
    const notify = notifyAt(store)
    expect(await notify("set", "s3://uploads/in/", "--queue-arn", queue)).toMatchObject({ code: 0, out: `Uploads to s3://uploads/in/ are told to ${queue}.\n`, err: "" })
    const shown = await notify("show", "s3://uploads")
    expect(shown.out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["ID", "UPLOADS TO", "EVENTS", "TO", "ARN"],
      ["theirs", "s3://uploads", "s3:ObjectCreated:*", "arn:aws:sns:eu-west-1:1:t"],
      [expect.stringMatching(/^bucketseal-[0-9a-f]{8}$/), "s3://uploads/in/", "s3:ObjectCreated:*", queue], [""],
    ])
    const { out } = await notify("show", "s3://uploads", "--json")
    expect(JSON.parse(out)).toMatchObject({ bucket: "uploads", entries: [{ id: "theirs" }, { kind: "QueueConfiguration", arn: queue, prefix: "in/" }] })
    expect(await notify("clear", "s3://uploads")).toMatchObject({ code: 0, out: expect.stringContaining("notify show s3://uploads") as string })
    expect(await notify("clear", "s3://uploads/in/", "--json")).toMatchObject({ code: 0, out: expect.stringContaining(queue) as string })
    expect(store.text()).toBe(withForeign)
    expect(await notify("clear", "s3://uploads", "--all")).toMatchObject({ code: 0, out: "Removed theirs: arn:aws:sns:eu-west-1:1:t\n" })
    expect(store.text()).toBe(nothing)
    expect(await notify("show", "s3://uploads")).toMatchObject({ code: 0, out: "Nothing is set on s3://uploads.\n" })
  })

  it.each([
    ["--topic-arn", "arn:aws:sns:eu-west-1:1:t", "TopicConfiguration"],
    ["--function-arn", "arn:aws:lambda:eu-west-1:1:function:seal", "CloudFunctionConfiguration"],
    ["--queue-arn", "arn:minio:sqs::seal:webhook", "QueueConfiguration"],
  ])("sets by %s %s an entry of the id that is given", async (flag, arn, kind) => {
    const store = await notificationStore({ text: nothing })
    expect(await notifyAt(store)("set", "s3://uploads", flag, arn, "--name", "mine", "--json")).toMatchObject({ code: 0 })
    const { out } = await notifyAt(store)("show", "s3://uploads", "--json")
    expect(JSON.parse(out)).toEqual({ bucket: "uploads", entries: [{ kind, id: "mine", arn, events: ["s3:ObjectCreated:*"], prefix: "" }] })
  })

  it("is a wrong command line with exit code 2 and the right one in words", async () => {
    const store = await notificationStore({ text: nothing })
    const notify = notifyAt(store, { BUCKETSEAL_URL: "http://127.0.0.1:8080" })
    const rows: [string, RegExp][] = [
      ["set", /place/], ["set uploads", /s3:\/\/bucket/], ["set s3://uploads --name a:b", /letters/], ["set s3://uploads --queue-arn uploads", /six parts/],
      [`set s3://uploads --queue-arn ${queue} --topic-arn ${queue}`, /one ARN/], [`set s3://uploads --queue-arn ${queue} --to http://h`, /--to/],
      ["set s3://uploads", /--queue-arn/], ["set s3://uploads --to ftp://h", /http\(s\)/], ["set s3://uploads --to http://h/path", /without a path/],
      ["clear s3://uploads/in/ --all", /whole bucket/], ["clear s3://uploads --all --name x", /whole bucket/], ["st s3://uploads", /set/],
    ]
    for (const [line, words] of rows) {
      const { code, err, out } = await notify(...line.split(" "))
      expect([line, code, out, err]).toEqual([line, 2, "", expect.stringMatching(words)])
    }
    expect([store.seen("PUT"), store.seen("DELETE"), store.text()]).toEqual([0, 0, nothing])
  })

  it("is for other stores than the server's own, which tells by itself; and needs a server's settings", async () => {
    const store = await notificationStore({ text: nothing })
    expect(await notifyAt(store, { BUCKETSEAL_STORE: "local" })("show", "s3://uploads")).toMatchObject({ code: 2, err: expect.stringMatching(/by itself/) as string })
    expect(await notifyAt(store)("show", "s3://uploads", "--data", join(folder, "none"))).toMatchObject({ code: 2, err: expect.stringMatching(/--data/) as string })
    expect(await notifyAt(store, { BUCKETSEAL_S3_ALLOW_HTTP: "" })("show", "s3://uploads")).toMatchObject({ code: 2, err: expect.stringMatching(/plain HTTP/) as string })
    expect(store.requests()).toEqual([])
  })

  const refusals: [number, string, number, RegExp][] = [
    [403, "AccessDenied", 3, /s3:GetBucketNotification/], [404, "NoSuchBucket", 1, /no bucket uploads/], [501, "NotImplemented", 1, /refused/],
  ]
  it.each(refusals)("has another exit code for what is not allowed than for what failed: %i %s → %i", async (status, name, code, words) => {
    const store = await notificationStore({ text: nothing, answers: { GET: refuse(status, name) } })
    for (const line of ["show s3://uploads", `set s3://uploads --queue-arn ${queue}`, "clear s3://uploads"]) {
      expect(await notifyAt(store)(...line.split(" "))).toMatchObject({ code, out: "", err: expect.stringMatching(words) as string })
    }
  })

  it("tells a Ceph on another machine no address of this one", async () => {
    const store: NotificationStore = await notificationStore({ text: nothing, ...ceph })
    const elsewhere = notifyAt(store, { BUCKETSEAL_URL: "http://localhost:8080", BUCKETSEAL_S3_ENDPOINT: "http://store.invalid:1" })
    const { code, err } = await elsewhere("set", "s3://uploads")
    expect([code, err]).toEqual([2, expect.stringMatching(/localhost:8080.*store\.invalid.*--to/)])
    const notify = notifyAt(store)
    expect(await notify("set", "s3://uploads")).toMatchObject({ code: 2, err: expect.stringMatching(/BUCKETSEAL_URL/) as string })
    expect(await notify("set", "s3://uploads", "--queue-arn", queue)).toMatchObject({ code: 2, err: expect.stringMatching(/--topic-arn/) as string })
    expect(store.text()).toBe(nothing)
  })
})
