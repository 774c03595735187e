import { beforeAll, describe, expect, it } from "vitest"
import type { ListedUpload, ListMarker, MarkedListOptions } from "../shared/ports.ts"
import type { Subject } from "./store-contract.ts"
import { byBytes, failureOf, randomName } from "./store-contract-reads.ts"

const keys = ["a", "a!", "a/1", "a/2", "b", "b\r\n<&\u0001", "z z+%20", "\uff5e", "\u{1f600}"]

/** Listings of uploads under way (S3 reference, ListMultipartUploads). */
export function uploadListSentences({ store, bucket, sentence }: Subject): void {
  const pagesOf = async (name: string, options: MarkedListOptions = {}) => {
    const pages: { uploads: readonly ListedUpload[]; prefixes: readonly string[] }[] = []
    for (let page = 0, after: ListMarker | undefined = options.after; page < 1000; page++) {
      const { next, ...listed } = await store().listUploads(name, { ...options, ...(after && { after }) })
      pages.push(listed)
      if (!next) return pages
      after = next
    }
    throw new Error("the listing does not end")
  }
  const named = ({ key, uploadId }: ListedUpload) => `${key} ${uploadId}`
  const namesOf = async (name: string, options?: MarkedListOptions) =>
    (await pagesOf(name, options)).flatMap((page) => [...page.uploads.map(named), ...page.prefixes])

  it("a bucket without uploads is one empty page, also where it has objects", async () => {
    const name = await bucket()
    await store().put({ bucket: name, key: "k" }, Buffer.from("x"))
    expect(await store().listUploads(name)).toEqual({ uploads: [], prefixes: [] })
  })

  it("tells key, id and time of an upload, and no longer of one that was completed or aborted", async () => {
    const ref = { bucket: await bucket(), key: "k" }
    const id = await store().createUpload(ref)
    const [upload, ...others] = (await store().listUploads(ref.bucket)).uploads
    expect([upload, others]).toMatchObject([{ key: "k", uploadId: id }, []])
    expect(Math.abs((upload?.initiated ?? 0) - Date.now())).toBeLessThan(24 * 3600 * 1000) // clocks may differ by a day
    const { etag } = await store().putPart(ref, id, 1, Buffer.from("x"))
    await store().completeUpload(ref, id, [{ number: 1, etag, size: 1 }])
    await store().abortUpload(ref, await store().createUpload(ref))
    expect((await store().listUploads(ref.bucket)).uploads).toEqual([])
  })

  it("fails in a bucket that is not there: bucket-not-found", async () => {
    expect(await failureOf(store().listUploads(`absent-${randomName()}`))).toBe("bucket-not-found")
  })

  describe("of keys with two uploads each", () => {
    let name = ""
    const expected: string[] = []
    beforeAll(async () => {
      name = await bucket()
      for (const key of [...keys].sort(byBytes)) {
        for (let n = 0; n < 2; n++) {
          expected.push(`${key} ${await store().createUpload({ bucket: name, key })}`)
          await new Promise((resolve) => setTimeout(resolve, 2)) // those of one millisecond are in no order
        }
      }
    })

    const keyOf = (place: string) => place.slice(0, place.lastIndexOf(" "))
    sentence(
      "upload-order",
      "is by the keys' UTF-8 bytes, and of each key the oldest first",
      async () => expect(await namesOf(name)).toEqual(expected),
      async () => {
        const listed = await namesOf(name)
        expect([...listed].sort()).toEqual([...expected].sort())
        expect(listed.map((place) => keyOf(place).slice(0, 1))).toEqual(expected.map((place) => place.slice(0, 1)))
      },
    )

    it.each([1, 2, 3, 17, 18, 19])("comes in pages of %i, each upload once", async (limit) => {
      const pages = await pagesOf(name, { limit })
      expect(pages.flatMap((page) => page.uploads.map(named)).sort()).toEqual([...expected].sort())
      for (const page of pages.slice(0, -1)) expect(page.uploads.length).toBe(limit)
    })

    it("goes on behind any upload", async () => {
      const listed = (await pagesOf(name)).flatMap((page) => page.uploads)
      for (const [index, { key, uploadId: id }] of listed.entries()) {
        expect(await namesOf(name, { after: { key, id } })).toEqual(listed.slice(index + 1).map(named))
      }
    })

    /** What is listed behind each of some keys, and what should be. */
    const behindKeys = async (some: readonly string[]) => {
      const pairs: string[][][] = []
      for (const key of some) {
        const behind = expected.filter((place) => byBytes(keyOf(place), key) > 0)
        pairs.push([[...(await namesOf(name, { after: { key } }))].sort(), [...behind].sort()])
      }
      return pairs
    }
    it("without an id, goes on behind a key that has no upload", async () => {
      for (const [listed, behind] of await behindKeys(["0", "a0", "zz"])) expect(listed).toEqual(behind)
    })

    sentence(
      "upload-order",
      "without an id, goes on behind all uploads of the key",
      async () => {
        for (const [listed, behind] of await behindKeys(keys)) expect(listed).toEqual(behind)
      },
      async () => {
        for (const [at, [listed = [], behind = []]] of (await behindKeys(keys)).entries()) {
          const apart = behind.filter((place) => !place.startsWith(keys[at] ?? "")) // "a!" comes before "a" there
          expect(listed).toEqual(expect.arrayContaining(apart))
        }
      },
    )

    it("with a prefix gives the uploads of the keys beginning so", async () => {
      for (const prefix of ["a", "a/", "z z+", "nothing"]) {
        const under = expected.filter((place) => place.startsWith(prefix))
        expect([...(await namesOf(name, { prefix }))].sort()).toEqual([...under].sort())
      }
    })

    const outside = () => expected.filter((place) => !place.startsWith("a/"))
    const grouped = async () => {
      const { uploads, prefixes } = await store().listUploads(name, { delimiter: "/" })
      return [uploads.map(named).sort(), prefixes]
    }
    sentence(
      "upload-prefixes",
      "with a delimiter rolls uploads up into prefixes",
      async () => expect(await grouped()).toEqual([outside().sort(), ["a/"]]),
      async () => expect(await grouped()).toEqual([outside().sort(), []]),
    )

    const groupedPages = async (limit: number, told: readonly string[]) => {
      const pages = await pagesOf(name, { delimiter: "/", limit })
      expect(pages.flatMap((page) => page.uploads.map(named)).sort()).toEqual(outside().sort())
      expect(pages.flatMap((page) => page.prefixes)).toEqual(told)
      for (const page of pages) expect(page.uploads.length + page.prefixes.length).toBeLessThanOrEqual(limit)
    }
    for (const limit of [1, 2, 5]) {
      sentence(
        "upload-prefixes",
        `with a delimiter in pages of ${limit} gives each upload and each prefix once`,
        () => groupedPages(limit, ["a/"]),
        () => groupedPages(limit, []),
      )
    }
  })
}
