import { beforeAll, describe, expect, it } from "vitest"
import type { Subject } from "./store-contract.ts"
import { byBytes, listAll, md5, randomName } from "./store-contract-reads.ts"

// U+FF5E sorts after U+1F600 as UTF-16 and before it as UTF-8.
const letters = ["!", "+", "/", "0", "A", "a", "a!", "aa", "é", "\uff5e", "\u{1f600}", "~", "\u0080", "\n"]
const tree = ["a/1", "a/2", "a/b/3", "a0", "b", "c/1", "c/2", "c/3", "d//x", "d/e"]

/** Listings: order, pages, prefixes, delimiters. */
export function listSentences({ store, bucket }: Subject): void {
  const filled = async (keys: readonly string[]) => {
    const name = await bucket()
    await Promise.all(keys.map((key) => store().put({ bucket: name, key }, Buffer.from(key))))
    return name
  }

  it("an empty bucket is one empty page", async () => {
    expect(await store().list(await bucket())).toEqual({ objects: [], prefixes: [] })
  })

  it("tells key, size, ETag and time of each object, right after it was put", async () => {
    const name = await filled(["k"])
    const [object, ...others] = (await store().list(name)).objects
    expect(others).toEqual([])
    expect(object).toMatchObject({ key: "k", size: 1, etag: md5("k") })
    expect(Math.abs((object?.lastModified ?? 0) - Date.now())).toBeLessThan(24 * 3600 * 1000) // clocks differ
  })

  it("no longer lists what was deleted", async () => {
    const name = await filled(["a", "b", "c"])
    await store().delete({ bucket: name, key: "b" })
    expect(await listAll(store(), name)).toEqual([["a", "c"]])
  })

  describe("of keys that UTF-8 and UTF-16 sort differently", () => {
    let name = ""
    const sorted = [...letters].sort(byBytes)
    beforeAll(async () => void (name = await filled(letters)))

    it("is ascending by the keys' UTF-8 bytes", async () => {
      expect(await listAll(store(), name)).toEqual([sorted])
    })

    it.each([1, 2, 3, 13, 14, 15])("comes in pages of %i, each key once", async (limit) => {
      const pages = await listAll(store(), name, { limit })
      expect(pages.flat()).toEqual(sorted)
      for (const page of pages.slice(0, -1)) expect(page.length).toBe(limit)
    })

    it("starts after any key that is there", async () => {
      for (const [index, startAfter] of sorted.entries()) {
        expect((await listAll(store(), name, { startAfter })).flat()).toEqual(sorted.slice(index + 1))
      }
    })

    it("starts after a key that is not there, and pages on from it", async () => {
      const expected = sorted.filter((key) => byBytes(key, "aZ") > 0)
      expect((await listAll(store(), name, { startAfter: "aZ", limit: 2 })).flat()).toEqual(expected)
    })
  })

  describe("of a tree", () => {
    let name = ""
    beforeAll(async () => void (name = await filled(tree)))

    const starts = ["a", "a/", "a/b", "c/", "d//", "nothing", ""]
    it.each(starts)("with prefix %j gives the keys beginning so", async (prefix) => {
      expect((await listAll(store(), name, { prefix })).flat()).toEqual(tree.filter((key) => key.startsWith(prefix)))
    })

    it("with a delimiter rolls keys up into prefixes", async () => {
      const { objects, prefixes } = await store().list(name, { delimiter: "/" })
      expect([objects.map((object) => object.key), prefixes]).toEqual([["a0", "b"], ["a/", "c/", "d/"]])
    })

    it("with prefix and delimiter rolls up below the prefix only", async () => {
      const below = async (prefix: string) => {
        const { objects, prefixes } = await store().list(name, { prefix, delimiter: "/" })
        return [objects.map((object) => object.key), prefixes]
      }
      expect(await below("a/")).toEqual([["a/1", "a/2"], ["a/b/"]])
      expect(await below("d/")).toEqual([["d/e"], ["d//"]])
      expect(await below("a")).toEqual([["a0"], ["a/"]])
    })

    it.each([1, 2, 3, 4])("with a delimiter in pages of %i gives each key and each prefix once", async (limit) => {
      const pages = await listAll(store(), name, { delimiter: "/", limit })
      expect(pages.flat().sort(byBytes)).toEqual(["a/", "a0", "b", "c/", "d/"])
      for (const page of pages) expect(page.length).toBeLessThanOrEqual(limit)
    })

    it("with a delimiter starts after a key behind a whole prefix", async () => {
      expect((await listAll(store(), name, { delimiter: "/", startAfter: "b" })).flat()).toEqual(["c/", "d/"])
    })
  })

  it("of 1,005 objects takes two pages by default, 1,000 and 5", async () => {
    const keys = Array.from({ length: 1005 }, (_, index) => `n-${String(index).padStart(5, "0")}`)
    const name = await bucket()
    for (let from = 0; from < keys.length; from += 67) {
      await Promise.all(keys.slice(from, from + 67).map((key) => store().put({ bucket: name, key }, Buffer.alloc(0))))
    }
    const pages = await listAll(store(), name)
    expect(pages.map((page) => page.length)).toEqual([1000, 5])
    expect(pages.flat()).toEqual(keys)
  })

  it("of a prefix that nothing has, in a bucket that has objects, is empty", async () => {
    expect(await store().list(await filled(["k"]), { prefix: randomName() })).toEqual({ objects: [], prefixes: [] })
  })
}
