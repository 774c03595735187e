import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { registrationRequest, registrations } from "../shared/objects/registrations.ts"
import { checkedRegistration, type Registrar } from "../shared/objects/register.ts"
import type { BucketSettings } from "../shared/ports.ts"
import { countingState } from "./inbox-fixtures.ts"
import { memoryState } from "./memory-state.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

describe("registering a bucket", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
  })
  afterAll(() => harness.close())

  const open: BucketSettings = { versioning: "off", objectLock: false, replicated: false, lifecycle: [] }
  const attempt = (settings: Partial<BucketSettings>, change: object = {}, registrar: Partial<Registrar> = {}) => checkedRegistration(
    { ...world.registrar, bucketSettings: async () => ({ ...open, ...settings }), ...registrar },
    { bucket: world.bucket, prefix: "", by: "IBMid-owner" },
    registrationRequest.parse({ rootKey: world.rootKey.crn, source: world.registrar.sourceOf(world.bucket), settle: 0, ...change }),
  )

  it.each([
    ["enabled versioning", { versioning: "enabled" }, "unsafe-store", "keeps versions"],
    ["suspended versioning", { versioning: "suspended" }, "unsafe-store", "keeps versions"],
    ["Object Lock", { objectLock: true }, "unsafe-store", "Object Lock"],
    ["replication", { replicated: true }, "unsafe-store", "replicated: true"],
    ["a location in another region than the key", { location: "eu-de" }, "bad-field", "otherRegion: true"],
  ] as const)("%s refuses it, and the error says what it is", async (_, settings, code, words) => {
    await expect(attempt(settings)).rejects.toMatchObject({ code, message: expect.stringContaining(words) })
  })

  it("what can be accepted by name is", async () => {
    await attempt({ replicated: true }, { replicated: true })
    await attempt({ location: "eu-de" }, { otherRegion: true })
    await attempt({ location: "us-south-standard" })
  })

  it("a bucket that is not there, that holds the state, or that gives versions all the same is refused", async () => {
    await expect(attempt({}, {}, { bucketSettings: async () => undefined })).rejects.toMatchObject({ code: "bucket-not-found" })
    await expect(attempt({}, {}, { holdsState: () => true })).rejects.toMatchObject({ code: "bad-field" })
    const probed = await world.registrar.probe(world.bucket)
    await expect(attempt({}, {}, { probe: async () => ({ ...probed, givesVersions: true }) })).rejects.toMatchObject({ code: "unsafe-store" })
    await expect(attempt({}, {}, { probe: async () => ({ ...probed, unsafe: "it lies" }) })).rejects.toMatchObject({ code: "unsafe-store", message: expect.stringContaining("it lies") })
  })

  it("without the authorization it is refused, and the error says which one to create", async () => {
    const refusing = { decide: async () => ({ allowed: false, missing: { type: "authorization" as const, subjects: [], roles: [], resources: [] } }) }
    await expect(attempt({}, {}, { authority: refusing })).rejects.toMatchObject({ code: "forbidden", message: expect.stringContaining('"type":"authorization"') })
  })

  it("remembers every root key it has had", async () => {
    const other = await world.rootKeys.create({ name: "other", tags: [] }, "IBMid-owner")
    await world.register(world.bucket, { rootKey: other.crn })
    const { rootKey, rootKeys } = await world.register(world.bucket, {})
    expect([rootKey, [...rootKeys].sort()]).toEqual([world.rootKey.crn, [world.rootKey.crn, other.crn].sort()])
  })
})

describe("registrations", () => {
  it("the longest prefix wins, and what changed elsewhere is seen within the cache limit", async () => {
    let now = 0
    const state = memoryState()
    const [here, elsewhere] = [registrations(state, () => now, 300), registrations(state, () => now, 300)]
    const one = (prefix: string) => ({ prefix, bucket: "b" }) as Parameters<Parameters<typeof here.put>[2]>[0] & object
    expect(await here.find("b", "a/x")).toBeUndefined()
    for (const prefix of ["", "a/", "a/b/"]) await elsewhere.put("b", prefix, () => ({ ...complete, ...one(prefix) }))
    expect(await here.find("b", "a/x")).toBeUndefined()
    now += 300_000
    expect((await here.find("b", "a/x"))?.prefix).toBe("a/")
    expect((await here.find("b", "a/b/x"))?.prefix).toBe("a/b/")
    expect((await here.find("b", "x"))?.prefix).toBe("")
    expect(await elsewhere.remove("b", "a/")).toBe(true)
    expect(await elsewhere.remove("b", "a/")).toBe(false)
    now += 299_000
    expect((await here.find("b", "a/x"))?.prefix).toBe("a/")
    now += 1_000
    expect((await here.find("b", "a/x"))?.prefix).toBe("")
    expect((await here.list()).map(({ prefix }) => prefix)).toEqual(["", "a/b/"])
  })

  it("whoever would drop what is not registered sees within 2 seconds what was registered elsewhere", async () => {
    let now = 0
    const { state, counts } = countingState()
    const [here, elsewhere] = [registrations(state, () => now, 300), registrations(state, () => now, 300)]
    const isEnabled = async () => (await here.findRecent("b", "k"))?.enabled
    expect([await here.find("b", "k"), await isEnabled()]).toEqual([undefined, undefined])
    await elsewhere.put("b", "", () => ({ ...complete, enabled: false }))
    now += 1_999
    expect(await isEnabled()).toBeUndefined()
    now += 1
    expect(await isEnabled()).toBe(false)
    await elsewhere.put("b", "", () => complete)
    now += 2_000
    expect(await isEnabled()).toBe(true)
    expect((await here.find("b", "k"))?.enabled).toBe(true)
    const before = { ...counts }
    now += 299_999
    expect([await isEnabled(), counts]).toEqual([true, before])
  })

  it("sees at once what it has registered itself", async () => {
    const here = registrations(memoryState(), () => 0, 300)
    expect(await here.findRecent("b", "k")).toBeUndefined()
    await here.put("b", "", () => complete)
    expect(await here.findRecent("b", "k")).toBeDefined()
  })

  it("a flood about places that are not registered costs a listing in 2 seconds, and a conditional read for each bucket that is", async () => {
    let now = 0
    const { state, counts } = countingState()
    for (const bucket of ["b", "c"]) await registrations(state, Date.now, 300).put(bucket, "", () => ({ ...complete, enabled: false }))
    const here = registrations(state, () => now, 300)
    const costs = async () => {
      for (const method of ["list", "read", "readIfChanged"] as const) delete counts[method]
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 5_000 }, (_, n) => here.findRecent(["b", "c"][n] ?? `foreign${n % 4_000}`, "k")))
      }
      const { list, read, readIfChanged } = counts
      return { list, read, readIfChanged }
    }
    expect(await costs()).toEqual({ list: 1, read: 2 })
    now += 2_000
    expect(await costs()).toEqual({ list: 1, readIfChanged: 2 })
  })

  it("what was read before the clock was set back is read anew, and a read that fails is not remembered", async () => {
    let now = 86_400_000
    let isDown = true
    const state = memoryState()
    const refuse = () => Promise.reject(new Error("no answer"))
    const here = registrations({ ...state, list: (...given) => (isDown ? refuse() : state.list(...given)) }, () => now, 300)
    await expect(here.findRecent("b", "k")).rejects.toThrow("no answer")
    isDown = false
    expect(await here.findRecent("b", "k")).toBeUndefined()
    await registrations(state, () => 0, 300).put("b", "", () => complete)
    now = 0
    expect(await here.findRecent("b", "k")).toBeDefined()
  })

  it("16 instances that register prefixes of one bucket at once lose none", async () => {
    const state = memoryState()
    await Promise.all(Array.from({ length: 16 }, (_, n) => registrations(state, Date.now, 0).put("b", `p${n}/`, () => ({ ...complete, prefix: `p${n}/` }))))
    expect(await registrations(state, Date.now, 0).list("b")).toHaveLength(16)
  })
})

const complete = {
  rootKey: "k", rootKeys: ["k"], source: "s", mode: "in-place" as const, moved: "refuse" as const, settle: 0, otherRegion: false, replicated: false,
  enabled: true, bucket: "b", prefix: "", created: "2026-01-01T00:00:00Z", createdBy: "me",
  store: { matchForm: "quoted" as const, etagIsMd5: true, reportsTagCount: true, probed: "2026-01-01T00:00:00Z" },
}
