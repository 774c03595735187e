/** What sealing makes of answers and documents that no calm run meets, for every way of sealing that they concern. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Failure } from "../shared/errors.ts"
import type { GetOptions, ObjectInfo, ObjectRef, Store } from "../shared/ports.ts"
import { progressPath, signProgress } from "../shared/objects/progress.ts"
import { sealObject } from "../shared/objects/seal.ts"
import { patterned } from "./bytes.ts"
import { makeWorld } from "./object-fixtures.ts"
import { LEASE, sealingWorld, type Strategy } from "./sealing-worlds.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const large = () => Buffer.from(patterned(300_000)) // more than these worlds write whole, where they may write parts

describe("sealing", () => {
  let harness: Harness
  beforeAll(async () => void (harness = await localHarness()))
  afterAll(() => harness.close())

  const uploads = async (store: Store, { bucket, key }: ObjectRef) => (await store.listUploads(bucket, { prefix: key })).uploads.length
  const dies = (): Promise<never> => Promise.reject(new Error("killed"))

  it.each([20, 100])("a start that is cut after %i bytes, without an error, is no start: what is sealed is not sealed again", async (cut) => {
    const at = await sealingWorld(harness, "conditional put")
    await at.store.put(at.source("cut"), Buffer.from("hello"))
    await at.seal("cut")
    const before = await at.raw(at.source("cut"))
    const store: Store = { ...at.store, get: async (ref, options) => {
      const object = await at.store.get(ref, options)
      if (!object) return object
      async function* body(): AsyncGenerator<Uint8Array, void> {
        for await (const piece of object?.body ?? []) return void (yield piece.subarray(0, cut))
      }
      return { ...object, body: body() }
    } }
    expect(await at.seal("cut", at.sealer({ store }))).toEqual({ outcome: "parked", reason: "unavailable" })
    expect(await at.raw(at.source("cut"))).toEqual(before)
  })

  it("an upload that is gone each time is begun anew a few times, not without end", async () => {
    const at = await sealingWorld(harness, "conditional complete")
    await at.store.put(at.source("loop"), large())
    let made = 0
    const store: Store = {
      ...at.store, listParts: () => Promise.reject(new Failure("not-found", "no such upload")),
      createUpload: (...all) => {
        made++
        return at.store.createUpload(...all)
      },
    }
    expect(await at.seal("loop", at.sealer({ store }))).toEqual({ outcome: "parked", reason: "keeps-changing" })
    expect(made).toBeLessThan(10)
  })

  it.each<Strategy>(["conditional put", "conditional complete"])("S3: versioning that was switched on behind the probe leaves no plaintext below: %s", async (strategy) => {
    const at = await sealingWorld(harness, strategy)
    await at.store.put(at.source("versioned"), large())
    await at.store.setVersioning(at.source("versioned").bucket, "enabled")
    expect(await at.seal("versioned")).toMatchObject({ outcome: "sealed" })
    expect(await at.versions(at.source("versioned"))).toHaveLength(1)
    expect((await at.opened("versioned"))?.equals(large())).toBe(true)
  })

  it("a vault that is not there is no reason to call its source gone", async () => {
    const at = await sealingWorld(harness, "destination, if-match")
    await at.store.put(at.source("lost"), large())
    const vault = at.target("lost").bucket
    const missing = ({ bucket }: ObjectRef) => {
      if (bucket === vault) throw new Failure("bucket-not-found", "no such bucket")
    }
    const store: Store = { ...at.store, async get(ref, options) {
      missing(ref)
      return at.store.get(ref, options)
    }, async put(ref, ...rest) {
      missing(ref)
      return at.store.put(ref, ...rest)
    } } // a HEAD can't tell: its answer has no body
    expect(await at.seal("lost", at.sealer({ store }))).toEqual({ outcome: "parked", reason: "destination-not-registered" })
    expect((await at.raw(at.source("lost")))?.equals(large())).toBe(true)
  })

  it.each([365 * 86_400_000, 1e20])("a lease that ends %d ms from now was given by no right clock, and keeps nobody off", async (ahead) => {
    const at = await sealingWorld(harness, "versions enabled")
    const source = at.source("ahead")
    await at.store.put(source, large())
    const registration = await at.world.registrations.find(source.bucket, source.key)
    if (!registration) throw new Error("not registered")
    const { id, dek } = await at.world.sealer.dataKeys.forSealing(registration, 10)
    const pin = { etag: "another", size: 1, lastModified: 1 }
    const fields = {
      ...source, holder: "dead", until: at.world.clock() + ahead, source: pin, plaintextSize: 1, target: { bucket: source.bucket }, dek: id,
      salt: Buffer.alloc(24).toString("base64"),
    }
    await at.world.state.create(progressPath(source), signProgress(fields, dek))
    expect(await at.seal("ahead")).toMatchObject({ outcome: "sealed" })
    expect(await at.progressOf("ahead")).toBeUndefined()
  })

  it("a store whose HEAD does not tell the number of tags is no store whose objects keep changing", async () => {
    const at = await sealingWorld(harness, "conditional complete")
    await at.store.put(at.source("tagged"), large(), { tags: [["a", "b"]] })
    const store: Store = { ...at.store, async head(ref, options) {
      const { tagCount: _, ...info }: ObjectInfo = await at.store.head(ref, options) ?? { size: 0, etag: "", lastModified: 0, metadata: {} }
      return info.etag === "" ? undefined : info
    } }
    expect(await at.seal("tagged", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    expect(await at.store.getTags(at.target("tagged"))).toEqual([["a", "b"]])
  })

  it.each<Strategy>(["conditional complete", "versions enabled, complete", "destination, complete"])("S8: tags that change while parts are sent are not lost: %s", async (strategy) => {
    const at = await sealingWorld(harness, strategy)
    await at.store.put(at.source("retagged"), large())
    let once = true
    const store: Store = { ...at.store, putPart: async (...all) => {
      const part = await at.store.putPart(...all)
      if (once) await at.store.putTags(at.source("retagged"), [["retention", "7y"]])
      once = false
      return part
    } }
    expect(await at.seal("retagged", at.sealer({ store }))).toMatchObject({ outcome: "sealed" })
    expect(await at.store.getTags(at.target("retagged"))).toEqual([["retention", "7y"]])
    expect(await uploads(at.store, at.target("retagged"))).toBe(0)
  })

  it("whether a source has tags is asked as its own store wants to be asked, not the vault's", async () => {
    const at = await sealingWorld(harness, "destination, if-match")
    const source = at.source("tags")
    await at.store.put(source, Buffer.from("x"), { tags: [["a", "b"]] })
    const { registrations } = at.world
    const find = async (bucket: string, key: string) => {
      const found = await registrations.find(bucket, key)
      return found && bucket === source.bucket ? { ...found, store: { ...found.store, reportsTagCount: false } } : found
    }
    const untold = <T extends ObjectInfo>(object: T | undefined, { bucket }: ObjectRef): T | undefined => {
      if (!object || bucket !== source.bucket) return object
      const { tagCount: _, ...rest } = object
      return rest as T
    }
    const store: Store = {
      ...at.store, get: async (ref, options?: GetOptions) => untold(await at.store.get(ref, options), ref),
      head: async (ref, options) => untold(await at.store.head(ref, options), ref),
    }
    expect(await at.seal("tags", at.sealer({ store, registrations: { ...registrations, find } }))).toMatchObject({ outcome: "sealed" })
    expect(await at.store.getTags(at.target("tags"))).toEqual([["a", "b"]])
  })

  it("S1: where versioning is suspended the source stays: its version `null` may be a newer upload by the time it is removed", async () => {
    const { store } = harness
    const [source, vault] = [await harness.bucket(), await harness.bucket()]
    await store.setVersioning(source, "suspended")
    const world = await makeWorld(store, vault, { register: { mode: "vault" } })
    await world.register(source, { mode: { destination: vault } })
    const ref = { bucket: source, key: "null" }
    await store.put(ref, Buffer.from("version one"))
    const racing: Store = { ...store, put: async (target, ...rest) => {
      const result = await store.put(target, ...rest)
      if (target.bucket === vault) await store.put(ref, Buffer.from("version two, newer"))
      return result
    } }
    expect(await sealObject({ ...world.sealer, store: racing }, ref, { uploaded: 0 })).toMatchObject({ outcome: "sealed" })
    expect((await store.head(ref))?.size).toBe("version two, newer".length)
    expect(await sealObject(world.sealer, ref, { uploaded: 0 })).toMatchObject({ outcome: "sealed" })
    expect((await world.plaintext("null"))?.toString()).toBe("version two, newer")
  })

  it("who may not unwrap does not call sealed what has its plaintext below: whoever may finishes it", async () => {
    const at = await sealingWorld(harness, "versions enabled")
    await at.store.put(at.source("below"), large())
    await expect(at.seal("below", at.sealer({ store: { ...at.store, delete: dies } }))).rejects.toThrow("killed")
    at.world.clock.forward(LEASE)
    const writeOnly = at.sealer({ dataKeys: at.world.makeKeyring(false) })
    expect(await at.seal("below", writeOnly)).toEqual({ outcome: "parked", reason: "cannot-resume" })
    expect(await at.seal("below")).toMatchObject({ outcome: "already-sealed" })
    expect(await at.versions(at.source("below"))).toHaveLength(1)
  })

  it("S7: an upload that was begun for another destination is aborted there", async () => {
    const at = await sealingWorld(harness, "destination, complete")
    await at.store.put(at.source("redirected"), large())
    await expect(at.seal("redirected", at.sealer({ store: { ...at.store, completeUpload: dies } }))).rejects.toThrow("killed")
    at.world.clock.forward(LEASE)
    const other = await harness.bucket()
    await at.world.register(other, { mode: "vault" })
    await at.world.register(at.source("redirected").bucket, { mode: { destination: other } })
    expect(await at.seal("redirected")).toMatchObject({ outcome: "sealed" })
    expect(await uploads(at.store, at.target("redirected"))).toBe(0)
  })

  it("S7: an upload whose record was lost to another holder is aborted by who has made it", async () => {
    const at = await sealingWorld(harness, "conditional complete")
    await at.store.put(at.source("unrecorded"), large())
    const store: Store = { ...at.store, createUpload: async (...all) => {
      const id = await at.store.createUpload(...all)
      await at.world.state.remove(progressPath(at.source("unrecorded"))) // as whoever took the lease over would have ended it
      return id
    } }
    expect(await at.seal("unrecorded", at.sealer({ store }))).toMatchObject({ outcome: "busy" })
    expect(await uploads(at.store, at.target("unrecorded"))).toBe(0)
  })
})
