import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Failure } from "../shared/errors.ts"
import { identities } from "../shared/iam/identities.ts"
import { approvals } from "../shared/objects/approvals.ts"
import { progressPath, type ProgressFields } from "../shared/objects/progress.ts"
import { PROBE_PREFIX } from "../shared/store/probe.ts"
import { patterned } from "./bytes.ts"
import { approve, approver, beginProgress, take, takeAll, uploadsIn, withMethods, type Deviation } from "./census-fixtures.ts"
import { allStored, overwrite, stored } from "./key-fixtures.ts"
import { ACCOUNT, makeWorld, type World } from "./object-fixtures.ts"
import { localHarness, stores } from "./stores.ts"

const DAY = 86_400
const SECRET = "a plaintext that must show up nowhere"

/** An upload with one part. */
async function begin({ store, ref }: World, key: string): Promise<string> {
  const id = await store.createUpload(ref(key))
  await store.putPart(ref(key), id, 1, patterned(10))
  return id
}

describe.each(stores)("census --fix on %s", (_, open) => {
  let harness: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    harness = await open()
  })
  afterAll(() => harness.close())
  const newWorld = async (options = {}) => makeWorld(harness.store, await harness.bucket(), options)

  it("seals what is unsealed, leaves all else as it is, and a second one finds nothing to do", async () => {
    const world = await newWorld()
    const { store, ref } = world
    const contents: Record<string, Buffer> = { a: Buffer.from(SECRET), b: patterned(70_000), c: Buffer.alloc(0) }
    for (const [key, bytes] of Object.entries(contents)) await store.put(ref(key), bytes)
    await store.put(ref("newer"), Buffer.from("bucketseal/2\nx"))
    const approval = await approve(world)
    const first = await takeAll(world, { fix: true, approval, limit: 3 })
    expect([first.counts, first.fixed]).toEqual([{ plain: 3, "unknown-format": 1 }, { sealed: 3 }])
    for (const [key, bytes] of Object.entries(contents)) expect(await world.plaintext(key, 0, bytes.length - 1)).toEqual(bytes)
    expect(await world.stored("newer")).toEqual(Buffer.from("bucketseal/2\nx"))
    const second = await take(world, { fix: true, approval })
    expect([second.counts, second.fixed]).toEqual([{ sealed: 3, "unknown-format": 1 }, {}])
    const everything = JSON.stringify([first, second, world.lines])
    expect(everything).not.toContain(SECRET)
    expect(everything).not.toContain("ciphertext")
  })

  it("S7: without the option no upload of a user is ever aborted, however old, and with it only one that old", async () => {
    const world = await newWorld()
    const uploadId = await begin(world, "user")
    const approval = await approve(world, { options: { abortUploadsOlderThan: DAY }, expiresIn: 7 * DAY })
    world.clock.forward(1.5 * DAY)
    const without = await take(world, { fix: true, approval })
    expect([without.counts, without.fixed]).toEqual([{ "upload-other": 1 }, {}])
    const younger = await take(world, { fix: true, approval, abortUploadsOlderThan: 2 * DAY })
    expect([younger.counts, younger.fixed]).toEqual([{ "upload-other": 1 }, {}])
    expect(await uploadsIn(world)).toEqual([uploadId])
    const older = await take(world, { fix: true, approval, abortUploadsOlderThan: DAY })
    expect(older).toMatchObject({ counts: { "upload-other": 1 }, fixed: { aborted: 1 }, items: [{ uploadId, fix: "aborted" }] })
    expect(await uploadsIn(world)).toEqual([])
  })
})

describe("census --fix", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  beforeAll(async () => {
    harness = await localHarness()
  })
  afterAll(() => harness.close())
  const newWorld = async (options = {}) => makeWorld(harness.store, await harness.bucket(), options)
  const longLived = (world: World) => approve(world, { options: { abortUploadsOlderThan: DAY }, expiresIn: 7 * DAY })
  const abortAll = async (world: World) => ({ fix: true, approval: await longLived(world), abortUploadsOlderThan: DAY })

  it("without fix nothing is changed, and the option to abort is refused", async () => {
    const world = await newWorld()
    await world.store.put(world.ref("plain"), patterned(10))
    await begin(world, "user")
    await beginProgress(world, world.ref("left"), { until: 0 })
    world.clock.forward(9 * DAY)
    const states = await allStored(world.state, "progress/")
    expect((await take(world)).fixed).toEqual({})
    await expect(take(world, { abortUploadsOlderThan: DAY })).rejects.toMatchObject({ code: "bad-field" })
    expect(await world.stored("plain")).toEqual(patterned(10))
    expect([await allStored(world.state, "progress/"), (await uploadsIn(world)).length]).toEqual([states, 1])
  })

  it("S7: an old upload that got a part lately is alive", async () => {
    const world = await newWorld()
    const uploadId = await begin(world, "user")
    const input = await abortAll(world)
    world.clock.forward(5 * DAY)
    const store = withMethods(world.store, (inner) => ({
      async listParts(...args) {
        const listed = await inner.listParts(...args)
        return { ...listed, parts: listed.parts.map((part) => ({ ...part, lastModified: world.clock() - 60_000 })) }
      },
    }))
    expect((await take(world, input, { store })).fixed).toEqual({})
    expect(await uploadsIn(world)).toEqual([uploadId])
  })

  it("S7: an upload of which the store tells no date is never old enough", async () => {
    const world = await newWorld()
    const uploadId = await begin(world, "user")
    const input = await abortAll(world)
    world.clock.forward(5 * DAY)
    const store = withMethods(world.store, (inner) => ({
      async listUploads(...args) {
        const listed = await inner.listUploads(...args)
        return { ...listed, uploads: listed.uploads.map((upload) => ({ ...upload, initiated: Number.NaN })) }
      },
      listParts: async () => ({ parts: [] }),
    }))
    const result = await take(world, input, { store })
    expect([result.fixed, result.items[0]?.since]).toEqual([{}, "unknown"])
    expect(await uploadsIn(world)).toEqual([uploadId])
  })

  it("S7: an upload of which the store tells no parts is left alone, and one that can't be aborted is named", async () => {
    const world = await newWorld()
    const uploadId = await begin(world, "user")
    const input = await abortAll(world)
    world.clock.forward(5 * DAY)
    const refuse = () => Promise.reject(new Failure("forbidden", "no"))
    const untold = await take(world, input, { store: withMethods(world.store, () => ({ listParts: refuse })) })
    expect(untold).toMatchObject({ counts: { "upload-other": 1 }, fixed: {}, items: [{ uploadId, reason: "parts-untold" }] })
    const failed = await take(world, input, { store: withMethods(world.store, () => ({ abortUpload: refuse })) })
    expect(failed).toMatchObject({ fixed: { failed: 1 }, items: [{ uploadId, fix: "failed", reason: "forbidden" }] })
    expect(await uploadsIn(world)).toEqual([uploadId])
  })

  it("S7: what was left of a sealing is finished: neither its upload nor its document is there afterwards", async () => {
    const world = await newWorld()
    await world.store.put(world.ref("k"), patterned(100))
    const { etag = "", size = 0, lastModified = 0 } = await world.store.head(world.ref("k")) ?? {}
    const uploadId = await world.store.createUpload(world.ref("k"))
    const target = { bucket: world.bucket, etag }
    await beginProgress(world, world.ref("k"), { uploadId, until: world.clock() - 1, source: { etag, size, lastModified }, target, partSize: 5 * 2 ** 20 })
    const approval = await approve(world, { expiresIn: 7 * DAY })
    expect((await take(world)).counts).toEqual({ plain: 1, "upload-stale": 1, "progress-resumable": 1 })
    world.clock.forward(2 * DAY)
    await take(world, { fix: true, approval })
    expect(await take(world, { fix: true, approval })).toMatchObject({ counts: { sealed: 1 }, fixed: {}, left: 0 })
    expect([await uploadsIn(world), await allStored(world.state, "progress/")]).toEqual([[], {}])
    expect(await world.plaintext("k")).toEqual(patterned(100))
  })

  it("S7: an upload of ours is never aborted as somebody else's, neither with its lease nor where its document can't be read", async () => {
    const world = await newWorld()
    const [live, hidden] = [await begin(world, "live"), await begin(world, "hidden")]
    const input = await abortAll(world)
    world.clock.forward(5 * DAY)
    await beginProgress(world, world.ref("live"), { uploadId: live })
    await world.state.create(progressPath(world.ref("hidden")), { uploadId: hidden })
    const result = await take(world, input)
    expect([result.counts, result.fixed]).toEqual([{ "upload-live": 1, "upload-stale": 1, "progress-live": 1, "progress-unreadable": 1 }, {}])
    expect((await uploadsIn(world)).sort()).toEqual([live, hidden].sort())
  })

  it("S2: noncurrent plaintext is the user's history: it is reported with its bytes, and never removed", async () => {
    const world = await newWorld()
    const { store, ref, bucket } = world
    await store.setVersioning(bucket, "enabled")
    const first = await store.put(ref("k"), Buffer.from("first"))
    await store.put(ref("k"), Buffer.from("second!"))
    await store.delete(ref("k"))
    const result = await take(world, { fix: true, approval: await approve(world) })
    expect(result).toMatchObject({ counts: { "noncurrent-plain": 2, "delete-marker": 1 }, bytes: { "noncurrent-plain": 12 }, fixed: {} })
    expect((await store.listVersions(bucket)).versions).toHaveLength(3)
    expect(await store.head(ref("k"), { versionId: first.versionId ?? "" })).toMatchObject({ size: 5 })
  })

  it("S2: in a versioned bucket it seals the current object and removes exactly its plaintext; what users wrote before stays", async () => {
    const world = await newWorld()
    const { store, ref, bucket } = world
    await store.setVersioning(bucket, "enabled")
    await world.registrations.put(bucket, "", (present) => {
      if (!present) throw new Error("not registered")
      const { rootKeys: _, ...registration } = present
      return { ...registration, store: { ...registration.store, versioning: "enabled", removeSource: "version" } }
    })
    const older = await store.put(ref("k"), patterned(20))
    const newest = await store.put(ref("k"), patterned(30))
    const approval = await approve(world)
    expect(await take(world, { fix: true, approval })).toMatchObject({ counts: { plain: 1, "noncurrent-plain": 1 }, fixed: { sealed: 1 } })
    const { versions } = await store.listVersions(bucket)
    expect([versions.length, versions[1]?.versionId]).toEqual([2, older.versionId])
    expect(versions[0]?.versionId).not.toBe(newest.versionId)
    expect(await take(world, { fix: true, approval })).toMatchObject({ counts: { sealed: 1, "noncurrent-plain": 1 }, fixed: {} })
    expect(await world.plaintext("k")).toEqual(patterned(30))
  })

  it("removes a progress document of which nothing is left, a day after its lease", async () => {
    const world = await newWorld()
    const path = await beginProgress(world, world.ref("left"), { uploadId: "no-such-upload" })
    const approval = await longLived(world)
    world.clock.forward(120)
    expect((await take(world)).counts).toEqual({ "progress-leftover": 1 })
    world.clock.forward(DAY + 60)
    const result = await take(world, { fix: true, approval })
    expect([result.counts, result.fixed]).toEqual([{ "progress-leftover": 1 }, { removed: 1 }])
    expect(await stored(world.state, path)).toEqual({})
    expect((await take(world, { fix: true, approval })).counts).toEqual({})
  })

  it("keeps the progress document of somebody who is at work", async () => {
    const world = await newWorld()
    const path = await beginProgress(world, world.ref("k"), { until: world.clock() + 9 * DAY * 1_000 })
    const result = await take(world, { fix: true, approval: await longLived(world) })
    expect([result.counts, result.fixed]).toEqual([{ "progress-live": 1 }, {}])
    expect(await stored(world.state, path)).not.toEqual({})
  })

  it("an object that has not settled is left to the retries", async () => {
    const world = await newWorld({ register: { settle: 3_600 } })
    await world.store.put(world.ref("new"), patterned(10))
    const result = await take(world, { fix: true, approval: await approve(world) })
    expect(result).toMatchObject({ counts: { plain: 1 }, fixed: { parked: 1 }, items: [{ key: "new", fix: "parked", reason: "settling" }] })
    expect(await world.stored("new")).toEqual(patterned(10))
    expect(Object.keys(await allStored(world.state, "parked/"))).toHaveLength(1)
  })

  it("S6: of a multipart object the store may tell the upload's beginning: it settles from when it is first seen", async () => {
    const world = await newWorld({ register: { settle: 60 } })
    const { store, ref } = world
    const id = await begin(world, "k")
    const { parts } = await store.listParts(ref("k"), id)
    await store.completeUpload(ref("k"), id, parts)
    await store.put(ref("put"), patterned(10))
    world.clock.forward(3_600)
    const result = await take(world, { fix: true, approval: await approve(world) })
    expect(result).toMatchObject({ counts: { plain: 2 }, fixed: { parked: 1, sealed: 1 }, items: [{ key: "k", reason: "settling" }, { key: "put", fix: "sealed" }] })
  })

  it("S6: what replaced the source of a sealing that was left settles from when it is first seen", async () => {
    const world = await newWorld({ register: { settle: 3_600 } })
    await beginProgress(world, world.ref("k"), { until: world.clock() - 1 })
    const store = withMethods(world.store, (inner) => ({
      async list(...args) { // so that only the progress document leads to it
        const page = await inner.list(...args)
        return { ...page, objects: [] }
      },
    }))
    await world.store.put(world.ref("k"), patterned(10))
    const result = await take(world, { fix: true, approval: await approve(world) }, { store })
    expect(result).toMatchObject({ counts: { "progress-leftover": 1 }, fixed: { parked: 1 }, items: [{ key: "k", fix: "parked", reason: "settling" }] })
    expect(await world.stored("k")).toEqual(patterned(10))
  })

  it("an object whose authorization is missing is named with the one to create", async () => {
    const world = await newWorld()
    await world.store.put(world.ref("k"), patterned(10))
    await world.policies.delete(ACCOUNT, world.grant.id)
    const { items } = await take(world, { fix: true, approval: await approve(world) })
    expect(items).toMatchObject([{ fix: "parked", reason: "not-authorized", missing: { type: "authorization" } }])
  })

  it("S7: an upload of the store's probe is nobody's: it is not looked at, and never aborted", async () => {
    const world = await newWorld()
    const uploadId = await begin(world, `${PROBE_PREFIX}x/upload`)
    const input = await abortAll(world)
    world.clock.forward(5 * DAY)
    expect(await take(world, input)).toMatchObject({ counts: { scratch: 1 }, fixed: {}, left: 0, items: [] })
    expect(await uploadsIn(world)).toEqual([uploadId])
  })

  it("what can't be sealed is noted as parked, and named with the reason", async () => {
    const world = await newWorld()
    await world.store.put(world.ref("k"), patterned(10))
    await world.rootKeys.disable(world.rootKey.id)
    const result = await take(world, { fix: true, approval: await approve(world) })
    expect(result.items).toMatchObject([{ key: "k", outcome: "plain", fix: "parked", reason: "key-state" }])
  })

  it("stops at its signal between two objects, and what was mended then is counted once", async () => {
    const world = await newWorld()
    for (let n = 0; n < 20; n++) await world.store.put(world.ref(`k${n + 10}`), patterned(10))
    const approval = await approve(world)
    const stopping = () => {
      const controller = new AbortController()
      let puts = 0
      const store = withMethods(world.store, (inner) => ({
        async put(...args) {
          const result = await inner.put(...args)
          if (++puts === 7) controller.abort()
          return result
        },
      }))
      return { store, signal: controller.signal }
    }
    const first = await take(world, { fix: true, approval }, stopping())
    expect(first.done).toBe(false)
    const rest = await takeAll(world, { fix: true, approval, cursor: first.cursor }, stopping)
    expect((first.counts["plain"] ?? 0) + (rest.counts["plain"] ?? 0) + (rest.counts["sealed"] ?? 0)).toBe(20)
    expect((await take(world)).counts).toEqual({ sealed: 20 })
  })
})

describe("a census whose signal aborts while it seals", () => {
  it("counts the object at which it stopped in the next run only", async () => {
    const harness = await localHarness()
    try {
      const world = await makeWorld(harness.store, await harness.bucket())
      for (const key of ["a", "b"]) await world.store.put(world.ref(key), patterned(10))
      const approval = await approve(world)
      const controller = new AbortController()
      const store = withMethods(world.store, (inner) => ({
        async put(...args) {
          if (args[0].key !== "b") return inner.put(...args)
          controller.abort()
          throw new Error("aborted")
        },
      }))
      const first = await take(world, { fix: true, approval }, { store, signal: controller.signal })
      expect(first).toMatchObject({ done: false, counts: { plain: 1 }, fixed: { sealed: 1 } })
      expect(await takeAll(world, { fix: true, approval, cursor: first.cursor })).toMatchObject({ counts: { plain: 1 }, fixed: { sealed: 1 } })
    } finally {
      await harness.close()
    }
  })
})

describe("what a census takes for the rest of a sealing", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  beforeAll(async () => {
    harness = await localHarness()
  })
  afterAll(() => harness.close())

  /** A world in which sealing does nothing, so that only the census itself may remove a document; two days after its lease. */
  async function leftWorld(arrange: (world: World) => Promise<Partial<ProgressFields>>) {
    const world = await makeWorld(harness.store, await harness.bucket())
    const path = await beginProgress(world, world.ref("k"), { until: world.clock(), ...await arrange(world) })
    await world.register(world.bucket, { enabled: false })
    const approval = await approve(world, { expiresIn: 7 * DAY })
    world.clock.forward(2 * DAY)
    const fix = (deviation: Deviation = {}) => take(world, { fix: true, approval }, deviation)
    return { world, path, fix, isThere: async () => (await stored(world.state, path))["mac"] !== undefined }
  }
  const pinTo = async (world: World, versionId?: string): Promise<Partial<ProgressFields>> => {
    const { etag, size, lastModified } = await world.store.head(world.ref("k"), versionId === undefined ? {} : { versionId }) ?? { etag: "", size: 0, lastModified: 0 }
    return { source: { etag, size, lastModified, ...(versionId === undefined ? {} : { versionId }) } }
  }

  it("with nothing left of it, it is removed", async () => {
    const { fix, isThere } = await leftWorld(async () => ({}))
    expect((await fix()).fixed).toEqual({ removed: 1 })
    expect(await isThere()).toBe(false)
  })

  it.each([
    ["its source is there", async (world: World) => {
      await world.store.put(world.ref("k"), patterned(10))
      return pinTo(world)
    }],
    ["its source is there as a noncurrent version", async (world: World) => {
      await world.store.setVersioning(world.bucket, "enabled")
      const { versionId } = await world.store.put(world.ref("k"), patterned(10))
      await world.store.put(world.ref("k"), patterned(11))
      return pinTo(world, versionId)
    }],
    ["its source became the null version under others", async (world: World) => {
      await world.store.put(world.ref("k"), patterned(10))
      const pin = await pinTo(world)
      await world.store.setVersioning(world.bucket, "enabled")
      await world.store.put(world.ref("k"), patterned(11))
      return pin
    }],
    ["its lease was over less than a day ago", async (world: World) => ({ until: world.clock() + (DAY + 60) * 1_000 })],
  ] as const)("S2, S7: where %s it stays", async (_, arrange) => {
    const { fix, isThere } = await leftWorld(arrange)
    expect((await fix()).fixed["removed"]).toBeUndefined()
    expect(await isThere()).toBe(true)
  })

  it("S7: its upload is aborted first, also in the bucket that it was sealed to", async () => {
    const vault = await harness.bucket()
    const inVault = (world: World): World => ({ ...world, bucket: vault, ref: (key) => ({ bucket: vault, key }) })
    const { world, fix, isThere } = await leftWorld(async (made) => {
      await made.register(vault)
      return { uploadId: await begin(inVault(made), "k"), target: { bucket: vault } }
    })
    const userId = await begin(inVault(world), "k")
    expect((await fix()).fixed).toEqual({ removed: 1 })
    expect([await isThere(), await uploadsIn(inVault(world))]).toEqual([false, [userId]])
  })

  it.each([
    ["signed by nobody", (document: Record<string, string>) => ({ ...document, mac: Buffer.alloc(32).toString("base64") })],
    ["changed by somebody", (document: Record<string, string>) => ({ ...document, holder: "somebody" })],
    ["of a data key that isn't there", (document: Record<string, string>) => ({ ...document, dek: "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11" })],
  ])("S7: in a document that is %s the id of a user's upload may stand: neither is touched", async (_, forge) => {
    const { world, path, fix, isThere } = await leftWorld(async (made) => ({ uploadId: await begin(made, "k") }))
    await overwrite(world.state, path, forge(await stored(world.state, path)))
    expect((await fix()).fixed["removed"]).toBeUndefined()
    expect([await isThere(), (await uploadsIn(world)).length]).toEqual([true, 1])
  })

  it("where its upload can't be aborted, or may be there for all that the store tells, it stays", async () => {
    const { world, fix, isThere } = await leftWorld(async (made) => ({ uploadId: await begin(made, "k") }))
    const refuse = () => Promise.reject(new Failure("forbidden", "no"))
    const store = withMethods(world.store, () => ({ abortUpload: refuse, listParts: refuse }))
    expect((await fix({ store })).fixed["removed"]).toBeUndefined()
    expect(await isThere()).toBe(true)
  })

  it("S1: the document of a source that is kept, sealed elsewhere, is as it should be", async () => {
    const { world, fix, isThere } = await leftWorld(async (made) => {
      await made.store.put(made.ref("k"), patterned(10))
      return { ...await pinTo(made), kept: true }
    })
    expect((await fix()).counts).toMatchObject({ "progress-kept": 1 })
    expect(await isThere()).toBe(true)
    await world.store.delete(world.ref("k"))
    expect((await fix()).fixed).toEqual({ removed: 1 })
  })

  it("where the store doesn't tell whether its source is there it stays", async () => {
    const { world, fix, isThere } = await leftWorld(async () => ({}))
    const store = withMethods(world.store, () => ({ head: () => Promise.reject(new Failure("forbidden", "no")) }))
    expect((await fix({ store })).fixed["removed"]).toBeUndefined()
    expect(await isThere()).toBe(true)
  })

  it("where somebody has taken it meanwhile it stays", async () => {
    const { world, path, fix, isThere } = await leftWorld(async () => ({}))
    const store = withMethods(world.store, (inner) => ({
      async head(...args) {
        await overwrite(world.state, path, { ...(await stored(world.state, path)), until: world.clock() + 60_000 })
        return inner.head(...args)
      },
    }))
    expect((await fix({ store })).fixed["removed"]).toBeUndefined()
    expect(await isThere()).toBe(true)
  })
})

describe("an approval for census --fix", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => {
    harness = await localHarness()
    world = await makeWorld(harness.store, await harness.bucket())
    await world.store.put(world.ref("in/1"), patterned(10))
  })
  afterAll(() => harness.close())
  const fix = (approval: string | undefined, more: object = {}) => take(world, { fix: true, ...(approval === undefined ? {} : { approval }), ...more })
  const refused = (words: string) => ({ code: "forbidden", message: expect.stringContaining(words) })

  it("is needed, and one that isn't there, or is no id, is refused", async () => {
    await expect(fix(undefined)).rejects.toMatchObject(refused("needs the id of an approval"))
    for (const id of ["0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11", "../registrations/x", "", "__proto__"]) await expect(fix(id)).rejects.toMatchObject(refused("there is no approval"))
  })

  it("of another bucket, or of a narrower prefix, is refused; of a wider one it holds", async () => {
    await expect(fix(await approve(world, { scope: { bucket: "another-bucket" } }))).rejects.toMatchObject(refused("another bucket"))
    const narrow = await approve(world, { scope: { bucket: world.bucket, prefix: "in/" } })
    await expect(fix(narrow)).rejects.toMatchObject(refused('only what begins with "in/"'))
    await expect(fix(narrow, { prefix: "i" })).rejects.toMatchObject(refused("only what begins with"))
    expect(await fix(narrow, { prefix: "in/1/" })).toMatchObject({ done: true, counts: {} })
  })

  it("lets no upload be aborted where it does not say so, or of a lesser age than it says", async () => {
    const day = await approve(world, { options: { abortUploadsOlderThan: 2 * DAY } })
    await expect(fix(await approve(world), { abortUploadsOlderThan: DAY })).rejects.toMatchObject(refused("does not say abortUploadsOlderThan"))
    await expect(fix(day, { abortUploadsOlderThan: DAY })).rejects.toMatchObject(refused("younger than 172800"))
  })

  it("that has expired is refused, to the second", async () => {
    const id = await approve(world, { expiresIn: 60, scope: { bucket: world.bucket, prefix: "none" } })
    world.clock.forward(59)
    await fix(id, { prefix: "none" })
    world.clock.forward(1)
    await expect(fix(id, { prefix: "none" })).rejects.toMatchObject(refused("has expired"))
  })

  it("that was withdrawn is refused at the next run, also to one that goes on from a cursor", async () => {
    for (const key of ["b1", "b2"]) await world.store.put(world.ref(key), patterned(10))
    const kept = approvals(world.state, world.clock)
    const id = await approve(world)
    const { cursor } = await fix(id, { limit: 1 })
    const present = await kept.read(id)
    if (present) await kept.withdraw(present)
    await expect(fix(id, { cursor })).rejects.toMatchObject(refused("withdrawn"))
    expect(await world.stored("b2")).toEqual(patterned(10))
  })

  it("of somebody whose right was taken since is refused at the next run, and so is one of an identity that is gone", async () => {
    for (const key of ["d1", "d2"]) await world.store.put(world.ref(key), patterned(10))
    const [deprived, deleted] = [await approver(world), await approver(world)]
    const [first, second] = [await approve(world, {}, deprived), await approve(world, {}, deleted)]
    const { cursor } = await fix(first, { prefix: "d", limit: 1 })
    expect(await world.policies.delete(ACCOUNT, deprived.policy)).toBe(true)
    await expect(fix(first, { prefix: "d", cursor })).rejects.toMatchObject(refused(`${deprived.by}, who made it, may not do that any more`))
    await fix(second, { prefix: "none" })
    await identities(world.state, 0, world.clock).delete(deleted.by)
    await expect(fix(second, { prefix: "d" })).rejects.toMatchObject(refused("may not do that any more"))
    expect(await world.stored("d2")).toEqual(patterned(10))
  })

  it("of somebody whom another issuer knows, or of a service, holds as long as the policies for him", async () => {
    const { policy, ...maker } = await approver(world)
    await identities(world.state, 0, world.clock).delete(maker.by)
    const id = await approve(world, {}, { ...maker, isOurs: false, policy })
    await fix(id, { prefix: "none" })
    await world.policies.delete(ACCOUNT, policy)
    await expect(fix(id, { prefix: "none" })).rejects.toMatchObject(refused("may not do that any more"))
  })

  it("that ends while a run mends ends the mending: the rest is as it was", async () => {
    const bucket = await harness.bucket()
    const other = await makeWorld(harness.store, bucket)
    for (const key of ["k1", "k2", "k3"]) await other.store.put(other.ref(key), patterned(10))
    const approval = await approve(other, { expiresIn: 60 })
    const store = withMethods(other.store, (inner) => ({
      async put(...args) {
        other.clock.forward(40)
        return inner.put(...args)
      },
    }))
    const result = await take(other, { fix: true, approval }, { store })
    expect(result).toMatchObject({ done: false, fixed: { sealed: 2 } })
    expect(await other.stored("k3")).toEqual(patterned(10))
    await expect(take(other, { fix: true, approval, cursor: result.cursor })).rejects.toMatchObject(refused("has expired"))
  })

  it("for another operation is refused, whoever may have written it", async () => {
    const id = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a22"
    const present = await approvals(world.state, world.clock).read(await approve(world))
    await world.state.create(`approvals/${id}.json`, { ...present, id, operation: "decrypt" })
    await expect(fix(id)).rejects.toMatchObject(refused("is for decrypt, not for fix"))
  })

  it("at the path of another id is none", async () => {
    const id = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a33"
    await world.state.create(`approvals/${id}.json`, await approvals(world.state, world.clock).read(await approve(world)))
    await expect(fix(id)).rejects.toMatchObject(refused("there is no approval"))
  })
})
