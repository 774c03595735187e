import { describe, expect, it } from "vitest"
import type { Handled } from "../shared/objects/inbox-looks.ts"
import { entries } from "../shared/objects/inbox-entries.ts"
import type { StateStore } from "../shared/ports.ts"
import { memoryState } from "./memory-state.ts"
import { countingState, documentAt, door, due, keptLog, openInbox, until } from "./inbox-fixtures.ts"

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const pathsIn = async (state: StateStore) => (await state.list("inbox/")).paths

/** What a host that is gone has left: accepted, its lease running for `lease` from now on. */
async function leave(state: StateStore, keys: readonly string[], lease: number): Promise<void> {
  const gone = entries({ state, clock: Date.now, log: keptLog(), holder: "gone.1", isDead: () => false, lease })
  await Promise.all(keys.map((key) => gone.create(gone.pathFor(Date.now()), { bucket: "b", key }, 0)))
}

/** Counts how often each key is handled, and whether one was ever handled twice at the same time. */
function tally(ms: number) {
  const handled: string[] = []
  const running = new Set<string>()
  let together = 0
  return {
    handled, together: () => together,
    async handle({ key }: { readonly key: string }): Promise<Handled> {
      if (running.has(key)) together += 1
      running.add(key)
      handled.push(key)
      await sleep(ms)
      running.delete(key)
      return "handled"
    },
  }
}

const keys = (count: number) => Array.from({ length: count }, (_, n) => `k${n}`)

describe("an inbox that several hosts share", () => {
  it("a document says who holds the event until when, and its name who accepted it", async () => {
    const now = 1_700_000_000_000
    const state = memoryState()
    const box = await openInbox({ state, clock: () => now, holder: "host_a.0f.12.ab" })
    await box.accept([due("a", now + 5_000)])
    const [path = ""] = await pathsIn(state)
    expect(path).toMatch(/^inbox\/01700000005000-host_a\.0f\.12\.ab-[0-9a-f-]{36}\.json$/)
    expect(await documentAt(state, path)).toEqual({
      event: { bucket: "b", key: "a" }, tries: 0, holder: "host_a.0f.12.ab", until: now + 5_000 + 60_000,
    })
    await box.close()
  })

  it("what a live host has accepted is not even read by another one", async () => {
    const { state, counts } = countingState()
    const held = door()
    const first = await openInbox({ state, handle: async () => { await held.opened; return "handled" } })
    await first.accept(keys(100).map((key) => due(key)))
    const second = await openInbox({ state, holder: "there.1" })
    await second.idle()
    expect([counts.read, counts.replace, (await pathsIn(state)).length]).toEqual([undefined, undefined, 100])
    held.open()
    await first.idle()
    await Promise.all([first.close(), second.close()])
  })

  it("what a dead process of the same machine has accepted is taken up at once: for one read and one write more", async () => {
    const { state, counts } = countingState()
    await leave(state, keys(50), 86_400_000)
    const log = tally(0)
    const box = await openInbox({ state, isDead: (holder) => holder === "gone.1", handle: log.handle })
    await box.idle()
    expect(log.handled.sort()).toEqual(keys(50).sort())
    expect(counts).toEqual({ list: 1, create: 50, read: 50, replace: 50, remove: 50 })
    await box.close()
  })

  it("what a lost host has accepted is taken up when its lease has ended, and not before", async () => {
    const state = memoryState()
    const began = Date.now()
    await leave(state, keys(5), 300)
    const log = tally(0)
    const times: number[] = []
    const box = await openInbox({ state, lease: 300, handle: async (event) => { times.push(Date.now()); return log.handle(event) } })
    await until(() => log.handled.length >= 5)
    await box.idle()
    expect(log.handled.sort()).toEqual(keys(5).sort())
    expect(Math.min(...times) - began).toBeGreaterThanOrEqual(300) // what the clock says, not how fast it is
    expect(await pathsIn(state)).toEqual([])
    await box.close()
  })

  it("an event that waits for its time when its host is lost is found too", async () => {
    const state = memoryState()
    const gone = await openInbox({ state, holder: "gone.1", lease: 50 })
    await gone.accept([due("settling", Date.now() + 100)])
    await gone.close()
    const log = tally(0)
    const box = await openInbox({ state, lease: 50, handle: log.handle })
    await until(() => log.handled.length > 0)
    await box.idle()
    expect([log.handled, await pathsIn(state)]).toEqual([["settling"], []])
    await box.close()
  })

  it("hosts that find the same events at the same time handle each of them once", async () => {
    const state = memoryState()
    await leave(state, keys(300), 60_000)
    const log = tally(1)
    const boxes = await Promise.all(["a.1", "b.1", "c.1"].map((holder) =>
      openInbox({ state, holder, isDead: (other) => other === "gone.1", handle: log.handle })))
    await Promise.all(boxes.map((box) => box.idle()))
    expect([log.handled.length, new Set(log.handled).size, log.together()]).toEqual([300, 300, 0])
    expect(await pathsIn(state)).toEqual([])
    await Promise.all(boxes.map((box) => box.close()))
  })

  it("a backlog that is older than its leases is shared with a host that has time, each event handled once", async () => {
    const state = memoryState()
    const log = tally(5)
    const by: Record<string, number> = {}
    const open = (holder: string) => openInbox({
      state, holder, lease: 200, concurrency: 2, handle: async (event) => { by[holder] = (by[holder] ?? 0) + 1; return log.handle(event) },
    })
    const busy = await open("busy.1")
    await busy.accept(keys(400).map((key) => due(key)))
    const idle = await open("idle.1")
    await until(async () => (await pathsIn(state)).length === 0)
    await Promise.all([busy.close(), idle.close()])
    expect([log.handled.length, new Set(log.handled).size, log.together()]).toEqual([400, 400, 0])
    expect(by["idle.1"]).toBeGreaterThan(0)
  })

  it("an event that takes many leases to handle stays with its host, which renews the lease", async () => {
    const state = memoryState()
    const log = tally(2_500)
    const boxes = await Promise.all(["a.1", "b.1"].map((holder) => openInbox({ state, holder, lease: 300, handle: log.handle })))
    await boxes[0]?.accept([due("long")])
    await until(() => log.handled.length > 0)
    await until(async () => (await pathsIn(state)).length === 0)
    await Promise.all(boxes.map((box) => box.close()))
    expect(log.handled).toEqual(["long"])
  })

  it("an event that waits many leases for the next look at its object stays with its host too", async () => {
    const state = memoryState()
    const log = tally(1_500)
    const boxes = await Promise.all(["a.1", "b.1"].map((holder) => openInbox({ state, holder, lease: 200, handle: log.handle })))
    await boxes[0]?.accept([due("long")])
    await until(() => log.handled.length > 0)
    await boxes[0]?.accept([due("long")])
    await until(async () => (await pathsIn(state)).length === 0)
    await Promise.all(boxes.map((box) => box.close()))
    expect([log.handled, log.together()]).toEqual([["long", "long"], 0])
  })

  it("a host whose lease was taken meanwhile stops, and neither removes nor changes the event", async () => {
    const state = memoryState()
    let aborted = false
    const log = keptLog()
    const box = await openInbox({ state, log, lease: 100, handle: (_, signal) => new Promise((resolve) => {
      signal.addEventListener("abort", () => { aborted = true; resolve("handled") })
    }) })
    await box.accept([due("a")])
    const [path = ""] = await pathsIn(state)
    const present = await state.read(path, { parse: (value) => value as object })
    const taken = { ...present?.value, holder: "there.1", until: Date.now() + 86_400_000 }
    await state.replace(path, taken, present?.etag ?? "")
    await until(() => aborted)
    await box.idle()
    expect(await documentAt(state, path)).toEqual(taken)
    expect(log.lines).toEqual(["the lease of an upload event is lost; whoever has it now goes on"])
    await box.close()
  })

  it("a renewal whose answer is lost does not lose the lease", async () => {
    const { state } = countingState()
    const held = door()
    let failures = 0
    const box = await openInbox({
      lease: 200,
      state: { ...state, async replace(path, value, etag) {
        const written = await state.replace(path, value, etag)
        if (failures++ % 2 === 0) throw new Error("no answer")
        return written
      } },
      handle: async (_, signal) => {
        await Promise.race([held.opened, new Promise((resolve) => signal.addEventListener("abort", resolve))])
        return signal.aborted ? "failed" : "handled"
      },
    })
    await box.accept([due("a")])
    await until(() => failures >= 4)
    held.open()
    await box.idle()
    expect(await pathsIn(state)).toEqual([])
    await box.close()
  })
})
