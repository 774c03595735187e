import {
  DeleteObjectCommand, DeleteObjectsCommand, HeadObjectCommand, ListObjectVersionsCommand,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { checksumOf, unsignedChunks, unsignedTrailer, chunkedHeaders } from "./s3-framing.ts"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"

const Bucket = "deletes"
const versioned = "deletes-versioned"

let client: TestClient
beforeAll(async () => {
  client = await openClient(Bucket)
  await client.createBucket(versioned, "versioned")
})
afterAll(() => client.close())

const there = async (Key: string) => (await outcome(client.s3.send(new HeadObjectCommand({ Bucket, Key })))) === "ok"
const remove = (more: { Key: string; Bucket?: string; VersionId?: string; IfMatch?: string }) =>
  client.s3.send(new DeleteObjectCommand({ Bucket, ...more }))

describe("DeleteObject", () => {
  it("succeeds where there is nothing, and names no version in a bucket without any", async () => {
    await client.put("one", "x")
    for (let turn = 0; turn < 2; turn++) {
      const answer = await client.ask({ method: "DELETE", target: `/${Bucket}/one` })
      expect([answer.status, answer.body]).toEqual([204, ""])
      expect(Object.keys(answer.headers).filter((name) => /version|marker/.test(name))).toEqual([])
    }
    expect(await there("one")).toBe(false)
  })

  it("makes a delete marker in a bucket with versions, and removes the version that is named, each told", async () => {
    const first = await client.put("k", "first", { Bucket: versioned })
    const marker = await remove({ Bucket: versioned, Key: "k" })
    expect([marker.DeleteMarker, typeof marker.VersionId]).toEqual([true, "string"])
    const unmarked = await remove({ Bucket: versioned, Key: "k", VersionId: marker.VersionId ?? "" })
    expect([unmarked.DeleteMarker, unmarked.VersionId]).toEqual([true, marker.VersionId])
    expect(await client.textOf("k", { Bucket: versioned })).toBe("first")
    const gone = await remove({ Bucket: versioned, Key: "k", VersionId: first.VersionId ?? "" })
    expect([gone.DeleteMarker, gone.VersionId]).toEqual([undefined, first.VersionId])
  })

  it("with If-Match removes only what has that ETag, and with * only what is there", async () => {
    const { ETag = "" } = await client.put("guarded", "x")
    expect(await outcome(remove({ Key: "guarded", IfMatch: '"x"' }))).toBe("412 PreconditionFailed")
    expect(await there("guarded")).toBe(true)
    expect(await outcome(remove({ Key: "guarded", IfMatch: ETag }))).toBe("ok")
    expect(await there("guarded")).toBe(false)
    expect(await outcome(remove({ Key: "guarded", IfMatch: ETag }))).toBe("404 NoSuchKey")
    expect(await outcome(remove({ Key: "guarded", IfMatch: "*" }))).toBe("404 NoSuchKey")
    await client.put("guarded", "x")
    expect(await outcome(remove({ Key: "guarded", IfMatch: "*" }))).toBe("ok")
    expect(await there("guarded")).toBe(false)
  })
})

describe("DeleteObjects", () => {
  const all = (Objects: { Key: string; VersionId?: string; ETag?: string }[], Quiet = false, bucket = Bucket) =>
    client.s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet } }))

  it("removes 1,000 objects at once, whether they are there or not, and names each", async () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `many/${n}`)
    for (let at = 0; at < 40; at++) await client.put(keys[at * 25] ?? "", "x")
    const { Deleted, Errors } = await all(keys.map((Key) => ({ Key })))
    expect([Deleted?.map(({ Key }) => Key), Errors]).toEqual([keys, undefined])
    expect(await there("many/0")).toBe(false)
  })

  it.each([
    "with space", "a+b", "<&>\"'", "grüße 😀", "tab\t", "line\nfeed", "carriage\rreturn", " ", "/lead//slash", "&amp;",
  ])("removes and names the key %j, and no other", async (Key) => {
    await client.put(Key, "x")
    await client.put(Key.trim() + "other", "x")
    expect((await all([{ Key }])).Deleted).toEqual([{ Key }])
    expect([await there(Key), await there(Key.trim() + "other")]).toEqual([false, true])
  })

  it("tells only what went wrong where it is to be quiet", async () => {
    await client.put("a", "x")
    const { Deleted, Errors } = await all([{ Key: "a" }, { Key: "k".repeat(1025) }], true)
    expect([Deleted, Errors?.map(({ Code }) => Code)]).toEqual([undefined, ["KeyTooLongError"]])
  })

  it("goes on behind an object that it refuses", async () => {
    const { ETag = "" } = await client.put("a", "x")
    await client.put("b", "y")
    const { Deleted, Errors } = await all([{ Key: "b", ETag }, { Key: "a", ETag }])
    expect(Deleted?.map(({ Key }) => Key)).toEqual(["a"])
    expect(Errors).toMatchObject([{ Key: "b", Code: "PreconditionFailed" }])
    expect([await there("a"), await there("b")]).toEqual([false, true])
  })

  it("makes delete markers, and removes versions and markers that are named", async () => {
    const name = { Bucket: versioned }
    const one = await client.put("v", "1", name)
    const { Deleted: [made] = [] } = await all([{ Key: "v" }], false, versioned)
    expect(made).toMatchObject({ Key: "v", DeleteMarker: true })
    expect(made?.VersionId).toBeUndefined()
    const named = [made?.DeleteMarkerVersionId ?? "", one.VersionId ?? ""].map((VersionId) => ({ Key: "v", VersionId }))
    const { Deleted } = await all(named, false, versioned)
    const [marker, version] = named
    expect(Deleted).toEqual([{ ...marker, DeleteMarker: true, DeleteMarkerVersionId: marker?.VersionId }, version])
    const left = await client.s3.send(new ListObjectVersionsCommand({ ...name, Prefix: "v" }))
    expect([left.Versions, left.DeleteMarkers]).toEqual([undefined, undefined])
  })

  it("is refused as a whole for a bucket that is not there", async () => {
    expect(await outcome(all([{ Key: "a" }], false, "not-there"))).toBe("404 NoSuchBucket")
  })

  const xml = (objects: string) => Buffer.from(`<Delete>${objects}</Delete>`)
  const post = (body: Buffer, headers: Record<string, string> = { "content-md5": checksumOf("md5", body) }) =>
    client.ask({ method: "POST", target: `/${Bucket}?delete`, body, headers })

  it.each([
    ["no XML", Buffer.from("no"), "MalformedXML"],
    ["another root", Buffer.from("<Remove><Object><Key>kept</Key></Object></Remove>"), "MalformedXML"],
    ["no object", xml(""), "MalformedXML"],
    ["1,001 objects", xml("<Object><Key>kept</Key></Object>".repeat(1001)), "MalformedXML"],
    ["an object without a key", xml("<Object><Key>kept</Key></Object><Object/>"), "MalformedXML"],
    ["an empty key", xml("<Object><Key>kept</Key></Object><Object><Key></Key></Object>"), "MalformedXML"],
    ["over 2 MiB", xml("<Object><Key>kept</Key></Object>" + " ".repeat(2 << 20)), "MaxMessageLengthExceeded"],
  ])("with %s removes nothing", async (_, body, code) => {
    await client.put("kept", "x")
    const answer = await post(body)
    expect([answer.status, answer.code]).toEqual([400, code])
    expect(await there("kept")).toBe(true)
  })

  it("needs an MD5 or a checksum of its body, in a header or a trailer, and a right one", async () => {
    const body = xml("<Object><Key>kept</Key></Object>")
    const crc32 = { "x-amz-checksum-crc32": checksumOf("crc32", body) }
    await client.put("kept", "x")
    expect((await post(body, {})).code).toBe("InvalidRequest")
    expect((await post(body, { "content-md5": checksumOf("md5", Buffer.from("x")) })).code).toBe("BadDigest")
    expect((await post(body, { "x-amz-checksum-crc32": "AAAAAA==" })).code).toBe("BadDigest")
    expect(await there("kept")).toBe(true)
    expect((await post(body, crc32)).status).toBe(200)
    const headers = chunkedHeaders(body, "x-amz-checksum-crc32")
    const framed = { body: unsignedChunks([body], crc32), headers, payload: unsignedTrailer }
    expect((await client.ask({ method: "POST", target: `/${Bucket}?delete`, ...framed })).status).toBe(200)
  })

  it("does not overlook a condition that it does not honour", async () => {
    await client.put("kept", "x")
    const answer = await post(xml("<Object><Key>kept</Key><Size>5</Size></Object>"))
    expect(answer.body).toContain("<Code>NotImplemented</Code>")
    expect(await there("kept")).toBe(true)
  })
})

it("nothing was told or logged of all that", () => {
  expect(client.endpoint.records.filter(({ eventName }) => eventName !== "ObjectCreated:Put")).toEqual([])
  expect(client.endpoint.logged).toEqual([])
})
