import { beforeAll, expect, it } from "vitest"
import type { Attributes, ObjectRef } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import type { Subject } from "./store-contract.ts"
import { failureOf, md5, randomName, textOf } from "./store-contract-reads.ts"

const STALE = md5("what nobody ever stored")
const attributes: Attributes = { contentType: "text/x-old", cacheControl: "max-age=1", metadata: { made: "by hand" } }

/** Copies (S3 reference, CopyObject). */
export function copySentences({ store, bucket, etagForm, sentence }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const fresh = (): ObjectRef => ({ bucket: home, key: randomName() })
  const put = async (ref: ObjectRef, text: string) =>
    (await store().put(ref, Buffer.from(text), { attributes, tags: [["tag", "kept"]] })).etag
  const made = async (text: string) => {
    const ref = fresh()
    return { ref, etag: await put(ref, text) }
  }
  const tagsOf = (ref: ObjectRef) => store().getTags(ref)

  it("a copy has the bytes, attributes and tags of its source, which stays", async () => {
    const { ref, etag } = await made("one")
    const target = { bucket: home, key: `a b+c%20/ü/${randomName()}` }
    expect((await store().copy(ref, target))?.etag).toBe(etag)
    expect([await textOf(store(), target), await textOf(store(), ref)]).toEqual(["one", "one"])
    expect([await store().head(target), await tagsOf(target)]).toMatchObject([attributes, [["tag", "kept"]]])
    expect((await store().copy(target, ref))?.etag).toBe(etag)
  })

  it("a copy of 1 MiB into another bucket is whole", async () => {
    const [source, target] = [fresh(), { bucket: await bucket(), key: "copy" }]
    const { etag } = await store().put(source, patterned(1024 * 1024))
    await store().copy(source, target)
    expect(await store().head(target)).toMatchObject({ size: 1024 * 1024, etag })
  })

  const replaced = async () => {
    const { ref } = await made("one")
    await store().copy(ref, ref, { attributes: { contentType: "text/x-new", metadata: { made: "anew" } } })
    const { contentType, cacheControl, metadata } = await store().head(ref) ?? {}
    return { text: await textOf(store(), ref), contentType, cacheControl, metadata, tags: await tagsOf(ref) }
  }
  const replacing = { text: "one", contentType: "text/x-new", cacheControl: undefined, metadata: { made: "anew" } }
  sentence(
    "copy-tags",
    "attributes that are given take the place of all the source's, and its tags stay",
    async () => expect(await replaced()).toEqual({ ...replacing, tags: [["tag", "kept"]] }),
    async () => expect(await replaced()).toEqual({ ...replacing, tags: [] }),
  )

  it("gives undefined where there is no source", async () => {
    const target = fresh()
    expect([await store().copy(fresh(), target), await store().head(target)]).toEqual([undefined, undefined])
  })

  it("copies where ifMatch names the source's ETag; where not, nothing is made: precondition-failed", async () => {
    const { ref, etag } = await made("one")
    const target = fresh()
    expect(await failureOf(store().copy(ref, target, { ifMatch: STALE }))).toBe("precondition-failed")
    expect(await store().head(target)).toBeUndefined()
    await store().copy(ref, target, { ifMatch: etag })
    expect(await textOf(store(), target)).toBe("one")
  })

  /** How three copies end whose condition on the target does not hold: it is there, is another one, is not there. */
  const refused = async () => {
    const [{ ref }, target, absent] = [await made("one"), await made("two"), fresh()]
    const codes = [
      await failureOf(store().copy(ref, target.ref, { condition: { ifNoneMatch: "*" } })),
      await failureOf(store().copy(ref, target.ref, { condition: { ifMatch: STALE, form: etagForm } })),
      await failureOf(store().copy(ref, absent, { condition: { ifMatch: target.etag, form: etagForm } })),
    ]
    return [...codes, await textOf(store(), target.ref), await textOf(store(), absent)]
  }
  const failed = "precondition-failed"
  sentence(
    "copy-conditions",
    "a condition on the target that does not hold is refused, and the target stays",
    async () => expect(await refused()).toEqual([failed, failed, failed, "two", undefined]),
    async () => expect(await refused()).toEqual(["no failure", "no failure", "no failure", "one", "one"]),
  )

  it("a condition on the target that holds is no hindrance", async () => {
    const [{ ref }, target, absent] = [await made("one"), await made("two"), fresh()]
    await store().copy(ref, target.ref, { condition: { ifMatch: target.etag, form: etagForm } })
    await store().copy(ref, absent, { condition: { ifNoneMatch: "*" } })
    expect([await textOf(store(), target.ref), await textOf(store(), absent)]).toEqual(["one", "one"])
  })

  it("copies exactly the version that is named", async () => {
    const ref = { bucket: await bucket(), key: "k" }
    await store().setVersioning(ref.bucket, "enabled")
    const { versionId = "" } = await store().put(ref, Buffer.from("1"))
    await put(ref, "2")
    const target = { ...ref, key: "copy" }
    await store().copy({ ...ref, versionId }, target)
    expect([await textOf(store(), target), await textOf(store(), ref)]).toEqual(["1", "2"])
  })

  it("a bucket that is not there fails: bucket-not-found", async () => {
    const { ref } = await made("one")
    const nowhere = { bucket: `absent-${randomName()}`, key: "k" }
    expect(await failureOf(store().copy(ref, nowhere))).toBe("bucket-not-found")
    expect(await failureOf(store().copy(nowhere, ref))).toBe("bucket-not-found")
  })
}
