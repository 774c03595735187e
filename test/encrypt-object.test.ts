import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { Failure } from "../shared/errors.ts"
import type { GetOptions, ObjectRef } from "../shared/ports.ts"
import { parkedAt } from "../shared/objects/parking.ts"
import { memoryState } from "./memory-state.ts"
import { patterned } from "./bytes.ts"
import { contextOf, isSealed, never, sealingSlowly } from "./job-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

describe("encrypt-object", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
  })
  afterAll(() => harness.close())

  const run = (delivery: unknown, store = world.store, signal = never) =>
    encryptObject.run(encryptObject.input.parse(delivery), contextOf(world, { store }), signal)

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

  it("an object that makes sealing throw, each time, is parked as failed, its cause only in the log, and 100 others are sealed", async () => {
    const keys = Array.from({ length: 100 }, (_, n) => `poisoned/${n}`)
    for (const key of [...keys, "poisoned/poison"]) await world.store.put(world.ref(key), patterned(10))
    const store = { ...world.store, get: (ref: ObjectRef, options?: GetOptions) =>
      (ref.key.endsWith("poison") ? Promise.reject(new TypeError("a bug")) : world.store.get(ref, options)) }
    const result = await run(records(...keys.slice(0, 50), "poisoned/poison", ...keys.slice(50)), store)
    expect(result).toMatchObject({ done: true, counts: { sealed: 100, parked: 1 } })
    expect(result.items[0]).toEqual({ bucket: world.bucket, key: "poisoned/poison", outcome: "parked", reason: "failed" })
    expect(JSON.stringify(await parkedAt(world.state, world.ref("poisoned/poison")))).not.toContain("a bug")
    expect(world.lines.filter((line) => line.includes("poisoned/poison") && line.includes("cause"))).toHaveLength(1)
  })

  it("where the state can't be written the job fails, so that its event is kept, and the other uploads are sealed all the same", async () => {
    await world.store.put(world.ref("fine"), patterned(10))
    const state = { ...memoryState(), create: () => Promise.reject(new Failure("unavailable", "no answer")) }
    const uploads = ["format-2", "fine"].map((key) => ({ bucket: world.bucket, key, time: 0 }))
    await expect(encryptObject.run({ uploads }, contextOf(world, { state }), never)).rejects.toThrow("no answer")
    expect(await isSealed(world, "fine")).toBe(true)
  })

  it("S5: what it has no time for is parked as unfinished, due at once, and stands in the cursor with the time it was first seen", async () => {
    const keys = ["late/a", "late/b", "late/c"]
    for (const key of keys) await world.store.put(world.ref(key), patterned(10))
    const late = new AbortController()
    const store = { ...world.store, put: async (...args: Parameters<World["store"]["put"]>) => {
      late.abort()
      return world.store.put(...args)
    } }
    const first = await run({ Records: records(...keys).Records.map(({ eventTime: _, ...record }) => record) }, store, late.signal)
    expect(first).toMatchObject({ done: false, cursor: expect.stringMatching(/^[\w-]+$/) })
    expect(first.counts["unfinished"]).toBeGreaterThanOrEqual(2)
    for (const key of ["late/b", "late/c"]) {
      expect(await parkedAt(world.state, world.ref(key))).toMatchObject({ reason: "unfinished", next: new Date(world.clock()).toISOString() })
    }
    const cursor = JSON.parse(Buffer.from(first.cursor ?? "", "base64url").toString()) as unknown
    expect(cursor).toContainEqual({ bucket: world.bucket, key: "late/c", time: world.clock() })
    expect(await run({ cursor: first.cursor })).toMatchObject({ done: true })
    for (const key of keys) expect(await isSealed(world, key)).toBe(true)
  })

  it("S5: an object at which the signal stops the job is parked as unfinished, too", async () => {
    await world.store.put(world.ref("stopped"), patterned(10))
    const late = new AbortController()
    const store = { ...world.store, get: async (ref: ObjectRef, options?: GetOptions) => {
      late.abort()
      options?.signal?.throwIfAborted()
      return world.store.get(ref, options)
    } }
    expect((await run(records("stopped"), store, late.signal)).counts).toEqual({ unfinished: 1 })
    expect(await parkedAt(world.state, world.ref("stopped"))).toMatchObject({ reason: "unfinished" })
  })

  it("S5: what does not fit into a cursor of 8 KiB is parked all the same, and the job is done", async () => {
    const keys = Array.from({ length: 20 }, (_, n) => `${n}${"k".repeat(1_000)}`)
    const result = await run(records(...keys), world.store, AbortSignal.abort())
    expect(result).toMatchObject({ done: true, counts: { unfinished: 20 } })
    for (const key of keys) expect(await parkedAt(world.state, world.ref(key))).toMatchObject({ reason: "unfinished" })
  })

  it.each(["", "x", "bm9wZQ", Buffer.from("[1]").toString("base64url"), "A".repeat(9_000), 7, null])("refuses the cursor %j", (cursor) => {
    expect(() => encryptObject.input.parse({ cursor })).toThrow(expect.objectContaining({ code: "bad-field" }))
  })

  it("an object that somebody else is at comes back as busy, with the time until which it is theirs, and is not parked", async () => {
    const { started, finish, sealing } = await sealingSlowly(world, "big")
    await started
    const context = contextOf(world, { multipartBytes: 2 ** 20 })
    const { items: [item] } = await encryptObject.run({ uploads: [{ ...world.ref("big"), time: 0 }] }, context, never)
    expect(item).toEqual({ ...world.ref("big"), outcome: "busy", due: expect.any(String) })
    expect(Date.parse(item?.due ?? "")).toBeGreaterThan(world.clock())
    expect(await parkedAt(world.state, world.ref("big"))).toBeUndefined()
    finish()
    expect((await sealing).counts).toEqual({ sealed: 1 })
  })

  it("an upload that has not settled comes back with the time when it has", async () => {
    await world.register(world.bucket, { settle: 60 }, "settling/")
    const time = world.clock()
    const { items } = await encryptObject.run({ uploads: [{ ...world.ref("settling/a"), time }] }, contextOf(world), never)
    expect(items).toEqual([{ ...world.ref("settling/a"), outcome: "not-settled", due: new Date(time + 60_000).toISOString() }])
  })

  it("names at most 100 objects, and says that there are more", async () => {
    const result = await run(records(...Array.from({ length: 150 }, (_, n) => `never-${n}`)))
    expect([result.counts, result.items.length, result.more]).toEqual([{ gone: 150 }, 100, true])
  })

  it("S19: items hold what did not end well first, at most 100 and 64 KiB; counts are complete", async () => {
    const long = (n: number) => `${n}${"\u00e9".repeat(500)}`
    await world.store.put(world.ref("format-2"), Buffer.from("bucketseal/2\nx"))
    const result = await run(records(...Array.from({ length: 99 }, (_, n) => long(n)), "format-2"))
    expect([result.counts, result.more, result.items[0]]).toEqual([{ gone: 99, parked: 1 }, true, { ...world.ref("format-2"), outcome: "parked", reason: "unknown-format" }])
    expect(Buffer.byteLength(JSON.stringify(result.items))).toBeLessThanOrEqual(64 * 1024)
    expect(result.items.length).toBeGreaterThan(50)
  })
})
