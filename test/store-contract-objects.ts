import { beforeAll, expect, it } from "vitest"
import { patterned, pieces } from "./bytes.ts"
import type { Subject } from "./store-contract.ts"
import { bytesOf, failureOf, md5, randomName, textOf } from "./store-contract-reads.ts"
import { hostileKeys } from "./store-contract-keys.ts"

const MIB = 1024 * 1024
const DAY = 24 * 3600 * 1000 // milliseconds that clocks may differ by
const sizes = [0, 1, 16_383, 16_384, 16_385, 262_144, 5 * MIB + 1] // a local store keeps up to 16 KiB in its index

/** Single objects: bytes, attributes, tags, ranges, streams, names. */
export function objectSentences({ store, bucket }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const fresh = () => ({ bucket: home, key: randomName() })

  it("gives undefined for an object that is not there: get, head, getTags", async () => {
    const ref = fresh()
    expect(await store().get(ref)).toBeUndefined()
    expect(await store().head(ref)).toBeUndefined()
    expect(await store().getTags(ref)).toBeUndefined()
  })

  it("gives back what was put: bytes, size, ETag, a time near now", async () => {
    const ref = fresh()
    const { etag } = await store().put(ref, Buffer.from("hello"))
    const object = await store().get(ref)
    expect(object).toMatchObject({ size: 5, etag })
    expect(object?.range).toBeUndefined()
    expect(Math.abs((object?.lastModified ?? 0) - Date.now())).toBeLessThan(DAY)
    object?.cancel()
    expect(await textOf(store(), ref)).toBe("hello")
  })

  it("head tells the same as get", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("hello"), { attributes: { contentType: "text/plain", metadata: { a: "1" } } })
    const object = await store().get(ref)
    if (!object) throw new Error("not there")
    object.cancel()
    expect(object).toMatchObject((await store().head(ref)) ?? {})
  })

  it("the ETag of a single put is the MD5 of its bytes", async () => {
    for (const bytes of [Buffer.alloc(0), patterned(1), patterned(16_385), patterned(MIB)]) {
      const ref = fresh()
      expect((await store().put(ref, bytes)).etag).toBe(md5(bytes))
      expect((await store().head(ref))?.etag).toBe(md5(bytes))
    }
  })

  it.each(sizes)("round-trips %i bytes, in one piece or as a stream", async (size) => {
    const bytes = patterned(size)
    const whole = fresh()
    await store().put(whole, bytes)
    expect((await bytesOf(store(), whole))?.equals(bytes)).toBe(true)
    const streamed = fresh()
    await store().put(streamed, { length: size, stream: pieces(bytes, 10_007) })
    expect((await bytesOf(store(), streamed))?.equals(bytes)).toBe(true)
  })

  it("round-trips a 20 MiB stream whose source reuses its memory", async () => {
    const ref = fresh()
    const bytes = patterned(20 * MIB)
    expect((await store().put(ref, { length: bytes.length, stream: pieces(bytes, 65_536) })).etag).toBe(md5(bytes))
    expect((await bytesOf(store(), ref))?.equals(bytes)).toBe(true)
    await store().delete(ref)
  })

  it("keeps attributes and user metadata unchanged", async () => {
    const ref = fresh()
    const attributes = {
      contentType: "text/csv; charset=utf-8",
      cacheControl: "max-age=60, public",
      contentDisposition: 'attachment; filename="größe.csv"',
      contentEncoding: "gzip",
      contentLanguage: "de, en",
      expires: "Thu, 01 Dec 2033 16:00:00 GMT",
      websiteRedirect: "/elsewhere",
      metadata: { plain: "value", "with-dash": "a, b; c=d", empty: "", long: "x".repeat(1500) },
    }
    await store().put(ref, Buffer.from("x"), { attributes })
    expect(await store().head(ref)).toMatchObject(attributes)
    const object = await store().get(ref)
    expect(object).toMatchObject(attributes)
    object?.cancel()
  })

  it("keeps user metadata that is not ASCII", async () => {
    const ref = fresh()
    const metadata = { latin: "Grüße", wide: "日本語 ☃", emoji: "😀", grave: "à la voilà", dagger: "†" }
    await store().put(ref, Buffer.from("x"), { attributes: { metadata } })
    expect((await store().head(ref))?.metadata).toEqual(metadata)
  })

  it("gives an empty record where there is no user metadata, and none of the earlier object's attributes", async () => {
    const ref = fresh()
    const attributes = { cacheControl: "no-store", metadata: { old: "1" } }
    await store().put(ref, Buffer.from("x"), { attributes, tags: [["t", "1"]] })
    await store().put(ref, Buffer.from("y"))
    const info = await store().head(ref)
    expect(info?.metadata).toEqual({})
    expect(info?.cacheControl).toBeUndefined()
    expect(await store().getTags(ref)).toEqual([])
  })

  it("keeps tags, and tells their number where it tells one", async () => {
    const ref = fresh()
    const tags = [["team", "a b+c/d=e"], ["größe", "1 @"], ["empty", ""]] as const
    await store().put(ref, Buffer.from("x"), { tags })
    expect(new Map(await store().getTags(ref))).toEqual(new Map(tags))
    expect([3, undefined]).toContain((await store().head(ref))?.tagCount)
  })

  it("gives an empty list of tags where there are none", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("x"))
    expect(await store().getTags(ref)).toEqual([])
    expect([0, undefined]).toContain((await store().head(ref))?.tagCount)
  })

  it.each([100, 300_000])("delivers ranges of %i bytes: first, middle, open, suffix, past the end", async (size) => {
    const ref = fresh()
    const bytes = patterned(size)
    await store().put(ref, bytes)
    const last = size - 1
    const rows = [
      [{ start: 0, end: 0 }, 0, 0],
      [{ start: 0, end: 9 }, 0, 9],
      [{ start: 17, end: last - 5 }, 17, last - 5],
      [{ start: last }, last, last],
      [{ start: 50 }, 50, last],
      [{ start: 90, end: size + 500 }, 90, last],
      [{ suffix: 7 }, size - 7, last],
      [{ suffix: size + 1 }, 0, last],
    ] as const
    for (const [range, start, end] of rows) {
      const object = await store().get(ref, { range })
      expect([range, object?.range, object?.size]).toEqual([range, { start, end }, size])
      object?.cancel()
      expect((await bytesOf(store(), ref, { range }))?.equals(bytes.subarray(start, end + 1))).toBe(true)
    }
  })

  it("refuses a range that starts at or after the end: range-not-satisfiable", async () => {
    const ref = fresh()
    await store().put(ref, patterned(100))
    expect(await failureOf(store().get(ref, { range: { start: 100 } }))).toBe("range-not-satisfiable")
    expect(await failureOf(store().get(ref, { range: { start: 1000, end: 2000 } }))).toBe("range-not-satisfiable")
  })

  it("refuses a range of an empty object: range-not-satisfiable", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.alloc(0))
    expect(await failureOf(store().get(ref, { range: { start: 0, end: 9 } }))).toBe("range-not-satisfiable")
  })

  it("an object replaced is the new one, whole, with the new ETag", async () => {
    const ref = fresh()
    await store().put(ref, patterned(200_000))
    const { etag } = await store().put(ref, Buffer.from("short"))
    expect(await textOf(store(), ref)).toBe("short")
    expect((await store().head(ref))?.etag).toBe(etag)
  })

  it("deleting removes the object; deleting it again, or what never was, succeeds", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("x"))
    await store().delete(ref)
    expect(await store().get(ref)).toBeUndefined()
    await store().delete(ref)
    await store().delete(fresh())
  })

  it("a reader of an object that is replaced or deleted meanwhile gets the old bytes whole", async () => {
    for (const change of ["replace", "delete"]) {
      const ref = fresh()
      const old = patterned(6 * MIB)
      await store().put(ref, old)
      const object = await store().get(ref)
      const chunks: Uint8Array[] = []
      for await (const chunk of object?.body ?? []) {
        if (chunks.length === 0 && change === "replace") await store().put(ref, Buffer.from("new"))
        if (chunks.length === 0 && change === "delete") await store().delete(ref)
        chunks.push(chunk)
      }
      expect(Buffer.concat(chunks).equals(old)).toBe(true)
      expect(await textOf(store(), ref)).toBe(change === "replace" ? "new" : undefined)
    }
  })

  it("readers beside writers see one of the objects written, never a mixture", async () => {
    const ref = fresh()
    const versions = [1, 2, 3, 4].map((fill) => Buffer.alloc(40_000 * fill, fill))
    await store().put(ref, versions[0] ?? Buffer.alloc(0))
    const write = async (bytes: Buffer) => {
      for (let round = 0; round < 5; round++) await store().put(ref, bytes)
    }
    const read = async () => {
      for (let round = 0; round < 10; round++) {
        const bytes = await bytesOf(store(), ref)
        expect(versions.some((version) => bytes?.equals(version))).toBe(true)
      }
    }
    await Promise.all([...versions.map(write), read(), read()])
  })

  it("cancelling frees what reading held: a hundred cancelled reads hinder nobody", async () => {
    const ref = fresh()
    await store().put(ref, patterned(3 * MIB))
    for (let round = 0; round < 100; round++) {
      const object = await store().get(ref)
      if (round % 2) await object?.body[Symbol.asyncIterator]().next()
      object?.cancel()
      object?.cancel()
    }
    expect((await bytesOf(store(), ref, { range: { suffix: 3 } }))?.length).toBe(3)
  })

  const broken: [string, (bytes: Buffer) => { length: number; stream: AsyncIterable<Uint8Array> }][] = [
    ["shorter than its length", (bytes) => ({ length: bytes.length + 1, stream: pieces(bytes, 9000) })],
    ["longer than its length", (bytes) => ({ length: bytes.length - 1, stream: pieces(bytes, 9000) })],
    ["longer by a chunk", (bytes) => ({ length: bytes.length / 2, stream: pieces(bytes, bytes.length / 2) })],
    ["failing half-way", (bytes) => ({ length: bytes.length, stream: failing(bytes.subarray(0, bytes.length / 2)) })],
    ["failing after its last byte", (bytes) => ({ length: bytes.length, stream: failing(bytes) })],
  ]
  for (const size of [5000, 100_000]) {
    it.each(broken)(`a stream of ${size} bytes that is %s makes the put fail and changes nothing`, async (_, body) => {
      const ref = fresh()
      await expect(store().put(ref, body(patterned(size)))).rejects.toThrow()
      expect(await store().head(ref)).toBeUndefined()
      await store().put(ref, Buffer.from("before"))
      await expect(store().put(ref, body(patterned(size)))).rejects.toThrow()
      expect(await textOf(store(), ref)).toBe("before")
    })
  }

  it("a put that is aborted before or while its body comes fails and stores nothing", async () => {
    const ref = fresh()
    await expect(store().put(ref, Buffer.from("x"), { signal: AbortSignal.abort() })).rejects.toThrow()
    const abort = new AbortController()
    async function* stream() {
      yield Buffer.alloc(50_000)
      abort.abort()
      yield Buffer.alloc(50_000)
    }
    await expect(store().put(ref, { length: 100_000, stream: stream() }, { signal: abort.signal })).rejects.toThrow()
    expect(await store().head(ref)).toBeUndefined()
  })

  it.each(hostileKeys)("keeps an object under a key with %s", async (_, key) => {
    const ref = { bucket: home, key: key + randomName() }
    await store().put(ref, Buffer.from(key))
    expect(await textOf(store(), ref)).toBe(key)
    expect((await store().head(ref))?.etag).toBe(md5(key))
    const { objects } = await store().list(home, { prefix: ref.key })
    expect(objects.map((object) => object.key)).toEqual([ref.key])
    await store().delete(ref)
    expect(await store().head(ref)).toBeUndefined()
  })

  it("keeps keys apart that differ only in how they might be escaped or normalised", async () => {
    const stem = randomName()
    const paths = ["a/b", "a//b", "a/./b", "a/../b", "/a/b", "a/b/", "A/B"]
    const keys = ["a b", "a+b", "a%20b", "a%2Fb", "é", "e\u0301", ...paths]
    for (const key of keys) await store().put({ bucket: home, key: `${stem}${key}` }, Buffer.from(key))
    for (const key of keys) expect(await textOf(store(), { bucket: home, key: `${stem}${key}` })).toBe(key)
  })

  const longest = [["ASCII", "k"], ["two-byte letters", "ü"], ["emoji", "😀"]] as const
  it.each(longest)("takes a key of 1,024 bytes of %s", async (_, letter) => {
    const ref = { bucket: home, key: letter.repeat(1024 / Buffer.byteLength(letter)) }
    await store().put(ref, Buffer.from("long"))
    expect(await textOf(store(), ref)).toBe("long")
    await store().delete(ref)
  })

  it("refuses to put under a key of 1,025 bytes: store-refused", async () => {
    const ref = { bucket: home, key: `ü${"k".repeat(1023)}` }
    expect(await failureOf(store().put(ref, Buffer.from("x")))).toBe("store-refused")
  })
}

async function* failing(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes
  throw new Error("the source broke")
}
