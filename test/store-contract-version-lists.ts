import { beforeAll, describe, expect, it } from "vitest"
import type { ListedVersion, ListMarker, MarkedListOptions } from "../shared/ports.ts"
import type { Subject } from "./store-contract.ts"
import { byBytes, failureOf, md5, randomName } from "./store-contract-reads.ts"

// A key that is the beginning of another, keys that UTF-8 and UTF-16 sort differently, and some that need escaping.
const keys = ["a", "a!", "a/1", "a/2", "b", "b\r\n<&\u0001", "z z+%20", "\uff5e", "\u{1f600}"]

/** Listings of versions (S3 reference, ListObjectVersions). */
export function versionListSentences({ store, bucket, sentence }: Subject): void {
  const versioned = async () => {
    const name = await bucket()
    await store().setVersioning(name, "enabled")
    return name
  }
  /** All pages: of each the versions, as key and id, and the prefixes. */
  const pagesOf = async (name: string, options: MarkedListOptions = {}) => {
    const pages: { versions: readonly ListedVersion[]; prefixes: readonly string[] }[] = []
    for (let page = 0, after: ListMarker | undefined = options.after; page < 1000; page++) {
      const { next, ...listed } = await store().listVersions(name, { ...options, ...(after && { after }) })
      pages.push(listed)
      if (!next) return pages
      after = next
    }
    throw new Error("the listing does not end")
  }
  const named = ({ key, versionId }: ListedVersion) => `${key} ${versionId}`
  const namesOf = async (name: string, options?: MarkedListOptions) =>
    (await pagesOf(name, options)).flatMap((page) => [...page.versions.map(named), ...page.prefixes])

  it("an empty bucket is one empty page", async () => {
    expect(await store().listVersions(await bucket())).toEqual({ versions: [], prefixes: [] })
  })

  it("tells key, id, size, ETag, time and whether it is the newest, and of a delete marker that it is one", async () => {
    const name = await versioned()
    const ref = { bucket: name, key: "k" }
    const { versionId: older } = await store().put(ref, Buffer.from("1"))
    const { versionId: newer } = await store().put(ref, Buffer.from("22"))
    const { versionId: marker } = await store().delete(ref)
    const { versions } = await store().listVersions(name)
    expect(versions).toMatchObject([
      { key: "k", versionId: marker, latest: true, marker: true, size: 0, etag: "" },
      { key: "k", versionId: newer, latest: false, marker: false, size: 2, etag: md5("22") },
      { key: "k", versionId: older, latest: false, marker: false, size: 1, etag: md5("1") },
    ])
    const day = 24 * 3600 * 1000 // milliseconds that clocks may differ by
    for (const { lastModified } of versions) expect(Math.abs(lastModified - Date.now())).toBeLessThan(day)
  })

  it("in a bucket without versioning, gives each object once, as the version null, the newest", async () => {
    const name = await bucket()
    for (const text of ["1", "2"]) await store().put({ bucket: name, key: "k" }, Buffer.from(text))
    const { versions } = await store().listVersions(name)
    expect(versions).toMatchObject([{ key: "k", versionId: "null", latest: true, marker: false, etag: md5("2") }])
  })

  it("once the newest version was deleted, the one before it is the newest", async () => {
    const name = await versioned()
    const ref = { bucket: name, key: "k" }
    const { versionId } = await store().put(ref, Buffer.from("1"))
    const { versionId: newest = "" } = await store().put(ref, Buffer.from("2"))
    await store().delete(ref, { versionId: newest })
    expect((await store().listVersions(name)).versions).toMatchObject([{ versionId, latest: true }])
  })

  it("fails in a bucket that is not there: bucket-not-found", async () => {
    expect(await failureOf(store().listVersions(`absent-${randomName()}`))).toBe("bucket-not-found")
  })

  describe("of keys with three versions each, and one under a delete marker", () => {
    let name = ""
    const expected: string[] = []
    const sorted = [...keys].sort(byBytes)
    beforeAll(async () => {
      name = await versioned()
      for (const key of sorted) {
        const ids: string[] = []
        const ref = { bucket: name, key }
        for (const text of ["1", "2", "3"]) ids.unshift((await store().put(ref, Buffer.from(text))).versionId ?? "")
        if (key === "a") ids.unshift((await store().delete(ref)).versionId ?? "")
        expected.push(...ids.map((id) => `${key} ${id}`))
      }
    })

    it("is by the keys' UTF-8 bytes, and of each key the newest first", async () => {
      expect(await namesOf(name)).toEqual(expected)
    })

    it("tells of each key one newest version", async () => {
      const versions = (await pagesOf(name)).flatMap((page) => page.versions)
      expect(versions.filter((version) => version.latest).map(({ key }) => key)).toEqual(sorted)
    })

    it.each([1, 2, 3, 7, 27, 28])("comes in pages of %i, each version once, and the same ones newest", async (limit) => {
      const pages = await pagesOf(name, { limit })
      const versions = pages.flatMap((page) => page.versions)
      expect(versions.map(named)).toEqual(expected)
      expect(versions.filter((version) => version.latest).map(({ key }) => key)).toEqual(sorted)
      for (const page of pages.slice(0, -1)) expect(page.versions.length).toBe(limit)
    })

    it("goes on behind any version", async () => {
      for (const [index, place] of expected.entries()) {
        const [key, id] = [place.slice(0, place.lastIndexOf(" ")), place.slice(place.lastIndexOf(" ") + 1)]
        expect(await namesOf(name, { after: { key, id } })).toEqual(expected.slice(index + 1))
      }
    })

    const keyOf = (place: string) => place.slice(0, place.lastIndexOf(" "))
    it("without an id, goes on behind a key that is not there", async () => {
      for (const key of ["0", "a0", "zz"]) {
        const behind = expected.filter((place) => byBytes(keyOf(place), key) > 0)
        expect(await namesOf(name, { after: { key } })).toEqual(behind)
      }
    })

    const behindKey = (key: string, least: 0 | 1) => expected.filter((place) => byBytes(keyOf(place), key) >= least)
    sentence(
      "version-key-marker",
      "without an id, goes on behind all versions of the key",
      async () => {
        for (const key of sorted) expect(await namesOf(name, { after: { key } })).toEqual(behindKey(key, 1))
      },
      async () => {
        for (const key of sorted) expect(await namesOf(name, { after: { key } })).toEqual(behindKey(key, 0))
      },
    )

    it("with a prefix gives the versions of the keys beginning so", async () => {
      for (const prefix of ["a", "a/", "z z+", "nothing"]) {
        expect(await namesOf(name, { prefix })).toEqual(expected.filter((place) => place.startsWith(prefix)))
      }
    })

    const outside = () => expected.filter((place) => !place.startsWith("a/"))
    it("with a delimiter rolls versions up into prefixes", async () => {
      const [page, ...others] = await pagesOf(name, { delimiter: "/" })
      expect([page?.versions.map(named), page?.prefixes, others]).toEqual([outside(), ["a/"], []])
    })

    it.each([1, 2, 8, 9])("with a delimiter in pages of %i gives each version and each prefix once", async (limit) => {
      const pages = await pagesOf(name, { delimiter: "/", limit })
      expect(pages.flatMap((page) => page.versions.map(named))).toEqual(outside())
      expect(pages.flatMap((page) => page.prefixes)).toEqual(["a/"])
      for (const page of pages) expect(page.versions.length + page.prefixes.length).toBeLessThanOrEqual(limit)
    })
  })

  it("of 1,005 versions of one key gives each once, at most 1,000 on a page", async () => {
    const name = await versioned()
    const ref = { bucket: name, key: "k" }
    for (let from = 0; from < 1005; from += 67) {
      await Promise.all(Array.from({ length: 67 }, () => store().put(ref, Buffer.alloc(0))))
    }
    const pages = await pagesOf(name)
    expect(Math.max(...pages.map((page) => page.versions.length))).toBeLessThanOrEqual(1000)
    expect(new Set(pages.flatMap((page) => page.versions.map(named))).size).toBe(1005)
  })
}
