import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { decryptObject } from "../functions/decrypt-object.ts"
import type { Caller, ObjectsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { authority } from "../shared/iam/authority.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { parseSettings } from "../shared/settings.ts"
import { patterned } from "./bytes.ts"
import { ACCOUNT, makeWorld, STORE_INSTANCE, type World } from "./object-fixtures.ts"
import { instance } from "./key-fixtures.ts"
import { localHarness } from "./stores.ts"

const plaintext = patterned(100_000)

describe("decrypt-object", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  let handle: (request: Request) => Promise<Response>
  let etag: string

  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
    const settings = parseSettings({ account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE })
    const callers: Record<string, Caller> = {
      reader: { subject: { iamId: "IBMid-reader", account: ACCOUNT }, subjectType: "user" },
      stranger: { subject: { iamId: "IBMid-stranger", account: ACCOUNT }, subjectType: "user" },
    }
    await world.policies.create(ACCOUNT, {
      type: "access", subjects: [{ attributes: [{ name: "iam_id", value: "IBMid-reader" }] }],
      roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }],
      resources: [{ attributes: [{ name: "accountId", value: ACCOUNT }, { name: "serviceName", value: "cloud-object-storage" }] }],
    }, "IBMid-owner")
    const context: ObjectsContext = {
      settings, clock: world.clock, log: world.sealer.log, state: world.state, authority: authority(world.policies),
      async authenticate(token) {
        const caller = callers[token]
        if (!caller) throw new Failure("unauthorized", "the token does not hold")
        return caller
      },
      registrations: world.registrations, registrar: world.registrar, sealer: world.sealer, opener: world.opener,
    }
    handle = answer(decryptObject, context)
    await world.store.put(world.ref("a b/ü%2F+.txt"), plaintext, {
      attributes: {
        contentType: "text/html", cacheControl: "max-age=9", contentDisposition: "inline", contentLanguage: "en",
        expires: "Wed, 21 Oct 2026 07:28:00 GMT", metadata: { owner: "me", name: "Zürich 🪣" },
      },
    })
    await world.seal("a b/ü%2F+.txt")
    etag = (await world.store.head(world.ref("a b/ü%2F+.txt")))?.etag ?? ""
    await world.store.put(world.ref("plain"), plaintext)
    await world.store.put(world.ref("line\nbreak"), plaintext)
    await world.seal("line\nbreak")
    await world.store.put(world.ref("empty"), Buffer.alloc(0))
    await world.seal("empty")
  })
  afterAll(() => harness.close())

  const url = (key: string) => `http://host/objects/${world.bucket}?key=${encodeURIComponent(key)}`
  const get = (address: string, headers: Record<string, string> = {}, method = "GET") =>
    handle(new Request(address, { method, headers: { authorization: "Bearer reader", ...headers } }))
  const text = async (response: Response) => Buffer.from(await response.arrayBuffer())
  const main = () => url("a b/ü%2F+.txt")

  it("gives the plaintext with the object's own headers and its own safety headers", async () => {
    const response = await get(main())
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/html", "content-disposition": "inline", "content-language": "en", expires: "Wed, 21 Oct 2026 07:28:00 GMT",
      "x-object-cache-control": "max-age=9", "x-amz-meta-owner": "me", "content-length": "100000", etag: `"${etag}"`,
      "accept-ranges": "bytes", "cache-control": "private, no-store", vary: "Authorization", "x-content-type-options": "nosniff",
      "content-security-policy": "sandbox", "x-amz-meta-name": `=?UTF-8?B?${Buffer.from("Zürich 🪣").toString("base64")}?=`,
    })
    expect(response.headers.has("x-amz-meta-bucketseal")).toBe(false)
    expect((await text(response)).equals(plaintext)).toBe(true)
  })

  it("takes the key from the path, percent-decoded once", async () => {
    const path = "a b/ü%2F+.txt".split("/").map(encodeURIComponent).join("/")
    expect((await text(await get(`http://host/objects/${world.bucket}/${path}`))).equals(plaintext)).toBe(true)
    expect((await get(`http://host/objects/${world.bucket}/line%0Abreak`)).status).toBe(200)
  })

  it("HEAD gives the same headers and no body", async () => {
    const response = await get(main(), {}, "HEAD")
    expect([response.status, response.headers.get("content-length"), (await text(response)).length]).toEqual([200, "100000", 0])
  })

  it.each([
    ["bytes=0-0", 0, 1], ["bytes=16383-16384", 16_383, 16_385], ["bytes=99999-", 99_999, 100_000], ["bytes=-5", 99_995, 100_000],
    ["bytes=-200000", 0, 100_000], ["bytes=50000-999999", 50_000, 100_000],
  ])("answers Range: %s with 206 and exactly these bytes", async (range, from, to) => {
    const response = await get(main(), { range })
    expect([response.status, response.headers.get("content-range"), response.headers.get("content-length")])
      .toEqual([206, `bytes ${from}-${to - 1}/100000`, String(to - from)])
    expect((await text(response)).equals(plaintext.subarray(from, to))).toBe(true)
  })

  it.each(["bytes=5-2", "items=0-1", "bytes=0-1,5-6", "bytes=-", "bytes=x-y"])("ignores Range: %s and sends the whole", async (range) => {
    const response = await get(main(), { range })
    expect([response.status, (await text(response)).length]).toEqual([200, 100_000])
  })

  it.each([["bytes=100000-", "a b/ü%2F+.txt", 100_000], ["bytes=-0", "a b/ü%2F+.txt", 100_000], ["bytes=0-0", "empty", 0]])("answers Range: %s of %j behind the end with 416 and the size", async (range, key, size) => {
    const response = await get(url(key), { range })
    expect([response.status, response.headers.get("content-range")]).toEqual([416, `bytes */${size}`])
  })

  it("sends the whole for a range that was meant for another version (If-Range)", async () => {
    expect((await get(main(), { range: "bytes=0-0", "if-range": '"other"' })).status).toBe(200)
    expect((await get(main(), { range: "bytes=0-0", "if-range": `"${etag}"` })).status).toBe(206)
  })

  it("obeys If-Match and If-None-Match on the stored object's ETag", async () => {
    expect((await get(main(), { "if-match": `"x", "${etag}"` })).status).toBe(200)
    expect((await get(main(), { "if-match": '"x"' })).status).toBe(412)
    expect((await get(main(), { "if-none-match": `W/"${etag}"` })).status).toBe(304)
    expect((await get(main(), { "if-none-match": '"x"' })).status).toBe(200)
  })

  it("says what is wrong, and of what exists nothing to those without the right", async () => {
    const code = async (response: Response) => ((await response.json()) as { resources: [{ reasons?: [{ code: string }] }] }).resources[0].reasons?.[0].code
    expect(await code(await get(url("plain")))).toBe("CONFLICT_ERR")
    expect(await code(await get(url("nothing")))).toBe("NOT_FOUND_ERR")
    expect(await code(await get(`http://host/objects/${world.bucket}`))).toBe("INVALID_QUERY_PARAM_ERR")
    expect((await get(`http://host/objects/${world.bucket}/%ff`)).status).toBe(400)
    expect((await get(main(), {}, "POST")).status).toBe(405)
    expect((await get(main(), { authorization: "Bearer nobody" })).status).toBe(401)
    expect((await get(main(), { authorization: "Basic reader" })).status).toBe(401)
    const asStranger = await Promise.all(["a b/ü%2F+.txt", "nothing"].map(async (key) => {
      const response = await get(url(key), { authorization: "Bearer stranger" })
      return [response.status, await response.text()]
    }))
    expect(asStranger[0]).toEqual(asStranger[1])
    expect(asStranger[0]?.[0]).toBe(403)
  })

  it("opens a moved object only where the registration it was sealed under allows that", async () => {
    await world.store.put(world.ref("copy"), await world.stored("a b/ü%2F+.txt") ?? Buffer.alloc(0))
    expect((await get(url("copy"))).status).toBe(409)
    await world.register(world.bucket, { moved: "allow" })
    expect((await text(await get(url("copy")))).equals(plaintext)).toBe(true)
    await world.register(world.bucket, { moved: "refuse" })
  })

  it("refuses once the authorization of the bucket's service is gone", async () => {
    await world.policies.delete(ACCOUNT, world.grant.id)
    expect((await get(main())).status).toBe(403)
    await world.policies.create(ACCOUNT, world.authorization(), "IBMid-owner")
    expect((await get(main())).status).toBe(200)
  })
})
