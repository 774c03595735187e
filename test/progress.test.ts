/** The progress document: whom it is believed, who holds its lease, and what makes every run of a sealing give identical bytes. */
import { randomBytes } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as z from "zod/mini"
import { parseHeader } from "../shared/crypto/header.ts"
import { progressPath, type Progress } from "../shared/objects/progress.ts"
import { collect } from "../shared/objects/reading.ts"
import type { Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { Crash } from "./failing-store.ts"
import { overwrite } from "./key-fixtures.ts"
import { LEASE, sealingWorld, type SealingWorld } from "./sealing-worlds.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const MIB = 2 ** 20
const SIZE = 9 * MIB // two parts

describe("a sealing that takes several runs", () => {
  let harness: Harness
  let at: SealingWorld
  beforeAll(async () => {
    harness = await localHarness()
    at = await sealingWorld(harness, "conditional complete")
  })
  afterAll(() => harness.close())

  const waitOut = () => at.world.clock.forward(LEASE / 1_000 + 1)
  const uploadIds = async (key: string) =>
    (await at.store.listUploads(at.target(key).bucket, { prefix: key })).uploads.map(({ uploadId }) => uploadId)
  const documentOf = async (key: string): Promise<Progress> => {
    const document = await at.progressOf(key)
    if (!document) throw new Error("there is no progress document")
    return document
  }

  /** A store that notes the bytes of each part and stops, or ends the process, behind so many. */
  function watched(after = Infinity, how: "stop" | "crash" = "stop") {
    const parts: { readonly number: number; readonly bytes: Buffer; readonly uploadId: string }[] = []
    const stop = new AbortController()
    const store: Store = { ...at.store, putPart: async (ref, uploadId, number, body, options) => {
      const bytes = body instanceof Uint8Array ? Buffer.from(body) : await collect(body.stream)
      const answer = await at.store.putPart(ref, uploadId, number, bytes, options)
      parts.push({ number, bytes, uploadId })
      if (parts.length >= after && how === "stop") stop.abort()
      if (parts.length >= after && how === "crash") throw new Crash("the process has ended")
      return answer
    } }
    return { store, parts, signal: stop.signal }
  }

  /** Puts an object and seals its first part. */
  async function begun(key: string, size = SIZE) {
    const plaintext = Buffer.from(patterned(size))
    await at.store.put(at.source(key), plaintext)
    const first = watched(1)
    expect(await at.seal(key, at.sealer({ store: first.store }), first.signal)).toEqual({ outcome: "unfinished", goesOn: true })
    return { plaintext, first, document: await documentOf(key) }
  }

  /** The salt of what is sealed at a key. */
  async function saltAt(key: string): Promise<string> {
    const sealed = await at.raw(at.target(key)) ?? Buffer.alloc(0)
    const parsed = parseHeader(sealed)
    if (parsed.kind !== "header") throw new Error("not sealed")
    return sealed.subarray(parsed.size, parsed.size + 24).toString("base64")
  }

  it("S5: stopped by its signal it is unfinished, and the next run goes on: no part the store acknowledged is sent again", async () => {
    const { plaintext, first, document } = await begun("stopped", 17 * MIB)
    expect(document.until).toBe(0) // the lease is given back
    const second = watched()
    expect(await at.seal("stopped", at.sealer({ store: second.store }))).toMatchObject({ outcome: "sealed" })
    expect([first, second].map(({ parts }) => parts.map(({ number }) => number))).toEqual([[1], [2, 3]])
    expect((await at.opened("stopped"))?.equals(plaintext)).toBe(true)
    expect([await at.progressOf("stopped"), await uploadIds("stopped")]).toEqual([undefined, []])
  })

  it("what several runs make is identical to what one run makes with the same salt", async () => {
    const { document } = await begun("identical", 17 * MIB)
    const next = watched(1)
    await at.seal("identical", at.sealer({ store: next.store }), next.signal)
    expect(await at.seal("identical")).toMatchObject({ outcome: "sealed" })
    const resumed = await at.raw(at.target("identical"))
    await at.store.put(at.source("identical"), patterned(17 * MIB))
    const dek = await at.world.makeKeyring(true).forOpening({ id: document.dek, bucket: at.target("").bucket, rootKeys: [at.world.rootKey.crn] })
    const whole = at.sealer({
      multipartBytes: 2 ** 40, random: (size) => (size === 24 ? Buffer.from(document.salt, "base64") : randomBytes(size)),
    })
    const forSealing = async () => ({ id: document.dek, dek: Uint8Array.from(dek ?? []) })
    await at.seal("identical", { ...whole, dataKeys: { ...whole.dataKeys, forSealing } })
    expect((await at.raw(at.target("identical")))?.equals(resumed ?? Buffer.alloc(0))).toBe(true)
  })

  it("S7: of two runs at once the second is busy until the lease of the first ends", async () => {
    await at.store.put(at.source("two"), patterned(200_000))
    let meanwhile: unknown
    const store: Store = { ...at.store, putPart: async (...args) => {
      meanwhile = await at.seal("two")
      return at.store.putPart(...args)
    } }
    expect(await at.seal("two", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    expect(meanwhile).toEqual({ outcome: "busy", until: at.world.clock() + LEASE })
  })

  it("S7: a lease that has ended is taken over, and who has lost it stops before its next request", async () => {
    await at.store.put(at.source("lost"), patterned(SIZE))
    let once = true
    let after = 0
    const noticing = <A extends unknown[], R>(call: (...args: A) => R) => (...args: A): R => {
      if (!once) after++
      return call(...args)
    }
    const { putPart, completeUpload, abortUpload, put } = at.store
    const store: Store = { ...at.store, put: noticing(put), completeUpload: noticing(completeUpload), abortUpload: noticing(abortUpload), putPart: noticing(async (...args) => {
      const answer = await putPart(...args)
      if (once) {
        once = false
        waitOut()
        expect(await at.seal("lost")).toMatchObject({ outcome: "sealed" })
      }
      return answer
    }) }
    expect(await at.seal("lost", at.sealer({ store }))).toMatchObject({ outcome: "busy" })
    expect(after).toBe(0)
    expect((await at.opened("lost"))?.equals(patterned(SIZE))).toBe(true)
  })

  it("S7: should two run all the same, each part has identical bytes, whoever sends it", async () => {
    await at.store.put(at.source("both"), patterned(SIZE))
    const slow = watched()
    const other = watched()
    let once = true
    const store: Store = { ...at.store, putPart: async (...args) => {
      if (once) {
        once = false
        waitOut()
        const stopping: Store = { ...other.store, completeUpload: () => Promise.reject(new Crash("the process has ended")) }
        await at.seal("both", at.sealer({ store: stopping })).catch(() => undefined)
      }
      return slow.store.putPart(...args)
    } }
    await at.seal("both", at.sealer({ store }))
    const [mine] = slow.parts
    const theirs = other.parts.find(({ number }) => number === mine?.number)
    expect(other.parts.map(({ number }) => number)).toEqual([1, 2])
    expect(mine?.uploadId).toBe(theirs?.uploadId)
    expect(mine && theirs?.bytes.equals(mine.bytes)).toBe(true)
  })

  it("S7: an upload of which the record was lost is not met again; one that the store has dropped is begun anew, with a fresh salt", async () => {
    const { document } = await begun("dropped")
    await at.store.abortUpload(at.target("dropped"), document.uploadId ?? "")
    expect(await at.seal("dropped")).toMatchObject({ outcome: "sealed" })
    expect(await saltAt("dropped")).not.toBe(document.salt)
    expect((await at.opened("dropped"))?.equals(patterned(SIZE))).toBe(true)
  })

  it("a source that changed is begun anew with a fresh salt, and the upload of the former is aborted", async () => {
    const { document } = await begun("changed")
    await at.store.put(at.source("changed"), patterned(300_000))
    expect(await at.seal("changed")).toMatchObject({ outcome: "sealed" })
    expect(await saltAt("changed")).not.toBe(document.salt)
    expect([await uploadIds("changed"), (await at.opened("changed"))?.equals(patterned(300_000))]).toEqual([[], true])
  })

  it.each(["another ETag", "another size", "another version"])("a store that ignores If-Match on reads: an answer with %s is not used, and a fresh salt begins", async (how) => {
    const world = how === "another version" ? await sealingWorld(harness, "versions enabled, complete") : at
    await world.store.put(world.source("ignored"), patterned(200_000))
    const salts: (string | undefined)[] = []
    let lied = false
    const store: Store = { ...world.store, get: async (ref, options = {}) => {
      const { ifMatch, versionId: _, ...plain } = options
      const object = await world.store.get(ref, plain)
      if (!object || ifMatch === undefined) return object
      salts.push((await world.progressOf("ignored"))?.salt)
      if (lied) return object
      lied = true
      const { etag, size, versionId } = object
      const other = { etag: how === "another ETag" ? "another" : etag, size: how === "another size" ? size + 1 : size }
      return { ...object, ...other, ...(versionId === undefined ? {} : { versionId: "another" }), body: garbage(size) }
    } }
    expect(await world.seal("ignored", world.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    expect((await world.opened("ignored"))?.equals(patterned(200_000))).toBe(true)
    expect(new Set(salts.slice(0, 2)).size).toBe(2)
  })

  async function* garbage(size: number) {
    yield Buffer.alloc(size, "of another object")
  }

  it("who may not unwrap can't tell whether a sealing was ours: parked, and nothing is touched", async () => {
    const { document } = await begun("write-only")
    const sealer = at.sealer({ dataKeys: at.world.makeKeyring(false) })
    expect(await at.seal("write-only", sealer)).toEqual({ outcome: "parked", reason: "cannot-resume" })
    expect([await documentOf("write-only"), await uploadIds("write-only")]).toEqual([document, [document.uploadId]])
  })

  const forgeries: Record<string, (document: Progress) => object> = {
    holder: (document) => ({ ...document, holder: "0".repeat(32) }),
    until: (document) => ({ ...document, until: document.until + 1 }),
    "source.etag": (document) => ({ ...document, source: { ...document.source, etag: "0".repeat(32) } }),
    "source.size": (document) => ({ ...document, source: { ...document.source, size: document.source.size + 1 } }),
    "source.lastModified": (document) => ({ ...document, source: { ...document.source, lastModified: 1 } }),
    "source.versionId": (document) => ({ ...document, source: { ...document.source, versionId: "1" } }),
    "target.etag": (document) => ({ ...document, target: { ...document.target, etag: "1" } }),
    "target.bucket": (document) => ({ ...document, target: { ...document.target, bucket: "another-bucket" } }),
    salt: (document) => ({ ...document, salt: Buffer.alloc(24).toString("base64") }),
    dek: (document) => ({ ...document, dek: "00000000-0000-4000-8000-000000000000" }),
    partSize: (document) => ({ ...document, partSize: 5 * MIB }),
    kept: (document) => ({ ...document, kept: true }),
    mac: (document) => ({ ...document, mac: Buffer.alloc(32).toString("base64") }),
    "mac, cut": (document) => ({ ...document, mac: "" }),
    bucket: (document) => ({ ...document, bucket: "another-bucket" }),
    key: (document) => ({ ...document, key: "another" }),
  }

  describe("a document that was changed", () => {
    let original: Progress
    const key = "forged"
    const path = () => progressPath(at.source(key))
    beforeAll(async () => void (original = (await begun(key)).document))

    it.each([...Object.keys(forgeries), "uploadId"])("in %s is not believed: a fresh salt begins, and the upload it names is not aborted", async (field) => {
      await at.store.put(at.source(key), patterned(200_000))
      const victim = await at.store.createUpload(at.target(key)) // a user's
      const forged = field === "uploadId" ? { ...original, uploadId: victim } : { ...forgeries[field]?.(original), uploadId: victim }
      await replaceDocument(path(), forged)
      const result = await at.seal(key)
      expect(result).toMatchObject({ outcome: "sealed" })
      expect(await saltAt(key)).not.toBe(original.salt)
      expect(await saltAt(key)).not.toBe(Buffer.alloc(24).toString("base64"))
      expect(await uploadIds(key)).toContain(victim)
      await at.store.abortUpload(at.target(key), victim)
    })
  })

  it("an earlier document of ours, put back, has its salt used for no other source", async () => {
    const { document } = await begun("put back")
    await at.store.put(at.source("put back"), patterned(SIZE + 1))
    const second = watched(1)
    await at.seal("put back", at.sealer({ store: second.store }), second.signal)
    await replaceDocument(progressPath(at.source("put back")), document)
    expect(await at.seal("put back")).toMatchObject({ outcome: "sealed" })
    expect(await saltAt("put back")).not.toBe(document.salt)
    expect((await at.opened("put back"))?.equals(patterned(SIZE + 1))).toBe(true)
  })

  it("a document of one object is not believed at another", async () => {
    const { document } = await begun("one place")
    await at.store.put(at.source("other place"), patterned(SIZE))
    await at.world.state.create(progressPath(at.source("other place")), document)
    expect(await at.seal("other place")).toMatchObject({ outcome: "sealed" })
    expect(await saltAt("other place")).not.toBe(document.salt)
    expect(await uploadIds("one place")).toEqual([document.uploadId])
  })

  async function replaceDocument(path: string, document: object): Promise<void> {
    if (await at.world.state.create(path, document) === undefined) await overwrite(at.world.state, path, document)
    expect(await at.world.state.read(path, z.looseObject({ mac: z.string() }))).toBeDefined()
  }
})
