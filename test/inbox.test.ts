import { describe, expect, it } from "vitest"
import { inbox, type InboxOptions } from "../shared/objects/inbox.ts"
import type { UploadEvent } from "../shared/objects/events.ts"
import { memoryState } from "./memory-state.ts"

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
const event = (key: string): UploadEvent => ({ bucket: "b", key })
const due = (key: string, at = 0) => ({ event: event(key), due: at })

function open(change: Partial<InboxOptions> = {}) {
  const state = change.state ?? memoryState()
  return { state, opened: inbox({ state, clock: Date.now, log: quiet, concurrency: 4, handle: async () => ({}), ...change }) }
}

describe("the inbox", () => {
  it("stores each event before `accept` answers, and forgets it when it was handled", async () => {
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const { state, opened } = open({ handle: async () => { await held; return {} } })
    const box = await opened
    await box.accept([due("a"), due("b")])
    expect((await state.list("inbox/")).paths).toHaveLength(2)
    release()
    await box.idle()
    expect((await state.list("inbox/")).paths).toEqual([])
    await box.close()
  })

  it("what was accepted and not handled is handled by the next one on the same state", async () => {
    const { state, opened } = open({ handle: () => new Promise(() => undefined) }) // a host that died
    await (await opened).accept(Array.from({ length: 2_500 }, (_, n) => due(`k${n}`)))
    const handled = new Set<string>()
    const next = await open({ state, handle: async ({ key }) => { handled.add(key); return {} } }).opened
    await next.idle()
    expect(handled.size).toBe(2_500)
    expect((await state.list("inbox/")).paths).toEqual([])
    await next.close()
  })

  it("an event that is not due yet waits, and holds up no other", async () => {
    const handled: string[] = []
    const box = await open({ handle: async ({ key }) => { handled.push(key); return {} } }).opened
    await box.accept([due("later", Date.now() + 200), due("now")])
    await box.idle()
    expect(handled).toEqual(["now"])
    for (let tries = 0; handled.length < 2 && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(handled).toEqual(["now", "later"])
    await box.close()
  })

  it("an event may ask for a later time, and is stored all along", async () => {
    let tries = 0
    const { state, opened } = open({ handle: async () => (++tries < 3 ? { again: Date.now() + 5 } : {}) })
    const box = await opened
    await box.accept([due("a")])
    for (let waits = 0; tries < 3 && waits < 500; waits++) {
      if (tries < 2) expect((await state.list("inbox/")).paths.length).toBeGreaterThan(0)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await box.idle()
    expect([tries, (await state.list("inbox/")).paths]).toEqual([3, []])
    await box.close()
  })

  it("an event that can't be handled stays, and stops no other", async () => {
    const handled: string[] = []
    const { state, opened } = open({ concurrency: 1, handle: async ({ key }) => {
      if (key === "poison") throw new Error("a fault of ours")
      handled.push(key)
      return {}
    } })
    const box = await opened
    await box.accept([due("poison"), due("a"), due("b")])
    await box.idle()
    expect([handled, (await state.list("inbox/")).paths.length]).toEqual([["a", "b"], 1])
    await box.close()
  })

  it("handles at most so many at once", async () => {
    let running = 0
    let most = 0
    const box = await open({ concurrency: 3, handle: async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 1))
      running -= 1
      return {}
    } }).opened
    await box.accept(Array.from({ length: 50 }, (_, n) => due(`k${n}`)))
    await box.idle()
    expect(most).toBe(3)
    await box.close()
  })

  it("keeps at most 10,000 in memory: what is beyond that is found again in the state", async () => {
    let handled = 0
    const { state, opened } = open({ handle: async () => { handled += 1; return {} } })
    const later = Date.now() + 300
    const box = await opened
    await box.accept(Array.from({ length: 12_000 }, (_, n) => due(`k${n}`, later)))
    for (let tries = 0; handled < 12_000 && tries < 1_500; tries++) await new Promise((resolve) => setTimeout(resolve, 20))
    await box.idle()
    expect([handled, (await state.list("inbox/")).paths]).toEqual([12_000, []])
    await box.close()
  })

  it("a full memory of later events holds up none that is due", async () => {
    const handled: string[] = []
    const box = await open({ handle: async ({ key }) => { handled.push(key); return {} } }).opened
    await box.accept(Array.from({ length: 10_000 }, (_, n) => due(`tomorrow${n}`, Date.now() + 86_400_000)))
    await box.accept([due("now")])
    for (let tries = 0; handled.length === 0 && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(handled).toEqual(["now"])
    await box.close()
  })

  it("one that takes long holds up none that becomes due meanwhile", async () => {
    const handled: string[] = []
    let release: () => void = () => undefined
    const box = await open({ handle: async ({ key }) => {
      if (key === "long") await new Promise<void>((resolve) => (release = resolve))
      handled.push(key)
      return {}
    } }).opened
    await box.accept([due("long"), due("soon", Date.now() + 50)])
    for (let tries = 0; handled.length === 0 && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(handled).toEqual(["soon"])
    release()
    await box.close()
  })
})
