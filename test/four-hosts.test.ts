import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import type { JobsContext } from "../shared/context.ts"
import { authority } from "../shared/iam/authority.ts"
import { policies } from "../shared/iam/policies.ts"
import { inLanes } from "../shared/objects/lanes.ts"
import { registrations } from "../shared/objects/registrations.ts"
import type { ObjectRef } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { contextOf, isSealed, never, pathsOf } from "./job-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const HOSTS = 4
const OBJECTS = 1_000
const DELIVERIES = 10
const CACHE_SECONDS = 300

/** Numbers from 0 to 1, the same ones each time (mulberry32). */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffled<T>(things: readonly T[], random: () => number): T[] {
  return things.map((thing) => [random(), thing] as const).sort(([one], [other]) => one - other).map(([, thing]) => thing)
}

describe("four hosts on one state and one store", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  const writes = new Map<string, number>()
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket(), { cacheSeconds: CACHE_SECONDS })
  })
  afterAll(() => harness.close())

  /** A process of its own, as far as one can be in this one: it shares nothing with the others but state and store. */
  function host(): JobsContext {
    const registered = registrations(world.state, world.clock, CACHE_SECONDS)
    const decide = authority(policies(world.state, CACHE_SECONDS, world.clock))
    const store = { ...world.store, put: async (ref: ObjectRef, ...rest: [Parameters<World["store"]["put"]>[1]]) => {
      const result = await world.store.put(ref, ...rest)
      writes.set(ref.key, (writes.get(ref.key) ?? 0) + 1)
      return result
    } }
    const context = contextOf(world, { store, registrations: registered })
    return { ...context, authority: decide, sealer: { ...context.sealer, authority: decide, dataKeys: world.makeKeyring(true) } }
  }

  it("10,000 events for 1,000 objects, each ten times, in random order: 1,000 sealed objects, none written twice, no more wraps than data keys", async () => {
    const keys = Array.from({ length: OBJECTS }, (_, n) => `${n}`)
    await inLanes(keys, 16, async (key) => void (await world.store.put(world.ref(key), patterned(100))))
    const random = chance(20_260_601)
    const events = shuffled(keys.flatMap((key) => Array.from({ length: DELIVERIES }, () => world.ref(key))), random)
    const hosts = Array.from({ length: HOSTS }, host)
    const counts: Record<string, number> = {}
    await Promise.all(hosts.map((context, n) => inLanes(events.filter((_, at) => at % HOSTS === n), 8, async (ref) => {
      const { items: [item] } = await encryptObject.run({ uploads: [{ ...ref, time: 0 }] }, context, never)
      if (item) counts[item.outcome] = (counts[item.outcome] ?? 0) + 1
    })))
    const dataKeys = (await pathsOf(world, "data-keys/")).length
    const { generate = 0, wrap = 0, unwrap = 0 } = world.keyService.calls
    process.stdout.write(`four hosts: ${JSON.stringify(counts)}; ${dataKeys} data keys, wraps ${generate + wrap}, unwraps ${unwrap}\n`)
    expect(counts["sealed"]).toBe(OBJECTS)
    expect(Object.values(counts).reduce((sum, count) => sum + count)).toBe(OBJECTS * DELIVERIES)
    expect(Object.keys(counts).filter((outcome) => !["sealed", "already-sealed", "superseded"].includes(outcome))).toEqual([])
    expect([writes.size, Math.max(...writes.values())]).toEqual([OBJECTS, 1])
    expect(dataKeys).toBe(HOSTS)
    expect(generate + wrap).toBeLessThanOrEqual(dataKeys)
    expect(unwrap).toBeLessThanOrEqual(dataKeys * HOSTS) // each host opens each data key once, to tell sealed objects from forged ones
    for (const key of keys.filter((_, n) => n % 50 === 0)) {
      expect([await isSealed(world, key), Buffer.compare(await world.plaintext(key) ?? Buffer.alloc(0), patterned(100))]).toEqual([true, 0])
    }
    expect(await pathsOf(world, "parked")).toEqual([])
  }, 60_000)
})
