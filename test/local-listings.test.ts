import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { ListMarker, ObjectRef, Store } from "../shared/ports.ts"
import { openIndex, type Index } from "../shared/store/local-index.ts"
import { listObjects, listUploads, listVersions } from "../shared/store/local-list.ts"
import { findMarker, findVersion } from "../shared/store/local-versions.ts"
import { localStore } from "../shared/store/local.ts"
import { byBytes, failureOf, listAll } from "./store-contract-reads.ts"

// Keys with 00 in them, which no URL and no XML carries: some begin with others, and end where a lower byte goes on.
const keys = ["a", "a\0", "a\0\0b", "a\0b", "a\u0001", "a!", "b\0", "b\0\uffff", "\0", "\u{10ffff}"]
const bucket = "listings"

describe("listings of the local store", () => {
  let folder = ""
  let time = 1_000_000_000_000
  let store: Awaited<ReturnType<typeof localStore>>
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "bucketseal-listings-"))
    store = await localStore(folder, { clock: () => time++ })
    await store.createBucket(bucket)
    await store.createBucket(`${bucket}-2`)
    await store.put({ bucket: `${bucket}-2`, key: "a" }, Buffer.from("of another bucket"))
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })
  const put = async (key: string) => (await store.put({ bucket, key }, Buffer.from(key))).versionId ?? ""

  /** Makes versions of all keys, in turns; gives key and id in the order of a listing. */
  const versionsOf = async (count: number) => {
    await store.setVersioning(bucket, "enabled")
    const places = new Map<string, string[]>(keys.map((key) => [key, []]))
    for (let n = 0; n < count; n++) for (const key of keys) places.get(key)?.unshift(await put(key))
    return [...keys].sort(byBytes).flatMap((key) => places.get(key)?.map((id) => [key, id] as const) ?? [])
  }

  it("objects, versions and uploads are by the keys' bytes, whatever bytes they have", async () => {
    const uploads: [string, string][] = []
    for (const key of [...keys].sort(byBytes)) {
      for (let n = 0; n < 2; n++) uploads.push([key, await store.createUpload({ bucket, key })])
    }
    const versions = await versionsOf(3)
    expect((await listAll(store, bucket)).flat()).toEqual([...keys].sort(byBytes))
    const listed = (await store.listVersions(bucket)).versions
    expect(listed.map(({ key, versionId }) => [key, versionId])).toEqual(versions)
    expect((await store.listUploads(bucket)).uploads.map(({ key, uploadId }) => [key, uploadId])).toEqual(uploads)
  })

  it.each([1, 2, 7])("in pages of %i gives each version and each upload once, of keys with 00 too", async (limit) => {
    const versions = await versionsOf(3)
    const uploads = new Set<string>()
    for (const key of keys) uploads.add(await store.createUpload({ bucket, key }))
    const found: (readonly [string, string])[] = []
    for (let after: ListMarker | undefined, page = 0; page < 100; page++) {
      const { versions: some, next } = await store.listVersions(bucket, { limit, ...(after && { after }) })
      found.push(...some.map(({ key, versionId }) => [key, versionId] as const))
      if (!(after = next)) break
    }
    expect(found).toEqual(versions)
    const ids: string[] = []
    for (let after: ListMarker | undefined, page = 0; page < 100; page++) {
      const { uploads: some, next } = await store.listUploads(bucket, { limit, ...(after && { after }) })
      ids.push(...some.map(({ uploadId }) => uploadId))
      if (!(after = next)) break
    }
    expect([ids.length, new Set(ids)]).toEqual([uploads.size, uploads])
  })

  it("tells when an upload and its parts were made, in milliseconds", async () => {
    const ref = { bucket, key: "k" }
    time = 1_234_567_890_123
    const id = await store.createUpload(ref)
    time = 1_234_567_890_456
    await store.putPart(ref, id, 1, Buffer.from("p"))
    expect((await store.listUploads(bucket)).uploads).toMatchObject([{ uploadId: id, initiated: 1_234_567_890_123 }])
    expect((await store.listParts(ref, id)).parts).toMatchObject([{ lastModified: 1_234_567_890_456 }])
  })

  describe("of many entries, one page", () => {
    /** What a listing reads of each table. */
    const counted = async (list: (index: Index) => unknown) => {
      await store.close()
      const index = openIndex(join(folder, "index"))
      const read = { current: 0, older: 0, uploads: 0 }
      const counting = <T extends "current" | "older" | "uploads">(name: T): Index[T] =>
        new Proxy(index[name], {
          get: (table, member) => {
            if (member !== "getRange") {
              const value: unknown = Reflect.get(table, member)
              return typeof value === "function" ? value.bind(table) : value
            }
            return (...args: Parameters<Index[T]["getRange"]>) => table.getRange(...args).map((entry: unknown) => {
              read[name]++
              return entry
            })
          },
        })
      const tables = { current: counting("current"), older: counting("older"), uploads: counting("uploads") }
      index.read(() => list({ ...index, ...tables }))
      await index.close()
      store = await localStore(folder)
      return read
    }

    it("of objects reads these and one more", async () => {
      for (let n = 0; n < 50; n++) await put(`k${n}`)
      expect(await counted((index) => listObjects(index, bucket, { limit: 5 }))).toMatchObject({ current: 6 })
    })

    it("of versions reads these, and one more of each table, in the middle of a key too", async () => {
      const versions = await versionsOf(5)
      const [key = "", id = ""] = versions[22] ?? []
      const { current, older } = await counted((index) => listVersions(index, bucket, { limit: 5, after: { key, id } }))
      expect(current + older).toBeLessThanOrEqual(7)
    })

    it("of versions reads of what it rolls up only the first of each table", async () => {
      await store.setVersioning(bucket, "enabled")
      for (let n = 0; n < 40; n++) await put(`a/${n % 20}`)
      await put("b")
      const { current, older } = await counted((index) => listVersions(index, bucket, { delimiter: "/" }))
      expect([current, older]).toEqual([2, 1])
    })

    it("a look for the null version, or for one that is not there, reads no others, wherever it stands", async () => {
      await put("k")
      await store.setVersioning(bucket, "enabled")
      for (let n = 0; n < 20; n++) await put("k")
      const look = (key: string, id: string) => counted((index) => findVersion(index, { bucket, key }, id))
      expect(await look("k", "null")).toEqual({ current: 0, older: 0, uploads: 0 })
      expect(await look("k", "f".repeat(32))).toEqual({ current: 0, older: 0, uploads: 0 })
      expect((await store.head({ bucket, key: "k" }, { versionId: "null" }))?.versionId).toBe("null")
      await store.setVersioning(bucket, "suspended")
      await put("k")
      const nulls = (await store.listVersions(bucket)).versions.filter(({ versionId }) => versionId === "null")
      expect(nulls).toMatchObject([{ latest: true }])
      expect((await counted((index) => findMarker(index, { bucket, key: "k" }, "bogus"))).older).toBe(0)
    })

    it("of uploads reads these and one more", async () => {
      for (let n = 0; n < 50; n++) await store.createUpload({ bucket, key: `k${n}` })
      expect(await counted((index) => listUploads(index, bucket, { limit: 5 }))).toMatchObject({ uploads: 6 })
    })
  })

  /** Removes all versions as a client does that empties a bucket: page by page, going on behind the page before. */
  const removeAll = async (limit: number) => {
    for (let after: ListMarker | undefined, page = 0; page < 100; page++) {
      const { versions, next } = await store.listVersions(bucket, { limit, ...(after && { after }) })
      for (const { key, versionId } of versions) await store.delete({ bucket, key }, { versionId })
      if (!(after = next)) return
    }
  }

  it.each([1, 2, 3])("whoever removes the versions of each page of %i removes all, the null version too", async (limit) => {
    const ref: ObjectRef = { bucket, key: "a" }
    await put("a")
    await put("b")
    await store.setVersioning(bucket, "enabled")
    for (const key of ["a", "b"]) for (let n = 0; n < 3; n++) await put(key)
    await store.setVersioning(bucket, "suspended")
    await put("b")
    await store.delete(ref)
    await removeAll(limit)
    expect(await store.listVersions(bucket)).toEqual({ versions: [], prefixes: [] })
    await store.deleteBucket(bucket)
  })

  it("what is left of a key once its newer versions were removed is told as the newest, behind them too", async () => {
    const versions = await versionsOf(3)
    const [[key, id], [, older], [, oldest]] = versions as [[string, string], [string, string], [string, string]]
    const behind = async (id: string) => (await store.listVersions(bucket, { limit: 1, after: { key, id } })).versions
    expect(await behind(id)).toMatchObject([{ versionId: older, latest: false }])
    await store.delete({ bucket, key }, { versionId: id })
    expect(await behind(id)).toMatchObject([{ versionId: older, latest: true }])
    await store.delete({ bucket, key }, { versionId: older })
    expect(await behind(older)).toMatchObject([{ versionId: oldest, latest: true }])
  })

  it("refuses what is no id of a version or upload, and no token: store-refused", async () => {
    const list = (what: "listVersions" | "listUploads", after: ListMarker) =>
      failureOf((store satisfies Store)[what](bucket, { after }))
    for (const id of ["", "x", "0".repeat(31), "G".repeat(32)]) {
      expect(await list("listVersions", { key: "a", id })).toBe("store-refused")
      expect(await list("listUploads", { key: "a", id })).toBe("store-refused")
    }
    expect(await list("listVersions", { key: "k".repeat(1025), id: "null" })).toBe("store-refused")
    for (const token of ["*", "_w", "a".repeat(2000)]) {
      expect(await failureOf(store.list(bucket, { token }))).toBe("store-refused")
    }
  })

  it("goes on behind any text that is no key: the empty one, and one that is too long", async () => {
    const versions = await versionsOf(1)
    for (const long of ["a".repeat(1025), `${"a".repeat(3000)}/`]) {
      const behind = versions.filter(([key]) => byBytes(key, long) > 0).map(([key]) => key)
      for (const delimiter of [undefined, "/"]) {
        const grouping = delimiter === undefined ? {} : { delimiter }
        const { versions: listed } = await store.listVersions(bucket, { after: { key: long }, ...grouping })
        expect(listed.map(({ key }) => key)).toEqual(behind)
        const { objects } = await store.list(bucket, { startAfter: long, ...grouping })
        expect(objects.map(({ key }) => key)).toEqual(behind)
      }
    }
    expect((await store.listVersions(bucket, { after: { key: "" } })).versions.length).toBe(versions.length)
    expect(await store.listVersions(bucket, { prefix: "a".repeat(1025) })).toEqual({ versions: [], prefixes: [] })
  })
})
