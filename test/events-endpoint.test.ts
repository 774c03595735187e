import { createHmac } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readFirstStart } from "../local/data-folder.ts"
import { Failure } from "../shared/errors.ts"
import { nodeHost, type NodeHost } from "../shared/runtime/node.ts"
import { jsonLog } from "../shared/runtime/log.ts"
import { parseSettings } from "../shared/settings.ts"
import { eventsHost, SECRET } from "./events-host.ts"
import { goldenEvents } from "./golden-events.ts"
import { allStored, instance } from "./key-fixtures.ts"

const SIGNATURE = "x-bz-event-notification-signature"
const sign = (body: string, secret = SECRET) => `v1=${createHmac("sha256", secret).update(body).digest("hex")}`
const upload = JSON.stringify({ bucket: "photos", key: "k" })
const bad = { Records: [{ eventSource: "evil:s3" }] }

describe("POST /events", () => {
  it.each(goldenEvents)("%s: 202 with the right counts, uploads accepted, the rest kept", async (_, { delivery, headers = {}, expected }) => {
    const { post, uploads, state } = eventsHost()
    const { status, json } = await post(JSON.stringify(delivery), headers)
    const { ignored, rejected } = expected
    expect([status, json]).toEqual([202, { accepted: expected.uploads.length, ignored, rejected: rejected.length }])
    expect(uploads).toEqual(expected.uploads)
    const kept = Object.values(await allStored(state, "unreadable-events/")) as { reason: string }[]
    expect(new Set(kept.map(({ reason }) => reason))).toEqual(new Set(rejected))
  })

  it("counts what is about no registered place as ignored", async () => {
    const { post } = eventsHost({ acceptEvents: async (all) => all.length - 1 })
    const delivery = [{ bucket: "photos", key: "a" }, { bucket: "photos", key: "b" }, { Event: "s3:TestEvent" }, 5]
    expect((await post(JSON.stringify(delivery))).json).toEqual({ accepted: 1, ignored: 2, rejected: 1 })
  })

  it("answers only when all is stored, what can be read and what can't", async () => {
    const order: string[] = []
    const later = async (what: string) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      order.push(what)
    }
    const { post } = eventsHost({
      acceptEvents: async (all) => { await later("accepted"); return all.length },
      keepUnreadable: async () => { await later("kept"); return "path" },
    })
    await post(JSON.stringify([{ bucket: "photos", key: "k" }, bad]))
    order.push("answered")
    expect(order).toEqual(["accepted", "kept", "answered"])
  })

  it.each([
    ["the state store is away", new Failure("unavailable", "no answer")], ["it forbids", new Failure("forbidden", "no")],
    ["there is a bug", new TypeError("x")],
  ])("where storing fails it answers 503, so that the sender repeats: %s", async (_, error) => {
    const away = () => Promise.reject(error)
    expect((await eventsHost({ acceptEvents: away }).post(upload)).status).toBe(503)
    expect((await eventsHost({ keepUnreadable: away }).post("{}")).status).toBe(503)
  })

  it.each(["", "{", "undefined", "{'a':1}", "Records=1", "\u0000", '{"a":1}x', "<xml/>"])("refuses what is not JSON with 400: %j", async (body) => {
    const { post, state } = eventsHost()
    expect((await post(body)).status).toBe(400)
    expect((await state.list("")).paths).toEqual([])
  })

  it("reads JSON that is not all UTF-8, as Ceph sends it where a tag is not, but guesses at no key", async () => {
    const { post, uploads, state } = eventsHost()
    const record = (key: string, tag: string) =>
      ({ eventSource: "ceph:s3", eventName: "ObjectCreated:Put", s3: { bucket: { name: "photos" }, object: { key, tags: [{ key: "a", val: tag }] } } })
    const delivery = JSON.stringify({ Records: [record("good", "caf\xe9"), record("caf\xe9", "x")] })
    const { status, json } = await post(Buffer.from(delivery, "latin1"))
    expect([status, json]).toEqual([202, { accepted: 1, ignored: 0, rejected: 1 }])
    expect(uploads).toEqual([{ bucket: "photos", key: "good" }])
    const [kept] = Object.values(await allStored(state, "unreadable-events/"))
    expect(kept).toMatchObject({ reason: "key is not Unicode text" })
  })

  it("refuses a body of more than 256 KiB with 413, and takes one of exactly that", async () => {
    const { post } = eventsHost()
    expect((await post(`"${"x".repeat(256 * 1024 - 1)}"`)).status).toBe(413)
    expect((await post(`"${"x".repeat(256 * 1024 - 2)}"`)).status).toBe(202)
  })

  it("keeps an unreadable delivery once, and of another only the records that can't be read", async () => {
    const { post, state } = eventsHost()
    for (let n = 0; n < 3; n++) await post(JSON.stringify({ a: 1, __bx_creds: { apikey: "not to be kept" } }))
    await post(JSON.stringify({ Records: [{ eventSource: "aws:sqs", body: JSON.stringify([{ bucket: "photos", key: "good" }, { bad: 1 }]) }] }))
    const kept = Object.values(await allStored(state, "unreadable-events/")) as { event: string }[]
    expect(kept.map(({ event }) => event).sort()).toEqual(['{"a":1}', '{"bad":1}'])
  })

  it("logs one line for a delivery: the reasons and where it is kept, and nothing of what was in it", async () => {
    const { post, lines } = eventsHost()
    await post(JSON.stringify({ Records: [...Array.from({ length: 50 }, (_, n) => ({ eventSource: `PRIVATE${n}` })), "PRIVATE"] }))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([{
      level: "warn", time: expect.any(String), msg: "upload events can't be read", rejected: 51,
      reasons: ["unknown event source", "unknown shape"], kept: Array.from({ length: 10 }, () => expect.stringMatching(/^unreadable-events\/[0-9a-f]{64}\.json$/)),
    }])
    expect(lines.join()).not.toContain("PRIVATE")
  })

  it("says how an SNS subscription is confirmed, without its token, which only the kept event has", async () => {
    const [, golden] = goldenEvents.find(([name]) => name === "sns-subscription.json") ?? []
    const { post, lines, state } = eventsHost()
    await post(JSON.stringify(golden?.delivery))
    expect(lines).toEqual([expect.stringContaining("confirmed by hand: the kept event has its SubscribeURL")])
    expect(lines.join()).not.toMatch(/2336412f37|http/)
    const [kept] = Object.values(await allStored(state, "unreadable-events/")) as { event: string }[]
    expect(kept?.event).toContain("2336412f37")
  })
})

describe("the events secret", () => {
  it.each<[string, Record<string, string>, string, number]>([
    ["a bearer token", {}, "/events", 202],
    ["a bearer token, its scheme in lower case", { authorization: `bearer ${SECRET}` }, "/events", 202],
    ["the path", { authorization: "" }, `/events/${SECRET}`, 202],
    ["the path, beside a token of something else", { authorization: "Bearer other" }, `/events/${SECRET}`, 202],
    ["nothing", { authorization: "" }, "/events", 401],
    ["the token without its scheme", { authorization: SECRET }, "/events", 401],
    ["a wrong token", { authorization: `Bearer ${SECRET}x` }, "/events", 401],
    ["the start of it", { authorization: `Bearer ${SECRET.slice(0, -1)}` }, "/events", 401],
    ["a wrong path, beside the right token", {}, `/events/${SECRET}x`, 401],
    ["a query", { authorization: "" }, `/events?secret=${SECRET}`, 401],
  ])("given by %s", async (_, headers, path, status) => {
    const { post, uploads } = eventsHost()
    expect((await post(upload, headers, path)).status).toBe(status)
    expect(uploads.length).toBe(status === 202 ? 1 : 0)
  })

  it("is asked for before the body is looked at", async () => {
    const { post } = eventsHost()
    expect((await post("{", { authorization: "" })).status).toBe(401)
    expect((await post("x".repeat(300_000), { authorization: "" })).status).toBe(401)
  })

  it("where there is none nobody is let in, neither by an empty one nor by a signature with it", async () => {
    const { post } = eventsHost({ settings: parseSettings({ account: "acc1", kmsInstance: instance.id, storeInstance: instance.id }) })
    for (const headers of [{ authorization: "" }, { authorization: "Bearer " }, { [SIGNATURE]: sign(upload, "") }, { authorization: "Bearer undefined" }]) {
      expect((await post(upload, headers)).status).toBe(401)
    }
  })

  it("made at the first start, is 32 letters and digits, as Backblaze wants a signing secret", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bucketseal-events-"))
    const [one, other] = [await readFirstStart(folder), await readFirstStart(folder)]
    await rm(folder, { recursive: true })
    expect(one.eventsSecret).toMatch(/^[0-9a-zA-Z]{32}$/)
    expect(other.eventsSecret).toBe(one.eventsSecret)
  })
})

describe("Backblaze's signature", () => {
  it.each([upload, JSON.stringify({ events: [] }), ` {"key" :"\\u00fc ü","bucket":"photos" }\n`, "null"])("over the raw bytes lets a request in without the secret: %j", async (body) => {
    const { post } = eventsHost()
    expect((await post(body, { [SIGNATURE]: sign(body), authorization: "" })).status).toBe(202)
  })

  it("is HMAC-SHA-256 in hex", async () => {
    const openssl = "v1=b8e5e1612f52653b9177d6a1b25773f910e9317fb1f3df63f0d0cf2efdfc02a3" // openssl dgst -sha256 -hmac
    expect((await eventsHost().post('{"events":[]}', { [SIGNATURE]: openssl, authorization: "" })).status).toBe(202)
  })

  it.each<[string, string]>([
    ["of other bytes that mean the same", sign(`${upload} `)], ["by another secret", sign(upload, `${SECRET}x`)], ["of another version", sign(upload).replace("v1", "v2")],
    ["without its version", sign(upload).slice(3)], ["cut short", sign(upload).slice(0, -2)], ["with more behind it", `${sign(upload)}00`], ["that is empty", ""],
    ["that is the secret", SECRET], ["that comes twice", `${sign(upload)}, ${sign(upload)}`],
  ])("%s is refused, even beside the right secret in token or path", async (_, signature) => {
    const { post, uploads } = eventsHost()
    expect((await post(upload, { [SIGNATURE]: signature })).status).toBe(401)
    expect((await post(upload, { [SIGNATURE]: signature }, `/events/${SECRET}`)).status).toBe(401)
    expect(uploads).toEqual([])
  })

  it("that is wrong is refused before the body is parsed", async () => {
    expect((await eventsHost().post("{", { [SIGNATURE]: sign("}") })).status).toBe(401)
    expect((await eventsHost().post("{", { [SIGNATURE]: sign("{") })).status).toBe(400)
  })

  it("that is right is enough, whatever the path says", async () => {
    expect((await eventsHost().post(upload, { [SIGNATURE]: sign(upload) }, "/events/anything")).status).toBe(202)
  })
})

describe("POST /events on the Node host", () => {
  const lines: string[] = []
  const log = jsonLog((line) => void lines.push(line), "debug", Date.now)
  let host: NodeHost
  beforeAll(async () => {
    const { handle } = eventsHost({ log, acceptEvents: ([event]) => event?.key === "fails" ? Promise.reject(new Error("down")) : Promise.resolve(1) })
    host = await nodeHost({ handle, log, version: "", port: 0, hostname: "127.0.0.1" })
  })
  afterAll(() => host.close(0))

  function send(method: string, path: string, body: string, headers: Record<string, string> = {}): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: "127.0.0.1", port: host.port, method, path, headers }, (response) => resolve(response.resume().statusCode))
      sent.on("error", reject)
      sent.end(body)
    })
  }

  const rows: readonly [method: string, path: string, body: string, status: number][] = [
    ["POST", `/events/${SECRET}`, upload, 202], ["POST", `/events/${SECRET}`, "{}", 202], ["POST", `/events/${SECRET}`, "{", 400],
    ["POST", `/events/${SECRET}`, '{"bucket":"photos","key":"fails"}', 503], ["POST", `/events/${SECRET}?x=1`, upload, 202],
    ["POST", `/events/${encodeURIComponent(SECRET).replace("0", "%30")}`, upload, 202], ["POST", `/events/${SECRET}x`, upload, 401],
    ["POST", `/events/${SECRET}/`, upload, 404], ["POST", `/events/${SECRET}/more`, upload, 404], ["POST", `/events/${SECRET}%ff`, upload, 400],
    ["POST", `/events/${SECRET}/..`, upload, 400], ["POST", `/event/${SECRET}`, upload, 404], ["GET", `/events/${SECRET}`, "", 405],
    ["PUT", `/events/${SECRET}`, upload, 405], ["POST", `/events/${SECRET}`, `"${"x".repeat(300_000)}"`, 413],
  ]

  it.each(rows)("%s %s answers as it must", async (method, path, body, status) => expect(await send(method, path, body)).toBe(status))

  it("no log line of all these requests holds the secret, nor does one where it comes as a token or a signature", async () => {
    for (const authorization of [`Bearer ${SECRET}`, `Bearer ${SECRET}x`, `Basic ${SECRET}`, SECRET]) {
      for (const body of [upload, "{", "{}", '{"bucket":"photos","key":"fails"}']) await send("POST", "/events", body, { authorization })
    }
    await send("POST", "/events", upload, { [SIGNATURE]: sign(upload) })
    await send("POST", `/events/${SECRET}`, upload, { [SIGNATURE]: "v1=00" })
    expect(lines.length).toBeGreaterThan(15)
    const told = lines.filter((line) => [SECRET, SECRET.slice(1), sign(upload), encodeURIComponent(upload)].some((secret) => line.includes(secret)))
    expect(told).toEqual([])
  })
})
