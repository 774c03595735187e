import { describe, expect, it } from "vitest"
import { memoryState } from "./memory-state.ts"
import { countingState, documentAt, door, due, keptLog, openInbox, until } from "./inbox-fixtures.ts"

describe("the inbox", () => {
  it("answers only when each event is stored, and forgets it when it was handled", async () => {
    const [stored, held] = [door(), door()]
    const state = memoryState()
    const box = await openInbox({
      state: { ...state, create: async (path, value) => {
        await stored.opened
        return state.create(path, value)
      } },
      handle: async () => { await held.opened; return "handled" },
    })
    const answered = box.accept([due("a"), due("b")]).then(() => "answered")
    const soon = new Promise((resolve) => setTimeout(resolve, 50, "not answered"))
    expect(await Promise.race([answered, soon])).toBe("not answered")
    stored.open()
    await answered
    expect((await state.list("inbox/")).paths).toHaveLength(2)
    held.open()
    await box.idle()
    expect((await state.list("inbox/")).paths).toEqual([])
    await box.close()
  })

  it("refuses a delivery of which one event could not be stored, and handles the others", async () => {
    const { state } = countingState()
    const handled: string[] = []
    const box = await openInbox({
      state: { ...state, create: async (path, value) => {
        if (JSON.stringify(value).includes("lost")) throw new Error("no answer")
        return state.create(path, value)
      } },
      handle: async ({ key }) => { handled.push(key); return "handled" },
    })
    await expect(box.accept([due("a"), due("lost"), due("b")])).rejects.toThrow("no answer")
    await box.idle()
    expect(handled.sort()).toEqual(["a", "b"])
    await box.close()
  })

  it("costs one write and one removal an event", async () => {
    const { state, counts } = countingState()
    const box = await openInbox({ state })
    await box.accept(Array.from({ length: 100 }, (_, n) => due(`k${n}`)))
    await box.idle()
    expect(counts).toEqual({ list: 1, create: 100, remove: 100 })
    await box.close()
  })

  it("what was accepted and not handled is handled by the next process on the same state", async () => {
    const state = memoryState()
    const killed = await openInbox({ state, handle: () => new Promise(() => undefined) })
    await killed.accept(Array.from({ length: 1_200 }, (_, n) => due(`k${n}`)))
    const handled = new Set<string>()
    const next = await openInbox({
      state, holder: "here.2", isDead: (holder) => holder === "here.1", handle: async ({ key }) => { handled.add(key); return "handled" },
    })
    await next.idle()
    expect(handled.size).toBe(1_200)
    expect((await state.list("inbox/")).paths).toEqual([])
    await next.close()
  })

  it("an event that is not due yet waits, and holds up no other", async () => {
    const handled: string[] = []
    const box = await openInbox({ handle: async ({ key }) => { handled.push(key); return "handled" } })
    await box.accept([due("later", Date.now() + 200), due("now")])
    await box.idle()
    expect(handled).toEqual(["now"])
    await until(() => handled.length === 2)
    expect(handled).toEqual(["now", "later"])
    await box.close()
  })

  it("an event may ask for a later time, and is stored all along", async () => {
    let tries = 0
    const state = memoryState()
    const box = await openInbox({ state, handle: async (event) => (++tries < 3 ? { event, due: Date.now() + 5 } : "handled") })
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
    const state = memoryState()
    const box = await openInbox({ state, concurrency: 1, handle: async ({ key }) => {
      if (key === "poison") throw new Error("a fault of ours")
      handled.push(key)
      return "handled"
    } })
    await box.accept([due("poison"), due("a"), due("b")])
    await box.idle()
    expect([handled, (await state.list("inbox/")).paths.length]).toEqual([["a", "b"], 1])
    await box.close()
  })

  it.each([[0, 30], [1, 60], [3, 240], [7, 3_600], [2_000, 3_600]])("after %i failures the next one is followed by a pause of %i seconds", async (tries, seconds) => {
    const now = 1_700_000_000_000
    const state = memoryState()
    const event = { bucket: "b", key: "a" }
    await state.create(`inbox/${String(now).padStart(14, "0")}-gone.1-00000000-0000-4000-8000-000000000000.json`, { event, tries, holder: "gone.1", until: 0 })
    const box = await openInbox({ state, clock: () => now, isDead: () => true, handle: async () => "failed" })
    await box.idle()
    const { paths: [path = ""] } = await state.list("inbox/")
    expect(Number(path.slice(6, 20)) - now).toBe(seconds * 1_000)
    expect(await documentAt(state, path)).toEqual({ event, tries: tries + 1, holder: "here.1", until: now + seconds * 1_000 + 60_000 })
    await box.close()
  })

  it("a state store that does not answer for a while loses no event", async () => {
    const { state } = countingState()
    let isDown = false
    const handled: string[] = []
    const refuse = async () => { throw new Error("no answer") }
    let now = Date.now()
    const log = keptLog()
    const box = await openInbox({
      clock: () => now, lease: 50, log,
      state: { ...state, remove: (path) => (isDown ? refuse() : state.remove(path)), list: (...given) => (isDown ? refuse() : state.list(...given)) },
      handle: async ({ key }) => { handled.push(key); return "handled" },
    })
    isDown = true
    await box.accept([due("a")])
    await until(() => log.lines.some((line) => line.includes("it stays in the inbox")))
    isDown = false
    now += 60_000
    await until(async () => (await state.list("inbox/")).paths.length === 0)
    expect(handled).toEqual(["a", "a"])
    await box.close()
  })

  it("a document that can't be read stays where it is, is logged once, and stops nothing", async () => {
    const { state, counts } = countingState()
    const log = keptLog()
    const bad = ["inbox/0", "inbox/00000000000000-gone.1-00000000-0000-4000-8000-000000000000.json", "inbox/what is this.json"]
    for (const path of bad) await state.create(path, { event: { bucket: 7 }, by: "nobody" })
    const box = await openInbox({ state, log, lease: 20, isDead: () => true, concurrency: 1 })
    await box.accept([due("a"), due("b")])
    await box.idle()
    const lists = counts.list ?? 0
    await until(() => (counts.list ?? 0) > lists + 3)
    expect((await state.list("inbox/")).paths).toEqual(bad)
    expect([log.lines.filter((line) => line.includes("can't be read")).length, counts.read]).toEqual([3, 3])
    await box.close()
  })

  it("handles at most so many at once", async () => {
    let running = 0
    let most = 0
    const box = await openInbox({ concurrency: 3, handle: async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 1))
      running -= 1
      return "handled"
    } })
    await box.accept(Array.from({ length: 50 }, (_, n) => due(`k${n}`)))
    await box.idle()
    expect(most).toBe(3)
    await box.close()
  })

  it("never handles two events of one object at once, and one look does for all that came during another", async () => {
    const held = door()
    const state = memoryState()
    let running = 0
    let most = 0
    let looks = 0
    const box = await openInbox({ state, handle: async () => {
      looks += 1
      most = Math.max(most, ++running)
      await held.opened
      running -= 1
      return "handled"
    } })
    await box.accept([due("a")])
    await until(() => looks === 1)
    await box.accept(Array.from({ length: 10 }, () => due("a")))
    await until(async () => (await state.list("inbox/")).paths.length === 2)
    held.open()
    await box.idle()
    expect([looks, most, (await state.list("inbox/")).paths]).toEqual([2, 1, []])
    await box.close()
  })

  it("stores at most 16 at once, however many are accepted", async () => {
    const { state } = countingState()
    let writing = 0
    let most = 0
    const box = await openInbox({ state: { ...state, create: async (path, value) => {
      most = Math.max(most, ++writing)
      const etag = await state.create(path, value)
      writing -= 1
      return etag
    } } })
    await Promise.all([1, 2, 3].map((part) => box.accept(Array.from({ length: 200 }, (_, n) => due(`${part}.${n}`)))))
    await box.idle()
    expect(most).toBe(16)
    await box.close()
  })

  it("asked to, answers only when what is due soon was handled or put off, and waits for nothing else", async () => {
    const held = door()
    const ends: string[] = []
    const box = await openInbox({ handle: async ({ key }) => {
      await held.opened
      ends.push(key)
      return key === "fails" ? "failed" : "handled"
    } })
    const answered = box.accept([due("now"), due("fails"), due("soon", Date.now() + 50), due("tomorrow", Date.now() + 86_400_000)], 1_000)
      .then(() => void ends.push("answered"))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(ends).toEqual([])
    held.open()
    await answered
    expect(ends.slice(0, 3).sort()).toEqual(["fails", "now", "soon"])
    expect(ends[3]).toBe("answered")
    await box.close()
  })

  it("asked to, answers an event that another one stands for when that one was handled", async () => {
    const held = door()
    let looks = 0
    const box = await openInbox({ handle: async () => { looks += 1; await held.opened; return "handled" } })
    const first = box.accept([due("a")], 0)
    await until(() => looks === 1)
    const others = Promise.all([box.accept([due("a")], 0), box.accept([due("a")], 0)]).then(() => looks)
    held.open()
    await first
    expect(await others).toBe(2)
    await box.close()
  })

  it("asked to, answers 15,000 events that one look stands for", async () => {
    const held = door()
    const state = memoryState()
    let looks = 0
    const box = await openInbox({ state, handle: async () => { looks += 1; await held.opened; return "handled" } })
    const first = box.accept([due("a")], 0)
    await until(() => looks === 1)
    const answers = []
    for (let delivery = 0; delivery < 3; delivery++) { // the memory holds 10,000
      answers.push(box.accept(Array.from({ length: 5_000 }, () => due("a")), 0))
      await until(async () => (await state.list("inbox/")).paths.length > 2)
      await until(async () => (await state.list("inbox/")).paths.length === 2)
    }
    held.open()
    await Promise.all([first, ...answers])
    expect([looks, (await state.list("inbox/")).paths]).toEqual([2, []])
    await box.close()
  }, 30_000)

  it("an event that is handled when the host stops is aborted after a while, and stays for the next process", async () => {
    const state = memoryState()
    const box = await openInbox({ state, handle: (_, signal) => new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("stopped")))
    }) })
    await box.accept([due("a"), due("later", Date.now() + 60_000)])
    await box.close(20)
    expect((await state.list("inbox/")).paths).toHaveLength(2)
  })

  it("a full memory of later events holds up none that is due", async () => {
    const handled: string[] = []
    const box = await openInbox({ handle: async ({ key }) => { handled.push(key); return "handled" } })
    await box.accept(Array.from({ length: 10_000 }, (_, n) => due(`tomorrow${n}`, Date.now() + 86_400_000)))
    await box.accept([due("now")])
    await until(() => handled.length > 0)
    expect(handled).toEqual(["now"])
    await box.close()
  })

  it("one that takes long holds up none that becomes due meanwhile", async () => {
    const handled: string[] = []
    const held = door()
    const box = await openInbox({ handle: async ({ key }) => {
      if (key === "long") await held.opened
      handled.push(key)
      return "handled"
    } })
    await box.accept([due("long"), due("soon", Date.now() + 50)])
    await until(() => handled.length > 0)
    expect(handled).toEqual(["soon"])
    held.open()
    await box.close()
  })
})
