import { beforeAll, expect, it } from "vitest"
import type { Subject } from "./store-contract.ts"
import { failureOf, md5, randomName, textOf } from "./store-contract-reads.ts"

/** What a delete answers, and under which condition it happens (S3 reference, DeleteObject). */
export function deleteSentences({ store, bucket, etagForm, sentence }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const stale = { ifMatch: md5("what nobody ever stored"), form: etagForm }
  const existing = async (name = home) => {
    const ref = { bucket: name, key: randomName() }
    const { etag, versionId = "" } = await store().put(ref, Buffer.from("here"))
    return { ref, versionId, condition: { ifMatch: etag, form: etagForm } }
  }
  const versioned = async () => {
    const name = await bucket()
    await store().setVersioning(name, "enabled")
    return name
  }

  it("without versioning, a delete answers that it made no marker, also where nothing was", async () => {
    const { ref } = await existing()
    expect(await store().delete(ref)).toEqual({ marker: false })
    expect(await store().delete(ref)).toEqual({ marker: false })
  })

  it("with versioning, a delete answers the delete marker that it made", async () => {
    const { ref, versionId } = await existing(await versioned())
    const { marker, versionId: id } = await store().delete(ref)
    expect([marker, id]).toEqual([true, (await store().listVersions(ref.bucket)).versions[0]?.versionId])
    expect(id).not.toBe(versionId)
  })

  const again = async () => {
    const { ref } = await existing(await versioned())
    const [first, second] = [await store().delete(ref), await store().delete(ref)]
    const { versions } = await store().listVersions(ref.bucket)
    const ids = versions.filter(({ marker }) => marker).map(({ versionId }) => versionId)
    return { told: [second.versionId, first.versionId], ids, second }
  }
  sentence(
    "second-marker",
    "with versioning, deleting what is hidden already makes another delete marker",
    async () => {
      const { told, ids, second } = await again()
      expect([second.marker, ids]).toEqual([true, told])
    },
    async () => {
      const { told, ids, second } = await again()
      expect([second, ids]).toEqual([{ marker: false }, told.slice(1)])
    },
  )

  it("a delete of a version answers its id, and whether it was a delete marker", async () => {
    const { ref, versionId } = await existing(await versioned())
    const { versionId: marker = "" } = await store().delete(ref)
    expect(await store().delete(ref, { versionId: marker })).toEqual({ versionId: marker, marker: true })
    expect(await textOf(store(), ref)).toBe("here")
    expect(await store().delete(ref, { versionId })).toEqual({ versionId, marker: false })
  })

  it("under ifMatch with the current ETag, the object is removed", async () => {
    const { ref, condition } = await existing()
    await store().delete(ref, { condition })
    expect(await store().head(ref)).toBeUndefined()
  })

  const refused = async () => {
    const { ref } = await existing()
    return [await failureOf(store().delete(ref, { condition: stale })), await textOf(store(), ref)]
  }
  sentence(
    "delete-conditions",
    "under a stale ifMatch, the object stays: precondition-failed",
    async () => expect(await refused()).toEqual(["precondition-failed", "here"]),
    async () => expect(await refused()).toEqual(["no failure", undefined]),
  )

  const absent = () => failureOf(store().delete({ bucket: home, key: randomName() }, { condition: stale }))
  sentence(
    "delete-conditions",
    "under ifMatch, where there is no object: precondition-failed",
    async () => expect(await absent()).toBe("precondition-failed"),
    async () => expect(await absent()).toBe("no failure"),
  )

  /** Deletes the older of two versions under the ETag of one of them. */
  const older = async (of: "older" | "current") => {
    const { ref, versionId, condition } = await existing(await versioned())
    const { etag } = await store().put(ref, Buffer.from("newer"))
    const named = of === "older" ? condition : { ifMatch: etag, form: etagForm }
    const code = await failureOf(store().delete(ref, { versionId, condition: named }))
    return [code, await textOf(store(), ref, { versionId }), await textOf(store(), ref)]
  }
  sentence(
    "delete-version-conditions",
    "the condition is about the current version, also where another one is to be deleted",
    async () => {
      expect(await older("older")).toEqual(["precondition-failed", "here", "newer"])
      expect(await older("current")).toEqual(["no failure", undefined, "newer"])
    },
    async () => {
      const [code, version] = await older("current")
      expect([["no failure", undefined], ["store-refused", "here"]]).toContainEqual([code, version]) // ignored, or refused
    },
  )

  const hidden = async () => {
    const { ref, condition } = await existing(await versioned())
    const { versionId: marker } = await store().delete(ref)
    const code = await failureOf(store().delete(ref, { condition }))
    const { versions } = await store().listVersions(ref.bucket)
    return [code, versions.filter((version) => version.latest).map(({ versionId }) => versionId === marker)]
  }
  sentence(
    "delete-conditions",
    "over a delete marker there is no object: under ifMatch, precondition-failed; no other marker is made",
    async () => expect(await hidden()).toEqual(["precondition-failed", [true]]),
    async () => expect(await hidden()).toEqual(["no failure", [true]]),
  )

  sentence(
    "delete-conditions",
    "of 16 deletes and replacements at once under one ETag exactly one happens",
    async () => {
      const { ref, condition } = await existing()
      const codes = await Promise.all(Array.from({ length: 16 }, (_, racer) => failureOf(racer % 2
        ? store().delete(ref, { condition })
        : store().put(ref, Buffer.from("new"), { condition }))))
      const lost = codes.filter((code) => code === "precondition-failed" || code === "conflict")
      expect([codes.filter((code) => code === "no failure").length, lost.length]).toEqual([1, 15])
      expect(await textOf(store(), ref)).toBe(codes.indexOf("no failure") % 2 ? undefined : "new")
    },
    async () => expect(await refused()).toEqual(["no failure", undefined]),
  )
}
