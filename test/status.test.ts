import { describe, expect, it } from "vitest"
import { status } from "../functions/status.ts"
import type { ObjectsContext } from "../shared/context.ts"
import { noteSweep } from "../shared/objects/sweeps.ts"
import type { Call } from "../shared/runtime/endpoint.ts"
import { memoryState, type MemoryState } from "./memory-state.ts"

/** What `GET /status` shows of a state, and how many requests that cost. */
async function shown(state: MemoryState) {
  const before = state.requests()
  const context = { state } as unknown as ObjectsContext // all it uses
  const [route] = status
  if (!route) throw new Error("there is no route")
  const response = await route.run({} as Call<never>, context)
  return { answer: await response.json(), requests: state.requests() - before }
}

async function withNotes(count: number, reasonOf: (index: number) => string): Promise<MemoryState> {
  const state = memoryState()
  for (let index = 0; index < count; index++) {
    await state.create(`parked/${String(index).padStart(64, "0")}.json`, { bucket: "b", key: "k", reason: reasonOf(index) })
  }
  return state
}

describe("GET /status", () => {
  it("an empty state: nothing waits", async () => {
    expect((await shown(memoryState())).answer).toEqual({
      inbox: { waiting: 0 }, parked: { total: 0, reasons: {} }, unreadableEvents: { total: 0 }, registrations: { buckets: 0 }, lastSweep: null,
    })
  })

  it("counts parked objects by reason", async () => {
    const { answer } = await shown(await withNotes(50, (index) => (index % 5 === 0 ? "moved" : "key-state")))
    expect(answer).toMatchObject({ parked: { total: 50, reasons: { moved: 10, "key-state": 40 } } })
  })

  it("counts events that can't be read, and says when the first of the inbox is due", async () => {
    const state = memoryState()
    await state.create("unreadable-events/one.json", {})
    for (const due of [1_800_000_000_000, 1_900_000_000_000]) await state.create(`inbox/${String(due).padStart(14, "0")}-id.json`, {})
    expect((await shown(state)).answer).toMatchObject({
      inbox: { waiting: 2, oldest: "2027-01-15T08:00:00.000Z" }, unreadableEvents: { total: 1 },
    })
  })

  it("of more than it counts it says so, and its cost is bounded", async () => {
    const { answer, requests } = await shown(await withNotes(10_001, () => "locked"))
    expect(answer).toMatchObject({ parked: { total: 10_000, more: true, reasons: { locked: 200 } } })
    expect(requests).toBeLessThan(220)
  })

  it("counts the buckets of registrations, however many there are, at the cost of a few listings and a look at the first 200", async () => {
    const state = memoryState()
    for (let index = 0; index < 10_001; index++) {
      await state.create(`registrations/bucket-${index}.json`, { registrations: [], rootKeys: [] })
    }
    const { answer, requests } = await shown(state)
    expect(answer).toMatchObject({ registrations: { buckets: 10_000, more: true } })
    expect(requests).toBeLessThan(220)
  })

  const register = (state: MemoryState, bucket: string, ...enabled: boolean[]) =>
    state.create(`registrations/${bucket}.json`, { registrations: enabled.map((one) => ({ enabled: one })), rootKeys: [] })
  const swept = (state: MemoryState, bucket: string, day: number) =>
    noteSweep(state, bucket, { started: Date.UTC(2026, 0, day), objects: 1, counts: {} }, Date.UTC(2026, 0, day, 1))

  it("S6: the last sweep is that of the registered bucket for which it is longest ago", async () => {
    const state = memoryState()
    for (const [bucket, day] of [["a", 5], ["b", 3], ["c", 9]] as const) {
      await register(state, bucket, true)
      await swept(state, bucket, day)
    }
    await register(state, "removed")
    await register(state, "disabled", false)
    expect((await shown(state)).answer).toMatchObject({ lastSweep: "2026-01-03T01:00:00.000Z" })
  })

  it("S6: there was no last sweep as long as one registered bucket has had none", async () => {
    const state = memoryState()
    for (const bucket of ["a", "b"]) await register(state, bucket, false, true)
    await swept(state, "a", 5)
    expect((await shown(state)).answer).toMatchObject({ lastSweep: null })
  })

  it("looks at the last sweeps of 200 buckets at most, and says so", async () => {
    const state = memoryState()
    for (let index = 100; index < 301; index++) {
      await register(state, `bucket-${index}`, true)
      await swept(state, `bucket-${index}`, 1)
    }
    const { answer, requests } = await shown(state)
    expect(answer).toMatchObject({ lastSweep: "2026-01-01T01:00:00.000Z", lastSweepOf: 200 })
    expect(requests).toBeLessThan(420)
  })
})
