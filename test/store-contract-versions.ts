import { expect, it } from "vitest"
import type { WriteCondition } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import type { Subject } from "./store-contract.ts"
import { bytesOf, failureOf, listAll, md5, textOf } from "./store-contract-reads.ts"

/** Buckets that keep versions (Amazon S3 user guide, "Using versioning in S3 buckets"). */
export function versionSentences({ store, bucket, etagForm, sentence }: Subject): void {
  const versioned = async () => {
    const ref = { bucket: await bucket(), key: "k" }
    await store().setVersioning(ref.bucket, "enabled")
    return ref
  }
  const put = async (ref: { bucket: string; key: string }, text: string) =>
    (await store().put(ref, Buffer.from(text))).versionId ?? "no version id"

  it("a bucket without versioning reports no version ids", async () => {
    const ref = { bucket: await bucket(), key: "k" }
    expect((await store().put(ref, Buffer.from("x"))).versionId).toBeUndefined()
    expect((await store().head(ref))?.versionId).toBeUndefined()
  })

  it("every put makes a version of its own, and the last one is current", async () => {
    const ref = await versioned()
    const ids = [await put(ref, "1"), await put(ref, "2"), await put(ref, "3")]
    expect(new Set(ids).size).toBe(3)
    expect((await store().head(ref))?.versionId).toBe(ids[2])
    for (const [index, versionId] of ids.entries()) {
      expect(await textOf(store(), ref, { versionId })).toBe(String(index + 1))
      expect((await store().head(ref, { versionId }))?.versionId).toBe(versionId)
    }
    expect(await listAll(store(), ref.bucket)).toEqual([["k"]])
  })

  it("a version keeps its own attributes and tags", async () => {
    const ref = await versioned()
    const options = { attributes: { metadata: { old: "1" } }, tags: [["t", "old"]] } as const
    const { versionId = "" } = await store().put(ref, Buffer.from("1"), options)
    await put(ref, "2")
    expect((await store().head(ref, { versionId }))?.metadata).toEqual({ old: "1" })
    expect(await store().getTags(ref, { versionId })).toEqual([["t", "old"]])
    expect(await store().getTags(ref)).toEqual([])
  })

  it("a delete hides the object and keeps its versions", async () => {
    const ref = await versioned()
    const versionId = await put(ref, "1")
    await store().delete(ref)
    expect(await store().get(ref)).toBeUndefined()
    expect(await store().head(ref)).toBeUndefined()
    expect(await store().getTags(ref)).toBeUndefined()
    expect(await listAll(store(), ref.bucket)).toEqual([[]])
    expect(await textOf(store(), ref, { versionId })).toBe("1")
  })

  it("tells the delete marker that hides an object, and takes no other version for one", async () => {
    const ref = await versioned()
    const versionId = await put(ref, "1")
    await put({ ...ref, key: "kk" }, "1")
    expect(await store().deleteMarker(ref)).toBeUndefined()
    const { versionId: marker = "" } = await store().delete(ref)
    expect(await store().deleteMarker(ref)).toMatchObject({ versionId: marker })
    await put(ref, "2")
    expect(await store().deleteMarker(ref)).toBeUndefined()
    expect(await store().deleteMarker(ref, { versionId })).toBeUndefined()
    expect(await store().deleteMarker({ ...ref, key: "never" })).toBeUndefined()
    expect(await store().deleteMarker({ ...ref, key: "never" }, { versionId: marker })).toBeUndefined()
  })

  const named = async () => {
    const ref = await versioned()
    await put(ref, "1")
    const { versionId: marker = "" } = await store().delete(ref)
    return { marker, told: await store().deleteMarker(ref, { versionId: marker }) }
  }
  sentence(
    "named-marker",
    "tells a delete marker that is named by its version id",
    async () => {
      const { marker, told } = await named()
      expect(told).toMatchObject({ versionId: marker })
    },
    async () => expect((await named()).told).toBeUndefined(),
  )

  it("a put after a delete is current again", async () => {
    const ref = await versioned()
    await put(ref, "1")
    await store().delete(ref)
    await put(ref, "2")
    expect(await textOf(store(), ref)).toBe("2")
  })

  it("deleting the newest version by its id makes the one before it current", async () => {
    const ref = await versioned()
    const ids = [await put(ref, "1"), await put(ref, "2"), await put(ref, "3")]
    await store().delete(ref, { versionId: ids[2] ?? "" })
    expect([await textOf(store(), ref), (await store().head(ref))?.versionId]).toEqual(["2", ids[1]])
    expect(await store().get(ref, { versionId: ids[2] ?? "" })).toBeUndefined()
  })

  it("deleting an older version by its id leaves the current one", async () => {
    const ref = await versioned()
    const ids = [await put(ref, "1"), await put(ref, "2"), await put(ref, "3")]
    await store().delete(ref, { versionId: ids[1] ?? "" })
    await store().delete(ref, { versionId: ids[1] ?? "" })
    expect(await textOf(store(), ref)).toBe("3")
    expect(await store().head(ref, { versionId: ids[1] ?? "" })).toBeUndefined()
    expect(await textOf(store(), ref, { versionId: ids[0] ?? "" })).toBe("1")
  })

  it("deleting all versions leaves nothing, and the bucket can be removed", async () => {
    const ref = await versioned()
    const ids = [await put(ref, "1"), await put(ref, "2")]
    for (const versionId of ids) await store().delete(ref, { versionId })
    expect(await store().head(ref)).toBeUndefined()
    await store().deleteBucket(ref.bucket)
  })

  it("a bucket that holds only older versions is not empty: conflict", async () => {
    const ref = await versioned()
    await put(ref, "1")
    await store().delete(ref)
    expect(await failureOf(store().deleteBucket(ref.bucket))).toBe("conflict")
  })

  it("ranges and conditions work on a version", async () => {
    const ref = await versioned()
    const bytes = patterned(100_000)
    const { versionId = "" } = await store().put(ref, bytes)
    await put(ref, "2")
    const range = { start: 70_000, end: 70_009 }
    expect((await bytesOf(store(), ref, { versionId, range }))?.equals(bytes.subarray(70_000, 70_010))).toBe(true)
    expect((await store().head(ref, { versionId, ifMatch: md5(bytes) }))?.size).toBe(100_000)
    expect(await failureOf(store().head(ref, { versionId, ifMatch: md5("2") }))).toBe("precondition-failed")
  })

  it("what was there before versioning is the version null, and stays readable under it", async () => {
    const ref = { bucket: await bucket(), key: "k" }
    await store().put(ref, Buffer.from("0"))
    await store().setVersioning(ref.bucket, "enabled")
    await put(ref, "1")
    expect(await textOf(store(), ref, { versionId: "null" })).toBe("0")
    await store().delete(ref, { versionId: "null" })
    expect(await store().head(ref, { versionId: "null" })).toBeUndefined()
    expect(await textOf(store(), ref)).toBe("1")
  })

  const suspended = async () => {
    const ref = await versioned()
    const kept = await put(ref, "kept")
    await store().setVersioning(ref.bucket, "suspended")
    return { ref, kept }
  }

  it("with versioning suspended, puts replace the version null and leave the others", async () => {
    const { ref, kept } = await suspended()
    await put(ref, "a")
    await put(ref, "b")
    expect(await textOf(store(), ref)).toBe("b")
    expect(await textOf(store(), ref, { versionId: "null" })).toBe("b")
    expect(await textOf(store(), ref, { versionId: kept })).toBe("kept")
    await store().delete(ref, { versionId: "null" })
    expect(await textOf(store(), ref)).toBe("kept")
  })

  it("with versioning suspended, a delete removes the version null and hides the others", async () => {
    const { ref, kept } = await suspended()
    await put(ref, "a")
    await store().delete(ref)
    expect(await store().head(ref)).toBeUndefined()
    expect(await textOf(store(), ref, { versionId: kept })).toBe("kept")
    await store().delete(ref, { versionId: "null" })
    expect(await textOf(store(), ref)).toBe("kept")
  })

  const suspendedId = async () => {
    const { ref } = await suspended()
    return (await store().put(ref, Buffer.from("a"))).versionId
  }
  sentence(
    "suspended-version-id",
    "with versioning suspended, a put answers the version id null",
    async () => expect(await suspendedId()).toBe("null"),
    async () => expect(await suspendedId()).toBeUndefined(),
  )

  it("an upload in parts makes a version", async () => {
    const ref = await versioned()
    const older = await put(ref, "1")
    const id = await store().createUpload(ref)
    const { etag } = await store().putPart(ref, id, 1, Buffer.from("2"))
    await store().completeUpload(ref, id, [{ number: 1, etag, size: 1 }])
    expect(await textOf(store(), ref)).toBe("2")
    expect(await textOf(store(), ref, { versionId: older })).toBe("1")
    expect((await store().head(ref))?.versionId).not.toBe(older)
  })

  /** What a put over "old" in a versioned bucket comes to: its failure and what is current afterwards. */
  const over = async (condition: (etag: string) => WriteCondition) => {
    const ref = await versioned()
    const { etag } = await store().put(ref, Buffer.from("old"))
    const put = store().put(ref, Buffer.from("new"), { condition: condition(etag) })
    return [await failureOf(put), await textOf(store(), ref)]
  }
  sentence(
    "versioned-conditions",
    "conditions are about the current version",
    async () => {
      expect(await over(() => ({ ifNoneMatch: "*" }))).toEqual(["precondition-failed", "old"])
      expect(await over((etag) => ({ ifMatch: etag, form: etagForm }))).toEqual(["no failure", "new"])
      expect(await over(() => ({ ifMatch: md5("new"), form: etagForm }))).toEqual(["precondition-failed", "old"])
    },
    async () => {
      expect(await over(() => ({ ifNoneMatch: "*" }))).toEqual(["no failure", "new"])
      expect(await over((etag) => ({ ifMatch: etag, form: etagForm }))).toEqual(["precondition-failed", "old"])
    },
  )

  const overMarker = async () => {
    const ref = await versioned()
    const { etag } = await store().put(ref, Buffer.from("old"))
    await store().delete(ref)
    const condition = { ifMatch: etag, form: etagForm }
    const refused = await failureOf(store().put(ref, Buffer.from("new"), { condition }))
    const created = await failureOf(store().put(ref, Buffer.from("new"), { condition: { ifNoneMatch: "*" } }))
    return [refused, created, await textOf(store(), ref)]
  }
  it("over a delete marker there is no object: ifMatch is refused, ifNoneMatch * writes", async () => {
    expect(await overMarker()).toEqual(["precondition-failed", "no failure", "new"])
  })
}
