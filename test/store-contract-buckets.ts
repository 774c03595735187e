import { expect, it } from "vitest"
import type { Subject } from "./store-contract.ts"
import { failureOf, randomName, textOf } from "./store-contract-reads.ts"

/** Buckets: made, listed, removed, and their settings. */
export function bucketSentences({ store, bucket }: Subject): void {
  it("lists a bucket that was made, with the time it was made", async () => {
    const name = await bucket()
    const found = (await store().listBuckets()).find((listed) => listed.name === name)
    expect(Math.abs((found?.created ?? 0) - Date.now())).toBeLessThan(24 * 3600 * 1000) // clocks may differ by a day
  })

  it("making one's own bucket again succeeds and keeps what is in it", async () => {
    const name = await bucket()
    await store().put({ bucket: name, key: "k" }, Buffer.from("kept"))
    await store().createBucket(name)
    expect(await textOf(store(), { bucket: name, key: "k" })).toBe("kept")
    await store().delete({ bucket: name, key: "k" })
  })

  it.each(["ab", "a".repeat(64), "Upper-case", "under_score", "two..dots", "192.168.5.4", "-dash-first", "dash-last-"])(
    "refuses the bucket name %j",
    async (name) => expect(await failureOf(store().createBucket(name))).toBe("store-refused"),
  )

  it("removes an empty bucket, which is then no longer listed", async () => {
    const name = await bucket()
    await store().deleteBucket(name)
    expect((await store().listBuckets()).map((listed) => listed.name)).not.toContain(name)
    expect(await store().bucketSettings(name)).toBeUndefined()
  })

  it("refuses to remove a bucket that holds an object: conflict", async () => {
    const name = await bucket()
    await store().put({ bucket: name, key: "k" }, Buffer.from("here"))
    expect(await failureOf(store().deleteBucket(name))).toBe("conflict")
    expect(await textOf(store(), { bucket: name, key: "k" })).toBe("here")
    await store().delete({ bucket: name, key: "k" })
  })

  it("removing a bucket that is not there fails: bucket-not-found", async () => {
    expect(await failureOf(store().deleteBucket(`absent-${randomName()}`))).toBe("bucket-not-found")
  })

  it("get, put, delete, list and createUpload in a bucket that is not there fail: bucket-not-found", async () => {
    const ref = { bucket: `absent-${randomName()}`, key: "k" }
    expect(await failureOf(store().get(ref))).toBe("bucket-not-found")
    expect(await failureOf(store().put(ref, Buffer.from("x")))).toBe("bucket-not-found")
    expect(await failureOf(store().delete(ref))).toBe("bucket-not-found")
    expect(await failureOf(store().list(ref.bucket))).toBe("bucket-not-found")
    expect(await failureOf(store().createUpload(ref))).toBe("bucket-not-found")
  })

  it("tells whether a bucket keeps versions: off, enabled, suspended", async () => {
    const name = await bucket()
    expect((await store().bucketSettings(name))?.versioning).toBe("off")
    await store().setVersioning(name, "enabled")
    expect((await store().bucketSettings(name))?.versioning).toBe("enabled")
    await store().setVersioning(name, "suspended")
    expect((await store().bucketSettings(name))?.versioning).toBe("suspended")
  })

  it("tells of a fresh bucket: no Object Lock, no replication, no lifecycle, or that it cannot say", async () => {
    const settings = await store().bucketSettings(await bucket())
    expect([false, "unknown"]).toContain(settings?.objectLock)
    expect([false, "unknown"]).toContain(settings?.replicated)
    expect([[], "unknown"]).toContainEqual(settings?.lifecycle)
  })

  it("setting versioning on a bucket that is not there fails: bucket-not-found", async () => {
    expect(await failureOf(store().setVersioning(`absent-${randomName()}`, "enabled"))).toBe("bucket-not-found")
  })
}
