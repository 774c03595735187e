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

  it("shows every filter of an entry", async () => {
    const filter = "<Filter><S3Key><FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule></S3Key></Filter>"
    const store = await notificationStore({ text: withForeign.replace("</TopicConfiguration>", `${filter}</TopicConfiguration>`) })
    expect((await notifyAt(store)("show", "s3://uploads")).out).toMatch(/^theirs +s3:\/\/uploads \(only suffix \.jpg\) /m)
    expect(JSON.parse((await notifyAt(store)("show", "s3://uploads", "--json")).out)).toMatchObject({ entries: [{ otherFilters: ["suffix .jpg"] }] })
  })
})

describe("bucketseal notify, where the id is taken by another server", () => {
  const production = `<NotificationConfiguration><QueueConfiguration><Id>bucketseal</Id><Queue>${queue}</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>`
  const staging = "arn:aws:sqs:eu-west-1:123456789012:staging"
  const env = { BUCKETSEAL_URL: "http://127.0.0.1:8080" }
  const ofProduction = "http://production.invalid:9000/events/the-secret-of-production"

  it("refuses to replace its entry, names what that tells, and does it by --force", async () => {
    const store = await notificationStore({ text: production })
    const notify = notifyAt(store)
    expect(await notify("set", "s3://uploads", "--queue-arn", staging)).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/123456789012:uploads.*--name.*--force/) as string })
    expect(store.text()).toBe(production)
    expect(await notify("set", "s3://uploads", "--queue-arn", queue)).toMatchObject({ code: 0 })
    expect(await notify("set", "s3://uploads", "--queue-arn", staging, "--name", "staging")).toMatchObject({ code: 0 })
    expect(store.text()).toContain(queue)
    expect(await notify("set", "s3://uploads", "--queue-arn", staging, "--force")).toMatchObject({ code: 0 })
    expect(store.text()).not.toContain(queue)
  })

  it("refuses to point its topic of a Ceph elsewhere, names its host and never its secret, and does it by --force", async () => {
    const store = await notificationStore({ text: nothing, ...ceph })
    const notify = notifyAt(store, env)
    await notify("set", "s3://uploads", "--to", new URL(ofProduction).origin)
    const [before, topics] = [store.text(), store.topics()]
    const refused = await notify("set", "s3://uploads")
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/http:\/\/production\.invalid:9000.*--name.*--force/) as string })
    expect(refused.err).not.toContain(secret)
    expect([store.text(), store.topics()]).toEqual([before, topics])
    expect(await notify("set", "s3://uploads", "--force")).toMatchObject({ code: 0 })
    expect(Object.values(store.topics())).toEqual([`http://127.0.0.1:8080/events/${secret}`])
  })

  it("takes a topic that posts to the same server by an older secret for its own", async () => {
    const store = await notificationStore({ text: nothing, ...ceph })
    await notifyAt(store, { ...env, BUCKETSEAL_EVENTS_SECRET: "an-older-secret-of-some-length" })("set", "s3://uploads")
    expect(await notifyAt(store, env)("set", "s3://uploads")).toMatchObject({ code: 0 })
    expect(Object.values(store.topics())).toEqual([`http://127.0.0.1:8080/events/${secret}`])
  })

  it("refuses on a Ceph to replace an entry that tells another topic, names its host, and makes no topic", async () => {
    const text = "<NotificationConfiguration><TopicConfiguration><Id>bucketseal</Id><Topic>arn:aws:sns:default::theirs</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration></NotificationConfiguration>"
    const store = await notificationStore({ text, ...ceph, serves: { theirs: ofProduction } })
    const { code, err } = await notifyAt(store, env)("set", "s3://uploads")
    expect([code, err]).toEqual([1, expect.stringMatching(/arn:aws:sns:default::theirs \(production\.invalid:9000\).*--force/)])
    expect(err).not.toContain("the-secret")
    expect([store.text(), store.topics()]).toEqual([text, { theirs: ofProduction }])
  })
})

describe("bucketseal notify clear on a Ceph", () => {
  const env = { BUCKETSEAL_URL: "http://127.0.0.1:8080" }

  it("names the entry, its topic and the server that is told no more", async () => {
    const store = await notificationStore({ text: nothing, ...ceph })
    await notifyAt(store, env)("set", "s3://uploads")
    expect((await notifyAt(store)("clear", "s3://uploads")).out).toMatch(/^Removed bucketseal: arn:\S+:bucketseal_uploads_[0-9a-f]{8} \(127\.0\.0\.1:8080\)\n$/)
    expect(store.topics()).toEqual({})
  })

  it.each([["in/", []], ["", ["--all"]]])("removes a topic that an earlier one could not: s3://uploads/%s %j", async (prefix, flags) => {
    const others = { theirs: "", bucketseal_uploads_more: "", bucketseal_uploads_2_0123abcd: "" }
    const store = await notificationStore({ text: nothing, ...ceph, serves: others, answers: { "DeleteTopic 1": refuse(403, "AccessDenied") } })
    await notifyAt(store, env)("set", "s3://uploads/in/")
    const clear = () => notifyAt(store)("clear", `s3://uploads/${prefix}`, ...flags)
    expect(await clear()).toMatchObject({ code: 3 })
    expect(Object.keys(store.topics())).toHaveLength(4)
    expect(await clear()).toMatchObject({ code: 0, out: expect.stringMatching(/^Removed arn:\S+:bucketseal_uploads_[0-9a-f]{8}: no entry/) as string })
    expect(store.topics()).toEqual(others)
    expect(await clear()).toMatchObject({ code: 0, out: expect.stringMatching(/^Nothing/) as string })
  })
})
