import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { Failure } from "../shared/errors.ts"
import { parkedAt } from "../shared/objects/parking.ts"
import { parseSettings } from "../shared/settings.ts"
import { patterned } from "./bytes.ts"
import { instance } from "./key-fixtures.ts"
import { ACCOUNT, makeWorld, STORE_INSTANCE, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

describe("encrypt-object", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
  })
  afterAll(() => harness.close())

  const run = (delivery: unknown, store = world.store) => encryptObject.run(encryptObject.input.parse(delivery), {
    settings: parseSettings({ account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE }),
    clock: world.clock, log: world.sealer.log, state: world.state, authority: world.sealer.authority,
    authenticate: () => Promise.reject(new Error("jobs have no caller")),
    registrations: world.registrations, registrar: world.registrar, sealer: { ...world.sealer, store }, opener: world.opener,
  }, new AbortController().signal)

  const records = (...keys: string[]) => ({
    Records: keys.map((key) => ({ eventSource: "ceph:s3", eventName: "ObjectCreated:Put", eventTime: "2020-01-01T00:00:00Z", s3: { bucket: { name: world.bucket }, object: { key } } })),
  })

  it("seals what a notification names, and sums up with the bad ends first", async () => {
    await world.store.put(world.ref("a"), patterned(10))
    await world.store.put(world.ref("dir/"), Buffer.alloc(0))
    await world.store.put(world.ref("format-2"), Buffer.from("bucketseal/2\nx"))
    expect(await run(records("a", "gone", "dir/", "format-2", "a"))).toEqual({
      done: true, counts: { sealed: 1, gone: 1, ignored: 1, parked: 1, "already-sealed": 1 },
      items: [
        { bucket: world.bucket, key: "format-2", outcome: "parked", reason: "unknown-format" },
        { bucket: world.bucket, key: "a", outcome: "sealed" }, { bucket: world.bucket, key: "gone", outcome: "gone" },
        { bucket: world.bucket, key: "dir/", outcome: "ignored", reason: "directory-marker" }, { bucket: world.bucket, key: "a", outcome: "already-sealed" },
      ],
    })
  })

  it("notes what is parked, and counts the attempts", async () => {
    expect(await parkedAt(world.state, world.ref("format-2"))).toMatchObject({ key: "format-2", reason: "unknown-format", attempts: 1 })
    await run(records("format-2"))
    expect(await parkedAt(world.state, world.ref("format-2"))).toMatchObject({ attempts: 2 })
    expect(await parkedAt(world.state, world.ref("a"))).toBeUndefined()
  })

  it("a place that is not registered is left alone, also the canaries of the store probe", async () => {
    const other = await harness.bucket()
    await world.store.put({ bucket: other, key: "k" }, patterned(10))
    expect((await run({ bucket: other, key: "k" })).counts).toEqual({ "not-registered": 1 })
    expect((await run({ bucket: world.bucket, key: ".bucketseal-probe/x/plain" })).items).toMatchObject([{ outcome: "ignored", reason: "scratch" }])
  })

  it("S14: archived and SSE-C objects are parked by that reason", async () => {
    const refusing = (error: Failure) => ({ ...world.store, get: () => Promise.reject(error) })
    expect((await run({ bucket: world.bucket, key: "a" }, refusing(new Failure("archived", "it is archived")))).items).toMatchObject([{ outcome: "parked", reason: "archived" }])
    const sseC = new Failure("store-refused", "no", { status: 400, code: "InvalidRequest" })
    expect((await run({ bucket: world.bucket, key: "a" }, refusing(sseC))).items).toMatchObject([{ outcome: "parked", reason: "sse-c" }])
  })

  it("a disabled root key parks, and lets it be sealed once it is enabled again", async () => {
    await world.store.put(world.ref("suspended"), patterned(10))
    await world.rootKeys.disable(world.rootKey.id)
    const sealer = { ...world.sealer, dataKeys: world.makeKeyring(true) }
    const { sealObject } = await import("../shared/objects/seal.ts")
    expect(await sealObject(sealer, world.ref("suspended"), { uploaded: 0 })).toEqual({ outcome: "parked", reason: "key-state" })
    await world.rootKeys.enable(world.rootKey.id)
    expect(await sealObject(sealer, world.ref("suspended"), { uploaded: 0 })).toMatchObject({ outcome: "sealed" })
  })

  it("a fault of ours is an error of the job, not an outcome", async () => {
    const broken = { ...world.store, get: () => Promise.reject(new TypeError("a bug")) }
    await expect(run({ bucket: world.bucket, key: "a" }, broken)).rejects.toThrow("a bug")
  })

  it("names at most 100 objects, and says that there are more", async () => {
    const result = await run(records(...Array.from({ length: 150 }, (_, n) => `never-${n}`)))
    expect([result.counts, result.items.length, result.more]).toEqual([{ gone: 150 }, 100, true])
  })
})
