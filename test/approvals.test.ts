import { beforeAll, beforeEach, describe, expect, it } from "vitest"
import { approvals } from "../functions/approvals.ts"
import type { ObjectsContext } from "../shared/context.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { access, ACCOUNT, bucket, firstOwner, iam, serviceId, STORE, testClock } from "./iam-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const DAY = 86_400
const UNKNOWN = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11"

describe("/approvals", () => {
  const state = memoryState()
  const clock = testClock()
  let here: ReturnType<typeof iam>
  let owner: string
  let handle: (request: Request) => Promise<Response>
  beforeAll(async () => {
    here = iam({ state, clock, cacheSeconds: 0 })
    owner = (await firstOwner(here.context)).token
    handle = answer(approvals, here.context as unknown as ObjectsContext) // all that these routes use is there
  })

  async function call(method: string, path: string, token: string, body?: unknown) {
    const response = await handle(new Request(`http://127.0.0.1${path}`, {
      method, headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }))
    const text = await response.text()
    return { status: response.status, text, json: (text === "" ? {} : JSON.parse(text)) as Record<string, any> } // eslint-disable-line @typescript-eslint/no-explicit-any -- answers as they come
  }
  const wanted = (more: object = {}) => ({ operation: "fix", scope: { bucket: "photos" }, ...more })
  /** A token of somebody with this role on this bucket. */
  async function somebody(role: "Reader" | "Writer" | "Manager", on: string) {
    const { identity, token } = await serviceId(here.context)
    await here.policies.create(ACCOUNT, access(identity.id, role, { serviceName: "bucketseal", serviceInstance: STORE, resource: on }), "IBMid-owner")
    return token
  }
  let manager: string
  beforeEach(async () => {
    manager = await somebody("Manager", "photos")
  })

  it("POST writes an approval for a day, by whoever holds bucketseal.objects.fix on the bucket", async () => {
    const { status, json } = await call("POST", "/approvals", manager, wanted({ scope: { bucket: "photos", prefix: "in/" } }))
    expect([status, json]).toMatchObject([201, { operation: "fix", scope: { bucket: "photos", prefix: "in/" }, options: {} }])
    expect(json["by"]).toMatch(/^iam-ServiceId-/)
    expect(Date.parse(String(json["expires"])) - clock()).toBe(DAY * 1_000)
    expect((await state.read(`approvals/${json["id"]}.json`, { parse: (value) => value }))?.value).toEqual(json)
  })

  it("POST takes an expiry of at most a week, and uploads of others of at least a day", async () => {
    const options = { abortUploadsOlderThan: DAY }
    const { status, json } = await call("POST", "/approvals", owner, wanted({ expiresIn: 7 * DAY, options }))
    expect([status, json["options"], Date.parse(String(json["expires"])) - clock()]).toEqual([201, options, 7 * DAY * 1_000])
  })

  it.each([
    ["an expiry of more than a week", { expiresIn: 7 * DAY + 1 }], ["none", { expiresIn: 0 }], ["half a second", { expiresIn: 1.5 }],
    ["an operation without a job", { operation: "decrypt" }], ["no operation", { operation: undefined }],
    ["uploads younger than a day", { options: { abortUploadsOlderThan: DAY - 1 } }], ["an unknown option", { options: { deleteAll: true } }],
    ["an unknown member", { by: "me" }], ["no bucket", { scope: {} }], ["no bucket's name", { scope: { bucket: "../x" } }],
    ["a prefix longer than a key", { scope: { bucket: "photos", prefix: "p".repeat(1_025) } }],
  ])("POST refuses %s, and writes nothing", async (_, more) => {
    const before = await state.list("approvals/")
    expect((await call("POST", "/approvals", owner, wanted(more))).status).toBe(400)
    expect(await state.list("approvals/")).toEqual(before)
  })

  it("POST without that right on this very bucket is 403, and writes nothing", async () => {
    const before = await state.list("approvals/")
    for (const token of [await somebody("Writer", "photos"), await somebody("Reader", "photos"), await somebody("Manager", "letters"), (await serviceId(here.context)).token]) {
      const { status, text } = await call("POST", "/approvals", token, wanted())
      expect([status, text]).toEqual([403, expect.stringContaining(`not allowed: bucketseal.objects.fix on ${bucket("photos")}`)])
    }
    expect((await call("POST", "/approvals", "no-token", wanted())).status).toBe(401)
    expect(await state.list("approvals/")).toEqual(before)
  })

  it("GET shows it to who may read the bucket's registrations, DELETE withdraws it for who may approve", async () => {
    const { json } = await call("POST", "/approvals", manager, wanted())
    const path = `/approvals/${json["id"]}`
    const reader = await somebody("Reader", "photos")
    expect(await call("GET", path, reader)).toMatchObject({ status: 200, json })
    expect((await call("DELETE", path, reader)).status).toBe(403)
    expect((await call("GET", path, await somebody("Manager", "letters"))).status).toBe(403)
    expect((await call("DELETE", path, await somebody("Manager", "letters"))).status).toBe(403)
    expect((await call("GET", path, reader)).status).toBe(200)
    expect((await call("DELETE", path, manager)).status).toBe(204)
    expect((await call("GET", path, owner)).status).toBe(404)
    expect((await call("DELETE", path, owner)).status).toBe(404)
  })

  it.each([UNKNOWN, "x", "..%2Fpolicies%2Facct1", "%00"])("one that isn't there (%s) is 404 for the owner, 403 for everybody else", async (id) => {
    expect((await call("GET", `/approvals/${id}`, owner)).status).toBe(404)
    expect((await call("GET", `/approvals/${id}`, (await serviceId(here.context)).token)).status).toBe(403)
    expect((await call("DELETE", `/approvals/${id}`, (await serviceId(here.context)).token)).status).toBe(403)
  })
})
