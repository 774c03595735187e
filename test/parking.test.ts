import { describe, expect, it } from "vitest"
import type { ParkReason } from "../shared/objects/outcome.ts"
import { pauseFor } from "../shared/objects/paces.ts"
import { behindEntry, dueEntries, keepChecking, park, parkedAt, unpark } from "../shared/objects/parking.ts"
import type { StateStore } from "../shared/ports.ts"
import { counted } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const NOW = Date.UTC(2026, 5, 1)
const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const ref = { bucket: "photos", key: "a" }
const iso = (time: number) => new Date(time).toISOString()

/** The one entry there is. */
async function onlyEntry(state: StateStore) {
  const { entries } = await dueEntries(state, Infinity, 1_000)
  if (entries.length !== 1 || !entries[0]) throw new Error(`there are ${entries.length} entries`)
  return entries[0]
}

describe("pauses", () => {
  const byTime: ParkReason[] = [
    "not-authorized", "key-state", "unavailable", "failed", "store-forbids", "store-refuses", "condition-misbehaves",
    "stored-bytes-differ", "keeps-changing", "destination-not-registered", "locked",
  ]
  it.each(byTime)("%s: the pauses double up to the longest, by the time it is parked and not by the number of events", (reason) => {
    const first = pauseFor(reason, 0, 0) ?? NaN
    const longest = pauseFor(reason, Infinity, 0) ?? NaN
    expect(first).toBeGreaterThanOrEqual(30 * SECOND)
    expect(longest).toBeLessThanOrEqual(reason === "locked" ? DAY : HOUR)
    let age = 0
    for (let tries = 0, pause = first; tries < 12; tries++) {
      expect(pauseFor(reason, age, 0)).toBe(Math.min(Math.max(pause, age), longest))
      age += pause
      pause = Math.min(age, longest)
    }
  })

  it.each<ParkReason>(["archived", "sse-c", "moved", "unknown-data-key", "unknown-format", "damaged-or-forged", "too-large", "too-large-for-store"])(
    "S14: %s is never tried again by time", (reason) => expect(pauseFor(reason, 0, 0)).toBeUndefined())

  it("S5: unfinished is due at once at first; what stays unfinished without getting anywhere doubles its pauses", () => {
    expect(pauseFor("unfinished", 0, 1)).toBe(0)
    expect(pauseFor("unfinished", 60_000, 0)).toBe(60_000)
    expect(pauseFor("unfinished", 5 * HOUR, 0)).toBe(HOUR)
  })

  it("S5: a sealing that has sent something is due at once, however long it takes", async () => {
    const state = memoryState()
    await park(state, { bucket: "photos", key: "k" }, { reason: "unfinished" }, NOW)
    expect(await park(state, { bucket: "photos", key: "k" }, { reason: "unfinished", due: NOW + 5 * HOUR }, NOW + 5 * HOUR)).toBe(NOW + 5 * HOUR)
  })

  it("are up to a quarter longer, for each object another time", async () => {
    const state = memoryState()
    const dues = new Set<number>()
    for (let n = 0; n < 100; n++) dues.add(await park(state, { bucket: "photos", key: `${n}` }, { reason: "unavailable" }, NOW))
    expect(dues.size).toBeGreaterThan(95)
    expect(Math.min(...dues)).toBeGreaterThanOrEqual(NOW + 30 * SECOND)
    expect(Math.max(...dues)).toBeLessThanOrEqual(NOW + 37.5 * SECOND)
  })
})

describe("a note", () => {
  it("says reason, tries and when the next one is, and has an entry at that time", async () => {
    const state = memoryState()
    const due = await park(state, ref, { reason: "key-state" }, NOW)
    expect(await parkedAt(state, ref)).toEqual({ ...ref, reason: "key-state", attempts: 1, first: iso(NOW), last: iso(NOW), next: iso(due) })
    expect(await onlyEntry(state)).toMatchObject({ at: due, path: expect.stringMatching(/^parked-due\/\d{14}-[0-9a-f]{64}\.json$/) })
    expect((await dueEntries(state, due - 1, 1_000)).entries).toEqual([])
    expect((await dueEntries(state, due, 1_000)).entries).toHaveLength(1)
  })

  it("S14: of what no time cures says when to see whether it still stands", async () => {
    const state = memoryState()
    await park(state, ref, { reason: "archived" }, NOW)
    const note = await parkedAt(state, ref)
    expect([note?.next, note?.check]).toEqual([undefined, iso(NOW + DAY)])
  })

  it("tried before its time, by an event, keeps its time, and costs two requests", async () => {
    const state = counted(memoryState())
    const due = await park(state, ref, { reason: "unavailable" }, NOW)
    const before = { ...state.calls }
    expect(await park(state, ref, { reason: "unavailable" }, NOW + 5 * SECOND)).toBe(due)
    expect([state.calls["read"], state.calls["create"], state.calls["replace"]]).toEqual([(before["read"] ?? 0) + 1, before["create"], 1])
    expect(await parkedAt(state, ref)).toMatchObject({ attempts: 2, first: iso(NOW), last: iso(NOW + 5 * SECOND) })
  })

  it("of another reason begins anew, and leaves its old entry stale", async () => {
    const state = memoryState()
    await park(state, ref, { reason: "archived" }, NOW)
    const old = await onlyEntry(state)
    const due = await park(state, ref, { reason: "not-authorized" }, NOW + MINUTE)
    expect(await parkedAt(state, ref)).toMatchObject({ reason: "not-authorized", attempts: 1, first: iso(NOW + MINUTE), next: iso(due) })
    expect(await behindEntry(state, old)).toBe("stale")
  })

  it("whose time a clock that was wrong has put years ahead gets another", async () => {
    const state = memoryState()
    await park(state, ref, { reason: "unavailable" }, NOW + 365 * DAY)
    expect(await park(state, ref, { reason: "unavailable" }, NOW)).toBeLessThan(NOW + 2 * HOUR)
  })

  it("is never without its entry: a crash between the two writes leaves an entry alone, and that names the object", async () => {
    const state = memoryState()
    const crashing = { ...state, create: (path: string, value: unknown) => (path.startsWith("parked/") ? Promise.reject(new Error("crash")) : state.create(path, value)) }
    await expect(park(crashing, ref, { reason: "unavailable" }, NOW)).rejects.toThrow("crash")
    expect(await behindEntry(state, await onlyEntry(state))).toEqual({ ref })
  })

  it("that is removed while another host renews it is lost, and its entry is not", async () => {
    const state = memoryState()
    await park(state, ref, { reason: "unavailable" }, NOW)
    const entry = await onlyEntry(state)
    const due = await park(state, ref, { reason: "key-state" }, NOW + MINUTE) // by the other one
    await unpark(state, entry)
    expect(await parkedAt(state, ref)).toBeUndefined()
    const left = await onlyEntry(state)
    expect([left.at, await behindEntry(state, left)]).toEqual([due, { ref }])
  })

  it("that is removed while it is being renewed is made anew", async () => {
    const state = memoryState()
    await park(state, ref, { reason: "unavailable" }, NOW)
    const entry = await onlyEntry(state)
    const racing: StateStore = { ...state, replace: async (path, value, etag) => {
      await unpark(state, entry)
      return state.replace(path, value, etag)
    } }
    await park(racing, ref, { reason: "unavailable" }, NOW + HOUR)
    expect(await parkedAt(state, ref)).toMatchObject({ attempts: 1 })
  })

  it("that two hosts write at once is written by one of them, and has an entry", async () => {
    const state = memoryState()
    await Promise.all([NOW, NOW + 1].map((now) => park(state, ref, { reason: "unavailable" }, now)))
    const { entries } = await dueEntries(state, Infinity, 1_000)
    const behind = await Promise.all(entries.map((entry) => behindEntry(state, entry)))
    expect(behind.filter((one) => one !== "stale")).toMatchObject([{ ref }])
  })

  it("that was only looked at is looked at again a day later", async () => {
    const state = memoryState()
    await park(state, ref, { reason: "moved" }, NOW)
    await keepChecking(state, await onlyEntry(state), NOW + DAY)
    expect(await onlyEntry(state)).toMatchObject({ at: NOW + 2 * DAY })
    expect(await parkedAt(state, ref)).toMatchObject({ attempts: 1, last: iso(NOW), check: iso(NOW + 2 * DAY) })
  })
})
