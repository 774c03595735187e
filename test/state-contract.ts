/** What the `StateStore` port promises, as sentences that every implementation is held to. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { StateStore } from "../shared/ports.ts"
import { byBytes, failureOf, randomName } from "./store-contract-reads.ts"

/** State stores under test: two views of the same documents, as two instances have. */
export interface StateHarness {
  readonly states: readonly [StateStore, StateStore]
  close(): Promise<void>
}

const anything = { parse: (value: unknown) => value }
const number = {
  parse: (value: unknown) => {
    if (typeof value !== "number") throw new Error("not a number")
    return value
  },
}
const RACERS = 16

/** Holds a state store to the contract. */
export function stateContract(name: string, make: () => Promise<StateHarness>): void {
  describe(`StateStore: ${name}`, () => {
    let harness: StateHarness | undefined
    beforeAll(async () => void (harness = await make()))
    afterAll(() => harness?.close())
    const states = () => {
      if (!harness) throw new Error("the state store was not made")
      return harness.states
    }
    const state = () => states()[0]
    const fresh = () => `things/${randomName()}.json`
    /** Lets both instances write many times at once; gives the tags of those that won. */
    const race = async (write: (instance: StateStore) => Promise<string | undefined>) => {
      const tags = await Promise.all(Array.from({ length: RACERS }, (_, racer) => write(states()[racer % 2 ? 1 : 0])))
      return tags.filter((tag) => tag !== undefined)
    }

    it("gives undefined for a document that is not there", async () => {
      expect(await state().read(fresh(), anything)).toBeUndefined()
      expect(await state().readIfChanged(fresh(), anything, "00000000000000000000000000000000")).toBeUndefined()
    })

    it.each([{ a: 1, ü: ["😀", null, true], nested: { deep: "x".repeat(100_000) } }, [1, 2], "text", 0, null])(
      "gives back a created document: %j",
      async (value) => {
        const path = fresh()
        const etag = await state().create(path, value)
        expect(await states()[1].read(path, anything)).toEqual({ value, etag })
      },
    )

    it("refuses to create a document that is there, and leaves it, also where the values are equal", async () => {
      const path = fresh()
      const etag = await state().create(path, { owner: 1 })
      expect(await states()[1].create(path, { owner: 2 })).toBeUndefined()
      expect(await states()[1].create(path, { owner: 1 })).toBeUndefined()
      expect(await state().read(path, anything)).toEqual({ value: { owner: 1 }, etag })
    })

    it("replaces the document with the tag that was read, and gives a new tag", async () => {
      const path = fresh()
      const first = (await state().create(path, 1)) ?? ""
      const second = await state().replace(path, 2, first)
      expect(second).toBeDefined()
      expect(second).not.toBe(first)
      expect(await state().read(path, anything)).toEqual({ value: 2, etag: second })
    })

    it("refuses to replace a document with another tag, and leaves it", async () => {
      const path = fresh()
      const first = (await state().create(path, 1)) ?? ""
      const second = await states()[1].replace(path, 2, first)
      expect(await state().replace(path, 3, first)).toBeUndefined()
      expect(await state().read(path, anything)).toEqual({ value: 2, etag: second })
    })

    it("a tag never comes back, also where the same value is written again", async () => {
      const path = fresh()
      const tags: string[] = [(await state().create(path, "a")) ?? ""]
      for (const value of ["b", "a", "a"]) tags.push((await state().replace(path, value, tags.at(-1) ?? "")) ?? "")
      expect(new Set(tags).size).toBe(4)
      expect(await state().replace(path, "late", tags[0] ?? "")).toBeUndefined()
    })

    it("refuses to replace a document that is not there", async () => {
      const path = fresh()
      const etag = (await state().create(path, 1)) ?? ""
      await state().remove(path)
      expect(await state().replace(path, 2, etag)).toBeUndefined()
      expect(await state().read(path, anything)).toBeUndefined()
    })

    it("tells that a document is unchanged, and gives it where it is not", async () => {
      const path = fresh()
      const first = (await state().create(path, 1)) ?? ""
      expect(await state().readIfChanged(path, anything, first)).toBe("unchanged")
      const second = (await state().replace(path, 2, first)) ?? ""
      expect(await state().readIfChanged(path, anything, first)).toEqual({ value: 2, etag: second })
      await state().remove(path)
      expect(await state().readIfChanged(path, anything, second)).toBeUndefined()
    })

    it("what the parser refuses throws internal", async () => {
      const path = fresh()
      await state().create(path, "no number")
      expect(await failureOf(state().read(path, number))).toBe("internal")
      expect(await failureOf(state().readIfChanged(path, number, "other"))).toBe("internal")
    })

    it("removes a document; removing it again, or what never was, succeeds", async () => {
      const path = fresh()
      await state().create(path, 1)
      await state().remove(path)
      await state().remove(path)
      expect(await state().read(path, anything)).toBeUndefined()
      expect(await state().create(path, 2)).toBeDefined()
    })

    it("of 16 equal creates at once exactly one wins", async () => {
      const path = fresh()
      const won = await race((instance) => instance.create(path, {}))
      expect(won.length).toBe(1)
      expect((await state().read(path, anything))?.etag).toBe(won[0])
    })

    it("of 16 equal replacements of one tag at once exactly one wins", async () => {
      const path = fresh()
      const etag = (await state().create(path, 0)) ?? ""
      const won = await race((instance) => instance.replace(path, 1, etag))
      expect(won.length).toBe(1)
      expect((await state().read(path, anything))?.etag).toBe(won[0])
    })

    it("lists paths under a prefix in the order of their bytes, page by page", async () => {
      const under = `list-${randomName()}/`
      const paths = ["b", "a", "c/d", "c", "é", "A"].map((letter) => `${under}${letter}.json`)
      for (const path of paths) await state().create(path, 1)
      const sorted = [...paths].sort(byBytes)
      expect(await state().list(under)).toEqual({ paths: sorted, more: false })
      expect(await state().list(under, { limit: 2 })).toEqual({ paths: sorted.slice(0, 2), more: true })
      const rest = { startAfter: sorted[1] ?? "", limit: 4 }
      expect(await state().list(under, rest)).toEqual({ paths: sorted.slice(2), more: false })
      expect((await state().list(`${under}c`)).paths).toEqual(sorted.filter((path) => path.startsWith(`${under}c`)))
      expect(await state().list(`${under}nothing`)).toEqual({ paths: [], more: false })
    })

    it.each(["../up", "a/../b", "./a", "a/.", "..", ".", "/a", "a//b", "a/", ""])("takes no path %j", async (path) => {
      await expect(state().create(path, 1)).rejects.toThrow()
      await expect(state().read(path, anything)).rejects.toThrow()
      await expect(state().remove(path)).rejects.toThrow()
    })
  })
}
