import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { takeLease, type Holder } from "../local/lease.ts"
import { schedules, type Schedules } from "../local/schedule.ts"
import type { Wait } from "../shared/objects/wait.ts"
import { Failure } from "../shared/errors.ts"
import { park, parkedAt } from "../shared/objects/parking.ts"
import { finishedSweep } from "../shared/objects/sweeps.ts"
import type { ListOptions, StateStore, Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { until } from "./inbox-fixtures.ts"
import { contextOf, isSealed, never } from "./job-fixtures.ts"
import { stored } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const RENEWAL = 40_000 // the pause of a lease's renewal

/** Time that goes on only when it is told to, for any number of hosts. */
function timeline() {
  let now = Date.now() + MINUTE // past all that the store dates
  const waiting = new Set<{ readonly at: number; readonly milliseconds: number; readonly end: () => void }>()
  const wait: Wait = (milliseconds, signal) => new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      waiting.delete(one)
      signal.removeEventListener("abort", end)
      resolve()
    }
    const one = { at: now + milliseconds, milliseconds, end }
    waiting.add(one)
    signal.addEventListener("abort", end)
  })
  const loops = () => [...waiting].filter(({ milliseconds }) => milliseconds !== RENEWAL).length
  return {
    wait, clock: () => now, loops,
    /** Lets time pass. Whoever wakes up does what it has to do, until as many wait again, or until `isCalm`. */
    async forward(milliseconds: number, isCalm?: () => boolean) {
      const end = now + milliseconds
      const all = loops()
      for (;;) {
        const next = [...waiting].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0]
        if (!next) break
        now = Math.max(now, next.at)
        next.end()
        for (let turns = 0; !(loops() === all || isCalm?.()); turns++) {
          if (turns > 200_000) throw new Error("somebody does not come to an end")
          await new Promise((resolve) => void setImmediate(resolve))
        }
      }
      now = end
    },
  }
}

describe("the schedules of a host", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  let time: ReturnType<typeof timeline>
  const running: Schedules[] = []
  beforeAll(async () => void (harness = await localHarness()))
  afterAll(() => harness.close())
  beforeEach(async () => {
    world = await makeWorld(harness.store, await harness.bucket())
    time = timeline()
  })
  afterEach(async () => void (await Promise.all(running.splice(0).map((one) => one.close()))))

  const start = async (change: { store?: Store; state?: StateStore; holder?: string; dead?: string } = {}) => {
    const { holder = "here.1", dead, ...parts } = change
    const host = await schedules(contextOf(world, { clock: time.clock, ...parts }), { wait: time.wait, random: () => 0.5, holder, isDead: (other) => other === dead })
    running.push(host)
    await until(async () => time.loops() === 3 * running.length)
    return host
  }
  const upload = (key: string) => world.store.put(world.ref(key), patterned(10))
  /** How often something in the state was listed. */
  function listings(prefix: string) {
    let count = 0
    const state: StateStore = { ...world.state, list: (under, options) => {
      if (under === prefix) count++
      return world.state.list(under, options)
    } }
    return { state, count: () => count }
  }
  const byPagesOf = (limit: number, stopAfter: string, stop: () => Promise<void>): Store => ({
    ...world.store,
    list: async (bucket: string, options?: ListOptions) => {
      if (options?.startAfter === stopAfter) await stop()
      return world.store.list(bucket, { ...options, limit })
    },
  })

  it("S5: what is parked is tried every minute", async () => {
    await upload("a")
    await park(world.state, world.ref("a"), { reason: "unfinished" }, time.clock())
    await start()
    await time.forward(58_000)
    expect(await isSealed(world, "a")).toBe(false)
    await time.forward(2_000)
    expect([await isSealed(world, "a"), await parkedAt(world.state, world.ref("a"))]).toEqual([true, undefined])
  })

  it("S6: what no event told of is sealed by a sweep, a few minutes after the start, and then every day", async () => {
    await upload("a")
    await start()
    await time.forward(4 * MINUTE)
    expect(await isSealed(world, "a")).toBe(false)
    await time.forward(2 * MINUTE)
    expect([await isSealed(world, "a"), (await finishedSweep(world.state, world.bucket))?.full]).toEqual([true, true])
    await upload("b")
    await time.forward(DAY - HOUR)
    expect(await isSealed(world, "b")).toBe(false)
    await time.forward(HOUR + 20 * MINUTE)
    expect([await isSealed(world, "b"), (await finishedSweep(world.state, world.bucket))?.full]).toEqual([true, false])
  })

  it("S6: a host that starts within a day of the last sweep makes none", async () => {
    await start()
    await time.forward(6 * MINUTE)
    await running.pop()?.close()
    await upload("a")
    await start({ holder: "here.2" })
    await time.forward(2 * HOUR)
    expect(await isSealed(world, "a")).toBe(false)
  })

  it("four hosts on one state do what one does", async () => {
    const { state, count } = listings("parked-due/")
    let lists = 0
    const store = { ...world.store, list: (bucket: string, options?: ListOptions) => (lists++, world.store.list(bucket, options)) }
    for (const holder of ["a.1", "b.1", "c.1", "d.1"]) await start({ state, store, holder })
    await time.forward(20 * MINUTE)
    expect(count()).toBeGreaterThanOrEqual(19)
    expect(count()).toBeLessThanOrEqual(21)
    expect(lists).toBe(1)
  })

  it("goes on with a sweep from page to page, and with one that a closed host was at from where that stopped", async () => {
    for (const key of ["a", "b", "c", "d"]) await upload(key)
    let hangs = false
    const first = await start({ store: byPagesOf(1, "b", () => {
      hangs = true
      return new Promise(() => undefined)
    }) })
    await time.forward(6 * MINUTE, () => hangs) // at the third page
    void first.close()
    running.pop()
    const { cursor = "" } = await stored(world.state, `schedules/sweep-${world.bucket}.json`)
    expect(Buffer.from(cursor, "base64url").toString()).toContain('"objects":2')
    const seen: (string | undefined)[] = []
    time = timeline()
    await start({ dead: "here.1", holder: "here.2", store: { ...world.store, list: (bucket, options) => (seen.push(options?.startAfter), world.store.list(bucket, options)) } })
    await time.forward(6 * MINUTE)
    expect([seen, await isSealed(world, "d")]).toEqual([["b"], true])
    expect(await finishedSweep(world.state, world.bucket)).toMatchObject({ full: true, objects: 4 })
  })

  it("a cursor that another release of the program has left begins anew", async () => {
    await upload("a")
    await world.state.create(`schedules/sweep-${world.bucket}.json`, { holder: "gone", until: 0, last: 0, cursor: "b2xk" })
    await start()
    await time.forward(40 * MINUTE)
    expect(await isSealed(world, "a")).toBe(true)
  })

  it("S6: a bucket whose listing fails is in no other's way, and comes again", async () => {
    const other = await harness.bucket()
    await world.register(other)
    for (const bucket of [world.bucket, other]) await world.store.put({ bucket, key: "a" }, patterned(10))
    let broken: string | undefined = [world.bucket, other].sort()[0]
    const store = { ...world.store, list: (bucket: string, options?: ListOptions) =>
      (bucket === broken ? Promise.reject(new Failure("unavailable", "no answer")) : world.store.list(bucket, options)) }
    await start({ store })
    const swept = async () => (await Promise.all([world.bucket, other].map((bucket) => finishedSweep(world.state, bucket)))).filter((one) => one).length
    await time.forward(6 * MINUTE)
    expect(await swept()).toBe(1)
    broken = undefined
    await time.forward(20 * MINUTE)
    expect(await swept()).toBe(2)
  })

  it("what fails is logged, never ends the host, and comes again", async () => {
    await upload("a")
    await park(world.state, world.ref("a"), { reason: "unfinished" }, time.clock())
    let down = true
    const state: StateStore = { ...world.state, list: (...args) => (down ? Promise.reject(new TypeError("a bug")) : world.state.list(...args)) }
    await start({ state })
    await time.forward(3 * MINUTE)
    expect(world.lines.filter((line) => line.includes("done by time has failed"))).toHaveLength(3)
    down = false
    await time.forward(2 * MINUTE)
    expect(await isSealed(world, "a")).toBe(true)
  })

  it("S3: a daily probe that throws is tried again within the hour; one that came to its end is not", async () => {
    let probes = 0
    const probe = async () => {
      if (++probes === 1) throw new TypeError("a bug")
      return () => ({ refused: "it can't be asked", measured: false })
    }
    world = { ...world, registrar: { ...world.registrar, probe } }
    await start()
    await time.forward(30 * MINUTE)
    expect(probes).toBe(1)
    await time.forward(HOUR)
    expect(probes).toBe(2)
    await time.forward(2 * HOUR)
    expect(probes).toBe(2)
  })

  it("closing stops a sweep within its page, and leaves the lease to others at once", async () => {
    for (const key of ["a", "b"]) await upload(key)
    let reached = false
    let closing = false
    const host = await start({ store: byPagesOf(1, "a", async () => {
      reached = true
      await until(async () => closing)
    }) })
    await time.forward(6 * MINUTE, () => reached)
    const closed = host.close()
    closing = true
    await closed
    running.pop()
    const lease = await stored(world.state, `schedules/sweep-${world.bucket}.json`)
    expect([Number(lease["until"]) <= time.clock(), typeof lease["cursor"]]).toEqual([true, "string"])
    expect(await isSealed(world, "b")).toBe(false)
  })
})

describe("a lease", () => {
  const worldOf = (time = timeline(), state: StateStore = memoryState()) => ({
    time, state,
    holder: (holder: string, more: Partial<Holder> = {}): Holder => ({
      state, clock: time.clock, wait: time.wait, holder, isDead: () => false,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined }, ...more,
    }),
  })
  const tick = () => new Promise((resolve) => setTimeout(resolve, 5))

  it("is had by one of those who want it at once", async () => {
    const { holder } = worldOf()
    const taken = await Promise.all(["a", "b", "c", "d"].map((name) => takeLease(holder(name), "x", 0, never)))
    expect(taken.filter((one) => one)).toHaveLength(1)
    await Promise.all(taken.map(async (one) => one?.release()))
  })

  it("is renewed as long as the work takes, and free at once when it is released", async () => {
    const { time, holder } = worldOf()
    const held = await takeLease(holder("a"), "x", 0, never)
    for (let minute = 0; minute < 10; minute++) {
      await time.forward(MINUTE)
      await tick()
      expect(await takeLease(holder("b"), "x", 0, never)).toBeUndefined()
    }
    await held?.release()
    const next = await takeLease(holder("b"), "x", 0, never)
    expect(next).toBeDefined()
    await next?.release()
  })

  it("of a host that is lost ends after two minutes; of one that is known to be dead at once; of a wrong clock at once", async () => {
    const { time, state, holder } = worldOf()
    await state.create("schedules/x.json", { holder: "lost", until: time.clock() + 2 * MINUTE, last: 0, cursor: "c" })
    expect(await takeLease(holder("b"), "x", 0, never)).toBeUndefined()
    const dead = await takeLease(holder("b", { isDead: (other) => other === "lost" }), "x", 0, never)
    expect(dead?.cursor).toBe("c")
    await dead?.release("d")
    await state.create("schedules/y.json", { holder: "lost", until: time.clock() + 365 * DAY, last: time.clock() + 365 * DAY })
    await (await takeLease(holder("b"), "y", MINUTE, never))?.release()
    await state.create("schedules/z.json", { holder: "lost", until: time.clock() + 2 * MINUTE, last: 0 })
    await time.forward(2 * MINUTE)
    const late = await takeLease(holder("b"), "z", 0, never)
    expect([late !== undefined, (await stored(state, "schedules/y.json"))["holder"]]).toEqual([true, "b"])
    await late?.release()
  })

  it("that another host has taken stops what was done under it, and is not written again", async () => {
    const { state, holder } = worldOf()
    const held = await takeLease(holder("a"), "x", 0, never)
    const other = { holder: "b", until: 1, last: 1 }
    await state.remove("schedules/x.json")
    await state.create("schedules/x.json", other)
    await held?.advance("c")
    expect(held?.signal.aborted).toBe(true)
    await held?.release()
    expect(await stored(state, "schedules/x.json")).toEqual(other)
  })

  it("that can't be renewed is lost when it ends", async () => {
    const { time, state, holder } = worldOf()
    const held = await takeLease(holder("a", { state: { ...state, replace: () => Promise.reject(new Failure("unavailable", "no answer")) } }), "x", 0, never)
    await time.forward(MINUTE)
    await tick()
    expect(held?.signal.aborted).toBe(false)
    for (let n = 0; n < 3; n++) {
      await time.forward(MINUTE)
      await tick()
    }
    expect(held?.signal.aborted).toBe(true)
    await expect(held?.release()).resolves.toBeUndefined()
  })

  it("is not given again within its time where the work came to its end, and is where it did not", async () => {
    const { time, holder } = worldOf()
    await (await takeLease(holder("a"), "x", MINUTE, never))?.finish()
    await time.forward(59_000)
    expect(await takeLease(holder("b"), "x", MINUTE, never)).toBeUndefined()
    await time.forward(1_000)
    await (await takeLease(holder("b"), "x", MINUTE, never))?.release("cursor")
    const resumed = await takeLease(holder("a"), "x", MINUTE, never)
    expect(resumed).toMatchObject({ cursor: "cursor" })
    await resumed?.release()
    expect(await takeLease(holder("b"), "x", MINUTE, never)).toBeDefined()
  })

  it("of a host that died before its work came to an end is given again as soon as it has ended", async () => {
    const { holder } = worldOf()
    expect(await takeLease(holder("dead"), "x", DAY, never)).toBeDefined()
    expect(await takeLease(holder("b", { isDead: (other) => other === "dead" }), "x", DAY, never)).toBeDefined()
  })
})
