import { createHash } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parseHeader } from "../shared/crypto/header.ts"
import { Failure } from "../shared/errors.ts"
import type { Attributes, ObjectRef, Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { collect } from "../shared/objects/reading.ts"
import type { Registration } from "../shared/objects/registrations.ts"
import type { Sealer } from "../shared/objects/seal.ts"
import { counted } from "./key-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { stores } from "./stores.ts"

const sizes = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000, 5 * 2 ** 20 + 1]

describe.each(stores)("sealing in place: %s", (name, open) => {
  let opened: Awaited<ReturnType<typeof open>>
  let world: World
  let store: Store

  beforeAll(async () => {
    opened = await open()
    store = opened.store
    world = await makeWorld(store, await opened.bucket())
  })
  afterAll(() => opened.close())

  /** The sealer, whose registrations say something else of the store. */
  const withFacts = (facts: Partial<Registration["store"]>): Sealer => ({
    ...world.sealer,
    registrations: { ...world.registrations, async find(...all: Parameters<typeof world.registrations.find>) {
      const found = await world.registrations.find(...all)
      return found && { ...found, store: { ...found.store, ...facts } }
    } },
  })

  const put = (key: string, bytes: Uint8Array, attributes: Partial<Attributes> = {}) => store.put(world.ref(key), bytes, { attributes })

  it.each(sizes)("seals %i bytes, leaves the second time alone, and reads back the same, whole and by ranges", async (size) => {
    const key = `size ${size}`
    const plaintext = patterned(size)
    await put(key, plaintext)
    expect(await world.seal(key, { size })).toMatchObject({ outcome: "sealed" })
    const sealed = await world.stored(key)
    expect(sealed?.subarray(0, 13).toString()).toBe("bucketseal/1\n")
    expect(await world.seal(key, { size: sealed?.length ?? 0 })).toEqual({ outcome: "already-sealed" })
    expect((await world.stored(key))?.equals(sealed ?? Buffer.alloc(0))).toBe(true)
    expect((await world.plaintext(key))?.equals(plaintext)).toBe(true)
    for (const [from, to] of [[0, 0], [1, 2], [16_383, 16_384], [size - 1, size - 1], [Math.floor(size / 2), size - 1], [16_384, 40_000]]) {
      if (from === undefined || to === undefined || from < 0 || to >= size) continue
      expect((await world.plaintext(key, from, to))?.equals(plaintext.subarray(from, to + 1))).toBe(true)
    }
  })

  it("seals under a fresh salt each time: the same bytes twice give two different messages", async () => {
    const sealOnce = async () => {
      await put("twice", patterned(1000))
      await world.seal("twice")
      return await world.stored("twice") ?? Buffer.alloc(0)
    }
    const [one, two] = [await sealOnce(), await sealOnce()]
    const at = messageAt(one)
    expect(one.subarray(0, at).equals(two.subarray(0, at))).toBe(true) // the same place, the same data key
    expect(one.subarray(at, at + 24).equals(two.subarray(at, at + 24))).toBe(false)
    expect(one.subarray(-1016).equals(two.subarray(-1016))).toBe(false)
  })

  const golden: Partial<Attributes> = {
    contentType: "application/x-golden; charset=utf-8", cacheControl: "max-age=60", contentDisposition: 'attachment; filename="a b.txt"',
    contentEncoding: "gzip", contentLanguage: "de", expires: "Wed, 21 Oct 2026 07:28:00 GMT",
    websiteRedirect: "/elsewhere", metadata: { one: "1", "with-dash": "two words" },
  }
  const tags = [["team", "a b"], ["x+y", "1=2&3"]] as const

  it.each(["contentType", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "expires", "websiteRedirect"] as const)("keeps %s", async (name) => {
    const key = `golden-${name}`
    await put(key, patterned(100), golden)
    await world.seal(key)
    expect((await store.head(world.ref(key)))?.[name]).toBe(golden[name])
  })

  it("keeps user metadata, and adds its marker and the plaintext's length beside it", async () => {
    await put("golden-metadata", patterned(100), golden)
    await world.seal("golden-metadata")
    expect((await store.head(world.ref("golden-metadata")))?.metadata).toEqual({ ...golden.metadata, bucketseal: "1", "bucketseal-length": "100" })
  })

  it("leaves its marker off where user metadata has no room for it, and seals all the same", async () => {
    const metadata = { big: "x".repeat(2_030) }
    await put("golden-full", patterned(100), { metadata })
    expect(await world.seal("golden-full")).toMatchObject({ outcome: "sealed" })
    expect((await store.head(world.ref("golden-full")))?.metadata).toEqual(metadata)
    expect((await world.plaintext("golden-full"))?.equals(patterned(100))).toBe(true)
  })

  if (name === "local") it("keeps the storage class (RGW has but one)", async () => {
    await put("golden-class", patterned(100), { storageClass: "STANDARD_IA" })
    await world.seal("golden-class")
    expect((await store.head(world.ref("golden-class")))?.storageClass).toBe("STANDARD_IA")
  })

  it("keeps tags", async () => {
    await store.put(world.ref("golden-tags"), patterned(100), { tags })
    await world.seal("golden-tags")
    const kept = await store.getTags(world.ref("golden-tags"))
    expect([...kept ?? []].sort()).toEqual([...tags].sort())
  })

  it("leaves a directory marker alone", async () => {
    await put("dir/", Buffer.alloc(0))
    expect(await world.seal("dir/")).toEqual({ outcome: "ignored", reason: "directory-marker" })
    expect(await world.stored("dir/")).toEqual(Buffer.alloc(0))
  })

  it("says so of what is gone, not registered, or not settled yet", async () => {
    expect(await world.seal("never there")).toEqual({ outcome: "gone" })
    const now = world.clock()
    await world.register(world.bucket, { settle: 60 }, "slow/")
    await put("slow/a", patterned(10))
    expect(await world.seal("slow/a", { uploaded: now - 1000 })).toEqual({ outcome: "not-settled", due: now + 59_000 })
    expect(await world.seal("slow/a", { uploaded: now - 60_000 })).toMatchObject({ outcome: "sealed" })
    await world.register(world.bucket, {}, "off/")
    await world.register(world.bucket, { enabled: false }, "off/")
    await put("off/a", patterned(10))
    expect(await world.seal("off/a")).toEqual({ outcome: "not-registered" })
  })

  it.each([10, 300_000])("a newer upload while %i bytes are sealed wins: it stays, or is sealed at once", async (size) => {
    await put("race", patterned(size))
    const slow = { ...store, put: async (ref: ObjectRef, ...rest: [never, never]) => {
      await store.put(ref, Buffer.from("newer"))
      return store.put(ref, ...rest)
    } }
    const once = { ...slow, put: async (...all: [ObjectRef, never, never]) => {
      once.put = store.put
      return slow.put(...all)
    } }
    const { outcome } = await world.seal("race", {}, { ...world.sealer, store: once })
    if (outcome === "superseded") expect((await world.stored("race"))?.toString()).toBe("newer")
    else expect(outcome).toBe("sealed")
    await world.seal("race")
    expect((await world.plaintext("race"))?.toString()).toBe("newer")
  })

  it.each([10, 300_000])("a delete while %i bytes are sealed wins: gone, and nothing comes back", async (size) => {
    await put("race-delete", patterned(size))
    const slow = { ...store, put: async (ref: ObjectRef, ...rest: [never, never]) => {
      await store.delete(ref)
      return store.put(ref, ...rest)
    } }
    expect(await world.seal("race-delete", {}, { ...world.sealer, store: slow })).toEqual({ outcome: "gone" })
    expect(await world.stored("race-delete")).toBeUndefined()
  })

  it("S3: an unanswered write that took effect counts as sealed, one that did not is parked", async () => {
    const lost = (after: boolean) => ({ ...store, put: async (...all: Parameters<Store["put"]>) => {
      if (after) await store.put(...all)
      throw new Failure("unavailable", "the answer was lost")
    } })
    await put("lost-after", patterned(70_000))
    expect(await world.seal("lost-after", {}, { ...world.sealer, store: lost(true) })).toMatchObject({ outcome: "sealed" })
    expect((await world.plaintext("lost-after"))?.equals(patterned(70_000))).toBe(true)
    await put("lost-before", patterned(70_000))
    expect(await world.seal("lost-before", {}, { ...world.sealer, store: lost(false) })).toEqual({ outcome: "parked", reason: "unavailable" })
    expect((await world.stored("lost-before"))?.equals(patterned(70_000))).toBe(true)
  })

  if (name === "local") it("S3: versioning that is switched on behind the probe is noticed: the plaintext underneath is removed, older versions stay", async () => {
    const bucket = await opened.bucket()
    const later = await makeWorld(store, bucket)
    await store.put({ bucket, key: "k" }, Buffer.from("before"))
    await store.setVersioning(bucket, "enabled")
    await store.put({ bucket, key: "k" }, Buffer.from("hello"))
    expect(await later.seal("k")).toMatchObject({ outcome: "sealed" })
    const { versions } = await store.listVersions(bucket)
    expect(versions.map(({ versionId, size }) => [versionId === "null", size])).toEqual([[false, expect.any(Number)], [true, "before".length]])
    expect((await later.plaintext("k"))?.toString()).toBe("hello")
  })

  it("S3: a right condition that the store refuses is reported, never called superseded", async () => {
    const refusing = { ...store, put: () => Promise.reject(new Failure("precondition-failed", "no")) }
    await put("misbehaves", patterned(10))
    expect(await world.seal("misbehaves", {}, { ...world.sealer, store: refusing })).toEqual({ outcome: "parked", reason: "condition-misbehaves" })
  })

  it("does not trust an answer to the write whose ETag is not the MD5 of what was sent: it looks again", async () => {
    const lying = { ...store, put: async (ref: ObjectRef, body: never, options: never) => {
      const result = await store.put(ref, body, options)
      await store.put(ref, Buffer.from("what a broken store kept"))
      return { ...result, etag: createHash("md5").update("what a broken store kept").digest("hex") }
    } }
    await put("lying", patterned(10))
    expect(await world.seal("lying", {}, { ...withFacts({ refusesWrongStreamChecksum: false }), store: lying })).toEqual({ outcome: "parked", reason: "stored-bytes-differ" })
  })

  it("a write that was corrupted on its way is never called sealed", async () => {
    const corrupting = { ...store, put: (ref: ObjectRef, body: never, options: never) => store.put(ref, spoiled(body), options) }
    await put("corrupted", patterned(300_000))
    expect(await world.seal("corrupted", {}, { ...withFacts({ refusesWrongStreamChecksum: false }), store: corrupting })).toEqual({ outcome: "parked", reason: "stored-bytes-differ" })
    if (name !== "local") return
    await put("corrupted-too", patterned(300_000)) // here the store itself refuses what doesn't have its checksum
    expect(await world.seal("corrupted-too", {}, { ...world.sealer, store: corrupting })).toEqual({ outcome: "parked", reason: "store-refuses" })
    expect((await world.stored("corrupted-too"))?.equals(patterned(300_000))).toBe(true)
  })

  it("where the ETag proves nothing, start, end and length of what is stored are looked at", async () => {
    const opaque = withFacts({ etagIsMd5: false, refusesWrongStreamChecksum: false })
    await put("opaque", patterned(300_000))
    expect(await world.seal("opaque", {}, opaque)).toMatchObject({ outcome: "sealed" })
    const cut = { ...store, put: async (ref: ObjectRef, body: { length: number; stream: AsyncIterable<Uint8Array> }, options: never) => {
      const bytes = await collect(body.stream)
      return store.put(ref, flipped(bytes, bytes.length - 1), options)
    } }
    await put("opaque-spoiled", patterned(300_000))
    expect(await world.seal("opaque-spoiled", {}, { ...opaque, store: cut as unknown as Store })).toEqual({ outcome: "parked", reason: "stored-bytes-differ" })
  })

  it("a small object without tags costs two requests to the bucket, its echo one", async () => {
    await put("cheap", patterned(4096))
    const watched = counted(store)
    await world.seal("cheap", { size: 4096 }, { ...world.sealer, store: watched })
    expect(watched.calls).toEqual({ get: 1, put: 1 })
    await world.seal("cheap", {}, { ...world.sealer, store: watched })
    expect(watched.calls).toEqual({ get: 2, put: 1 })
  })

  it("without the authorization nothing is sealed: parked with exactly the one that is missing, which then helps", async () => {
    await put("unauthorized", patterned(10))
    await world.policies.delete("acc1", world.grant.id)
    const result = await world.seal("unauthorized")
    expect(result).toMatchObject({ outcome: "parked", reason: "not-authorized", missing: { type: "authorization" } })
    if (result.outcome !== "parked" || !result.missing) throw new Error("nothing is said to be missing")
    const { subjects, roles, resources, type } = structuredClone(result.missing) as ReturnType<World["authorization"]>
    const made = await world.policies.create("acc1", { type, subjects, roles, resources }, "IBMid-owner")
    expect(await world.seal("unauthorized")).toMatchObject({ outcome: "sealed" })
    await world.policies.delete("acc1", made.id)
    await world.policies.create("acc1", world.authorization(), "IBMid-owner")
  })

  it("a data key's own root key must be authorized: another registered key does not stand in for it", async () => {
    await put("old-key", patterned(10))
    await world.seal("old-key")
    const other = await world.rootKeys.create({ name: "other key", tags: [] }, "IBMid-owner")
    for (const { id } of await world.policies.list("acc1")) await world.policies.delete("acc1", id)
    const keyOnly = world.authorization()
    const only = { ...keyOnly, resources: [{ attributes: [...keyOnly.resources[0]?.attributes ?? [], { name: "resource" as const, value: other.id }] }] }
    const made = await world.policies.create("acc1", only, "IBMid-owner")
    await world.register(world.bucket, { rootKey: other.crn })
    await expect(world.plaintext("old-key")).rejects.toMatchObject({ code: "forbidden" })
    expect(await world.seal("old-key")).toEqual({ outcome: "already-sealed", reason: "unverified" })
    await world.policies.delete("acc1", made.id)
    await world.policies.create("acc1", world.authorization(), "IBMid-owner")
    await world.register(world.bucket, {})
    expect((await world.plaintext("old-key"))?.equals(patterned(10))).toBe(true)
  })

  it("redrawing registrations makes nothing unreadable that is sealed", async () => {
    await put("redrawn/a", patterned(10))
    await world.seal("redrawn/a")
    const other = await world.rootKeys.create({ name: "third key", tags: [] }, "IBMid-owner")
    await world.register(world.bucket, { rootKey: other.crn }, "redrawn/")
    expect((await world.plaintext("redrawn/a"))?.equals(patterned(10))).toBe(true)
    await put("redrawn/b", patterned(10))
    await world.seal("redrawn/b")
    await world.registrations.remove(world.bucket, "redrawn/")
    expect((await world.plaintext("redrawn/b"))?.equals(patterned(10))).toBe(true)
  })

  describe("what looks sealed and is not", () => {
    it.each([
      ["another bucket's header", (sealed: Buffer) => replaced(sealed, '"bucket":"', '"bucket":"x'), "moved"],
      ["another key's header", (sealed: Buffer) => replaced(sealed, '"key":"', '"key":"x'), "moved"],
      ["an unknown data key", (sealed: Buffer) => replaced(sealed, /"dek":"[0-9a-f]{8}/, '"dek":"00000000'), "unknown-data-key"],
      ["another format number", (sealed: Buffer) => Buffer.concat([Buffer.from("bucketseal/2\n"), sealed.subarray(13)]), "unknown-format"],
      ["plaintext behind a valid header, salt and commitment", (sealed: Buffer) => Buffer.concat([sealed.subarray(0, messageAt(sealed) + 56), patterned(20_000)]), "damaged-or-forged"],
      ["a changed first chunk", (sealed: Buffer) => flipped(sealed, messageAt(sealed) + 56), "damaged-or-forged"],
      ["a changed final chunk", (sealed: Buffer) => flipped(sealed, sealed.length - 1), "damaged-or-forged"],
      ["a message cut short", (sealed: Buffer) => sealed.subarray(0, -1), "damaged-or-forged"],
    ] as const)("%s is parked as it is: never sealed over, never called sealed", async (name, forge, reason) => {
      await put(name, patterned(20_000))
      await world.seal(name)
      const sealed = await world.stored(name)
      if (!sealed) throw new Error("nothing is stored")
      const forged = forge(sealed)
      await put(name, forged)
      expect(await world.seal(name)).toEqual({ outcome: "parked", reason })
      expect((await world.stored(name))?.equals(forged)).toBe(true)
      await expect(world.plaintext(name)).rejects.toMatchObject({ code: reason === "moved" || reason === "unknown-format" ? expect.stringMatching(/moved|conflict/) : "undecryptable" })
    })

    it("at an instance that may not unwrap the same forgery is only `unverified`, never `sealed`", async () => {
      const key = "forged, seen by a writer"
      await put(key, patterned(20_000))
      await world.seal(key)
      const sealed = await world.stored(key)
      if (!sealed) throw new Error("nothing is stored")
      await put(key, Buffer.concat([sealed.subarray(0, messageAt(sealed) + 56), patterned(20_000)]))
      const writer = { ...world.sealer, dataKeys: world.makeKeyring(false) }
      expect(await world.seal(key, {}, writer)).toEqual({ outcome: "already-sealed", reason: "unverified" })
    })

    it.each(["bucketseal/1 ", "bucketseal/1\r\n{}", 'bucketseal/1\n{"dek":1}\n', "bucketseal/x\n"])("%j is plaintext like any other, and is sealed", async (text) => {
      const key = `like ${JSON.stringify(text)}`
      await put(key, Buffer.from(text))
      expect(await world.seal(key)).toMatchObject({ outcome: "sealed" })
      expect((await world.plaintext(key))?.toString()).toBe(text)
    })
  })

  it("an instance that may only wrap seals, and its objects open elsewhere", async () => {
    await put("wrapper", patterned(50_000))
    expect(await world.seal("wrapper", {}, { ...world.sealer, dataKeys: world.makeKeyring(false) })).toMatchObject({ outcome: "sealed" })
    expect((await world.plaintext("wrapper"))?.equals(patterned(50_000))).toBe(true)
  })

  it("a moved object opens only where its own registration allows it", async () => {
    await put("from", patterned(30_000))
    await world.seal("from")
    await put("to", await world.stored("from") ?? Buffer.alloc(0))
    await expect(world.plaintext("to")).rejects.toMatchObject({ code: "moved" })
  })

  it("hostile keys seal and open", async () => {
    for (const key of ["a b+c%20é", "//x", "/lead", "a/../b", "🪣", "line\nbreak", "k".repeat(1024)]) {
      await put(key, Buffer.from(key))
      expect(await world.seal(key)).toMatchObject({ outcome: "sealed" })
      expect((await world.plaintext(key))?.toString()).toBe(key)
    }
  })

  it("an object whose tampered body opens half-way gives out nothing of the bad chunk", async () => {
    const plaintext = patterned(1_000_000)
    await put("half", plaintext)
    await world.seal("half")
    const sealed = await world.stored("half")
    if (!sealed) throw new Error("nothing is stored")
    await put("half", flipped(sealed, messageAt(sealed) + 56 + 20 * 16_400 + 5))
    await expect(world.plaintext("half")).rejects.toMatchObject({ code: "undecryptable" })
    expect((await world.plaintext("half", 0, 16_384 * 16))?.equals(plaintext.subarray(0, 16_384 * 16 + 1))).toBe(true)
  })
})

/** The same stream with one byte changed, far behind the header. */
function spoiled({ length, stream }: { length: number; stream: AsyncIterable<Uint8Array> }) {
  async function* changed() {
    let position = 0
    for await (const piece of stream) {
      const copy = Buffer.from(piece)
      if (position <= 200_000 && 200_000 < position + copy.length) copy[200_000 - position] = (copy[200_000 - position] ?? 0) ^ 1
      position += copy.length
      yield copy
    }
  }
  return { length, stream: changed() }
}

function messageAt(sealed: Buffer): number {
  const parsed = parseHeader(sealed)
  if (parsed.kind !== "header") throw new Error("this is no sealed object")
  return parsed.size
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

function replaced(bytes: Buffer, from: string | RegExp, to: string): Buffer {
  return Buffer.from(bytes.toString("latin1").replace(from, to), "latin1")
}
