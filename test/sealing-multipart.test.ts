/** Sealing by a multipart upload with a conditional completion: how the sealed bytes are cut, and what becomes of the upload. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { partSizeFor } from "../shared/objects/parts.ts"
import type { Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { contextOf, never } from "./job-fixtures.ts"
import { MULTIPART_BYTES, sealingWorld, type SealingWorld } from "./sealing-worlds.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const MIB = 2 ** 20

describe("sealing in parts", () => {
  let harness: Harness
  let at: SealingWorld
  beforeAll(async () => {
    harness = await localHarness()
    at = await sealingWorld(harness, "conditional complete")
  })
  afterAll(() => harness.close())

  const uploadsOf = async (key: string) => (await at.store.listUploads(at.target(key).bucket, { prefix: key })).uploads

  it("S17: all parts but the last have one size, the byte stream is cut and not the chunks, and it opens", async () => {
    const plaintext = Buffer.from(patterned(20 * MIB + 77))
    await at.store.put(at.source("parts"), plaintext)
    const sizes = new Map<number, number>()
    const store: Store = { ...at.store, putPart: (ref, id, number, body, options) => {
      sizes.set(number, body.length)
      return at.store.putPart(ref, id, number, body, options)
    } }
    expect(await at.seal("parts", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    const size = (await at.raw(at.target("parts")))?.length ?? 0
    expect([...sizes]).toEqual([[1, 8 * MIB], [2, 8 * MIB], [3, size - 16 * MIB]])
    expect((await at.opened("parts"))?.equals(plaintext)).toBe(true)
    expect([await uploadsOf("parts"), await at.progressOf("parts")]).toEqual([[], undefined])
    expect(await at.seal("parts")).toEqual({ outcome: "already-sealed" })
  })

  it("S17: part sizes follow the object: whole MiB, 8 MiB or more, 10,000 parts at most, up to what an upload can hold", () => {
    const tib = 2 ** 40
    for (const size of [1, 8 * MIB, 80_000 * MIB, 80_000 * MIB + 1, tib, 5 * tib, 10_000 * 5 * 2 ** 30]) {
      const part = partSizeFor(size) ?? 0
      expect([part % MIB, part >= 8 * MIB, Math.ceil(size / part) <= 10_000]).toEqual([0, true, true])
    }
    expect(partSizeFor(10_000 * 5 * 2 ** 30 + 1)).toBeUndefined()
  })

  it("S17: limits are of the sealed bytes: 5 GiB less 1 KiB of plaintext is too large for a single put, and parked where completions have no condition", async () => {
    const small = await sealingWorld(harness, "conditional put")
    await small.store.put(small.source("huge"), patterned(100))
    const huge = (size: number): Store => ({ ...small.store, get: async (...args) => {
      const object = await small.store.get(...args)
      return object && { ...object, size, body: patternedBody(size) }
    } })
    const { registrations } = small.world
    const find = async (bucket: string, key: string) => {
      const found = await registrations.find(bucket, key)
      return found && { ...found, store: { ...found.store, conditionalComplete: false } }
    }
    const sealing = (size: number) => small.seal("huge", small.sealer({ store: huge(size), registrations: { ...registrations, find } }))
    expect(await sealing(5 * 2 ** 30 - 1024)).toEqual({ outcome: "parked", reason: "too-large-for-store" })
    expect((await small.raw(small.source("huge")))?.equals(patterned(100))).toBe(true)
  })

  it("S2: the completion is conditional: an upload behind the parts stays, and is sealed; nothing is left of the first", async () => {
    await at.store.put(at.source("newer"), patterned(200_000))
    let once = true
    const store: Store = { ...at.store, completeUpload: async (...args) => {
      if (once) await at.store.put(at.source("newer"), Buffer.from("newer"))
      once = false
      return at.store.completeUpload(...args)
    } }
    const { outcome } = await at.seal("newer", at.sealer({ store }))
    if (outcome === "superseded") expect((await at.raw(at.source("newer")))?.toString()).toBe("newer")
    await at.seal("newer")
    expect([(await at.opened("newer"))?.toString(), await uploadsOf("newer")]).toEqual(["newer", []])
  })

  it("S2: a small object put behind the parts stays, is sealed for itself, and never gets the parts of what it has replaced", async () => {
    await at.store.put(at.source("shrunk"), patterned(20 * MIB))
    let acted = false
    const store: Store = { ...at.store, head: async (...args) => {
      if (!acted) await at.store.put(at.source("shrunk"), Buffer.from("small and newer"))
      acted = true
      return at.store.head(...args)
    } }
    expect(await at.seal("shrunk", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    expect((await at.opened("shrunk"))?.toString()).toBe("small and newer")
    expect([await uploadsOf("shrunk"), await at.progressOf("shrunk")]).toEqual([[], undefined])
  })

  it("S2: a delete behind the parts wins: gone, and nothing comes back", async () => {
    await at.store.put(at.source("deleted"), patterned(200_000))
    const store: Store = { ...at.store, completeUpload: async (...args) => {
      await at.store.delete(at.source("deleted"))
      return at.store.completeUpload(...args)
    } }
    expect(await at.seal("deleted", at.sealer({ store }))).toEqual({ outcome: "gone" })
    expect([await at.raw(at.source("deleted")), await uploadsOf("deleted"), await at.progressOf("deleted")]).toEqual([undefined, [], undefined])
  })

  it("S8: a description that changed while parts were sent is seen before the completion, and sealing begins anew", async () => {
    await at.store.put(at.source("described"), patterned(200_000))
    let once = true
    const store: Store = { ...at.store, putPart: async (...args) => {
      if (once) await at.store.put(at.source("described"), patterned(200_000), { attributes: { metadata: { described: "anew" } } })
      once = false
      return at.store.putPart(...args)
    } }
    expect(await at.seal("described", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    expect((await at.store.head(at.source("described")))?.metadata["described"]).toBe("anew")
    expect(await uploadsOf("described")).toEqual([])
  })

  it("S7: an upload of the user's on the same key goes on, whatever becomes of ours", async () => {
    await at.store.put(at.source("user"), patterned(200_000))
    const uploadId = await at.store.createUpload(at.source("user"))
    const part = await at.store.putPart(at.source("user"), uploadId, 1, Buffer.from("by a user"))
    await at.seal("user")
    await at.store.completeUpload(at.source("user"), uploadId, [{ number: 1, size: 9, ...part }])
    expect((await at.raw(at.source("user")))?.toString()).toBe("by a user")
  })

  it.each([[8, 1], [16, 2], [24, 3]])("parts under way are bounded by their bytes: %i MiB allow %i at once", async (memory, most) => {
    await at.store.put(at.source(`bounded ${memory}`), patterned(20 * MIB))
    let [now, peak] = [0, 0]
    const store: Store = { ...at.store, putPart: async (...args) => {
      peak = Math.max(peak, ++now)
      return at.store.putPart(...args).finally(() => now--)
    } }
    await at.seal(`bounded ${memory}`, at.sealer({ store, partsMemory: memory * MIB }))
    expect(peak).toBe(most)
  })

  it("what is smaller than that is written whole", async () => {
    await at.store.put(at.source("small"), patterned(MULTIPART_BYTES / 2))
    const store: Store = { ...at.store, createUpload: () => Promise.reject(new Error("not to be asked")) }
    expect(await at.seal("small", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
  })

  it("an event seals a large object in parts, by the job", async () => {
    await at.store.put(at.source("event"), patterned(300_000))
    const context = contextOf(at.world)
    let uploads = 0
    const store: Store = { ...at.store, createUpload: (...args) => {
      uploads++
      return at.store.createUpload(...args)
    } }
    const sealer = { ...context.sealer, store, multipartBytes: MULTIPART_BYTES }
    const { counts } = await encryptObject.run(encryptObject.input.parse(at.source("event")), { ...context, sealer }, never)
    expect([counts, uploads, (await at.opened("event"))?.equals(patterned(300_000))]).toEqual([{ sealed: 1 }, 1, true])
  })
})

/** As much of a body as the start of an object takes. */
async function* patternedBody(size: number) {
  yield patterned(Math.min(size, 65_536))
}
