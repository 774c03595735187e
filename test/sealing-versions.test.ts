/** Sealing in place where a bucket keeps versions: the same conditional write, then exactly the source's version is removed. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { Failure } from "../shared/errors.ts"
import type { DeleteOptions, ObjectRef } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { Crash, failing, type Plan, type Watch } from "./failing-store.ts"
import { contextOf, never } from "./job-fixtures.ts"
import { makeWorld } from "./object-fixtures.ts"
import { rgwFromEnvironment, rgwHarness, withoutRgw } from "./rgw.ts"
import { LEASE, sealingWorld, type SealingWorld } from "./sealing-worlds.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const kinds = ["versions enabled", "versions suspended"] as const

describe("sealing in a bucket with versions", () => {
  let harness: Harness
  const worlds = new Map<string, SealingWorld>()
  beforeAll(async () => {
    harness = await localHarness()
    for (const kind of kinds) worlds.set(kind, await sealingWorld(harness, kind))
  })
  afterAll(() => harness.close())

  const worldOf = (kind: string): SealingWorld => {
    const at = worlds.get(kind)
    if (!at) throw new Error("not made")
    return at
  }
  const put = (at: SealingWorld, key: string, text: string, metadata: Record<string, string> = {}) =>
    at.store.put(at.source(key), Buffer.from(text), { attributes: { metadata } })
  const opened = async (at: SealingWorld, key: string) => (await at.opened(key))?.toString()
  const ids = async (at: SealingWorld, key: string) => (await at.versions(at.source(key))).map(({ versionId }) => versionId)
  const waitOut = (at: SealingWorld) => at.world.clock.forward(LEASE / 1_000 + 1)

  /** Puts while versions are kept, whatever they are later. */
  async function putVersion(at: SealingWorld, key: string, text: string): Promise<string> {
    const { bucket } = at.source(key)
    await at.store.setVersioning(bucket, "enabled")
    const { versionId = "" } = await put(at, key, text)
    if (at.strategy === "versions suspended") await at.store.setVersioning(bucket, "suspended")
    return versionId
  }

  /** Seals through decorators; gives the I/Os, and which versions were deleted. */
  async function sealWatched(at: SealingWorld, key: string, watch: Watch = {}, plan?: Plan) {
    const through = failing(plan, watch)
    const deleted: (string | undefined)[] = []
    const store = { ...at.store, delete: (ref: ObjectRef, options: DeleteOptions = {}) => {
      deleted.push(options.versionId)
      return at.store.delete(ref, options)
    } }
    const sealer = at.sealer({ store: through.store(store), state: through.state(at.world.state) })
    const outcome = await at.seal(key, sealer).then((result) => result.outcome, (error: unknown) => {
      if (error instanceof Crash) return "crashed"
      throw error
    })
    return { outcome, deleted, names: through.ios.map(({ name }) => name) }
  }

  /** Seals, and ends the process between the write and the removal of the source. */
  async function crashBehindWrite(at: SealingWorld, key: string): Promise<void> {
    const calm = `${key}, calm`
    await putVersion(at, calm, "calm")
    const { names } = await sealWatched(at, calm)
    expect((await sealWatched(at, key, {}, { at: names.indexOf("delete"), fault: "crash before" })).outcome).toBe("crashed")
  }

  it.each(kinds)("S2: the version under the sealed one is removed by its id, and history stays as it is: %s", async (kind) => {
    const at = worldOf(kind)
    const history = [await putVersion(at, "history", "first"), await putVersion(at, "history", "second")]
    const source = await putVersion(at, "history", "third")
    const { outcome, deleted, names } = await sealWatched(at, "history")
    expect([outcome, deleted]).toEqual(["sealed", [source]])
    expect(names.indexOf("delete")).toBeGreaterThan(names.indexOf("put"))
    expect((await ids(at, "history")).slice(1)).toEqual(history.reverse())
    expect(await opened(at, "history")).toBe("third")
    expect(await at.progressOf("history")).toBeUndefined()
  })

  it("S2: in a suspended bucket the null version is replaced by its sealed form, and never deleted", async () => {
    const at = worldOf("versions suspended")
    const old = await putVersion(at, "null", "old")
    await put(at, "null", "new")
    const { outcome, deleted } = await sealWatched(at, "null")
    expect([outcome, deleted, await ids(at, "null")]).toEqual(["sealed", [], ["null", old]])
    expect(await opened(at, "null")).toBe("new")
    expect((await sealWatched(at, "null")).deleted).toEqual([])
  })

  it("S2: a source of before the suspension leaves, and the sealed null version stays", async () => {
    const at = worldOf("versions suspended")
    const source = await putVersion(at, "named", "one")
    const { deleted } = await sealWatched(at, "named")
    expect([deleted, await ids(at, "named")]).toEqual([[source], ["null"]])
    expect(await opened(at, "named")).toBe("one")
  })

  it.each(kinds)("S2: behind a crash between write and removal the event of the sealed object finishes it: %s", async (kind) => {
    const at = worldOf(kind)
    const source = await putVersion(at, "echo", "one")
    await crashBehindWrite(at, "echo")
    expect(await ids(at, "echo")).toContain(source)
    waitOut(at)
    const { outcome, deleted, names } = await sealWatched(at, "echo")
    expect([outcome, deleted, names.filter((name) => name === "put")]).toEqual(["already-sealed", [source], []])
    expect(await ids(at, "echo")).toHaveLength(1)
  })

  it.each(kinds)("S2: a delete marker that a user put on top stays, and what was under it is finished: %s", async (kind) => {
    const at = worldOf(kind)
    const source = await putVersion(at, "marker", "one")
    await crashBehindWrite(at, "marker")
    await at.store.delete(at.source("marker"))
    waitOut(at)
    const { outcome } = await sealWatched(at, "marker")
    expect([outcome, await at.raw(at.source("marker"))]).toEqual(["gone", undefined])
    const versions = await at.versions(at.source("marker"))
    expect(versions[0]).toMatchObject({ marker: true })
    if (kind === "versions enabled") expect(versions.map(({ versionId }) => versionId)).not.toContain(source)
    expect(await at.progressOf("marker")).toBeUndefined()
  })

  it.each(kinds)("S2: a delete behind the look wins: no version is put over its marker: %s", async (kind) => {
    const at = worldOf(kind)
    await putVersion(at, "late", "one")
    let once = true
    const { outcome } = await sealWatched(at, "late", {
      before: async (_, { name }) => {
        if (name !== "put" || !once) return
        once = false
        await at.store.delete(at.source("late"))
      },
    })
    expect([outcome, await at.raw(at.source("late"))]).toEqual(["gone", undefined])
    expect((await at.versions(at.source("late")))[0]?.marker).toBe(true)
  })

  it("S2: a newer upload on top stays there, and is sealed for itself; the source of what was sealed under it is removed", async () => {
    const at = worldOf("versions enabled")
    const source = await putVersion(at, "newer", "one")
    await crashBehindWrite(at, "newer")
    const newer = await putVersion(at, "newer", "two")
    waitOut(at)
    const { outcome, deleted } = await sealWatched(at, "newer")
    expect([outcome, deleted]).toEqual(["sealed", [source, newer]])
    expect(await opened(at, "newer")).toBe("two")
    expect(await ids(at, "newer")).toHaveLength(2) // both sealed: the older one is history
  })

  it("S8: a version with the same ETag that came between is no source of ours: what was written over it is taken back, and it is sealed with what it says of itself", async () => {
    const at = worldOf("versions enabled")
    const first = await putVersion(at, "between", "same bytes")
    let once = true
    const { outcome } = await sealWatched(at, "between", {
      before: async (_, { name }) => {
        if (name !== "put" || !once) return
        once = false
        await put(at, "between", "same bytes", { described: "anew" })
      },
    })
    expect(outcome).toBe("sealed")
    expect([await opened(at, "between"), (await at.store.head(at.source("between")))?.metadata["described"]]).toEqual(["same bytes", "anew"])
    expect((await ids(at, "between")).slice(1)).toEqual([first]) // which its user has replaced: history
  })

  it("S8: a seal that took over a second looks again before its write, and begins anew where only the description changed", async () => {
    const at = await sealingWorld(harness, "conditional put")
    await at.store.put(at.source("long"), patterned(200_000))
    let once = true
    const store = { ...at.store, get: async (...args: Parameters<typeof at.store.get>) => {
      const object = await at.store.get(...args)
      if (!object || !once || args[1]?.range === undefined || !("start" in args[1].range) || args[1].range.start === 0) return object
      once = false
      return { ...object, body: slowly(object.body) }
    } }
    async function* slowly(body: AsyncIterable<Uint8Array>) {
      yield* body
      await at.store.put(at.source("long"), patterned(200_000), { attributes: { metadata: { described: "anew" } } })
      await new Promise((resolve) => setTimeout(resolve, 1_050))
    }
    const { outcome } = await at.seal("long", at.sealer({ store }))
    expect([once, outcome]).toEqual([false, "sealed"])
    expect((await at.store.head(at.source("long")))?.metadata).toMatchObject({ described: "anew", bucketseal: "1" })
  })

  it("S3: where versioning was switched on behind the probe, the plaintext that a write leaves under it is removed", async () => {
    const at = await sealingWorld(harness, "conditional put")
    await put(at, "switched", "one")
    await at.store.setVersioning(at.source("switched").bucket, "enabled")
    const { outcome } = await sealWatched(at, "switched")
    expect([outcome, (await ids(at, "switched")).length, await opened(at, "switched")]).toEqual(["sealed", 1, "one"])
  })

  it("S3: what a store refuses though its condition holds is parked, and its document cleared away", async () => {
    const at = worldOf("versions enabled")
    await putVersion(at, "refused", "one")
    const store = { ...at.store, put: () => Promise.reject(new Failure("precondition-failed", "no")) }
    expect(await at.seal("refused", at.sealer({ store }))).toEqual({ outcome: "parked", reason: "condition-misbehaves" })
    expect([await at.progressOf("refused"), (await ids(at, "refused")).length]).toEqual([undefined, 1])
  })

  it.each(kinds)("an event seals, and its echo finds nothing to do, by the job: %s", async (kind) => {
    const at = worldOf(kind)
    await putVersion(at, "event", "by an event")
    const run = async () => (await encryptObject.run(encryptObject.input.parse(at.source("event")), contextOf(at.world), never)).counts
    expect([await run(), await run()]).toEqual([{ sealed: 1 }, { "already-sealed": 1 }])
    expect([await opened(at, "event"), (await ids(at, "event")).length]).toEqual(["by an event", 1])
  })

  const rgw = rgwFromEnvironment()
  describe("RGW", () => {
    if (!rgw) return it.skip(withoutRgw, () => undefined)
    const ceph = rgwHarness(rgw)
    afterAll(() => ceph.close())

    it.each(["enabled", "suspended"] as const)("S2: a bucket with versioning %s, where conditions don't hold, is refused by the property that failed", async (versioning) => {
      const bucket = await ceph.bucket()
      await ceph.store.setVersioning(bucket, "enabled")
      if (versioning === "suspended") await ceph.store.setVersioning(bucket, "suspended")
      await expect(makeWorld(ceph.store, bucket)).rejects.toMatchObject({ code: "unsafe-store", message: expect.stringMatching(/If-(None-)?Match/) })
    })
  })
})
