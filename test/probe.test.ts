import { randomBytes } from "node:crypto"
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectLockConfigurationCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { probeAndKeep } from "../shared/contexts/objects.ts"
import { Failure } from "../shared/errors.ts"
import type { BucketSettings, Store, Versioning } from "../shared/ports.ts"
import { PROBE_PREFIX, probe } from "../shared/store/probe.ts"
import { properties, type ProbeReport, type Property } from "../shared/store/probe-report.ts"
import { reportLines } from "../shared/store/probe-text.ts"
import { isRefusal, removalFor, strategyFor } from "../shared/store/strategy.ts"
import { failingAfter, lies, lying, type Allowed } from "./lying-stores.ts"
import { memoryState } from "./memory-state.ts"
import { rgwFromEnvironment, rgwHarness, rgwSdk, rgwStore, withoutRgw, type Rgw } from "./rgw.ts"
import type { Harness } from "./store-contract.ts"
import { localHarness, stores } from "./stores.ts"

const SMALL = 1024
const LARGE = 6 * 2 ** 30

/** A bucket with this versioning. */
async function bucketOf({ store, bucket }: Harness, versioning: Versioning): Promise<string> {
  const name = await bucket()
  if (versioning !== "off") await store.setVersioning(name, "enabled")
  if (versioning === "suspended") await store.setVersioning(name, "suspended")
  return name
}

/** What a probed bucket may be used for. */
function allowedBy(report: ProbeReport): Allowed[] {
  const removal = removalFor(report)
  const may: readonly (readonly [Allowed, boolean])[] = [
    ["in-place", !isRefusal(strategyFor(report, "in-place", SMALL))],
    ["large", !isRefusal(strategyFor(report, "in-place", LARGE))],
    ["vault", !isRefusal(strategyFor(report, "vault", SMALL))],
    ["source", !isRefusal(removal)],
    ["removed", removal === "version" || removal === "if-match"],
  ]
  return may.filter(([, allowed]) => allowed).map(([name]) => name)
}

/** A store that tells of each read and write that a probe makes most of. */
const telling = (store: Store, tell: () => void): Store => ({
  ...store,
  put: (...given) => { tell(); return store.put(...given) },
  get: (...given) => { tell(); return store.get(...given) },
  createUpload: (...given) => { tell(); return store.createUpload(...given) },
  putPart: (...given) => { tell(); return store.putPart(...given) },
})

const failed = (report: ProbeReport): Property[] => properties.filter((name) => report[name] === false)

/** What is put, by key, and how large it is at most. */
function watching(store: Store) {
  const keys = new Set<string>()
  let largest = 0
  const seen = (key: string, size = 0) => {
    keys.add(key)
    largest = Math.max(largest, size)
  }
  const watched: Store = {
    ...store,
    put: (ref, body, options) => { seen(ref.key, body.length); return store.put(ref, body, options) },
    createUpload: (ref, options) => { seen(ref.key); return store.createUpload(ref, options) },
    putPart: (ref, id, number, body, options) => { seen(ref.key, body.length); return store.putPart(ref, id, number, body, options) },
    copy: (source, target, options) => { seen(target.key); return store.copy(source, target, options) },
    setVersioning: () => { throw new Error("a setting was changed") },
  }
  return { watched, keys, largest: () => largest }
}

const ofVersions: readonly Property[] = [
  "markerMatchRefused", "markerCompleteRefused", "createOverMarkerAccepted", "getVersionHonoured", "headVersionHonoured",
  "versionDirectlyAbove", "versionDeleteExact",
]

describe.each(stores)("S10: the store probe on %s", (name, open) => {
  let harness: Harness
  beforeAll(async () => void (harness = await open()))
  afterAll(() => harness.close())
  const isRgw = name === "RGW"

  it.each(["off", "enabled", "suspended"] as const)("measures versioning (%s), and changes no setting", async (versioning) => {
    const bucket = await bucketOf(harness, versioning)
    expect((await probe(watching(harness.store).watched, bucket)).versioning).toBe(versioning)
    expect((await harness.store.bucketSettings(bucket))?.versioning).toBe(versioning)
  })

  it.each(["off", "enabled", "suspended"] as const)("writes at most 40 objects of at most 1 KiB under a prefix it announces first, and leaves nothing (%s)", async (versioning) => {
    const bucket = await bucketOf(harness, versioning)
    const { watched, keys, largest } = watching(harness.store)
    const announced: [prefix: string, written: number][] = []
    const report = await probe(watched, bucket, { announce: (prefix) => void announced.push([prefix, keys.size]) })
    expect(announced).toEqual([[report.prefix, 0]])
    expect(report.prefix.startsWith(PROBE_PREFIX)).toBe(true)
    expect([...keys].filter((key) => !key.startsWith(report.prefix))).toEqual([])
    expect(keys.size).toBeLessThanOrEqual(40)
    expect(largest()).toBeLessThanOrEqual(1024)
    expect(report.canariesRemoved).toBe(true)
    expect((await harness.store.listVersions(bucket)).versions).toEqual([])
    expect((await harness.store.list(bucket)).objects).toEqual([])
    expect((await harness.store.listUploads(bucket)).uploads).toEqual([])
  })

  it("finds out what it does in a bucket without versions", async () => {
    const report = await probe(harness.store, await harness.bucket())
    expect(failed(report)).toEqual(isRgw ? [
      "quotedMatchAccepted", "completeRefusesExisting", "staleCompleteRefused", "missingCompleteRefused", "copyTargetMatchHonoured",
      "staleDeleteRefused", "checksumRefused", "streamChecksumRefused",
    ] : [])
    expect(properties.filter((property) => report[property] === "unknown")).toEqual(
      isRgw ? ["completeHasOneWinner", "rightDeleteAccepted", ...ofVersions] : ["ownerReads", ...ofVersions])
    expect(allowedBy(report)).toEqual(isRgw ? ["in-place", "vault", "source"] : ["in-place", "large", "vault", "source", "removed"])
  })

  it("S2: finds out whether conditions hold in a bucket with versions, and where not, in-place is refused", async () => {
    const report = await probe(harness.store, await bucketOf(harness, "enabled"))
    expect(allowedBy(report)).toEqual(isRgw ? ["source", "removed"] : ["in-place", "large", "vault", "source", "removed"])
    const strategy = strategyFor(report, "in-place", SMALL)
    expect(strategy).toEqual(isRgw
      ? { refused: "createRefusesExisting", because: "it accepts If-None-Match: * on an object that exists" }
      : { write: "put", versioned: true, removeSource: "version" })
  })

  it("S2: finds out the same of a bucket whose versioning is suspended, apart", async () => {
    const report = await probe(harness.store, await bucketOf(harness, "suspended"))
    expect(allowedBy(report)).toEqual(isRgw ? ["source"] : ["in-place", "large", "vault", "source"])
    if (isRgw) expect(strategyFor(report, "in-place", SMALL)).toMatchObject({ refused: "createOverMarkerAccepted" })
  })
})

const { S3_TEST_ACCESS_KEY_ID_2: secondId, S3_TEST_SECRET_ACCESS_KEY_2: secondKey } = process.env

const rgw = rgwFromEnvironment()
if (rgw) describe("S10: what Ceph RGW tells of a bucket", () => rgwTells(rgw))
else describe("S10: what Ceph RGW tells of a bucket", () => it.skip(withoutRgw, () => {}))

function rgwTells(rgw: Rgw) {
  const harness = rgwHarness(rgw)
  const sdk = rgwSdk(rgw)
  afterAll(async () => {
    await harness.close()
    sdk.destroy()
  })

  it("a default retention is read, and no canary is written", async () => {
    const Bucket = `bucketseal-test-${randomBytes(6).toString("hex")}`
    await sdk.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }))
    const DefaultRetention = { Mode: "GOVERNANCE", Days: 1 } as const
    await sdk.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration: { ObjectLockEnabled: "Enabled", Rule: { DefaultRetention } } }))
    const { watched, keys } = watching(harness.store)
    const report = await probe(watched, Bucket)
    expect([report.settings.objectLock, report.settings.defaultRetention, report.versioning, keys.size]).toEqual([true, true, "enabled", 0])
    expect(strategyFor(report, "in-place", SMALL)).toMatchObject({ refused: "objectLock" })
    await harness.store.deleteBucket(Bucket)
  })

  it.skipIf(!secondId || !secondKey)("a writer of another account is told apart: the bucket's owner could not read what he wrote", async () => {
    const bucket = await harness.bucket()
    const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`]
    const Statement = [{ Effect: "Allow", Principal: { AWS: ["arn:aws:iam:::user/bob"] }, Action: "s3:*", Resource }]
    await sdk.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify({ Version: "2012-10-17", Statement }) }))
    const bob = rgwStore({ ...rgw, accessKeyId: secondId ?? "", secretAccessKey: secondKey ?? "" })
    const report = await probe(bob, bucket)
    expect([report.settings.policy, report.settings.owner, report.ownerReads]).toEqual([true, "alice", false])
    expect(strategyFor(report, "in-place", SMALL)).toMatchObject({ refused: "ownerReads" })
    await bob.put({ bucket, key: "his" }, Buffer.from("x"))
    await expect(harness.store.get({ bucket, key: "his" })).rejects.toMatchObject({ code: "forbidden" })
  })
}

describe("the store probe", () => {
  let harness: Harness
  const buckets = new Map<Versioning, string>()
  beforeAll(async () => {
    harness = await localHarness()
    for (const versioning of ["off", "enabled", "suspended"] as const) buckets.set(versioning, await bucketOf(harness, versioning))
  })
  afterAll(() => harness.close())
  const probed = (store: Store, versioning: Versioning = "off") => probe(store, buckets.get(versioning) ?? "")
  const withSettings = (change: Partial<BucketSettings>): Store => ({
    ...harness.store,
    async bucketSettings(bucket) {
      const settings = await harness.store.bucketSettings(bucket)
      return settings && { ...settings, ...change }
    },
  })

  it.each(lies)("S10: a store that $does is told apart", async ({ versioning = "off", breaks, allowed, tell }) => {
    const report = await probed(lying(harness.store, { tell }), versioning)
    expect([failed(report).includes(breaks), allowedBy(report)]).toEqual([true, [...allowed]])
  })

  it("names the property that failed, in a sentence", async () => {
    const because = (report: ProbeReport) => {
      const strategy = strategyFor(report, "in-place", SMALL)
      return isRefusal(strategy) ? strategy : undefined
    }
    const told = async (does: string) => {
      const lie = lies.find((one) => one.does === does)
      return lie && because(await probed(lying(harness.store, lie), lie.versioning))
    }
    expect(await told("ignores If-Match")).toEqual({ refused: "staleMatchRefused", because: "it accepts If-Match with a stale ETag" })
    expect(await told("deletes the newest version, whichever is named"))
      .toEqual({ refused: "versionDeleteExact", because: "deleting a version removes another one than was named, or more" })
    expect(await told("gives versions, though its settings say off"))
      .toEqual({ refused: "versionsAsSet", because: "the bucket's versioning is enabled, though its settings say off" })
  })

  it.each(["off", "enabled", "suspended"] as const)("S10: settings that are unknown hinder nothing that can be measured (%s)", async (versioning) => {
    const report = await probed(withSettings({
      versioning: "unknown", mfaDelete: "unknown", objectLock: "unknown", defaultRetention: "unknown", replicated: "unknown",
      notifies: "unknown", policy: "unknown", lifecycle: "unknown",
    }), versioning)
    expect([report.versioning, report.versionsAsSet]).toEqual([versioning, "unknown"])
    expect(allowedBy(report)).toEqual(["in-place", "large", "vault", "source", ...(versioning === "suspended" ? [] : ["removed"])])
  })

  it.each([
    ["Object Lock retains what is written", { objectLock: true, defaultRetention: true }, "off", "objectLock"],
    ["removing versions takes MFA", { mfaDelete: true }, "enabled", "mfaDelete"],
  ] as const)("S10: where %s, no canary is written, and nothing is allowed", async (_, settings, versioning, refused) => {
    const { watched, keys } = watching(withSettings(settings))
    const report = await probed(watched, versioning)
    expect([[...keys], report.requests, allowedBy(report)]).toEqual([[], 1, []])
    expect(properties.every((name) => report[name] === "unknown")).toBe(true)
    expect([strategyFor(report, "in-place", SMALL), strategyFor(report, "vault", SMALL), removalFor(report)])
      .toMatchObject([{ refused }, { refused }, { refused }])
  })

  it("S23: a bucket with Object Lock, but no default retention, may be a vault and nothing else", async () => {
    const report = await probed(withSettings({ objectLock: true }))
    expect(allowedBy(report)).toEqual(["vault"])
    expect(removalFor(report)).toMatchObject({ because: expect.stringContaining("plaintext could not be removed") })
  })

  it("writes one canary only where that one turns out to be locked", async () => {
    const lie = lies.find(({ breaks }) => breaks === "notLocked")
    const { watched, keys } = watching(lying(harness.store, { tell: lie?.tell ?? (() => ({})) }))
    await probed(watched)
    expect(keys.size).toBe(1)
  })

  it.each([0, 1, 5, 20, 60])("S3: a store that fails after %i reads and writes is not judged, and nothing is left in it", async (calls) => {
    const bucket = await harness.bucket()
    await expect(probe(failingAfter(harness.store, calls), bucket)).rejects.toMatchObject({ code: "unavailable" })
    expect((await harness.store.list(bucket)).objects).toEqual([])
    expect((await harness.store.listUploads(bucket)).uploads).toEqual([])
  })

  it.each(["not-implemented", "store-refused", "forbidden"] as const)("of a store that can't list versions, nor say whether it keeps them, its canaries are removed by their keys (%s)", async (code) => {
    const bucket = await harness.bucket()
    const listVersions = () => Promise.reject(new Failure(code, "no"))
    const report = await probe({ ...withSettings({ versioning: "unknown" }), listVersions }, bucket)
    expect(report.canariesRemoved).toBe(code !== "forbidden") // delete markers that it may not see
    expect((await harness.store.list(bucket)).objects).toEqual([])
    expect((await harness.store.listUploads(bucket)).uploads).toEqual([])
  })

  it.each([1, 10, 60, 150])("one that is told to stop after %i calls ends early, and leaves nothing", async (calls) => {
    for (const versioning of ["off", "enabled"] as const) {
      const bucket = await bucketOf(harness, versioning)
      const stop = new AbortController()
      let called = 0
      const count = () => void (++called === calls && stop.abort())
      await expect(probe(telling(harness.store, count), bucket, { signal: stop.signal })).rejects.toMatchObject({ name: "AbortError" })
      expect((await harness.store.listVersions(bucket)).versions).toEqual([])
      expect((await harness.store.listUploads(bucket)).uploads).toEqual([])
    }
  })

  it.each(["off", "enabled", "suspended"] as const)("removes first what a probe that was killed has left, once it is older than an hour, and nothing else (%s)", async (versioning) => {
    const bucket = await bucketOf(harness, versioning)
    const canary = { bucket, key: `${PROBE_PREFIX}${"0".repeat(16)}/plain` }
    const others = [`${PROBE_PREFIX}notes`, `${PROBE_PREFIX}${"0".repeat(15)}/x`, "a"]
    for (const key of [canary.key, canary.key, ...others]) await harness.store.put({ bucket, key }, Buffer.from("x"))
    await harness.store.delete(canary)
    await harness.store.put(canary, Buffer.from("x"))
    await harness.store.createUpload(canary)
    await harness.store.createUpload({ bucket, key: "a" })
    const left = async () => [
      [...new Set((await harness.store.listVersions(bucket)).versions.map(({ key }) => key))].sort(),
      (await harness.store.listUploads(bucket)).uploads.map(({ key }) => key),
    ]
    const probedIn = (milliseconds: number) => probeAndKeep({ state: memoryState(), clock: () => Date.now() + milliseconds }, harness.store, bucket, {})
    await probedIn(50 * 60_000)
    expect(await left()).toEqual([[canary.key, ...others].sort(), [canary.key, "a"]])
    await probedIn(61 * 60_000)
    expect(await left()).toEqual([[...others].sort(), ["a"]])
  })

  it("what a killed probe has left is no hindrance where it can't be listed or removed", async () => {
    const bucket = await harness.bucket()
    const refuse = () => Promise.reject(new Failure("forbidden", "no"))
    const store: Store = { ...harness.store, listUploads: refuse, listVersions: refuse }
    await harness.store.put({ bucket, key: `${PROBE_PREFIX}${"0".repeat(16)}/plain` }, Buffer.from("x"))
    const report = await probeAndKeep({ state: memoryState(), clock: () => Date.now() + 2 * 3_600_000 }, store, bucket, {})
    expect([report.staleMatchRefused, (await harness.store.list(bucket)).objects]).toEqual([true, []])
  })

  it("a store that can't remove canaries is told so, and judged all the same", async () => {
    const bucket = await harness.bucket()
    const forbidding: Store = { ...harness.store, delete: async (ref, options) => options ? harness.store.delete(ref, options) : { marker: false } }
    const report = await probe(forbidding, bucket)
    expect([report.canariesRemoved, allowedBy(report).includes("in-place")]).toEqual([false, true])
  })

  it("a bucket that is not there is none", async () => {
    await expect(probe(harness.store, "nowhere")).rejects.toMatchObject({ code: "bucket-not-found" })
  })

  it("the report is JSON, and for people one line a property, and what follows", async () => {
    const report = await probed(harness.store)
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    const lines = reportLines(report)
    expect(properties.filter((name) => lines.filter((line) => line.startsWith(`  ${"+-?"[[true, false, "unknown"].indexOf(report[name])]} ${name}: `)).length !== 1)).toEqual([])
    expect(lines.slice(-3)).toEqual([
      "in place: yes", "as a vault: yes", "sealed from here into a vault: yes, and the sources are deleted under If-Match",
    ])
  })
})
