/**
 * Each I/O of a sealing fails once in each way it can, and a user does something in the middle of each: for every way of
 * sealing, on the real code. Behind every I/O the latest upload is there; sealing again settles it, once and for all.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeWorld } from "./object-fixtures.ts"
import type { Io } from "./failing-store.ts"
import { actions, attemptAll, type Outcome, type Trial } from "./fault-trial.ts"
import { rgwFromEnvironment, rgwHarness, withoutRgw } from "./rgw.ts"
import { sealingWorld, strategies, type SealingWorld, type Strategy } from "./sealing-worlds.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const slow = process.env["SLOW"] === "1"
const SIZE = 150_000 // several chunks, more than is read at first; one part
const TWO_PARTS = 8 * 2 ** 20 + 50_000
const figures = { faults: 0, actions: 0, broken: 0 }
let trials = 0

type Setup = Omit<Trial, "key">

/** Runs these, and says of each what was not as promised. */
async function brokenBy(at: SealingWorld, setups: readonly (Setup & { readonly says: string })[]): Promise<readonly string[]> {
  const outcomes = await attemptAll(at, setups.map((setup) => ({ ...setup, key: `trial ${++trials}/` })))
  const all = outcomes.flatMap(({ broken, injected }, index) => {
    const { says = "", plan } = setups[index] ?? {}
    return [...plan && !injected ? ["the fault did not happen"] : [], ...broken].map((what) => `${says}: ${what}`)
  })
  figures.broken += all.length
  return all
}

async function undisturbed(at: SealingWorld, size: number): Promise<readonly Io[]> {
  const [calm] = await attemptAll(at, [{ key: `trial ${++trials}/`, size }]) as readonly [Outcome]
  expect(calm.broken).toEqual([])
  return calm.ios
}

/** Every way in which each of these I/Os can fail. */
const faultsOf = (ios: readonly Io[], size: number) => ios.flatMap(({ name, faults }, at) =>
  faults.map((fault) => ({ size, plan: { at, fault }, says: `${fault} at I/O ${at} (${name})` })))

/** Everything a user may do before each of them. */
const actionsAt = (ios: readonly Io[], size: number) => ios.flatMap(({ name }, at) =>
  actions.map((action) => ({ size, user: { at, action }, says: `a user ${action} at I/O ${at} (${name})` })))

/** A user does something at one I/O, and the process ends behind a later one. */
const actionsBeforeCrashes = (ios: readonly Io[], size: number) => actionsAt(ios, size).flatMap(({ user, says }) =>
  ios.flatMap(({ name, faults }, at) => (at < user.at ? [] : faults.filter((fault) => fault.startsWith("crash")).map((fault) =>
    ({ size, user, plan: { at, fault }, says: `${says}, ${fault} at I/O ${at} (${name})` })))))

/** What no condition can see: a completion proves nothing of what is stored, and until it is looked at a user has deleted it. */
const isUnseen = (strategy: Strategy, ios: readonly Io[], { user }: ReturnType<typeof actionsAt>[number]): boolean =>
  strategy === "destination, complete" && user.action === "deletes what is sealed"
  && user.at > ios.findIndex(({ name }) => name === "completeUpload") && ios[user.at]?.name === "get"

function suite(at: () => SealingWorld, strategy: Strategy): void {
  it("every I/O fails once in every way it can, and sealing again settles it", async () => {
    const all = faultsOf(await undisturbed(at(), SIZE), SIZE)
    figures.faults += all.length
    expect(await brokenBy(at(), all)).toEqual([])
  })

  it("a user does something at every I/O, and what the user did last holds", async () => {
    const ios = await undisturbed(at(), SIZE)
    const every = actionsAt(ios, SIZE).filter((one) => !isUnseen(strategy, ios, one))
    const all = slow ? every : every.filter((_, number) => number % 2 === 0) // each I/O, and each action at every other one
    figures.actions += all.length
    expect(await brokenBy(at(), all)).toEqual([])
  })

  if (slow) it("and the process ends behind that (SLOW)", async () => {
    const all = actionsBeforeCrashes(await undisturbed(at(), SIZE), SIZE)
    figures.faults += all.length
    figures.actions += all.length
    expect(await brokenBy(at(), all)).toEqual([])
  })

  if (strategy === "conditional complete" || (slow && strategy.endsWith("complete"))) it("of two parts, each fails in every way it can", async () => {
    const all = faultsOf(await undisturbed(at(), TWO_PARTS), TWO_PARTS)
      .filter(({ says }) => slow || (says.includes("putPart") && says.includes("crash")))
    figures.faults += all.length
    expect(await brokenBy(at(), all)).toEqual([])
  })
}

describe("faults", () => {
  let harness: Harness
  beforeAll(async () => void (harness = await localHarness()))
  afterAll(async () => {
    await harness.close()
    console.info(`${figures.faults} faults injected, ${figures.actions} actions of users in the middle of a sealing; not as promised: ${figures.broken}`)
  })

  describe.each(strategies)("local: %s", (strategy) => {
    let world: SealingWorld | undefined
    beforeAll(async () => void (world = await sealingWorld(harness, strategy)))
    suite(() => required(world), strategy)
  })

  const rgw = rgwFromEnvironment()
  describe("RGW: conditional put", () => {
    if (!rgw) return it.skip(withoutRgw, () => undefined)
    const ceph = rgwHarness(rgw)
    let world: SealingWorld | undefined
    beforeAll(async () => void (world = await sealingWorld(ceph, "conditional put")))
    afterAll(() => ceph.close())
    suite(() => required(world), "conditional put")

    it("S2: its buckets with versions are refused in place, and what is completed has no condition there", async () => {
      const found = await required(world).world.registrations.get(required(world).source("").bucket, "")
      expect(found?.store).toMatchObject({ conditionalComplete: false, conditionalDelete: false })
      const bucket = await ceph.bucket()
      await ceph.store.setVersioning(bucket, "enabled")
      await expect(makeWorld(ceph.store, bucket)).rejects.toMatchObject({ code: "unsafe-store" })
    })
  })
})

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not made yet")
  return value
}
