import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openState } from "../shared/contexts/state.ts"
import type { BucketSettings, Store, Versioning } from "../shared/ports.ts"
import { nothingFound, properties, sentenceOf, type ProbeReport, type Property } from "../shared/store/probe-report.ts"
import { judged } from "../shared/store/store-facts.ts"
import { isRefusal, removalFor, strategyFor } from "../shared/store/strategy.ts"
import { lies, lying } from "./lying-stores.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness } from "./stores.ts"

const GIB = 2 ** 30
const settings: BucketSettings = {
  versioning: "off", mfaDelete: false, objectLock: false, defaultRetention: false, replicated: false, notifies: false, policy: false,
  lifecycle: [],
}

/** A bucket of which everything was seen to hold. */
function good(versioning: Versioning): ProbeReport {
  const findings = Object.fromEntries(properties.map((name) => [name, true])) as Record<Property, true>
  return { ...nothingFound, ...findings, bucket: "b", prefix: "p/", settings: { ...settings, versioning }, versioning, requests: 1 }
}

const reading: Property[] = ["notLocked", "readAfterWrite", "getMatchHonoured", "rangesExact"]
const puts: Property[] = ["createRefusesExisting", "createHasOneWinner", "staleMatchRefused", "missingMatchRefused", "replaceHasOneWinner"]
const completes: Property[] = [
  "completeRefusesExisting", "staleCompleteRefused", "missingCompleteRefused", "rightCompleteAccepted", "completeHasOneWinner",
]
const markers: Property[] = ["markerMatchRefused", "createOverMarkerAccepted"]
const removal: Property[] = ["versionDirectlyAbove", "versionDeleteExact", "getVersionHonoured"]

/** What must have been seen to hold, by hand. */
const needs: readonly [what: string, report: ProbeReport, choose: (report: ProbeReport) => object | string, needed: Property[]][] = [
  ["in place", good("off"), (report) => strategyFor(report, "in-place", GIB), [...reading, ...puts, "listAfterWrite"]],
  ["in place, over 5 GiB", good("off"), (report) => strategyFor(report, "in-place", 6 * GIB), [...reading, ...puts, ...completes, "listAfterWrite"]],
  ["in place, with versions", good("enabled"), (report) => strategyFor(report, "in-place", GIB), [...reading, ...puts, ...markers, ...removal, "listAfterWrite"]],
  ["in place, suspended", good("suspended"), (report) => strategyFor(report, "in-place", GIB), [...reading, ...puts, ...markers, ...removal, "listAfterWrite"]],
  ["in place, with versions, over 5 GiB", good("enabled"), (report) => strategyFor(report, "in-place", 6 * GIB),
    [...reading, ...puts, ...markers, ...removal, ...completes, "markerCompleteRefused", "listAfterWrite"]],
  ["a vault", good("off"), (report) => strategyFor(report, "vault", GIB), [...reading, ...puts]],
  ["a vault with versions", good("enabled"), (report) => strategyFor(report, "vault", GIB), [...reading, ...puts, ...markers]],
  ["a source", good("off"), removalFor, [...reading, "listAfterWrite"]],
  ["a source with versions", good("enabled"), removalFor, [...reading, "listAfterWrite"]],
]

describe("what follows from a probe", () => {
  it.each(needs)("S10: %s is refused exactly where a property that it needs failed, or was not measured, and that one is named", (_, report, choose, needed) => {
    expect(isRefusal(choose(report))).toBe(false)
    for (const finding of [false, "unknown"] as const) {
      const refused = properties.map((name) => choose({ ...report, [name]: finding })).filter((choice) => isRefusal(choice))
      const names = refused.map((choice) => choice.refused).filter((name) => name !== "ownerReads" && name !== "versionsAsSet")
      expect([...names].sort()).toEqual([...needed].sort())
      for (const { refused: name, because } of refused) {
        if (name !== "versionsAsSet") expect(because).toBe(sentenceOf(name as Property, finding))
      }
    }
  })

  it("how to write, whether versions stay, and what may be deleted", () => {
    const choose = (versioning: Versioning, mode: "in-place" | "vault", size: number) => strategyFor(good(versioning), mode, size)
    expect(choose("off", "in-place", 5 * GIB)).toEqual({ write: "put", versioned: false, removeSource: "keep" })
    expect(choose("off", "in-place", 5 * GIB + 1)).toEqual({ write: "multipart", versioned: false, removeSource: "keep" })
    expect(choose("enabled", "in-place", 0)).toEqual({ write: "put", versioned: true, removeSource: "version" })
    expect(choose("suspended", "in-place", 0)).toEqual({ write: "put", versioned: true, removeSource: "version" })
    expect(choose("enabled", "vault", 6 * GIB)).toEqual({ write: "multipart", versioned: true, removeSource: "keep" })
  })

  it("S17: the limit is of the sealed bytes, and above it a store without a conditional complete is refused", () => {
    const report: ProbeReport = { ...good("off"), staleCompleteRefused: false }
    expect(strategyFor(report, "in-place", 5 * GIB)).toMatchObject({ write: "put" })
    expect(strategyFor(report, "in-place", 5 * GIB + 1)).toMatchObject({ refused: "staleCompleteRefused" })
    expect(judged(report, "in-place")).toMatchObject({ facts: { conditionalComplete: false } })
  })

  it("one form of the ETag is enough, and the facts say which", () => {
    const forms = (quoted: boolean, unquoted: boolean) =>
      judged({ ...good("off"), quotedMatchAccepted: quoted, unquotedMatchAccepted: unquoted }, "in-place")
    expect([forms(true, true), forms(false, true), forms(true, false)])
      .toMatchObject([{ facts: { matchForm: "quoted" } }, { facts: { matchForm: "unquoted" } }, { facts: { matchForm: "quoted" } }])
    expect(forms(false, false)).toEqual({ refused: "it refuses If-Match with the right ETag", measured: true })
  })

  it("an ETag is taken for the MD5 only where that of an object is, and that of a part", () => {
    const isMd5 = (change: Partial<ProbeReport>) => judged({ ...good("off"), ...change }, "in-place").facts?.etagIsMd5
    expect([isMd5({}), isMd5({ etagIsMd5: false }), isMd5({ partEtagIsMd5: false }), isMd5({ partEtagIsMd5: "unknown" })]).toEqual([true, false, false, false])
  })

  it("S1: a source is deleted only where that is seen to be safe, and never while versioning is suspended: a newer upload may have its version's name", () => {
    expect([removalFor(good("off")), removalFor(good("enabled")), removalFor(good("suspended"))]).toEqual(["if-match", "version", "keep"])
    for (const finding of [false, "unknown"] as const) {
      for (const name of ["staleDeleteRefused", "rightDeleteAccepted"]) expect(removalFor({ ...good("off"), [name]: finding })).toBe("keep")
      for (const name of ["versionDeleteExact", "getVersionHonoured"]) expect(removalFor({ ...good("enabled"), [name]: finding })).toBe("keep")
    }
  })

  it("what belongs to another owner is refused, what nobody says the owner of is not", () => {
    expect(strategyFor({ ...good("off"), ownerReads: false }, "vault", 0)).toMatchObject({ refused: "ownerReads" })
    expect(strategyFor({ ...good("off"), ownerReads: "unknown" }, "vault", 0)).toMatchObject({ write: "put" })
  })

  it("S2: MFA delete and Object Lock refuse what must be removed; unknown versioning everything", () => {
    const set = (change: Partial<BucketSettings>): ProbeReport => ({ ...good("enabled"), settings: { ...settings, versioning: "enabled", ...change } })
    expect(strategyFor(set({ mfaDelete: true }), "in-place", 0)).toMatchObject({ refused: "mfaDelete" })
    expect(strategyFor(set({ objectLock: true }), "in-place", 0)).toMatchObject({ refused: "objectLock" })
    expect(removalFor(set({ objectLock: true }))).toMatchObject({ refused: "objectLock", because: expect.stringContaining("plaintext could not be removed") })
    expect(strategyFor(set({ objectLock: true }), "vault", 0)).toMatchObject({ write: "put" })
    const unknown: ProbeReport = { ...good("off"), versioning: "unknown" }
    expect([strategyFor(unknown, "vault", 0), strategyFor(unknown, "in-place", 0), removalFor(unknown)])
      .toMatchObject([{ refused: "versioning" }, { refused: "versioning" }, { refused: "versioning" }])
  })

  it("S3: what could not be asked is told from what was seen to fail", () => {
    const report: ProbeReport = { ...nothingFound, bucket: "b", prefix: "p/", versioning: "off", requests: 1, unmeasured: "it retains",
      settings: { ...settings, objectLock: true, defaultRetention: true } }
    expect(judged(report, "vault")).toEqual({ refused: "it retains", measured: false })
    expect(judged(report, "in-place")).toMatchObject({ measured: true })
  })
})

describe("S4: the state store", () => {
  let harness: Harness
  let bucket: string
  beforeAll(async () => {
    harness = await localHarness()
    bucket = await harness.bucket()
  })
  afterAll(() => harness.close())

  const opened = async (store: Store) => openState(store, bucket, "here/").then(() => "opened", (error: unknown) => String(error))
  const set = (change: Partial<BucketSettings>): Store => ({ ...harness.store, bucketSettings: async () => ({ ...settings, ...change }) })

  it("is opened where everything that it needs was seen to hold, and nothing is left of the probe", async () => {
    const state = await openState(harness.store, bucket, "here/")
    expect((await state.list("")).paths).toEqual([])
    expect(await state.create("a.json", 1)).toBeDefined()
    await state.remove("a.json")
  })

  it.each([
    "ignores If-None-Match", "says yes to a refused create, and writes nothing", "ignores If-Match", "writes where nothing is under If-Match",
    "refuses every If-Match", "checks a create, then acts", "checks an If-Match, then acts", "gives what was there before a write", "lists nothing new",
  ])("is refused where the store %s, and the error says so", async (does) => {
    const lie = lies.find((one) => one.does === does)
    expect(await opened(lie ? lying(harness.store, lie) : harness.store)).toContain(lie && sentenceOf(lie.breaks, false).split(", ")[0])
  })

  it.each([
    ["a lifecycle rule of the whole bucket expires it", { lifecycle: [{ prefix: "", effect: "expires" }] }, "lifecycle rule"],
    ["a lifecycle rule archives a part of it", { lifecycle: [{ prefix: "here/data-keys/", effect: "archives" }] }, "lifecycle rule"],
    ["Object Lock retains it", { objectLock: true, defaultRetention: true }, "Object Lock"],
  ] as const)("is refused where %s, in any mode", async (_, change, words) => {
    expect(await opened(set(change))).toContain(words)
  })

  it("a lifecycle rule of another prefix is none of its business", async () => {
    expect(await opened(set({ lifecycle: [{ prefix: "elsewhere/", effect: "expires" }] }))).toBe("opened")
  })
})
