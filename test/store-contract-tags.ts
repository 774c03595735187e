import { beforeAll, expect, it } from "vitest"
import type { Tag } from "../shared/ports.ts"
import type { Subject } from "./store-contract.ts"
import { byBytes, failureOf, randomName, textOf } from "./store-contract-reads.ts"

const attributes = { contentType: "text/plain", metadata: { a: "1" } }

/** Tags of an object that is there (S3 reference, PutObjectTagging). */
export function tagSentences({ store, bucket }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const fresh = (name = home) => ({ bucket: name, key: randomName() })
  const tagsOf = async (...which: Parameters<ReturnType<typeof store>["getTags"]>) =>
    [...((await store().getTags(...which)) ?? [])].sort(([a], [b]) => byBytes(a, b))

  it("replaces all tags of an object, and nothing else", async () => {
    const ref = fresh()
    const { etag } = await store().put(ref, Buffer.from("bytes"), { attributes, tags: [["old", "1"], ["kept", "1"]] })
    expect(await store().putTags(ref, [["kept", "2"], ["new", ""]])).toEqual({})
    expect(await tagsOf(ref)).toEqual([["kept", "2"], ["new", ""]])
    expect(await store().head(ref)).toMatchObject({ ...attributes, etag, size: 5 })
    expect(await textOf(store(), ref)).toBe("bytes")
  })

  it("tags an object that had none", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("x"))
    await store().putTags(ref, [["t", "v"]])
    expect(await tagsOf(ref)).toEqual([["t", "v"]])
  })

  it("replaces all tags by none, and the object stays", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("x"), { tags: [["t", "v"]] })
    expect(await store().putTags(ref, [])).toEqual({})
    expect([await store().getTags(ref), await textOf(store(), ref)]).toEqual([[], "x"])
  })

  it("keeps all letters and signs that S3 has in names and values of tags", async () => {
    const ref = fresh()
    const tags: Tag[] = [["a b", "c+d"], ["grüße/日本", " =:@"], ["x_y-z", "1.5"]]
    await store().put(ref, Buffer.from("x"))
    await store().putTags(ref, tags)
    expect(await tagsOf(ref)).toEqual([...tags].sort(([a], [b]) => byBytes(a, b)))
  })

  it("gives undefined for an object that is not there, and makes none", async () => {
    const ref = fresh()
    expect(await store().putTags(ref, [["t", "v"]])).toBeUndefined()
    expect(await store().head(ref)).toBeUndefined()
  })

  it("refuses more than 10 tags, and those that were there stay: store-refused", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("x"), { tags: [["t", "v"]] })
    const tags = Array.from({ length: 11 }, (_, n) => [`t${n}`, "v"] as const)
    expect(await failureOf(store().putTags(ref, tags))).toBe("store-refused")
    expect(await tagsOf(ref)).toEqual([["t", "v"]])
  })

  it("fails in a bucket that is not there: bucket-not-found", async () => {
    expect(await failureOf(store().putTags(fresh(`absent-${randomName()}`), []))).toBe("bucket-not-found")
  })

  it("with versioning, tags the version named, or the current one, and makes no other version", async () => {
    const ref = fresh(await bucket())
    await store().setVersioning(ref.bucket, "enabled")
    const { versionId: older = "" } = await store().put(ref, Buffer.from("1"))
    const { versionId: current = "" } = await store().put(ref, Buffer.from("2"))
    await store().putTags(ref, [["t", "older"]], { versionId: older })
    await store().putTags(ref, [["t", "current"]])
    expect(await tagsOf(ref)).toEqual([["t", "current"]])
    expect(await tagsOf(ref, { versionId: current })).toEqual([["t", "current"]])
    expect(await tagsOf(ref, { versionId: older })).toEqual([["t", "older"]])
    const { versions } = await store().listVersions(ref.bucket)
    expect(versions.map(({ versionId, latest }) => [versionId, latest])).toEqual([[current, true], [older, false]])
  })

  it("gives undefined where a delete marker hides the object", async () => {
    const ref = fresh(await bucket())
    await store().setVersioning(ref.bucket, "enabled")
    const { versionId = "" } = await store().put(ref, Buffer.from("1"), { tags: [["t", "v"]] })
    await store().delete(ref)
    expect(await store().putTags(ref, [["t", "lost"]])).toBeUndefined()
    expect(await tagsOf(ref, { versionId })).toEqual([["t", "v"]])
  })
}
