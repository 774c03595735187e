import { describe, expect, it } from "vitest"
import { unreadableEvents, type UnreadableEvent } from "../shared/objects/unreadable.ts"
import type { StateStore } from "../shared/ports.ts"
import { counted, setClock } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const FOLDER = "unreadable-events/"
const rejected = (record: unknown) => ({ record, reason: "unknown shape" as const })
const read = async (state: StateStore, path = "") => (await state.read(path, { parse: (value) => value as UnreadableEvent }))?.value
const countOf = async (state: StateStore) => (await state.list(FOLDER, { limit: 10_000 })).paths.length

describe("unreadable events", () => {
  it("are kept by the SHA-256 of their text, with reason and date", async () => {
    const state = memoryState()
    const path = await unreadableEvents(state, setClock(0)).keep(rejected({ a: [1, "ü"] }))
    expect(path).toBe(`${FOLDER}ed78539db46bbb967b64b6225be6904ef03bbe5be5ab5d18d0799b7b68c2255a.json`) // sha256sum's
    expect(await read(state, path)).toEqual({ reason: "unknown shape", received: "1970-01-01T00:00:00.000Z", size: 14, event: '{"a":[1,"ü"]}' })
  })

  it("are kept once, with the date of the first delivery, by whichever host", async () => {
    const state = counted(memoryState())
    const clock = setClock(0)
    const hosts = [unreadableEvents(state, clock), unreadableEvents(state, clock)]
    const paths = []
    for (let n = 0; n < 10; n++) {
      paths.push(await hosts[n % 2]?.keep(rejected({ a: 1 })))
      clock.forward(1)
    }
    expect(new Set(paths).size).toBe(1)
    expect([await countOf(state), (await read(state, paths[0]))?.received]).toEqual([1, "1970-01-01T00:00:00.000Z"])
    expect(state.calls["create"]).toBe(1)
  })

  it("are cut at 16 KiB, never within a character, and told apart by what is behind that", async () => {
    const state = memoryState()
    const { keep } = unreadableEvents(state, Date.now)
    const paths = [await keep(rejected(`${"ü".repeat(50_000)}a`)), await keep(rejected(`${"ü".repeat(50_000)}b`))]
    const document = await read(state, paths[0])
    expect(document).toMatchObject({ size: 100_003, event: `"${"ü".repeat(8_191)}` })
    expect(Buffer.byteLength(document?.event ?? "")).toBe(16_383)
    expect(paths[0]).not.toBe(paths[1])
  })

  it("lose `__bx_creds` at any depth before they are cut, and texts that mention it", async () => {
    const state = memoryState()
    const { keep } = unreadableEvents(state, Date.now)
    const creds = { "cloud-object-storage": { apikey: "SECRET" } }
    const nested = { a: [{ b: { __bx_creds: creds, c: 1 } }], __bx_creds: "SECRET", d: JSON.stringify({ __bx_creds: creds }) }
    const document = await read(state, await keep(rejected(nested)))
    expect(document?.event).toBe('{"a":[{"b":{"c":1}}],"d":"(left out: it may hold credentials)"}')
    let deep: unknown = { __bx_creds: "SECRET", kept: 1 }
    for (let depth = 0; depth < 60; depth++) deep = { deep }
    expect((await read(state, await keep(rejected(deep))))?.event).toMatch(/^(\{"deep":){60}\{"kept":1\}+$/)
    expect((await read(state, await keep(rejected(JSON.stringify({ __bx_creds: "SECRET" })))))?.event).not.toContain("SECRET")
  })

  it("may be nested 100,000 deep, and have any names", async () => {
    const state = memoryState()
    const { keep } = unreadableEvents(state, Date.now)
    const deep = JSON.parse(`${'{"x":['.repeat(50_000)}1${"]}".repeat(50_000)}`) as unknown
    expect((await read(state, await keep(rejected(deep))))?.event).toContain("(left out: nested too deeply)")
    const names = '{"__proto__":{"polluted":1},"constructor":{"prototype":1},"toJSON":"x"}'
    expect((await read(state, await keep(rejected(JSON.parse(names)))))?.event).toBe(names)
    expect("polluted" in {}).toBe(false)
  })

  it("are at most 1,000: what is beyond is not kept, until there is room again", async () => {
    const state = memoryState()
    const clock = setClock(0)
    const { keep } = unreadableEvents(state, clock)
    const paths = await Promise.all(Array.from({ length: 1_100 }, (_, n) => keep(rejected(n))))
    expect([paths.filter((path) => path === undefined).length, await countOf(state)]).toEqual([100, 1_000])
    expect(await keep(rejected(0))).toBe(paths[0])
    await state.remove(paths[0] ?? "")
    expect(await keep(rejected("more"))).toBeUndefined()
    clock.forward(300)
    expect(await keep(rejected("more"))).toBeDefined()
    expect(await countOf(state)).toBe(1_000)
  })

  it("cost no request each: a flood of the same, or of more than there is room for, costs one LIST in five minutes", async () => {
    const state = counted(memoryState())
    const clock = setClock(0)
    const { keep } = unreadableEvents(state, clock)
    for (let n = 0; n < 5_000; n++) await keep(rejected("the same"))
    expect(state.calls).toEqual({ list: 1, create: 1 })
    for (let n = 0; n < 5_000; n++) await keep(rejected(n))
    expect(state.calls).toEqual({ list: 11, create: 1_000 })
    clock.forward(300)
    await Promise.all(Array.from({ length: 5_000 }, (_, n) => keep(rejected(n))))
    expect(state.calls).toEqual({ list: 12, create: 1_000 })
  })

  it("are overshot by at most 100 for each further host at work at the same time", async () => {
    const state = memoryState()
    const hosts = Array.from({ length: 4 }, () => unreadableEvents(state, Date.now))
    await Promise.all(hosts.flatMap(({ keep }, host) => Array.from({ length: 600 }, (_, n) => keep(rejected([host, n])))))
    expect(await countOf(state)).toBeGreaterThanOrEqual(1_000)
    expect(await countOf(state)).toBeLessThanOrEqual(1_300)
  })

  it("a state store that fails is said to who asked, and the next one is kept", async () => {
    const state = memoryState()
    let broken = true
    const create: StateStore["create"] = (...document) => broken ? Promise.reject(new Error("down")) : state.create(...document)
    const { keep } = unreadableEvents({ ...state, create }, Date.now)
    await expect(keep(rejected(1))).rejects.toThrow("down")
    broken = false
    expect(await keep(rejected(1))).toBeDefined()
    expect(await countOf(state)).toBe(1)
  })
})
