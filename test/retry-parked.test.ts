import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import * as z from "zod/mini"
import { encryptObject } from "../functions/encrypt-object.ts"
import { retryParked } from "../functions/retry-parked.ts"
import { Failure } from "../shared/errors.ts"
import { park, parkedAt } from "../shared/objects/parking.ts"
import type { GetOptions, ObjectRef } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { contextOf, countsOf, isSealed, never, pathsOf, runs, sealingSlowly } from "./job-fixtures.ts"
import { counted } from "./key-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400
const MANY = process.env["SLOW"] ? 1_000 : 200 // as many as a run takes at most; fewer by default

describe("retry-parked", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => void (harness = await localHarness()))
  afterAll(() => harness.close())
  beforeEach(async () => void (world = await makeWorld(harness.store, await harness.bucket())))

  type Change = Parameters<typeof contextOf>[1]
  type Input = { cursor?: string; limit?: number; early?: boolean }
  const retry = (input: Input = {}, change: Change = {}, signal = never) =>
    retryParked.run(retryParked.input.parse(input), contextOf(world, change), signal)
  const event = (key: string, change: Change = {}) =>
    encryptObject.run({ uploads: [{ ...world.ref(key), time: 0 }] }, contextOf(world, change), never)
  const noteOn = (key: string) => parkedAt(world.state, world.ref(key))
  const traces = async () => [...await pathsOf(world, "parked/"), ...await pathsOf(world, "parked-due/")]
  const upload = (key: string) => world.store.put(world.ref(key), patterned(10))
  /** A store on which reading fails. */
  const failing = (error: Error, isMeant: (key: string) => boolean = () => true) => ({
    ...world.store,
    get: (ref: ObjectRef, options?: GetOptions) => (isMeant(ref.key) ? Promise.reject(error) : world.store.get(ref, options)),
  })

  it("without anything that is due costs one listing", async () => {
    await upload("a")
    await event("a", { store: failing(new Failure("unavailable", "no answer")) })
    const state = counted(world.state)
    expect(await retry({}, { state })).toEqual({ done: true, counts: {}, items: [] })
    expect(state.calls).toEqual({ list: 1 })
  })

  it("an authorization is created: the object is sealed within one run, and its note is gone", async () => {
    await upload("a")
    await world.policies.delete("acc1", world.grant.id)
    await event("a")
    expect(await noteOn("a")).toMatchObject({ reason: "not-authorized", missing: { type: "authorization" }, next: expect.any(String) })
    world.clock.forward(MINUTE)
    expect((await retry()).counts).toEqual({ parked: 1 })
    await world.policies.create("acc1", world.authorization(), "IBMid-owner")
    world.clock.forward(15 * MINUTE)
    expect((await retry()).counts).toEqual({ sealed: 1 })
    expect([await isSealed(world, "a"), await traces()]).toEqual([true, []])
  })

  it("a disabled root key is enabled: sealed", async () => {
    await upload("a")
    await world.rootKeys.disable(world.rootKey.id)
    await event("a")
    expect(await noteOn("a")).toMatchObject({ reason: "key-state" })
    await world.rootKeys.enable(world.rootKey.id)
    world.clock.forward(MINUTE)
    await retry()
    expect([await isSealed(world, "a"), await traces()]).toEqual([true, []])
  })

  it("a key service comes back: sealed", async () => {
    await upload("a")
    const down = { ...world.keyService, generate: () => Promise.reject(new Failure("unavailable", "the key service does not answer")) }
    const context = contextOf(world)
    const { dataKeys } = await import("../shared/keys/data-keys.ts")
    const limits = { objects: 1, bytes: 2 ** 40, seconds: 3_600 }
    const keyring = dataKeys({ state: world.state, keyService: down, clock: world.clock, limits, cacheSeconds: 0, canUnwrap: true })
    await encryptObject.run({ uploads: [{ ...world.ref("a"), time: 0 }] }, { ...context, sealer: { ...context.sealer, dataKeys: keyring } }, never)
    expect(await noteOn("a")).toMatchObject({ reason: "unavailable" })
    world.clock.forward(MINUTE)
    await retry()
    expect([await isSealed(world, "a"), await traces()]).toEqual([true, []])
  })

  it("back-off grows: of a store that never answers an object is asked for less and less often, at the end once an hour", async () => {
    await upload("a")
    const store = failing(new Failure("unavailable", "no answer"))
    await event("a", { store })
    const tries: number[] = []
    for (let minute = 0; minute < 12 * 60; minute++) {
      world.clock.forward(MINUTE)
      if ((await retry({}, { store })).counts["parked"] === 1) tries.push(minute)
    }
    const pauses = tries.slice(1).map((minute, index) => minute - (tries[index] ?? 0))
    expect(pauses.every((pause, index) => pause >= (pauses[index - 1] ?? 0) - 1)).toBe(true)
    expect(tries.length).toBeLessThan(20)
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(60)
    expect(pauses.at(-1)).toBeLessThanOrEqual(76)
    expect(await traces()).toHaveLength(2) // no entry was left behind
  })

  it("S14: an archived object is not tried by time, in a month, but by its next event", async () => {
    await upload("a")
    world.clock.forward(MINUTE) // past the time that the store gives it
    const store = counted(failing(new Failure("archived", "it is archived")))
    await event("a", { store })
    const { calls } = store
    const before = calls["get"]
    for (let day = 0; day < 30; day++) {
      world.clock.forward(DAY + 1)
      expect((await retry({}, { store })).counts).toEqual({})
    }
    expect([calls["get"], calls["head"], (await traces()).length]).toEqual([before, 30, 2])
    await event("a")
    expect(await isSealed(world, "a")).toBe(true)
  })

  it("S14: the note on an archived object goes, a day after an event had it sealed, and a day after it was deleted", async () => {
    const store = failing(new Failure("archived", "it is archived"))
    for (const key of ["sealed", "deleted"]) {
      await upload(key)
      await event(key, { store })
    }
    world.clock.forward(-10 * MINUTE) // so that what is written now is written after the notes, by the store's clock of whole seconds
    for (const key of ["sealed", "deleted"]) await event(key, { store })
    world.clock.forward(10 * MINUTE)
    await event("sealed")
    await world.store.delete(world.ref("deleted"))
    world.clock.forward(DAY + 10 * MINUTE)
    expect((await retry()).counts).toEqual({ "already-sealed": 1, gone: 1 })
    expect((await traces()).filter((path) => path.startsWith("parked/"))).toEqual([])
  })

  it("the note on an object that is gone, sealed by its next event, or not registered any more is removed", async () => {
    const store = failing(new Failure("unavailable", "no answer"))
    for (const key of ["gone", "sealed"]) {
      await upload(key)
      await event(key, { store })
    }
    await world.register(world.bucket, {}, "away/")
    await upload("away/a")
    await event("away/a", { store })
    await world.store.delete(world.ref("gone"))
    await event("sealed")
    await world.register(world.bucket, { enabled: false }, "away/")
    world.clock.forward(MINUTE)
    expect((await retry()).counts).toEqual({ gone: 1, "already-sealed": 1, "not-registered": 1 })
    expect(await traces()).toEqual([])
  })

  it("an entry whose note is lost has the object looked at all the same, when it has settled from now", async () => {
    await upload("a")
    await event("a", { store: failing(new Failure("unavailable", "no answer")) })
    await world.state.remove((await pathsOf(world, "parked/"))[0] ?? "")
    world.clock.forward(MINUTE)
    expect((await retry()).counts).toEqual({ sealed: 1 })
    expect(await traces()).toEqual([])
  })

  it("a stale entry is removed, but not within a minute: its note may be under way", async () => {
    await upload("a")
    const due = await park(world.state, world.ref("a"), { reason: "settling", due: world.clock() }, world.clock())
    await park(world.state, world.ref("a"), { reason: "archived" }, world.clock())
    expect(due).toBe(world.clock())
    await retry()
    expect(await pathsOf(world, "parked-due/")).toHaveLength(2)
    world.clock.forward(2 * MINUTE)
    await retry()
    expect(await pathsOf(world, "parked-due/")).toHaveLength(1)
    expect(await noteOn("a")).toMatchObject({ reason: "archived" })
  })

  it("an object that was written since the last try settles from now: nobody knows when it came", async () => {
    await world.register(world.bucket, { settle: 5 })
    await upload("a")
    world.clock.forward(-10 * MINUTE)
    await event("a", { store: failing(new Failure("unavailable", "no answer")) })
    world.clock.forward(10 * MINUTE)
    await upload("a")
    world.clock.forward(MINUTE)
    expect((await retry()).counts).toEqual({ parked: 1 })
    const now = new Date(world.clock()).toISOString()
    const next = new Date(world.clock() + 5_000).toISOString()
    const [path = ""] = await pathsOf(world, "parked/")
    expect((await world.state.read(path, z.unknown()))?.value).toEqual({ ...world.ref("a"), reason: "settling", attempts: 1, first: now, last: now, next })
    world.clock.forward(5)
    expect((await retry()).counts).toEqual({ sealed: 1 })
  })

  it(`${MANY} parked objects and one that makes sealing throw: ${MANY} are sealed in one run, and the one is parked as failed`, async () => {
    const keys = Array.from({ length: MANY }, (_, n) => `${n}`)
    for (let from = 0; from < keys.length; from += 50) await Promise.all(keys.slice(from, from + 50).map(upload))
    await upload("poison")
    for (const key of [...keys, "poison"]) await park(world.state, world.ref(key), { reason: "unavailable" }, world.clock())
    world.clock.forward(MINUTE)
    const store = failing(new TypeError("a bug"), (key) => key === "poison")
    const results = await runs((cursor) => retry({ limit: MANY, ...cursor }, { store }))
    expect([results.length, countsOf(results)]).toEqual([2, { sealed: MANY, parked: 1 }])
    expect(await noteOn("poison")).toMatchObject({ reason: "failed", attempts: 1 })
    expect(await traces()).toHaveLength(2)
  })

  it("a note that can't be read is in nobody's way", async () => {
    for (const key of ["a", "b"]) {
      await upload(key)
      await park(world.state, world.ref(key), { reason: "unavailable" }, world.clock())
    }
    const [path = ""] = await pathsOf(world, "parked/")
    await world.state.remove(path)
    await world.state.create(path, { no: "note" })
    world.clock.forward(MINUTE)
    expect((await retry()).counts).toEqual({ sealed: 1 })
    expect(await traces()).toHaveLength(2)
  })

  it("goes on from its cursor, by pages of `limit`, and tries nothing twice", async () => {
    for (let n = 0; n < 5; n++) await park(world.state, world.ref(`gone ${n}`), { reason: "unavailable" }, world.clock())
    await upload("stays")
    await park(world.state, world.ref("stays"), { reason: "unavailable" }, world.clock())
    world.clock.forward(MINUTE)
    const results = await runs((cursor) => retry({ limit: 2, ...cursor }, { store: failing(new Failure("unavailable", "no"), (key) => key === "stays") }))
    expect(countsOf(results)).toEqual({ gone: 5, parked: 1 })
    expect([3, 4]).toContain(results.length) // the last one may find that the rest is not due
    expect(results.every(({ cursor = "" }) => /^[\w-]*$/.test(cursor))).toBe(true)
  })

  it("S5: stops when its signal aborts, has what it was at parked as unfinished, and goes on from its cursor", async () => {
    for (let n = 0; n < 20; n++) {
      await upload(`${n}`)
      await park(world.state, world.ref(`${n}`), { reason: "unavailable" }, world.clock())
    }
    world.clock.forward(MINUTE)
    const late = new AbortController()
    const store = { ...world.store, get: (ref: ObjectRef, options?: GetOptions) => {
      late.abort()
      return world.store.get(ref, options)
    } }
    const first = await retry({}, { store }, late.signal)
    expect(first).toMatchObject({ done: false, cursor: expect.any(String) })
    world.clock.forward(1)
    await runs((cursor) => retry({ cursor: first.cursor ?? "", ...cursor }))
    await retry() // what was unfinished
    for (let n = 0; n < 20; n++) expect(await isSealed(world, `${n}`)).toBe(true)
    expect(await traces()).toEqual([])
  })

  it("an object that somebody else is at is left to them, with its note, and counted", async () => {
    const { started, finish, sealing } = await sealingSlowly(world, "a")
    await started
    await park(world.state, world.ref("a"), { reason: "unavailable" }, world.clock())
    const before = await noteOn("a")
    world.clock.forward(40) // more than the first pause, and within the lease
    expect((await retry({}, { multipartBytes: 2 ** 20 })).counts).toEqual({ busy: 1 })
    expect([await noteOn("a"), (await traces()).length]).toEqual([before, 2])
    finish()
    expect((await sealing).counts).toEqual({ sealed: 1 })
    expect((await retry()).counts).toEqual({ "already-sealed": 1 })
  })

  it("early: tries also what is not due yet, once, and lets it have its time", async () => {
    await upload("a")
    await event("a", { store: failing(new Failure("unavailable", "no answer")) })
    const next = (await noteOn("a"))?.next
    world.clock.forward(1)
    const results = await runs((cursor) => retry({ early: true, ...cursor }, { store: failing(new Failure("unavailable", "no answer")) }))
    expect(countsOf(results)).toEqual({ parked: 1 })
    expect(await noteOn("a")).toMatchObject({ attempts: 2, next })
    world.clock.forward(1)
    expect((await retry({ early: true })).counts).toEqual({ sealed: 1 })
    expect(await traces()).toEqual([])
  })

  it.each([{ limit: 0 }, { limit: 1_001 }, { limit: "1" }, { cursor: "x" }, { bucket: "photos" }, "now"])("refuses the input %j", async (input) => {
    await expect((async () => retry(input as Input))()).rejects.toMatchObject({ code: "bad-field" })
  })

  it("100,000 parked objects of which none is due cost one listing of one page", async () => {
    const calls: string[] = []
    const state = { ...world.state, list: async (prefix: string, { limit = 1_000 } = {}) => {
      calls.push(`${prefix} ${limit}`)
      return { paths: Array.from({ length: limit }, (_, n) => `parked-due/${String(world.clock() + HOUR * 1_000 + n).padStart(14, "0")}-${"0".repeat(64)}.json`), more: true }
    } }
    expect(await retry({}, { state })).toEqual({ done: true, counts: {}, items: [] })
    expect(calls).toEqual(["parked-due/ 1000"])
  })
})
