import { setMaxListeners } from "node:events"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { encryptBucket } from "../functions/encrypt-bucket.ts"
import { retryParked } from "../functions/retry-parked.ts"
import { Failure } from "../shared/errors.ts"
import { parkedAt } from "../shared/objects/parking.ts"
import { finishedSweep, noteSweep, plannedSweep } from "../shared/objects/sweeps.ts"
import type { GetOptions, ListOptions, ObjectRef, Parser, Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { contextOf, countsOf, isSealed, never, pathsOf, runs } from "./job-fixtures.ts"
import { counted } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness, stores } from "./stores.ts"

/** A store whose listings have pages of so many. */
const byPagesOf = (limit: number, store: Store): Store => ({ ...store, list: (bucket: string, options?: ListOptions) => store.list(bucket, { ...options, limit }) })

describe.each(stores)("encrypt-bucket on %s", (_, open) => {
  let harness: Harness
  let world: World
  beforeAll(async () => void (harness = await open()))
  afterAll(() => harness.close())
  beforeEach(async () => void (world = await makeWorld(harness.store, await harness.bucket())))

  const sweep = (store = world.store) =>
    runs((cursor) => encryptBucket.run(encryptBucket.input.parse({ bucket: world.bucket, ...cursor }), contextOf(world, { store }), never))

  it("S6: all events of a run dropped: one sweep leaves every object sealed", async () => {
    const keys = Array.from({ length: 35 }, (_unused, n) => `${n % 3 === 0 ? "a/" : ""}${n} é+%20`)
    for (const [n, key] of keys.entries()) await world.store.put(world.ref(key), patterned(n * 3_000), n === 4 ? { tags: [["a", "b"]] } : {})
    for (const key of keys.slice(0, 5)) await world.seal(key)
    await world.store.put(world.ref("dir/"), Buffer.alloc(0))
    const results = await sweep(byPagesOf(10, world.store))
    expect([results.length, countsOf(results)]).toEqual([4, { sealed: 30, "already-sealed": 5, ignored: 1 }])
    for (const [n, key] of keys.entries()) {
      expect(await isSealed(world, key)).toBe(true)
      expect(Buffer.compare(await world.plaintext(key) ?? Buffer.alloc(1), patterned(n * 3_000))).toBe(0)
    }
    expect(countsOf(await sweep())).toEqual({ "already-sealed": 35, ignored: 1 })
  })
})

describe("encrypt-bucket", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => void (harness = await localHarness()))
  afterAll(() => harness.close())
  beforeEach(async () => void (world = await makeWorld(harness.store, await harness.bucket())))

  type Input = { bucket?: string; prefix?: string; modifiedSince?: string; cursor?: string }
  const page = (input: Input = {}, change: Parameters<typeof contextOf>[1] = {}, signal = never) =>
    encryptBucket.run(encryptBucket.input.parse({ bucket: world.bucket, ...input }), contextOf(world, change), signal)
  const upload = (...keys: string[]) => Promise.all(keys.map((key) => world.store.put(world.ref(key), patterned(10))))
  const noteOn = (key: string) => parkedAt(world.state, world.ref(key))
  const finished = () => finishedSweep(world.state, world.bucket)

  it("an authorization is created: what was parked for it is sealed within one sweep", async () => {
    await upload("a")
    await world.policies.delete("acc1", world.grant.id)
    expect((await page()).items).toEqual([{ ...world.ref("a"), outcome: "parked", reason: "not-authorized", missing: expect.objectContaining({ type: "authorization" }) }])
    expect(await noteOn("a")).toMatchObject({ reason: "not-authorized", missing: { type: "authorization" } })
    await world.policies.create("acc1", world.authorization(), "IBMid-owner")
    expect((await page()).counts).toEqual({ sealed: 1 })
  })

  it("an object that makes sealing throw is parked as failed, and the others are sealed", async () => {
    await upload("a", "poison", "z")
    const store = { ...world.store, get: (ref: ObjectRef, options?: GetOptions) =>
      (ref.key === "poison" ? Promise.reject(new TypeError("a bug")) : world.store.get(ref, options)) }
    expect(await page({}, { store })).toMatchObject({ done: true, counts: { sealed: 2, parked: 1 }, items: [{ key: "poison", reason: "failed" }, {}, {}] })
  })

  it("an object that can't even be parked is counted as failed, and the others are sealed", async () => {
    await upload("a", "format-2", "z")
    await world.store.put(world.ref("format-2"), Buffer.from("bucketseal/2\nx"))
    const state = { ...world.state, create: (path: string, value: unknown) =>
      (path.startsWith("parked") ? Promise.reject(new Failure("unavailable", "no answer")) : world.state.create(path, value)) }
    expect(await page({}, { state })).toMatchObject({ done: true, counts: { sealed: 2, failed: 1 } })
    expect(await finished()).toBeUndefined() // so the next sweep goes over it again
    await page()
    expect(await finished()).toMatchObject({ full: true, counts: { "already-sealed": 2, parked: 1 } })
  })

  it("costs one LIST a page and one GET for each object that is sealed already; what is not registered costs nothing more", async () => {
    await world.registrations.remove(world.bucket, "")
    await world.register(world.bucket, {}, "in/")
    await upload("in/a", "in/b", "out/c", "out/d")
    await page()
    const store = counted(world.store)
    expect((await page({}, { store })).counts).toEqual({ "already-sealed": 2, "not-registered": 2 })
    expect(store.calls).toEqual({ list: 1, get: 2 })
  })

  it("leaves to a longer prefix what its registration says: nothing is sealed under one that is disabled", async () => {
    for (const enabled of [true, false]) await world.register(world.bucket, { enabled }, "off/")
    await upload("on", "off/a")
    expect((await page()).counts).toEqual({ sealed: 1, "not-registered": 1 })
    expect(await isSealed(world, "off/a")).toBe(false)
  })

  it("goes over a prefix alone, and over what was modified since a time alone", async () => {
    await upload("a/1", "b/1")
    expect((await page({ prefix: "a/" })).counts).toEqual({ sealed: 1 })
    expect((await page({ modifiedSince: new Date(Date.now() + 60_000).toISOString() })).counts).toEqual({})
    expect((await page({ modifiedSince: new Date(Date.now() - 60_000).toISOString() })).counts).toEqual({ sealed: 1, "already-sealed": 1 })
  })

  describe("with a time to settle", () => {
    const byRealTime = { clock: Date.now }

    it("S6: short: it is waited for, once a page, from the listing, whatever Last-Modified says", async () => {
      await world.register(world.bucket, { settle: 0.2 })
      await upload("a", "b")
      const began = Date.now()
      const store = counted(world.store)
      expect((await page({}, { ...byRealTime, store })).counts).toEqual({ sealed: 2 })
      expect(Date.now() - began).toBeGreaterThanOrEqual(200)
      expect(store.calls["list"]).toBe(2)
    })

    it("S6: short: what is written while it is waited for settles from when that was seen", async () => {
      await world.register(world.bucket, { settle: 0.2 })
      await upload("a", "b")
      let lists = 0
      const store = { ...world.store, list: async (bucket: string, options?: ListOptions) => {
        if (lists++ === 1) await world.store.put(world.ref("a"), patterned(11))
        return world.store.list(bucket, options)
      } }
      const before = Date.now()
      expect((await page({}, { ...byRealTime, store })).counts).toEqual({ sealed: 1, parked: 1 })
      expect([await isSealed(world, "a"), await isSealed(world, "b")]).toEqual([false, true])
      expect(Date.parse((await noteOn("a"))?.next ?? "")).toBeGreaterThanOrEqual(before + 400)
    })

    it("S6: long: what is not sealed is parked as settling from its first sight, and sealed by retry-parked when it has", async () => {
      await upload("a", "sealed")
      await world.seal("sealed")
      await world.register(world.bucket, { settle: 3_600 })
      const next = new Date(world.clock() + 3_600_000).toISOString()
      world.clock.forward(60)
      expect((await page()).counts).toEqual({ parked: 1, "already-sealed": 1 })
      const due = new Date(Date.parse(next) + 60_000).toISOString()
      expect(await noteOn("a")).toMatchObject({ reason: "settling", next: due })
      world.clock.forward(3_599)
      expect((await retryParked.run({}, contextOf(world), never)).counts).toEqual({})
      world.clock.forward(1)
      expect((await retryParked.run({}, contextOf(world), never)).counts).toEqual({ sealed: 1 })
      expect([await isSealed(world, "a"), await pathsOf(world, "parked")]).toEqual([true, []])
    })
  })

  it("stops when its signal aborts, and sweeps that page again", async () => {
    const keys = Array.from({ length: 20 }, (_, n) => `${n}`)
    await upload(...keys)
    const late = new AbortController()
    setMaxListeners(100, late.signal)
    const store = { ...world.store, put: (...args: Parameters<Store["put"]>) => {
      late.abort()
      return world.store.put(...args)
    } }
    const first = await page({}, { store }, late.signal)
    expect([first.done, await finished()]).toEqual([false, undefined])
    await runs((cursor) => page({ cursor: first.cursor ?? "", ...cursor }))
    for (const key of keys) expect(await isSealed(world, key)).toBe(true)
    expect(await finished()).toMatchObject({ full: true, objects: 20 })
  })

  describe("what was begun and is left", () => {
    const LEFT = 2_001
    const paths = Array.from({ length: LEFT }, (_, n) => `progress/${String(n).padStart(64, "0")}.json`)
    const begun = (n: number) => ({
      bucket: world.bucket, key: `gone ${n}`, holder: "dead", until: 0, source: { etag: "x", size: 1, lastModified: 1 },
      plaintextSize: 1, target: { bucket: world.bucket }, dek: "none", salt: "", mac: "", kept: n % 1_000 !== 0,
    })
    /** A state with so many of them; `read` gets each number that is read. */
    const stateWith = (read: (n: number) => void) => ({ ...world.state,
      async list(prefix: string, options: { startAfter?: string; limit?: number } = {}) {
        if (prefix !== "progress/") return world.state.list(prefix, options)
        const { startAfter = "", limit = 1_000 } = options
        const rest = paths.filter((path) => path > startAfter)
        return { paths: rest.slice(0, limit), more: rest.length > limit }
      },
      async read<T>(path: string, parser: Parser<T>) {
        const n = paths.indexOf(path)
        if (n < 0) return world.state.read(path, parser)
        read(n)
        return { value: parser.parse(begun(n)), etag: "x" }
      },
    })

    it("is gone over by at most 1,000 a run, each once, behind the objects", async () => {
      await upload("a")
      const read = new Set<number>()
      const store = counted(world.store)
      const reads: number[] = []
      const results = await runs(async (cursor) => {
        const result = await page(cursor, { store, state: stateWith((n) => read.add(n)) })
        reads.push(read.size)
        return result
      })
      expect([reads, results.map(({ done }) => done)]).toEqual([[1_000, 2_000, LEFT], [false, false, true]])
      expect([store.calls["list"], countsOf(results)]).toEqual([1, { sealed: 1, gone: 3 }])
      expect(await finished()).toMatchObject({ objects: 1, counts: { sealed: 1 } })
    })

    it("is gone on with where the signal stopped it, and the objects are not met again", async () => {
      await upload("a")
      const late = new AbortController()
      setMaxListeners(100, late.signal)
      let reads = 0
      const store = counted(world.store)
      const stopped = await page({}, { store, state: stateWith(() => void (++reads === 500 && late.abort())) }, late.signal)
      expect(stopped).toMatchObject({ done: false, counts: { sealed: 1 } })
      const rest = await runs((cursor) => page({ cursor: stopped.cursor ?? "", ...cursor }, { store, state: stateWith(() => reads++) }))
      expect([rest.length, countsOf(rest), reads, store.calls["list"]]).toEqual([3, { gone: 3 }, 500 + LEFT, 1])
    })
  })

  it("its cursor fits, whatever the key, and is of this place only", async () => {
    const keys = ["\u0001", "é"].map((one) => one.repeat(Math.floor(1_024 / Buffer.byteLength(one))))
    await upload(...keys, "\u{10ffff}")
    const store = byPagesOf(1, world.store)
    const results = await runs((cursor) => page(cursor, { store }))
    expect([results.length, countsOf(results)]).toEqual([3, { sealed: 3 }])
    const cursor = results[0]?.cursor ?? ""
    expect(cursor).toMatch(/^[\w-]{1,8192}$/)
    await expect(page({ cursor, prefix: "a" })).rejects.toMatchObject({ code: "bad-field" })
    await expect(page({ cursor, bucket: "another" })).rejects.toMatchObject({ code: "bad-field" })
  })

  it.each([{ bucket: 7 }, { bucket: "b" }, { prefix: 1 }, { cursor: "?" }, { modifiedSince: "yesterday" }, { settle: 0 }])("refuses the input %j", async (input) => {
    await expect((async () => page(input as Input))()).rejects.toMatchObject({ code: "bad-field" })
  })

  describe("a finished sweep", () => {
    it("S6: is noted with its counts, by its last page", async () => {
      await upload("a", "b", "c")
      const store = byPagesOf(2, world.store)
      const first = await page({}, { store })
      expect(await finished()).toBeUndefined()
      const started = new Date(world.clock()).toISOString()
      world.clock.forward(60)
      await page({ cursor: first.cursor ?? "" }, { store })
      const times = { started, finished: new Date(world.clock()).toISOString() }
      expect(await finished()).toEqual({ ...times, full: true, lastFull: times, objects: 3, counts: { sealed: 3 } })
    })

    it("of a prefix is none of the bucket", async () => {
      await page({ prefix: "a" })
      expect(await finished()).toBeUndefined()
    })

    it("keeps going over the same time when it is gone on with, whatever the input says by then", async () => {
      await upload("a", "b", "c")
      const modifiedSince = new Date(Date.now() + 60_000).toISOString()
      const store = byPagesOf(1, world.store)
      const first = await page({ modifiedSince }, { store })
      const rest = await runs((cursor) => page({ cursor: first.cursor ?? "", ...cursor }, { store }))
      expect([countsOf(rest), await finished()]).toEqual([{}, undefined])
    })
  })
})

describe("what is swept next", () => {
  const DAY = 86_400_000
  const START = Date.UTC(2026, 0, 1)
  const state = memoryState()
  const note = (started: number, modifiedSince?: number) => noteSweep(state, "b", { started, modifiedSince, objects: 1, counts: {} }, started + 1)
  const next = async (now: number) => plannedSweep("b", await finishedSweep(state, "b"), now)

  it("S6: everything at first; then each day what was modified since a day before the last one began; everything after 30 days", async () => {
    expect(await next(START)).toEqual({ bucket: "b" })
    await note(START)
    for (let day = 1; day < 30; day++) {
      const now = START + day * DAY
      expect(await next(now - 1)).toBeUndefined()
      const modifiedSince = new Date(now - 2 * DAY).toISOString()
      expect(await next(now)).toEqual({ bucket: "b", modifiedSince })
      await note(now, Date.parse(modifiedSince))
    }
    expect(await next(START + 30 * DAY)).toEqual({ bucket: "b" })
    expect(await finishedSweep(state, "b")).toMatchObject({ full: false, lastFull: { started: new Date(START).toISOString() } })
  })

  it("S6: a sweep that leaves a gap behind the last finished one does not count, nor one that began before it", async () => {
    const before = await finishedSweep(state, "b")
    const last = Date.parse(before?.started ?? "")
    await note(last + DAY, last + 1)
    await note(last - 1)
    await noteSweep(state, "c", { started: START, modifiedSince: START, objects: 1, counts: {} }, START)
    expect([await finishedSweep(state, "b"), await finishedSweep(state, "c")]).toEqual([before, undefined])
    await note(last + DAY, last)
    expect((await finishedSweep(state, "b"))?.started).toBe(new Date(last + DAY).toISOString())
  })

  it("a sweep that is to begin yet is none: a cursor that says so is refused, and a note of one keeps no sweep from being made", async () => {
    const harness = await localHarness()
    const world = await makeWorld(harness.store, await harness.bucket())
    const { bucket } = world
    const forged = Buffer.from(JSON.stringify({ place: [bucket, ""], started: world.clock() + 1, objects: 0, counts: {} })).toString("base64url")
    await expect(encryptBucket.run({ bucket, cursor: forged }, contextOf(world), never)).rejects.toMatchObject({ code: "bad-field" })
    const started = new Date(world.clock() + 10 * 365 * 86_400_000).toISOString()
    const note = { started, finished: started, full: true, lastFull: { started, finished: started }, objects: 0, counts: {} }
    expect(plannedSweep(bucket, note, world.clock())).toEqual({ bucket })
    await harness.close()
  })
})
