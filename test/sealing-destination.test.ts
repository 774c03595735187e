/** Sealing into another bucket: the destination is noted first, then the source is looked at, written, and removed. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { patterned } from "./bytes.ts"
import { Crash, failing, type Fault, type Watch } from "./failing-store.ts"
import { contextOf, never } from "./job-fixtures.ts"
import { rgwFromEnvironment, rgwHarness, withoutRgw } from "./rgw.ts"
import { LEASE, sealingWorld, type SealingWorld } from "./sealing-worlds.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const removals = ["destination, by version", "destination, if-match", "destination, keep"] as const
const removing = ["destination, by version", "destination, if-match"] as const

describe("sealing into another bucket", () => {
  let harness: Harness
  const worlds = new Map<string, SealingWorld>()
  beforeAll(async () => {
    harness = await localHarness()
    for (const strategy of removals) worlds.set(strategy, await sealingWorld(harness, strategy))
  })
  afterAll(() => harness.close())

  const worldOf = (strategy: string): SealingWorld => {
    const at = worlds.get(strategy)
    if (!at) throw new Error("not made")
    return at
  }
  const put = (at: SealingWorld, key: string, text: string) => at.store.put(at.source(key), Buffer.from(text))
  const opened = async (at: SealingWorld, key: string) => (await at.opened(key))?.toString()
  const waitOut = (at: SealingWorld) => at.world.clock.forward(LEASE / 1_000 + 1)

  /** Seals through decorators; gives what happened, in order. */
  async function sealWatched(at: SealingWorld, key: string, watch: Watch = {}, fail?: { readonly name: string; readonly fault: Fault }) {
    const names = failing(undefined, watch)
    const plan = fail && { at: await indexOf(at, fail.name), fault: fail.fault }
    const through = plan ? failing(plan, watch) : names
    const sealer = at.sealer({ store: through.store(at.store), state: through.state(at.world.state) })
    const outcome = await at.seal(key, sealer).then((result) => result.outcome, (error: unknown) => {
      if (error instanceof Crash) return "crashed"
      throw error
    })
    return { outcome, names: through.ios.map(({ name }) => name) }
  }

  /** Which I/O of an undisturbed sealing is the first of this name. */
  async function indexOf(at: SealingWorld, name: string): Promise<number> {
    await put(at, "a calm one", "calm")
    const { names } = await sealWatched(at, "a calm one")
    await at.store.delete(at.target("a calm one"))
    return names.indexOf(name)
  }

  it.each(removals)("S1: notes the destination, then gets the source, looks at it again, writes, and removes or keeps it: %s", async (strategy) => {
    const at = worldOf(strategy)
    await put(at, "order", "one")
    const { outcome, names } = await sealWatched(at, "order")
    const objects = names.filter((name) => ["head", "get", "put", "delete"].includes(name))
    expect([outcome, objects]).toEqual(["sealed", ["head", "get", "head", "put", ...strategy === "destination, keep" ? [] : ["delete"]]])
    expect(await opened(at, "order")).toBe("one")
    expect((await at.raw(at.source("order")))?.toString()).toBe(strategy === "destination, keep" ? "one" : undefined)
  })

  it.each(removals)("S1: of two uploads the slower sealer of the older one does not replace the newer one: %s", async (strategy) => {
    const at = worldOf(strategy)
    await put(at, "slow", "older")
    let slept = false
    const { outcome } = await sealWatched(at, "slow", {
      before: async (_, { name }) => {
        if (name !== "put" || slept) return
        slept = true
        await put(at, "slow", "newer")
        waitOut(at)
        expect(await at.seal("slow")).toMatchObject({ outcome: "sealed" })
      },
    })
    expect([outcome, await opened(at, "slow")]).toEqual([expect.stringMatching(/busy|gone|already-sealed|superseded|sealed/), "newer"])
    waitOut(at)
    await at.seal("slow")
    expect(await opened(at, "slow")).toBe("newer")
  })

  it.each(removals)("S1: what was written to the destination behind the note is not replaced; it begins again: %s", async (strategy) => {
    const at = worldOf(strategy)
    await put(at, "noted", "older")
    let once = true
    const { outcome, names } = await sealWatched(at, "noted", {
      before: async (_, { name }) => {
        if (name !== "put" || !once) return
        once = false
        await at.store.put(at.target("noted"), Buffer.from("put there by somebody"))
      },
    })
    expect([outcome, names.filter((name) => name === "put").length]).toEqual(["sealed", 2])
    expect(await opened(at, "noted")).toBe("older")
  })

  it("S1: with versions the source is removed from the oldest version up: no older one becomes current", async () => {
    const at = worldOf("destination, by version")
    for (const text of ["first", "second", "third"]) await put(at, "old", text)
    const versions = (await at.versions(at.source("old"))).map(({ versionId }) => versionId)
    const current: (string | undefined)[] = []
    const left: number[] = []
    await sealWatched(at, "old", {
      after: async (_, { name }) => {
        if (name !== "delete") return
        current.push((await at.raw(at.source("old")))?.toString())
        left.push((await at.versions(at.source("old"))).length)
      },
    })
    expect(versions).toHaveLength(3)
    expect([current, left]).toEqual([["third", "third", undefined], [2, 1, 0]])
    expect(await opened(at, "old")).toBe("third")
  })

  it("S1: a version that was uploaded behind the one sealed stays, and is sealed next", async () => {
    const at = worldOf("destination, by version")
    await put(at, "next", "sealed")
    await sealWatched(at, "next", { before: async (_, { name }) => (name === "delete" ? void await put(at, "next", "next") : undefined) })
    expect((await at.raw(at.source("next")))?.toString()).toBe("next")
    expect(await at.seal("next")).toMatchObject({ outcome: "sealed" })
    expect([await opened(at, "next"), await at.versions(at.source("next"))]).toEqual(["next", []])
  })

  it("S1: without versions the source is removed on If-Match: an upload between write and removal stays", async () => {
    const at = worldOf("destination, if-match")
    await put(at, "between", "sealed")
    await sealWatched(at, "between", { before: async (_, { name }) => (name === "delete" ? void await put(at, "between", "newer") : undefined) })
    expect((await at.raw(at.source("between")))?.toString()).toBe("newer")
    await at.seal("between")
    expect(await opened(at, "between")).toBe("newer")
  })

  it("S1: where no removal is safe the registration says keep, and nothing is ever deleted", async () => {
    const at = worldOf("destination, keep")
    expect((await at.world.registrations.get(at.source("").bucket, ""))?.store.removeSource).toBe("keep")
    await put(at, "kept", "one")
    const { names } = await sealWatched(at, "kept")
    expect(names).not.toContain("delete")
  })

  it("S1: a source that is kept is not sealed again, by whomever looks, also when it was deleted in the vault; a newer upload is", async () => {
    const at = worldOf("destination, keep")
    await put(at, "twice", "one")
    await at.seal("twice")
    const again = await sealWatched(at, "twice")
    expect([again.outcome, again.names.filter((name) => name === "put")]).toEqual(["already-sealed", []])
    await at.store.delete(at.target("twice"))
    expect((await sealWatched(at, "twice")).outcome).toBe("already-sealed")
    expect(await opened(at, "twice")).toBeUndefined()
    await put(at, "twice", "two")
    expect((await sealWatched(at, "twice")).outcome).toBe("sealed")
    expect(await opened(at, "twice")).toBe("two")
  })

  it.each(removing)("S1: behind a crash between write and removal a rerun only removes: %s", async (strategy) => {
    const at = worldOf(strategy)
    const key = `rerun ${strategy}`
    await put(at, key, "one")
    expect((await sealWatched(at, key, {}, { name: "delete", fault: "crash before" })).outcome).toBe("crashed")
    const sealed = await at.raw(at.target(key))
    waitOut(at)
    const { names } = await sealWatched(at, key)
    expect(names.filter((name) => name === "put" || name === "delete")).toEqual(["delete"])
    expect([await at.raw(at.source(key)), await at.raw(at.target(key))]).toEqual([undefined, sealed])
    expect(await at.progressOf(key)).toBeUndefined()
  })

  it.each(removing)("S1: what was deleted in the vault behind its write is not written there again by a rerun: %s", async (strategy) => {
    const at = worldOf(strategy)
    const key = `undone ${strategy}`
    await put(at, key, "one")
    expect((await sealWatched(at, key, {}, { name: "delete", fault: "crash before" })).outcome).toBe("crashed")
    await at.store.delete(at.target(key))
    waitOut(at)
    await sealWatched(at, key)
    expect(await at.raw(at.target(key))).toBeUndefined()
  })

  it("seals only where the destination is registered, with the same root key", async () => {
    const at = worldOf("destination, if-match")
    await put(at, "unregistered", "one")
    const { registrations } = at.world
    const find = async (bucket: string, key: string) => (bucket === at.target("").bucket ? undefined : registrations.find(bucket, key))
    const sealer = at.sealer({ registrations: { ...registrations, find } })
    expect(await at.seal("unregistered", sealer)).toEqual({ outcome: "parked", reason: "destination-not-registered" })
    expect((await at.raw(at.source("unregistered")))?.toString()).toBe("one")
  })

  it.each(removals)("an event of the ingest bucket seals into the vault, by the job: %s", async (strategy) => {
    const at = worldOf(strategy)
    await at.store.put(at.source("event"), patterned(200_000))
    const { counts } = await encryptObject.run(encryptObject.input.parse(at.source("event")), contextOf(at.world), never)
    expect(counts).toEqual({ sealed: 1 })
    expect((await at.opened("event"))?.equals(patterned(200_000))).toBe(true)
    const vault = await encryptObject.run(encryptObject.input.parse(at.target("event")), contextOf(at.world), never)
    expect(vault.counts).toEqual({ ignored: 1 })
  })

  const rgw = rgwFromEnvironment()
  describe("RGW", () => {
    if (!rgw) return it.skip(withoutRgw, () => undefined)
    const ceph = rgwHarness(rgw)
    afterAll(() => ceph.close())

    it.each(["destination, by version", "destination, keep"] as const)("S1: %s", async (strategy) => {
      const at = await sealingWorld(ceph, strategy)
      for (const text of ["older", "newer"]) await put(at, "k", text)
      expect((await sealWatched(at, "k")).outcome).toBe("sealed")
      expect([await opened(at, "k"), (await at.raw(at.source("k")))?.toString()]).toEqual(["newer", strategy === "destination, keep" ? "newer" : undefined])
      expect(["gone", "already-sealed"]).toContain((await at.seal("k")).outcome)
    })
  })
})
