import { randomBytes, randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { census } from "../functions/census.ts"
import type { JobsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { positionIn, positionValue, type Position } from "../shared/objects/census-position.ts"
import type { Store } from "../shared/ports.ts"
import { encodeCursor, parseCursor } from "../shared/runtime/cursor.ts"
import { PROBE_PREFIX } from "../shared/store/probe.ts"
import { patterned } from "./bytes.ts"
import { beginProgress, take, takeAll, withMethods } from "./census-fixtures.ts"
import { overwrite, stored } from "./key-fixtures.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { sealObject as sealed } from "./sealed.ts"
import { localHarness, stores } from "./stores.ts"

const SECRET = "a plaintext that must show up nowhere"
const DAY = 86_400

/** One of each kind but what only versions, other stores or other identities bring; gives what is to be counted. */
async function oneOfEach(world: World) {
  const { store, ref } = world
  const put = (key: string, bytes: Uint8Array) => store.put(ref(key), bytes)
  const sealedBytes = async (key: string) => (await world.stored(key)) ?? Buffer.alloc(0)
  await put("plain", Buffer.from(SECRET))
  await put("plain-too", patterned(70_000))
  await put("empty", Buffer.alloc(0))
  await put("dir/", Buffer.alloc(0))
  await put("sealed", patterned(100))
  await put("sealed-large", patterned(200_000))
  for (const key of ["sealed", "sealed-large"]) expect(await world.seal(key)).toMatchObject({ outcome: "sealed" })
  await put("moved", await sealedBytes("sealed"))
  const damaged = await sealedBytes("sealed")
  await put("damaged", patterned(10))
  await world.seal("damaged")
  const own = await sealedBytes("damaged")
  own.writeUInt8((own.at(-1) ?? 0) ^ 1, own.length - 1)
  await put("damaged", own)
  const foreign = await sealed(randomBytes(32), randomBytes(24), { dek: randomUUID(), bucket: world.bucket, key: "foreign" }, patterned(10))
  await put("foreign", foreign)
  await put("newer", Buffer.from("bucketseal/2\nx"))
  await put(`${PROBE_PREFIX}canary`, patterned(5))
  const broken = await breakDataKey(world, "broken")
  const [large, small] = [await sealedBytes("sealed-large"), damaged]
  return {
    counts: {
      plain: 3, "directory-marker": 1, sealed: 2, moved: 1, "damaged-or-forged": 1, "unknown-data-key": 1,
      "unknown-format": 1, scratch: 1, "data-key-broken": 1,
    },
    bytes: {
      plain: SECRET.length + 70_000, "directory-marker": 0, sealed: large.length + small.length, moved: small.length,
      "damaged-or-forged": own.length, "unknown-data-key": foreign.length, "unknown-format": 14, scratch: 5, "data-key-broken": broken,
    },
  }
}

/** Seals by a data key of its own whose wrapping is then another one's; gives the sealed size. */
async function breakDataKey(world: World, key: string): Promise<number> {
  await world.store.put(world.ref(key), patterned(10))
  const result = await world.seal(key, {}, { ...world.sealer, dataKeys: world.makeKeyring(false) })
  if (result.outcome !== "sealed") throw new Error("not sealed")
  const path = `data-keys/${result.dek}.json`
  const { paths } = await world.state.list("data-keys/")
  const other = paths.find((one) => one !== path) ?? ""
  const { ciphertext } = await stored(world.state, other)
  await overwrite(world.state, path, { ...(await stored(world.state, path)), ciphertext })
  return result.size
}

/** Uploads: ours with its lease, ours past it, and a user's, each with so many bytes. */
async function oneOfEachUpload(world: World) {
  const begin = async (key: string, size: number) => {
    const id = await world.store.createUpload(world.ref(key))
    await world.store.putPart(world.ref(key), id, 1, patterned(size))
    return id
  }
  await world.store.put(world.ref("ours-stale"), patterned(10))
  const source = await world.store.head(world.ref("ours-stale"))
  const pin = { etag: source?.etag ?? "", size: 10, lastModified: source?.lastModified ?? 0 }
  const [live, stale, other] = [await begin("ours-live", 11), await begin("ours-stale", 12), await begin("ours-live", 13)]
  await beginProgress(world, world.ref("ours-live"), { uploadId: live })
  await beginProgress(world, world.ref("ours-stale"), { uploadId: stale, until: world.clock() - 1, source: pin })
  await beginProgress(world, world.ref("left"), { until: world.clock() - 1 })
  await world.state.create("progress/unreadable.json", { nothing: true })
  return {
    ids: { live, stale, other },
    counts: {
      plain: 1, "upload-live": 1, "upload-stale": 1, "upload-other": 1, "progress-live": 1, "progress-resumable": 1,
      "progress-leftover": 1, "progress-unreadable": 1,
    },
    bytes: {
      plain: 10, "upload-live": 11, "upload-stale": 12, "upload-other": 13, "progress-live": 0, "progress-resumable": 0,
      "progress-leftover": 0, "progress-unreadable": 0,
    },
  }
}

describe.each(stores)("census on %s", (_, open) => {
  let harness: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    harness = await open()
  })
  afterAll(() => harness.close())

  it("counts each kind of object with its bytes, names what is not well, and changes nothing", async () => {
    const world = await makeWorld(harness.store, await harness.bucket())
    const expected = await oneOfEach(world)
    const before = await world.store.list(world.bucket)
    const result = await take(world)
    expect(result).toMatchObject({ done: true, ...expected, fixed: {} })
    expect([result.counts, result.bytes]).toEqual([expected.counts, expected.bytes])
    const named = Object.fromEntries(result.items.map(({ key, outcome }) => [key, outcome]))
    expect(named).toEqual({
      plain: "plain", "plain-too": "plain", empty: "plain", moved: "moved", damaged: "damaged-or-forged",
      foreign: "unknown-data-key", newer: "unknown-format", broken: "data-key-broken",
    })
    expect(await world.store.list(world.bucket)).toEqual(before)
    expect(JSON.stringify([result, world.lines])).not.toContain(SECRET)
  })

  it("S7: tells our uploads from others' by progress documents, by lease live or stale, and counts the bytes of their parts", async () => {
    const world = await makeWorld(harness.store, await harness.bucket())
    const { ids, counts, bytes } = await oneOfEachUpload(world)
    const result = await take(world)
    expect([result.counts, result.bytes]).toEqual([counts, bytes])
    const uploads = result.items.filter(({ outcome }) => outcome.startsWith("upload-"))
    expect(uploads.map(({ uploadId, outcome }) => [uploadId, outcome]).sort()).toEqual([[ids.other, "upload-other"], [ids.stale, "upload-stale"]].sort())
    for (const { since } of uploads) expect(Math.abs(Date.parse(since ?? "") - Date.now())).toBeLessThan(DAY * 1_000)
  })

  it("many runs of few entries, each from the cursor of the one before, count the same as a single one", async () => {
    const world = await makeWorld(harness.store, await harness.bucket())
    await oneOfEach(world)
    await oneOfEachUpload(world)
    const { counts, bytes } = await take(world)
    const summed = await takeAll(world, { limit: 4 })
    expect(summed).toMatchObject({ counts, bytes })
    expect(summed.runs).toBeGreaterThan(4)
  })

  it("of a prefix it counts what begins with it, and nothing else", async () => {
    const world = await makeWorld(harness.store, await harness.bucket())
    for (const key of ["a/1", "a/2", "b/1"]) await world.store.put(world.ref(key), patterned(3))
    for (const key of ["a/3", "b/3"]) await world.store.createUpload(world.ref(key))
    for (const key of ["a/4", "b/4"]) await beginProgress(world, world.ref(key))
    expect((await take(world, { prefix: "a/" })).counts).toEqual({ plain: 2, "upload-other": 1, "progress-live": 1 })
  })
})

describe("census", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  beforeAll(async () => {
    harness = await localHarness()
  })
  afterAll(() => harness.close())
  const newWorld = async (options = {}) => makeWorld(harness.store, await harness.bucket(), options)

  it("one ranged GET for each object, and a second one only where its final chunk is behind the first 64 KiB", async () => {
    const world = await newWorld()
    await oneOfEach(world)
    let gets = 0
    const store = withMethods(world.store, (inner) => ({ get: (...args) => (gets++, inner.get(...args)) }))
    await take(world, {}, { store })
    expect(gets).toBe(11 - 1 + 2) // all but the directory marker; the empty one and the large sealed one twice
  })

  it.each(["enabled", "suspended"] as const)("with versioning %s it counts noncurrent plaintext and noncurrent sealed versions, and delete markers", async (versioning) => {
    const world = await newWorld()
    const { store, ref, bucket } = world
    await store.put(ref("history"), patterned(10)) // the null version, which suspended versioning would replace
    await store.put(ref("sealed"), patterned(200_000))
    await world.seal("sealed")
    const { length } = (await world.stored("sealed")) ?? Buffer.alloc(0)
    await store.setVersioning(bucket, "enabled")
    await store.put(ref("history"), patterned(20))
    await store.put(ref("sealed"), patterned(30))
    await store.put(ref("deleted"), patterned(40))
    await store.delete(ref("deleted"))
    if (versioning === "suspended") await store.setVersioning(bucket, versioning)
    const result = await take(world)
    expect(result).toMatchObject({
      done: true, counts: { plain: 2, "noncurrent-plain": 2, "noncurrent-sealed": 1, "delete-marker": 1 },
      bytes: { plain: 50, "noncurrent-plain": 50, "noncurrent-sealed": length, "delete-marker": 0 },
    })
    expect(result.items.filter(({ outcome }) => outcome === "noncurrent-plain").every(({ versionId }) => versionId !== undefined)).toBe(true)
    expect(await takeAll(world, { limit: 1 })).toMatchObject({ counts: result.counts, bytes: result.bytes })
  })

  it("an object that changes while it is looked at is counted once, as what it is then", async () => {
    const world = await newWorld()
    await world.store.put(world.ref("changing"), patterned(200_000))
    await world.seal("changing")
    let changes = 0
    const store = withMethods(world.store, (inner) => ({
      async get(ref, options) {
        const isSecondLook = typeof options?.range === "object" && "start" in options.range && options.range.start > 0
        if (isSecondLook && changes++ === 0) await inner.put(ref, patterned(7))
        return inner.get(ref, options)
      },
    }))
    expect(await take(world, {}, { store })).toMatchObject({ counts: { plain: 1 }, bytes: { plain: 7 } })
    expect(changes).toBe(1)
  })

  it("one that never rests is unreadable for this time, and one that is gone by now isn't counted", async () => {
    const world = await newWorld()
    for (const key of ["restless", "gone"]) await world.store.put(world.ref(key), patterned(200_000))
    await world.seal("restless")
    const store = withMethods(world.store, (inner) => ({
      async get(ref, options) {
        if (ref.key === "gone") await inner.delete(ref)
        else if (typeof options?.range === "object" && "start" in options.range && options.range.start > 0) throw new Failure("precondition-failed", "it was changed")
        return inner.get(ref, options)
      },
    }))
    expect(await take(world, {}, { store })).toMatchObject({ counts: { unreadable: 1 }, items: [{ key: "restless", reason: "precondition-failed" }] })
  })

  it("archived and unreadable objects are named with the reason and the size of the listing", async () => {
    const world = await newWorld()
    for (const key of ["archived", "sse-c", "forbidden"]) await world.store.put(world.ref(key), patterned(10))
    const failures: Record<string, Failure> = {
      archived: new Failure("archived", "it is archived"), forbidden: new Failure("forbidden", "no"),
      "sse-c": new Failure("store-refused", "no", { status: 400, code: "InvalidRequest" }),
    }
    const store = withMethods(world.store, () => ({ get: (ref) => Promise.reject(failures[ref.key] ?? new Error("another key")) }))
    const result = await take(world, {}, { store })
    expect(result).toMatchObject({ counts: { archived: 1, unreadable: 2 }, bytes: { archived: 10, unreadable: 20 } })
    expect(result.items.map(({ key, reason }) => [key, reason])).toEqual([["archived", "archived"], ["forbidden", "forbidden"], ["sse-c", "sse-c"]])
  })

  it("an identity that may only wrap counts what looks sealed apart, as unverified", async () => {
    const world = await newWorld()
    await oneOfEach(world)
    const { counts } = await take(world, {}, { canUnwrap: false })
    expect(counts).toMatchObject({ "sealed-unverified": 4, moved: 1 }) // the damaged one and the broken key are not seen
    expect(counts["sealed"]).toBeUndefined()
  })

  it("stops at its signal in the middle of a page, and goes on from there: nothing is counted twice or left out", async () => {
    const world = await newWorld()
    const keys = Array.from({ length: 100 }, (_, n) => `k${String(n).padStart(3, "0")}`)
    for (const key of keys) await world.store.put(world.ref(key), patterned(2))
    const stopping = () => {
      const controller = new AbortController()
      let gets = 0
      const store = withMethods(world.store, (inner) => ({
        get: (...args) => {
          if (++gets === 20) controller.abort()
          return inner.get(...args)
        },
      }))
      return { store, signal: controller.signal }
    }
    const first = await take(world, {}, stopping())
    expect(first).toMatchObject({ done: false, counts: { plain: 32 } })
    const aborted = new AbortController()
    aborted.abort()
    expect(await take(world, {}, { signal: aborted.signal })).toMatchObject({ done: false, counts: {} })
    const summed = await takeAll(world, {}, stopping)
    expect(summed.counts).toEqual({ plain: 100 })
    const rest = await takeAll(world, { cursor: first.cursor }, stopping)
    expect(rest.counts).toEqual({ plain: 68 })
  })

  it("names at most 100, and at most 64 KiB of them, and says that there are more", async () => {
    const world = await newWorld()
    for (let n = 0; n < 120; n++) await world.store.put(world.ref(`${"\u0001".repeat(900)}${n}`), patterned(1))
    const long = await take(world)
    expect(long).toMatchObject({ counts: { plain: 120 }, more: true })
    expect(Buffer.byteLength(JSON.stringify(long.items))).toBeLessThanOrEqual(65_536)
    const many = await newWorld()
    for (let n = 0; n < 120; n++) await many.store.put(many.ref(`k${n}`), patterned(1))
    const short = await take(many)
    expect([short.items.length, short.more]).toEqual([100, true])
  })

  it("what no registration covers isn't read, and a bucket without any is refused", async () => {
    const world = await newWorld()
    await world.registrations.remove(world.bucket, "")
    await expect(take(world)).rejects.toMatchObject({ code: "not-found" })
    await world.register(world.bucket, {}, "in/")
    for (const key of ["in/1", "out/1"]) await world.store.put(world.ref(key), patterned(9))
    const read: string[] = []
    const store = withMethods(world.store, (inner) => ({ get: (ref, options) => (read.push(ref.key), inner.get(ref, options)) }))
    expect(await take(world, {}, { store })).toMatchObject({ counts: { plain: 1, "not-registered": 1 }, bytes: { "not-registered": 9 } })
    expect(read).toEqual(["in/1"])
  })

  it("S7: an upload in a vault is ours where the document of its source's bucket names it", async () => {
    const world = await newWorld()
    const vault = await harness.bucket()
    await world.register(vault)
    await world.registrations.put(world.bucket, "", (present) => {
      if (!present) throw new Error("not registered")
      const { rootKeys: _, ...registration } = present
      return { ...registration, mode: { destination: vault } }
    })
    const uploadId = await world.store.createUpload({ bucket: vault, key: "k" })
    await world.store.createUpload({ bucket: vault, key: "other" })
    await beginProgress(world, world.ref("k"), { uploadId, target: { bucket: vault } })
    expect((await take(world, { bucket: vault })).counts).toEqual({ "upload-live": 1, "upload-other": 1 })
  })

  it("an upload with the id of ours, but in another bucket or at another key, isn't ours", async () => {
    const world = await newWorld()
    const uploadId = await world.store.createUpload(world.ref("k"))
    await beginProgress(world, world.ref("k"), { uploadId, target: { bucket: "elsewhere" } })
    expect((await take(world)).counts).toMatchObject({ "upload-other": 1 })
  })

  it("a listing that does not go on is an error, no endless loop", async () => {
    const world = await newWorld()
    const store: Store = { ...world.store, list: async () => ({ objects: [], prefixes: [], next: "more" }) }
    await expect(take(world, {}, { store })).rejects.toMatchObject({ code: "unavailable" })
  })
})

describe("a cursor of the census", () => {
  const longest = { phase: "versions" as const, after: { key: "\u0001".repeat(1_024), id: "v".repeat(1_024) } }
  const cursorOf = (position: Position) => encodeCursor(positionValue(position)) ?? "none"

  it.each([{ phase: "objects" }, { phase: "uploads", after: { key: "ключ/\n", id: "x" } }, longest] as const)("is read back as it was written, within 8 KiB", (position) => {
    const cursor = cursorOf(position)
    expect(cursor).toMatch(/^[\w-]{1,8192}$/)
    expect(parseCursor(cursor, positionIn(""))).toEqual(position)
  })

  const written = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  it.each([
    ["nothing", ""], ["no base64url", "!!!"], ["no JSON", Buffer.from("x").toString("base64url")], ["no list", written({})],
    ["another phase", written(["x"])], ["a further member", written(["objects", "aw", "i", "j"])], ["a number", written(["objects", 1])],
    ["more than 8 KiB", written(["objects", "a".repeat(9_000)])], ["a key that is no UTF-8", written(["objects", "_w"])],
    ["a key of another prefix: it holds no right", cursorOf({ phase: "objects", after: { key: "b/1" } })],
    ["a path of other state", cursorOf({ phase: "progress", after: { key: "a/root-keys" } })],
  ])("%s is refused", async (_, cursor) => {
    const run = async () => census.run(census.input.parse({ bucket: "bucket", prefix: "a/", cursor }), {} as JobsContext, new AbortController().signal)
    await expect(run()).rejects.toMatchObject({ code: "bad-field" }) // before anything of the context is used
  })

  it.each([
    { bucket: "../root-keys" }, { bucket: "b" }, { limit: 0 }, { limit: 1_001 }, { abortUploadsOlderThan: 86_399 }, { fix: "yes" }, { unknown: 1 },
    { prefix: "p".repeat(1_025) },
  ])("an input with %j is refused", (wrong) => {
    expect(() => census.input.parse({ bucket: "bucket", ...wrong })).toThrow(expect.objectContaining({ code: "bad-field" }))
  })
})
