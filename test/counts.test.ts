import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { patterned } from "./bytes.ts"
import { counted } from "./key-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const OBJECTS = 1_100
const CACHE_SECONDS = 300

describe("what sealing costs", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  let store: ReturnType<typeof counted<World["store"]>>

  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket(), { cacheSeconds: CACHE_SECONDS })
    store = counted(world.store)
  })
  afterAll(() => harness.close())

  const sum = (calls: Record<string, number>) => Object.values(calls).reduce((total, count) => total + count, 0)
  function reset(): void {
    for (const calls of [store.calls, world.state.calls, world.keyService.calls]) for (const name of Object.keys(calls)) delete calls[name]
  }
  const sealOne = async (key: string) => {
    await world.store.put(world.ref(key), patterned(4_096))
    const { outcome } = await world.seal(key, { size: 4_096 }, { ...world.sealer, store })
    expect(outcome).toBe("sealed")
  }

  it("S11: a cold instance's first small object costs at most 6 state requests, however many policies there are", async () => {
    for (let n = 0; n < 200; n++) await world.policies.create("acc1", { ...world.authorization(), resources: [{ attributes: [{ name: "accountId", value: "acc1" }, { name: "serviceName", value: `s${n}` }] }] }, "IBMid-owner")
    world.clock.forward(CACHE_SECONDS) // nothing is remembered any more
    reset()
    await sealOne("cold")
    expect(sum(world.state.calls)).toBeLessThanOrEqual(6)
  })

  it("1,100 objects on a warm instance: 2 requests each to the bucket, no state request, and one wrap per 1,024", async () => {
    reset()
    for (let n = 0; n < OBJECTS; n++) await sealOne(`warm ${n}`)
    expect(store.calls).toEqual({ get: OBJECTS, put: OBJECTS })
    expect(world.keyService.calls).toEqual({ generate: 1, unwrap: 1 }) // the second data key, and its check
    expect(world.state.calls).toEqual({ create: 1, read: expect.any(Number) })
    expect(world.state.calls["read"]).toBeLessThanOrEqual(2) // that data key read back
  })

  it("each cache period costs at most 3 state reads and one question about the root key", async () => {
    for (let period = 0; period < 3; period++) {
      world.clock.forward(CACHE_SECONDS + 1)
      reset()
      for (let n = 0; n < 5; n++) await sealOne(`period ${period} ${n}`)
      expect(world.keyService.calls).toEqual({ describe: 1 })
      expect(sum(world.state.calls)).toBeLessThanOrEqual(3)
    }
  })

  it("an object with tags costs one request more", async () => {
    reset()
    await world.store.put(world.ref("tagged"), patterned(10), { tags: [["a", "b"]] })
    await world.seal("tagged", {}, { ...world.sealer, store })
    expect(store.calls).toEqual({ get: 1, getTags: 1, put: 1 })
  })

  it("reading a warm small object costs one request", async () => {
    reset()
    const opener = { ...world.opener, store }
    const { openObject } = await import("../shared/objects/open.ts")
    await openObject(opener, world.ref("cold"), { iamId: "IBMid-owner", account: "acc1" })
    expect(store.calls).toEqual({ get: 1 })
  })
})
