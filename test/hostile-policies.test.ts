/** Every body and query that an endpoint reads, changed at random: a policy, a registration, a key, a question. */
import { randomUUID } from "node:crypto"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { routes } from "../local/routes.ts"
import { bucketCrn } from "../shared/iam/crn.ts"
import { isFailure } from "../shared/errors.ts"
import { parseSettings, settingsFrom } from "../shared/settings.ts"
import { ACCOUNT, EVENTS_SECRET, faultOf, hostWorld, KMS, STORE, type HostWorld } from "./host-world.ts"
import { count, pick, property, randoms, report, tries } from "./hostile.ts"
import { mutated, mutatedText } from "./mutations.ts"

let world: HostWorld
let key: { id: string; crn: string }
let bodies: readonly (readonly [method: string, path: string, body: object])[]

const keyType = "application/vnd.ibm.kms.key+json"
const newKey = (resource: object) => ({ metadata: { collectionType: keyType, collectionTotal: 1 }, resources: [{ type: keyType, name: "fuzz", extractable: false, ...resource }] })

beforeAll(async () => {
  world = await hostWorld()
  const made = await (await world.call("POST", "/api/v2/keys", newKey({}))).json() as { resources: [{ id: string; crn: string }] }
  key = made.resources[0]
  const wrapped = await (await world.call("POST", `/api/v2/keys/${key.id}/actions/wrap`, {})).json() as { ciphertext: string }
  const place = (serviceName: string) => [{ name: "accountId", value: ACCOUNT }, { name: "serviceName", value: serviceName }]
  const role = { role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }
  const policy = { type: "authorization", description: "fuzz", subjects: [{ attributes: place("cloud-object-storage") }], roles: [role], resources: [{ attributes: place("kms") }] }
  const access = { type: "access", subjects: [{ attributes: [{ name: "iam_id", value: "IBMid-x" }] }], roles: [role], resources: [{ attributes: [...place("kms"), { name: "resource", value: "a*?", operator: "stringMatch" }] }] }
  const source = bucketCrn(ACCOUNT, STORE, "photos")
  const { id: identity } = await world.context.identities.create({ kind: "service-id", name: "x", description: "", account: ACCOUNT, actsFor: [] })
  bodies = [
    ["POST", "/v1/policies", policy], ["POST", "/v1/policies", access], ["PUT", `/v1/policies/${randomUUID()}`, policy],
    ["PUT", "/registrations/photos", { rootKey: key.crn, source, settle: 0, otherRegion: true, limits: { objects: 1, bytes: 1, seconds: 1 }, enabled: false }],
    ["PUT", "/registrations/photos?prefix=a", { rootKey: `${key.crn}0`, source, mode: "in-place", moved: "allow", replicated: true }],
    ["POST", "/authorize", { subject: `crn-${source}`, action: "kms.secrets.wrap", resource: key.crn }], ["POST", "/authorize", { action: "cloud-object-storage.object.get", resource: source }],
    ["POST", "/v1/serviceids", { account_id: ACCOUNT, name: "fuzz", description: "x", acts_for: [source] }], ["POST", "/v1/apikeys", { account_id: ACCOUNT, name: "fuzz", iam_id: identity }],
    ["POST", "/api/v2/keys", newKey({ description: "x", aliasList: ["a"], tags: ["t"], payload: Buffer.alloc(32).toString("base64"), expirationDate: "2999-01-01T00:00:00Z" })],
    ["POST", `/api/v2/keys/${key.id}/actions/wrap`, { plaintext: Buffer.alloc(32).toString("base64"), aad: ["a", "b"] }],
    ["POST", `/api/v2/keys/${key.id}?action=unwrap`, { ciphertext: wrapped.ciphertext, aad: [] }], ["POST", `/api/v2/keys/${key.id}/actions/rewrap`, { ciphertext: wrapped.ciphertext }],
    ["POST", "/approvals", { operation: "fix", scope: { bucket: "photos", prefix: "a/" }, options: { abortUploadsOlderThan: 86_400 }, expiresIn: 60 }],
    ["POST", `/api/v2/keys/${randomUUID()}/actions/rotate`, { payload: Buffer.alloc(32).toString("base64") }], ["POST", `/api/v2/keys/${randomUUID()}/actions/disable`, {}],
  ]
})
afterAll(() => world.close())

async function expectWell(): Promise<void> {
  const { status } = await world.call("POST", `/api/v2/keys/${key.id}/actions/wrap`, {})
  expect(status).toBe(200)
  expect(world.lines.filter((line) => line.includes('"level":"error"') && !line.includes("NOT_IMPLEMENTED") && !line.includes("not-implemented"))).toEqual([])
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(untouched)
}

const untouched = Object.getOwnPropertyNames(Object.prototype)

describe("bodies", () => {
  it("are all of those that any route reads as JSON", () => {
    const read = routes.filter(({ body }) => body?.kind === "json").map(({ method, path }) => `${method} ${path}`)
    const tried = bodies.map(([method, path]) => `${method} ${path.replace(/\?.*/, "").replace(/[0-9a-f-]{36}/, ":id").replace("photos", ":bucket")}`)
    const byAction = new Set(tried.map((one) => one.replace(/\/actions\/.*/, "")))
    expect(read.filter((one) => !tried.includes(one) && !byAction.has(one.replace(/\/actions\/.*/, "")))).toEqual([])
  })

  const RUNS = tries(1_500)
  it(`of ${RUNS} that were changed at random, none is answered by anything but success or a clear refusal`, async () => {
    const counts: Record<string, number> = {}
    for (const random of randoms(RUNS)) {
      const [method, path, good] = pick(random, bodies)
      let changed: unknown = good
      for (let left = 1 + Math.floor(random() * 3); left > 0; left--) changed = mutated(changed, random)
      const text = JSON.stringify(changed)
      const response = await world.call(method, path, random() < 0.2 ? mutatedText(text, random) : text)
      const { status } = response
      const fault = await faultOf(response)
      if (fault) expect.fail(`${fault}\nfor ${method} ${path} ${text.slice(0, 1_000)}`)
      count(counts, status)
    }
    report("mutated API bodies", counts)
    expect(Object.keys(counts)).toEqual(expect.arrayContaining(["200", "201", "400", "404", "413"]))
    await expectWell()
  }, 600_000)

  it("of bytes that are no text, deep, and of the most that is read, are refused", async () => {
    const deep = (open: string, close: string) => `${open.repeat(8_000)}1${close.repeat(8_000)}`
    for (const [method, path] of bodies) {
      for (const body of [Buffer.of(0xff, 0xfe), Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]), deep("[", "]"), deep('{"a":', "}"), `"${"x".repeat(15_000)}"`, `{${'"a":1,'.repeat(2_000)}"b":1}`, "9".repeat(15_000), "null", "-0"]) {
        const response = await world.call(method, path, body)
        const { status } = response
        expect([path, await faultOf(response), status < 500]).toEqual([path, undefined, true])
      }
    }
    await expectWell()
  })

  it("that break off before their end are refused, not taken for a fault of the host's", async () => {
    const broken = () => new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('{"act')),
      pull: (controller) => controller.error(new Error("aborted")),
    })
    for (const [method, path] of bodies) {
      const headers = { authorization: `Bearer ${world.ownerToken}`, "bluemix-instance": KMS }
      const response = await world.handle(new Request(`http://127.0.0.1${path}`, { method, headers, body: broken(), duplex: "half" }))
      expect([path, response.status]).toEqual([path, 400])
    }
    await expectWell()
  })
})

describe("paths and queries", () => {
  const text = fc.oneof(
    fc.constantFrom("..", "%2e%2e", "..%2f..%2fpolicies%2facct1", "%00", "%ff", "%ed%a0%80", "%", "%zz", "", "__proto__", "x".repeat(2_000), "%F0%9F%AA%A3".repeat(300), "a:b", "*", "crn:v1:bluemix:public:kms:us-south:a/acct1:x:key:y", "-1", "1e9", "99999999999999999999", "true", "0,1,2,3,5", "%0d%0aX:%20y", "http://192.0.2.66/"),
    fc.string({ unit: "binary-ascii", maxLength: 20 }).map(encodeURIComponent),
    fc.uuid(),
  )
  const name = fc.constantFrom("key", "prefix", "limit", "offset", "state", "extractable", "search", "sort", "force", "action", "totalCount", "allKeyStates", "account_id", "iam_id", "type", "service_name", "__proto__", "return")
  const route = fc.constantFrom(...routes.filter(({ action }) => action !== "unsafe-anyone"))
  const headers = fc.array(fc.tuple(
    fc.constantFrom("range", "if-match", "if-none-match", "if-range", "bluemix-instance", "iam-apikey", "correlation-id", "prefer", "content-type", "content-encoding", "x-kms-key-ring"),
    fc.oneof(fc.constantFrom("*", "bytes=0-", "bytes=9-1", KMS, KMS.toUpperCase(), "../x", "x".repeat(5_000), "return=representation", ",".repeat(2_000), "gzip"), fc.string({ unit: "binary-ascii" }).map((all) => all.replace(/[^\x20-\x7e]/g, "").trim())),
  ), { maxLength: 3 }).map((pairs) => Object.fromEntries(pairs))

  it("of any text, under any header, on every route, are answered by success or a clear refusal", async () => {
    const counts: Record<string, number> = {}
    await fc.assert(fc.asyncProperty(route, fc.array(text, { minLength: 3, maxLength: 3 }), fc.array(fc.tuple(name, text), { maxLength: 3 }), headers, async ({ method, path }, values, query, sent) => {
      let at = 0
      const filled = path.replace(/:\w+\*?/g, () => values[at++] ?? "")
      const response = await world.call(method, `${filled}?${query.map((pair) => pair.join("=")).join("&")}`, "{}", sent)
      const { status } = response
      count(counts, status)
      expect(method === "HEAD" && status < 500 ? undefined : await faultOf(response)).toBeUndefined()
    }), property(2_000))
    report("hostile API paths", counts)
    expect(Object.keys(counts)).toEqual(expect.arrayContaining(["200", "400", "404"]))
    await expectWell()
  })

  it.each([
    ["a key of 1,025 bytes", `/objects/photos?key=${"k".repeat(1_025)}`], ["a key of 1,025 bytes in few letters", `/objects/photos?key=${encodeURIComponent("🪣".repeat(257))}`],
    ["a bucket with a slash", "/objects/a%2Fb?key=k"], ["a bucket that climbs", "/objects/..%2Fx?key=k"], ["a bucket with a NUL", "/objects/%00?key=k"], ["an endless bucket", `/objects/${"b".repeat(3_000)}?key=k`],
  ])("that name %s are refused before a store is asked: 400", async (_, path) => {
    expect((await world.call("GET", path)).status).toBe(400)
  })
})

describe("events", () => {
  it("of any bytes, under either way to show the secret, are stored or refused", async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.constantFrom("", "wrong", EVENTS_SECRET, "%00", "..%2f", "x".repeat(3_000)), async (body, secret) => {
      const response = await world.call("POST", secret === "" ? "/events" : `/events/${secret}`, Buffer.from(body), { authorization: secret === "" ? `Bearer ${EVENTS_SECRET}` : "" })
      const { status } = response
      expect(await faultOf(response)).toBeUndefined()
      if (secret !== "" && secret !== EVENTS_SECRET) expect(status).toBe(401)
    }), property(500))
    await expectWell()
  })
})

describe("settings", () => {
  it("of any values are right, or each is named with what is wrong with it", () => {
    const known = ["DATA", "PORT", "S3_PORT", "STORE", "STATE", "S3_ENDPOINT", "S3_REGION", "S3_ALLOW_HTTP", "KMS_INSTANCE", "ACCOUNT", "STORE_INSTANCE", "REGION", "JWKS_URL", "EVENTS_SECRET", "DEK_OBJECTS", "CACHE_SECONDS", "LOG_LEVEL"]
    const value = fc.oneof(fc.string(), fc.constantFrom("0", "-1", "1e3", "0x10", " 1", "NaN", "Infinity", "true", "local", "s3://", "s3://a/../b", "http://a b", "http://u:p@a", "//a", "__proto__", "\u0000", "x".repeat(10_000)))
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...known.map((name) => `BUCKETSEAL_${name}`), "__proto__", "PATH"), value), (variables) => {
      try {
        parseSettings({ account: ACCOUNT, kmsInstance: KMS, storeInstance: STORE, ...settingsFrom(variables) })
      } catch (error) {
        expect(isFailure(error, "bad-field") && /^settings are wrong:\n.+/.test(error.message)).toBe(true)
      }
    }), property(500))
  })
})
