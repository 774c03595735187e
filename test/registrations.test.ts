import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { registrations as registrationRoutes } from "../functions/registrations.ts"
import { Failure } from "../shared/errors.ts"
import { registrationRequest, registrations } from "../shared/objects/registrations.ts"
import { checkedRegistration, type Judgement, type Registrar } from "../shared/objects/register.ts"
import type { Authority, BucketSettings } from "../shared/ports.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { probe } from "../shared/store/probe.ts"
import { judged } from "../shared/store/store-facts.ts"
import { countingState } from "./inbox-fixtures.ts"
import { contextOf } from "./job-fixtures.ts"
import { lies, lying } from "./lying-stores.ts"
import { memoryState } from "./memory-state.ts"
import { ACCOUNT, makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

describe("registering a bucket", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
  })
  afterAll(() => harness.close())

  const open: BucketSettings = {
    versioning: "off", mfaDelete: false, objectLock: false, defaultRetention: false, replicated: false, notifies: false, policy: false,
    lifecycle: [],
  }
  const attempt = (settings: Partial<BucketSettings>, change: object = {}, registrar: Partial<Registrar> = {}) => checkedRegistration(
    { ...world.registrar, bucketSettings: async () => ({ ...open, ...settings }), ...registrar },
    { bucket: world.bucket, prefix: "", by: "IBMid-owner" },
    registrationRequest.parse({ rootKey: world.rootKey.crn, source: world.registrar.sourceOf(world.bucket), settle: 0, ...change }),
  )
  /** The probe's answer for one use, whatever the bucket is. */
  const finding = (judgement: Judgement): Partial<Registrar> => ({ probe: async () => () => judgement })

  it.each([
    ["Object Lock", { objectLock: true }, "unsafe-store", "plaintext could not be removed"],
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

  it("a bucket that is not there, or that holds the state is refused", async () => {
    await expect(attempt({}, {}, { bucketSettings: async () => undefined })).rejects.toMatchObject({ code: "bucket-not-found" })
    await expect(attempt({}, {}, { holdsState: () => true })).rejects.toMatchObject({ code: "bad-field" })
  })

  it.each([
    ["in-place", "the bucket can't be sealed in place: it lies"], ["vault", "the bucket can't be a vault: it lies"],
  ])("S10: without a safe strategy it is refused, and the property that failed is named (%s)", async (mode, message) => {
    await expect(attempt({}, { mode }, finding({ refused: "it lies", measured: true }))).rejects.toMatchObject({ code: "unsafe-store", message })
  })

  it("S23: Object Lock and replication are no hindrance to a vault", async () => {
    await attempt({ objectLock: true, replicated: true }, { mode: "vault" })
  })

  it.each(["off", "enabled", "suspended"] as const)("S2: a bucket is registered where its conditions hold and its versions can be removed (%s)", async (versioning) => {
    const bucket = await harness.bucket()
    if (versioning !== "off") await harness.store.setVersioning(bucket, "enabled")
    if (versioning === "suspended") await harness.store.setVersioning(bucket, "suspended")
    const { store } = await world.register(bucket)
    expect(store).toEqual({
      matchForm: "quoted", etagIsMd5: true, reportsTagCount: true, versioning, conditionalComplete: true, conditionalDelete: true,
      removeSource: versioning === "off" ? "keep" : "version", refusesWrongChecksum: true, refusesWrongStreamChecksum: true,
      probed: new Date(world.clock()).toISOString(),
    })
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

describe("registering a bucket to be sealed into another one", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  let vault: string
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
    vault = await harness.bucket()
    await world.register(vault, { mode: "vault" }, "in/")
  })
  afterAll(() => harness.close())

  const into = (destination: string, prefix = "in/", change: object = {}, registrar: Partial<Registrar> = {}) => checkedRegistration(
    { ...world.registrar, ...registrar }, { bucket: world.bucket, prefix, by: "IBMid-owner" },
    registrationRequest.parse({ rootKey: world.rootKey.crn, source: world.registrar.sourceOf(world.bucket), mode: { destination }, ...change }),
  )
  const told = (attempt: Promise<unknown>) => attempt.then(() => "registered", (error: unknown) => error instanceof Failure ? [error.code, error.message] : error)

  it("S1: how its objects are removed stands in the document: under If-Match, by version, or not at all", async () => {
    const versioned = await harness.bucket()
    await harness.store.setVersioning(versioned, "enabled")
    const facts = async (bucket: string) => (await world.register(bucket, { mode: { destination: vault } }, "in/")).store.removeSource
    expect([await facts(world.bucket), await facts(versioned)]).toEqual(["if-match", "version"])
    const deletesAnything = lying(harness.store, { tell: (store) => ({ delete: (ref, { condition: _, ...options } = {}) => store.delete(ref, options) }) })
    const made = await into(vault, "in/", {}, {
      probe: async (bucket) => { const report = await probe(deletesAnything, bucket); return (use) => judged(report, use) },
    })
    expect(made(undefined).store.removeSource).toBe("keep")
  })

  it("needs no conditional put in the bucket that is sealed from", async () => {
    const lie = lies.find(({ does }) => does === "refuses every If-Match")
    const refusing = lying(harness.store, { tell: lie?.tell ?? (() => ({})) })
    const registrar: Partial<Registrar> = {
      probe: async (bucket) => { const report = await probe(bucket === vault ? harness.store : refusing, bucket); return (use) => judged(report, use) },
    }
    expect(await told(into(vault, "in/", {}, registrar))).toBe("registered")
    expect(await told(into(vault, "in/", { mode: "in-place" }, registrar))).toMatchObject(["unsafe-store", expect.stringContaining("refuses If-Match")])
  })

  it("S1: both stores are probed, and each may be what refuses it", async () => {
    const probed: string[] = []
    const refusing = (name: string): Partial<Registrar> => ({
      probe: async (bucket) => {
        probed.push(bucket)
        return bucket === name ? () => ({ refused: "it lies", measured: true }) : world.registrar.probe(bucket)
      },
    })
    expect(await told(into(vault, "in/", {}, refusing("")))).toBe("registered")
    expect(new Set(probed)).toEqual(new Set([vault, world.bucket]))
    expect(await told(into(vault, "in/", {}, refusing(vault)))).toEqual(["unsafe-store", `bucket ${vault} can't be the destination: it lies`])
    expect(await told(into(vault, "in/", {}, refusing(world.bucket)))).toEqual(["unsafe-store", "the bucket can't be sealed into another one: it lies"])
  })

  it("the destination is another bucket, registered already for the whole prefix", async () => {
    expect(await told(into(world.bucket))).toEqual(["bad-field", expect.stringContaining("must be another bucket")])
    expect(await told(into("nobodys-bucket"))).toEqual(["bad-field", expect.stringContaining("register it first, with mode: vault")])
    expect(await told(into(vault, ""))).toEqual(["bad-field", expect.stringContaining('isn\'t registered for what begins with ""')])
    expect(await told(into(vault, "in/deeper/"))).toBe("registered")
  })

  it.each([
    ["is disabled", { enabled: false }, "is disabled"],
    ["has a destination itself", { mode: { destination: "a-third-one" } }, "has a destination itself"],
    ["has another root key", { rootKey: "another" }, "has another root key"],
  ])("no registration there may differ, be it of a part of the prefix: one %s", async (_, change, words) => {
    const registrationsOf = async (bucket: string) => {
      const [one] = await world.registrar.registrationsOf(bucket)
      return one ? [one, { ...one, prefix: "in/part/", ...change }] : []
    }
    expect(await told(into(vault, "in/", {}, { registrationsOf }))).toEqual(["bad-field", expect.stringContaining(words)])
    expect(await told(into(vault, "in/other/", {}, { registrationsOf }))).toBe("registered")
  })

  it("Object Lock in the bucket that is sealed from refuses it: plaintext could not be removed", async () => {
    const bucketSettings = async (bucket: string) => {
      const settings = await world.store.bucketSettings(bucket)
      return settings && { ...settings, objectLock: true }
    }
    expect(await told(into(vault, "in/", {}, { bucketSettings }))).toEqual(["unsafe-store", expect.stringContaining("plaintext could not be removed")])
  })

  it.each([
    ["an address", { destination: "s3://vault" }, "mode.destination: must be the name of a bucket alone, without s3://"],
    ["no bucket's name", { destination: "Vault_1" }, "mode.destination: must be the name of a bucket alone, without s3://"],
    ["another word", "inplace", 'mode: must be "in-place", "vault" or {"destination": "the name of another bucket"}'],
  ])("a mode that is none is refused, and the answer says what it must be (%s)", async (_, mode, message) => {
    const authenticate = async () => ({ subject: { iamId: "IBMid-caller", account: ACCOUNT }, subjectType: "user" as const })
    const ask = answer(registrationRoutes, { ...contextOf(world), authority: { decide: async () => ({ allowed: true }) }, authenticate })
    const body = JSON.stringify({ rootKey: world.rootKey.crn, source: world.registrar.sourceOf(world.bucket), mode })
    const response = await ask(new Request(`http://here/registrations/${world.bucket}`, { method: "PUT", body, headers: { authorization: "Bearer x" } }))
    expect([response.status, await response.json()]).toMatchObject([400, { resources: [{ errorMsg: `Bad Request: ${message}` }] }])
  })

  describe("that another bucket is sealed into", () => {
    const authority: Authority = { decide: async (subject, ...rest) => subject.crn === undefined ? { allowed: true } : world.sealer.authority.decide(subject, ...rest) }
    const authenticate = async () => ({ subject: { iamId: "IBMid-caller", account: ACCOUNT }, subjectType: "user" as const })
    const ask = async (method: string, bucket: string, prefix: string, change?: object) => {
      const body = change && JSON.stringify({ rootKey: world.rootKey.crn, source: world.registrar.sourceOf(bucket), settle: 0, ...change })
      const handle = answer(registrationRoutes, { ...contextOf(world), authority, authenticate })
      const response = await handle(new Request(`http://here/registrations/${bucket}?prefix=${prefix}`, { method, headers: { authorization: "Bearer x" }, ...(body ? { body } : {}) }))
      return [response.status, await response.text()]
    }
    let target: string
    let third: string
    beforeAll(async () => {
      ;[target, third] = [await harness.bucket(), await harness.bucket()]
      await world.register(target, { mode: "vault" })
      await world.register(third, { mode: "vault" })
      await world.register(world.bucket, { mode: { destination: target } }, "to/")
    })

    const harmful: readonly (readonly [what: string, method: string, prefix: string, change: () => object | undefined])[] = [
      ["be given a destination of its own", "PUT", "", () => ({ mode: { destination: third } })],
      ["be disabled", "PUT", "", () => ({ enabled: false })],
      ["lose its registration", "DELETE", "", () => undefined],
      ["be sealed into yet another one for a part of that", "PUT", "to/part/", () => ({ mode: { destination: third } })],
    ]
    it.each(harmful)("may not %s, and the error says which bucket that is", async (_, method, prefix, change) => {
      const before = await world.registrations.list(target)
      expect(await ask(method, target, prefix, change())).toEqual([409, expect.stringContaining(`bucket ${world.bucket} with prefix to/ is sealed into this one`)])
      expect(await world.registrations.list(target)).toEqual(before)
    })

    it("may be sealed in place, and become anything for what nothing is sealed into", async () => {
      expect((await ask("PUT", target, "", { mode: "in-place" }))[0]).toBe(200)
      expect((await ask("PUT", target, "", { mode: "vault" }))[0]).toBe(200)
      expect((await ask("PUT", target, "away/", { mode: { destination: third } }))[0]).toBe(201)
      expect((await ask("DELETE", target, "away/"))[0]).toBe(204)
      await world.register(target, { mode: "vault" }, "to/part/")
      expect((await ask("DELETE", target, "to/part/"))[0]).toBe(204)
    })

    it("may become anything once nothing enabled is sealed into it any more", async () => {
      expect((await ask("PUT", world.bucket, "to/", { enabled: false }))[0]).toBe(200)
      expect((await ask("PUT", target, "", { enabled: false }))[0]).toBe(200)
      expect((await ask("DELETE", target, ""))[0]).toBe(204)
    })
  })

  it.each([[true, 201], [false, 403]] as const)("takes the right to write registrations of both buckets (of the destination: %s)", async (may, status) => {
    const destination = world.registrar.sourceOf(vault)
    const authority: Authority = {
      decide: async (subject, action, resource) => subject.iamId !== "IBMid-caller" ? world.sealer.authority.decide(subject, action, resource)
        : { allowed: action === "bucketseal.registrations.write" && (may || resource !== destination) },
    }
    const authenticate = async () => ({ subject: { iamId: "IBMid-caller", account: ACCOUNT }, subjectType: "user" as const })
    const ask = answer(registrationRoutes, { ...contextOf(world), authority, authenticate })
    const body = JSON.stringify({ rootKey: world.rootKey.crn, source: world.registrar.sourceOf(world.bucket), mode: { destination: vault } })
    const prefix = `in/${status}/`
    const response = await ask(new Request(`http://here/registrations/${world.bucket}?prefix=${prefix}`, { method: "PUT", body, headers: { authorization: "Bearer x" } }))
    expect(response.status).toBe(status)
    expect((await world.registrations.get(world.bucket, prefix))?.mode).toEqual(may ? { destination: vault } : undefined)
  })
})

describe("registrations", () => {
  it("the longest prefix wins, and what changed elsewhere is seen within the cache limit", async () => {
    let now = 0
    const state = memoryState()
    const [here, elsewhere] = [registrations(state, () => now, 300), registrations(state, () => now, 300)]
    const one = (prefix: string) => ({ prefix, bucket: "bkt" }) as Parameters<Parameters<typeof here.put>[2]>[0] & object
    expect(await here.find("bkt", "a/x")).toBeUndefined()
    for (const prefix of ["", "a/", "a/b/"]) await elsewhere.put("bkt", prefix, () => ({ ...complete, ...one(prefix) }))
    expect(await here.find("bkt", "a/x")).toBeUndefined()
    now += 300_000
    expect((await here.find("bkt", "a/x"))?.prefix).toBe("a/")
    expect((await here.find("bkt", "a/b/x"))?.prefix).toBe("a/b/")
    expect((await here.find("bkt", "x"))?.prefix).toBe("")
    expect(await elsewhere.remove("bkt", "a/")).toBe(true)
    expect(await elsewhere.remove("bkt", "a/")).toBe(false)
    now += 299_000
    expect((await here.find("bkt", "a/x"))?.prefix).toBe("a/")
    now += 1_000
    expect((await here.find("bkt", "a/x"))?.prefix).toBe("")
    expect((await here.list()).map(({ prefix }) => prefix)).toEqual(["", "a/b/"])
  })

  it("whoever would drop what is not registered sees within 2 seconds what was registered elsewhere", async () => {
    let now = 0
    const { state, counts } = countingState()
    const [here, elsewhere] = [registrations(state, () => now, 300), registrations(state, () => now, 300)]
    const isEnabled = async () => (await here.findRecent("bkt", "k"))?.enabled
    expect([await here.find("bkt", "k"), await isEnabled()]).toEqual([undefined, undefined])
    await elsewhere.put("bkt", "", () => ({ ...complete, enabled: false }))
    now += 1_999
    expect(await isEnabled()).toBeUndefined()
    now += 1
    expect(await isEnabled()).toBe(false)
    await elsewhere.put("bkt", "", () => complete)
    now += 2_000
    expect(await isEnabled()).toBe(true)
    expect((await here.find("bkt", "k"))?.enabled).toBe(true)
    const before = { ...counts }
    now += 299_999
    expect([await isEnabled(), counts]).toEqual([true, before])
  })

  it("sees at once what it has registered itself", async () => {
    const here = registrations(memoryState(), () => 0, 300)
    expect(await here.findRecent("bkt", "k")).toBeUndefined()
    await here.put("bkt", "", () => complete)
    expect(await here.findRecent("bkt", "k")).toBeDefined()
  })

  it("a flood about places that are not registered costs a listing in 2 seconds, and a conditional read for each bucket that is", async () => {
    let now = 0
    const { state, counts } = countingState()
    for (const bucket of ["bkt", "other"]) await registrations(state, Date.now, 300).put(bucket, "", () => ({ ...complete, enabled: false }))
    const here = registrations(state, () => now, 300)
    const costs = async () => {
      for (const method of ["list", "read", "readIfChanged"] as const) delete counts[method]
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 5_000 }, (_, n) => here.findRecent(["bkt", "other"][n] ?? `foreign${n % 4_000}`, "k")))
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
    await expect(here.findRecent("bkt", "k")).rejects.toThrow("no answer")
    isDown = false
    expect(await here.findRecent("bkt", "k")).toBeUndefined()
    await registrations(state, () => 0, 300).put("bkt", "", () => complete)
    now = 0
    expect(await here.findRecent("bkt", "k")).toBeDefined()
  })

  it("16 instances that register prefixes of one bucket at once lose none", async () => {
    const state = memoryState()
    await Promise.all(Array.from({ length: 16 }, (_, n) => registrations(state, Date.now, 0).put("bkt", `p${n}/`, () => ({ ...complete, prefix: `p${n}/` }))))
    expect(await registrations(state, Date.now, 0).list("bkt")).toHaveLength(16)
  })
})

const complete = {
  rootKey: "k", rootKeys: ["k"], source: "s", mode: "in-place" as const, moved: "refuse" as const, settle: 0, otherRegion: false, replicated: false,
  enabled: true, bucket: "bkt", prefix: "", created: "2026-01-01T00:00:00Z", createdBy: "me",
  store: {
    matchForm: "quoted" as const, etagIsMd5: true, reportsTagCount: true, versioning: "off" as const, conditionalComplete: true,
    conditionalDelete: true, removeSource: "keep" as const, refusesWrongChecksum: true, refusesWrongStreamChecksum: true,
    probed: "2026-01-01T00:00:00Z",
  },
}
