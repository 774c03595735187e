import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { probeStore } from "../functions/probe-store.ts"
import type { JobsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import type { Judgement, Registrar } from "../shared/objects/register.ts"
import { contextOf, countsOf, never, runs } from "./job-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

describe("probe-store", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => void (harness = await localHarness()))
  beforeEach(async () => void (world = await makeWorld(harness.store, await harness.bucket())))
  afterAll(() => harness.close())

  const context = (probe?: Registrar["probe"]): JobsContext => {
    const made = contextOf(world)
    return { ...made, registrar: { ...made.registrar, ...(probe ? { probe } : {}) } }
  }
  const run = (input: object, probe?: Registrar["probe"], signal = never) => probeStore.run(probeStore.input.parse(input), context(probe), signal)
  const finding = (judgement: Judgement): Registrar["probe"] => async () => () => judgement
  const facts = async (prefix = "") => (await world.registrations.get(world.bucket, prefix))?.store
  const one = (outcome: string, more: object = {}) =>
    ({ done: true, counts: { [outcome]: 1 }, items: [{ bucket: world.bucket, key: "", outcome, ...more }] })

  it("S3: repeats the probe, and renews what the registration goes by", async () => {
    const before = await facts()
    world.clock.forward(86_400)
    expect(await run({ bucket: world.bucket })).toEqual(one("safe"))
    expect(await facts()).toEqual({ ...before, probed: new Date(world.clock()).toISOString() })
  })

  it("S3: versioning that was switched on after the probe is seen", async () => {
    await world.store.setVersioning(world.bucket, "enabled")
    await run({ bucket: world.bucket })
    expect(await facts()).toMatchObject({ versioning: "enabled", removeSource: "version" })
  })

  it("S3: a bucket that has become unsafe is so in its registration, with the reason, until it is found safe again", async () => {
    const before = await facts()
    const reason = "it accepts If-Match with a stale ETag"
    expect(await run({ bucket: world.bucket }, finding({ refused: reason, measured: true }))).toEqual(one("unsafe", { reason }))
    expect(await facts()).toEqual({ ...before, unsafe: reason })
    expect(world.lines.join()).toContain("has become unsafe")
    await run({ bucket: world.bucket })
    expect(await facts()).toEqual(before)
  })

  it.each([
    ["could not be asked", finding({ refused: "Object Lock", measured: false }), "unmeasured", "Object Lock"],
    ["did not answer", () => Promise.reject(new Failure("unavailable", "no answer")), "failed", "unavailable"],
  ])("S3: where the store %s, what was known holds on", async (_, probe, outcome, reason) => {
    const before = await facts()
    world.clock.forward(86_400)
    expect(await run({ bucket: world.bucket }, probe)).toEqual(one(outcome, { reason }))
    expect(await facts()).toEqual(before)
  })

  it("each registration of a bucket is judged by what it uses the bucket for, on one probe", async () => {
    await world.register(world.bucket, { mode: "vault" }, "vault/")
    let probes = 0
    const probe: Registrar["probe"] = async (bucket) => {
      probes++
      const judge = await world.registrar.probe(bucket)
      return (use) => use === "vault" ? { refused: "it lies", measured: true } : judge(use)
    }
    expect((await run({ bucket: world.bucket }, probe)).counts).toEqual({ safe: 1, unsafe: 1 })
    expect([probes, (await facts())?.unsafe, (await facts("vault/"))?.unsafe]).toEqual([1, undefined, "it lies"])
  })

  it("writes nothing into a bucket that nobody has registered", async () => {
    const none = () => Promise.reject(new Error("it was probed"))
    expect(await run({ bucket: "somebodys" }, none)).toEqual({ done: true, counts: { "not-registered": 1 }, items: [{ bucket: "somebodys", key: "", outcome: "not-registered" }] })
  })

  it("what was registered anew, or removed, while its bucket was probed stays as it is", async () => {
    const meanwhile = (change: () => Promise<unknown>): Registrar["probe"] => async () => {
      await change()
      return () => ({ refused: "it lies", measured: true })
    }
    expect(await run({ bucket: world.bucket }, meanwhile(() => world.register(world.bucket, { mode: "vault" })))).toEqual(one("superseded"))
    expect((await facts())?.unsafe).toBeUndefined()
    expect(await run({ bucket: world.bucket }, meanwhile(() => world.registrations.remove(world.bucket, "")))).toEqual(one("superseded"))
    expect(await facts()).toBeUndefined()
  })

  it("all registered buckets, one page at a time, each once; and stops between two when it is told to", async () => {
    const known = await world.registrations.get(world.bucket, "")
    if (!known) throw new Error("not registered")
    const { rootKeys: _, ...document } = known
    const names = Array.from({ length: 24 }, (_, n) => `more-${n}`)
    for (const bucket of names) await world.registrations.put(bucket, "", () => ({ ...document, bucket }))
    const probed: string[] = []
    const stop = new AbortController()
    const probe: Registrar["probe"] = async (bucket) => {
      probed.push(bucket)
      if (probed.length === 3) stop.abort()
      return () => ({ refused: "it lies", measured: true })
    }
    const first = await run({}, probe, stop.signal)
    expect([first.done, first.counts]).toEqual([false, { unsafe: 3 }])
    const results = [first, ...await runs((cursor) => run({ cursor: first.cursor, ...cursor }, probe))]
    expect([results.map(({ items }) => items.length), countsOf(results)]).toEqual([[3, 10, 10, 2], { unsafe: 25 }])
    expect(probed.sort()).toEqual([world.bucket, ...names].sort())
  })
})
