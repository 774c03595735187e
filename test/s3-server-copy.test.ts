import {
  CopyObjectCommand, DeleteObjectCommand, GetObjectTaggingCommand, HeadObjectCommand, PutObjectTaggingCommand,
  type CopyObjectCommandInput,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { send, serveStore } from "./s3-endpoint.ts"
import { checksumOf } from "./s3-framing.ts"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"
import { localHarness } from "./stores.ts"

const Bucket = "copies"
const sourceOf = (key: string, bucket = Bucket) => `${bucket}/${encodeURIComponent(key)}`

let client: TestClient
beforeAll(async () => void (client = await openClient(Bucket)))
afterAll(() => client.close())

const copy = (Key: string, CopySource: string, more: Partial<CopyObjectCommandInput> = {}) =>
  client.s3.send(new CopyObjectCommand({ Bucket, Key, CopySource, ...more }))
const head = (Key: string) => client.s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }))
const tagsOf = async (Key: string) =>
  (await client.s3.send(new GetObjectTaggingCommand({ Bucket, Key }))).TagSet?.map((tag) => [tag.Key, tag.Value])

describe("CopyObject", () => {
  it.each([0, 5, 16_385, 3_000_000])("copies %i bytes and answers with ETag and time of the copy", async (length) => {
    const bytes = patterned(length)
    const { ETag } = await client.put("sized", bytes)
    const { CopyObjectResult } = await copy("sized-copy", sourceOf("sized"))
    const made = await head("sized-copy")
    expect([CopyObjectResult?.ETag, made.ETag, made.ContentLength]).toEqual([ETag, ETag, length])
    const seconds = (time: Date | undefined) => Math.floor((time?.getTime() ?? 0) / 1000)
    expect(seconds(CopyObjectResult?.LastModified)).toBe(seconds(made.LastModified))
    expect(await client.textOf("sized-copy")).toBe(bytes.toString())
  })

  it.each([
    "with space", "a+b", "100%", "%41", "a%2Fb", "/leading", "double//slash", "a/../b", "..", "?versionId=1", "grüße 😀",
    "line\nfeed", "carriage\rreturn", "<&>\"'",
  ])("finds and makes the key %j", async (key) => {
    await client.put(key, key)
    await copy(`copy of ${key}`, sourceOf(key))
    expect(await client.textOf(`copy of ${key}`)).toBe(key)
  })

  it("reads its source percent-encoded, with a slash before it, an encoded slash, or a plus that stays one", async () => {
    await client.put("dir/a+b c", "found")
    for (const source of [`/${Bucket}/dir/a+b%20c`, `${Bucket}%2Fdir%2Fa%2Bb%20c`, `${Bucket}/dir/a+b c`]) {
      const headers = { "x-amz-copy-source": source }
      expect((await client.ask({ method: "PUT", target: `/${Bucket}/found`, headers })).status).toBe(200)
    }
  })

  it.each([
    ["without a key", Bucket, "400 InvalidArgument"],
    ["with an empty key", `${Bucket}/`, "400 InvalidArgument"],
    ["with half a percent code", `${Bucket}/%4`, "400 InvalidArgument"],
    ["that is not UTF-8", `${Bucket}/%ff`, "400 InvalidArgument"],
    ["with another parameter", `${Bucket}/k?x=y`, "400 InvalidArgument"],
    ["in a bucket whose name is none", "A/k", "400 InvalidBucketName"],
    ["in a bucket that is not there", "not-there/k", "404 NoSuchBucket"],
    ["that is not there", `${Bucket}/absent`, "404 NoSuchKey"],
    ["of a version that is not there", `${Bucket}/sized?versionId=x`, "404 NoSuchVersion"],
  ])("refuses a source %s", async (_, source, expected) => {
    const headers = { "x-amz-copy-source": source }
    const answer = await client.ask({ method: "PUT", target: `/${Bucket}/refused`, headers })
    expect(`${answer.status} ${answer.code}`).toBe(expected)
    expect(await outcome(head("refused"))).toMatch(/^404/)
  })

  const attributes = {
    ContentType: "text/x-old", CacheControl: "no-cache", ContentEncoding: "gzip", Metadata: { one: "1" },
  }
  const old = { ...attributes, StorageClass: "STANDARD_IA", WebsiteRedirectLocation: "/old", Tagging: "t=old" } as const

  it("keeps attributes and tags, but neither storage class nor redirect", async () => {
    await client.put("dressed", "x", old)
    await copy("dressed-copy", sourceOf("dressed"), { ContentType: "text/ignored", Tagging: "t=ignored" })
    const made = await head("dressed-copy")
    expect(made).toMatchObject(attributes)
    expect([made.StorageClass, made.WebsiteRedirectLocation]).toEqual([undefined, undefined])
    expect(await tagsOf("dressed-copy")).toEqual([["t", "old"]])
  })

  it("takes storage class and redirect from the request", async () => {
    const named = { StorageClass: "ONEZONE_IA", WebsiteRedirectLocation: "/new" } as const
    await copy("classed", sourceOf("dressed"), named)
    expect(await head("classed")).toMatchObject({ ...attributes, ...named })
  })

  it("replaces attributes, or tags, where told to, each without the other", async () => {
    await client.put("dressed", "x", old)
    const replaced = { MetadataDirective: "REPLACE", ContentType: "text/x-new", Metadata: { two: "2" } } as const
    await copy("redressed", sourceOf("dressed"), replaced)
    const made = await head("redressed")
    expect([made.ContentType, made.CacheControl, made.Metadata]).toEqual(["text/x-new", undefined, { two: "2" }])
    expect(await tagsOf("redressed")).toEqual([["t", "old"]])
    await copy("retagged", sourceOf("dressed"), { TaggingDirective: "REPLACE", Tagging: "n=1" })
    expect(await head("retagged")).toMatchObject(attributes)
    expect(await tagsOf("retagged")).toEqual([["n", "1"]])
    await copy("untagged", sourceOf("dressed"), { TaggingDirective: "REPLACE" })
    expect(await tagsOf("untagged")).toEqual([])
  })

  it("refuses a directive that is none", async () => {
    for (const what of ["metadata", "tagging"]) {
      const headers = { "x-amz-copy-source": sourceOf("dressed"), [`x-amz-${what}-directive`]: "replace" }
      expect((await client.ask({ method: "PUT", target: `/${Bucket}/refused`, headers })).code).toBe("InvalidArgument")
    }
  })

  it("refuses to copy an object to itself without a change, and does it with one", async () => {
    await client.put("self", "x")
    const self = (more: Partial<CopyObjectCommandInput>) => outcome(copy("self", sourceOf("self"), more))
    expect(await self({})).toBe("400 InvalidRequest")
    expect(await self({ TaggingDirective: "REPLACE", Tagging: "a=b" })).toBe("400 InvalidRequest")
    expect(await self({ MetadataDirective: "REPLACE", Metadata: { a: "b" } })).toBe("ok")
    expect(await self({ StorageClass: "STANDARD_IA" })).toBe("ok")
    expect(await client.textOf("self")).toBe("x")
  })

  it.each(["off", "suspended"] as const)(
    "refuses a source that is replaced before its tags are read, with versioning %s: 409", async (versioning) => {
      const { store, bucket, close } = await localHarness()
      const src = { bucket: await bucket(), key: "src" }
      if (versioning !== "off") await store.setVersioning(src.bucket, versioning)
      await store.put(src, Buffer.from("secret"), { tags: [["class", "secret"]] })
      const get: Store["get"] = async (ref, options) => {
        const object = await store.get(ref, options)
        await store.put(src, Buffer.from("public"), { tags: [["class", "public"]] })
        return object
      }
      const racing = await serveStore({ ...store, get })
      const headers = { "x-amz-copy-source": `${src.bucket}/src` }
      const answer = await send(racing.server, { method: "PUT", target: `/${src.bucket}/dst`, headers })
      expect([answer.status, answer.code]).toEqual([409, "ConditionalRequestConflict"])
      expect(await store.head({ ...src, key: "dst" })).toBeUndefined()
      await racing.close()
      await close()
    },
  )

  it("into a part reads at most one part of the upload", async () => {
    const { store, bucket, close } = await localHarness()
    const ref = { bucket: await bucket(), key: "k" }
    await store.put(ref, Buffer.from("x"))
    const id = await store.createUpload(ref)
    for (const number of [1, 2, 3]) await store.putPart(ref, id, number, Buffer.from("x"))
    const read: number[] = []
    const listParts: Store["listParts"] = async (...which) => {
      const listed = await store.listParts(...which)
      read.push(listed.parts.length)
      return listed
    }
    const counting = await serveStore({ ...store, listParts })
    const target = `/${ref.bucket}/k?partNumber=4&uploadId=${id}`
    const headers = { "x-amz-copy-source": `${ref.bucket}/k` }
    expect((await send(counting.server, { method: "PUT", target, headers })).status).toBe(200)
    expect(read).toEqual([1])
    await counting.close()
    await close()
  })

  it("refuses a source of over 5 GiB, and takes one of 5 GiB", async () => {
    const limit = 5 * 1024 ** 3
    let given = 0
    const none = (): never => { throw new Error("not part of this test") }
    const sized = (size: number): Store => ({
      get: async () => ({ size, etag: "x", lastModified: 0, metadata: {}, tagCount: 0, cancel: () => void given++,
        body: (async function* () { yield new Uint8Array(0) })() }),
      head: async () => undefined, put: async () => ({ etag: "x" }), copy: none, delete: none, list: none, listVersions: none,
      deleteMarker: none, getTags: none, putTags: none, createUpload: none, putPart: none, completeUpload: none, abortUpload: none,
      listParts: none, listUploads: none, createBucket: none, deleteBucket: none, listBuckets: none,
      bucketSettings: none, setVersioning: none,
    })
    for (const [size, status] of [[limit + 1, 400], [limit, 200]] as const) {
      const large = await serveStore(sized(size))
      const headers = { "x-amz-copy-source": "from/k" }
      const answer = await send(large.server, { method: "PUT", target: "/to-there/k", headers })
      expect([answer.status, answer.code]).toEqual([status, status === 400 ? "InvalidRequest" : undefined])
      await large.close()
    }
    expect(given).toBe(2)
  })

  it("is told as ObjectCreated:Copy, with the size of the copy", async () => {
    await client.put("told", "12345")
    client.endpoint.records.length = 0
    await copy("told-copy", sourceOf("told"))
    await outcome(copy("told-copy", sourceOf("absent")))
    expect(client.endpoint.records.map(({ eventName, s3: { object } }) => [eventName, object.key, object.size]))
      .toEqual([["ObjectCreated:Copy", "told-copy", 5]])
  })
})

describe("conditions of a copy", () => {
  const past = new Date(Date.now() - 3_600_000)
  const future = () => new Date(Date.now() + 3_600_000)
  let ETag = ""
  beforeAll(async () => void (ETag = (await client.put("source", "bytes")).ETag ?? ""))
  const attempt = (more: Partial<CopyObjectCommandInput>) => outcome(copy("target", sourceOf("source"), more))

  it("hold or fail with 412, each by itself", async () => {
    const other = '"00000000000000000000000000000000"'
    expect(await attempt({ CopySourceIfMatch: ETag })).toBe("ok")
    expect(await attempt({ CopySourceIfMatch: other })).toBe("412 PreconditionFailed")
    expect(await attempt({ CopySourceIfNoneMatch: other })).toBe("ok")
    expect(await attempt({ CopySourceIfNoneMatch: ETag })).toBe("412 PreconditionFailed")
    expect(await attempt({ CopySourceIfModifiedSince: past })).toBe("ok")
    expect(await attempt({ CopySourceIfModifiedSince: new Date() })).toBe("412 PreconditionFailed")
    expect(await attempt({ CopySourceIfUnmodifiedSince: future() })).toBe("ok")
    expect(await attempt({ CopySourceIfUnmodifiedSince: past })).toBe("412 PreconditionFailed")
  })

  it("by ETag count before those by time", async () => {
    expect(await attempt({ CopySourceIfMatch: ETag, CopySourceIfUnmodifiedSince: past })).toBe("ok")
    const unlike = { CopySourceIfNoneMatch: ETag, CopySourceIfModifiedSince: past }
    expect(await attempt(unlike)).toBe("412 PreconditionFailed")
  })

  it("on the object that is there hold or fail as for a put, and a copy that fails changes nothing", async () => {
    await client.put("there", "old")
    const onto = (more: Partial<CopyObjectCommandInput>) => outcome(copy("there", sourceOf("source"), more))
    expect(await onto({ IfNoneMatch: "*" })).toBe("412 PreconditionFailed")
    expect(await onto({ IfMatch: ETag })).toBe("412 PreconditionFailed")
    expect(await client.textOf("there")).toBe("old")
    expect(await onto({ IfMatch: (await head("there")).ETag ?? "" })).toBe("ok")
    expect(await client.textOf("there")).toBe("bytes")
    expect(await outcome(copy("not-yet", sourceOf("source"), { IfNoneMatch: "*" }))).toBe("ok")
  })
})

describe("copies between versions", () => {
  const versioned = "copies-versioned"
  beforeAll(() => client.createBucket(versioned, "versioned"))
  const inVersions = { Bucket: versioned, Key: "k" }
  const put = (Body: string) => client.put("k", Body, inVersions)
  const copyVersion = (versionId: string, more: Partial<CopyObjectCommandInput> = {}) =>
    copy("k", `${sourceOf("k", versioned)}?versionId=${versionId}`, { ...inVersions, ...more })

  it("copy the version that is named, also over the current one, and name both", async () => {
    const first = await put("first")
    await put("second")
    const made = await copyVersion(first.VersionId ?? "")
    expect(made.CopySourceVersionId).toBe(first.VersionId)
    expect([undefined, first.VersionId]).not.toContain(made.VersionId)
    expect(await client.textOf("k", { ...inVersions, VersionId: made.VersionId })).toBe("first")
    expect(client.endpoint.records.at(-1)?.s3.object.versionId).toBe(made.VersionId)
  })

  it("copy the tags of that version", async () => {
    const tagged = await client.put("k", "tagged", { ...inVersions, Tagging: "v=1" })
    await put("untagged")
    await copy("from-version", `${sourceOf("k", versioned)}?versionId=${tagged.VersionId ?? ""}`)
    expect(await tagsOf("from-version")).toEqual([["v", "1"]])
  })

  it("refuse a delete marker: as absent, or as no source where it is named", async () => {
    const { VersionId = "" } = await client.s3.send(new DeleteObjectCommand(inVersions))
    expect(await outcome(copy("x", sourceOf("k", versioned)))).toBe("404 NoSuchKey")
    expect(await outcome(copyVersion(VersionId, { Bucket, Key: "x" }))).toBe("400 InvalidRequest")
  })
})

describe("checksums of copies", () => {
  it("are that of the source, or the one asked for, or none", async () => {
    await client.put("summed", "bytes", { ChecksumAlgorithm: "SHA256" })
    const kept = await copy("kept-sum", sourceOf("summed"))
    const sha256 = checksumOf("sha256", Buffer.from("bytes"))
    expect([kept.CopyObjectResult?.ChecksumSHA256, (await head("kept-sum")).ChecksumSHA256]).toEqual([sha256, sha256])
    const asked = await copy("asked-sum", sourceOf("summed"), { ChecksumAlgorithm: "CRC32C" })
    const crc32c = checksumOf("crc32c", Buffer.from("bytes"))
    expect(asked.CopyObjectResult).toMatchObject({ ChecksumCRC32C: crc32c, ChecksumType: "FULL_OBJECT" })
    expect(await head("asked-sum")).toMatchObject({ ChecksumCRC32C: crc32c })
    expect((await head("asked-sum")).ChecksumSHA256).toBeUndefined()
  })

  it("are refused where the algorithm is none", async () => {
    const headers = { "x-amz-copy-source": sourceOf("summed"), "x-amz-checksum-algorithm": "MD5" }
    expect((await client.ask({ method: "PUT", target: `/${Bucket}/x`, headers })).code).toBe("InvalidRequest")
  })
})

it("a tag put while an object is copied to itself stays readable", async () => {
  await client.put("tagged-self", "x")
  const Tagging = { TagSet: [{ Key: "a", Value: "b" }] }
  await client.s3.send(new PutObjectTaggingCommand({ Bucket, Key: "tagged-self", Tagging }))
  await copy("tagged-self", sourceOf("tagged-self"), { MetadataDirective: "REPLACE" })
  expect(await tagsOf("tagged-self")).toEqual([["a", "b"]])
})

it("nothing was logged as an error of the server's own", () => expect(client.endpoint.logged).toEqual([]))
