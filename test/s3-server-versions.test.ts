import {
  DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand, PutBucketVersioningCommand, PutObjectCommand,
  type ListObjectVersionsCommandInput, type ListObjectVersionsCommandOutput,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"

const Bucket = "versions"

let client: TestClient
beforeAll(async () => void (client = await openClient(Bucket, "versioned")))
afterAll(() => client.close())

const remove = (Key: string) => client.s3.send(new DeleteObjectCommand({ Bucket, Key }))

describe("a delete marker", () => {
  let marker = ""
  beforeAll(async () => {
    await client.put("hidden", "x")
    marker = (await remove("hidden")).VersionId ?? ""
  })

  it.each(["GET", "HEAD"])("hides the object from %s: 404, and the marker is told", async (method) => {
    const answer = await client.ask({ method, target: `/${Bucket}/hidden` })
    expect([answer.status, method === "HEAD" ? "NoSuchKey" : answer.code]).toEqual([404, "NoSuchKey"])
    expect(answer.headers).toMatchObject({ "x-amz-delete-marker": "true", "x-amz-version-id": marker })
  })

  it.each(["GET", "HEAD"])("is no object for a %s that names it: 405, and only DELETE is allowed", async (method) => {
    const answer = await client.ask({ method, target: `/${Bucket}/hidden?versionId=${marker}` })
    expect([answer.status, method === "HEAD" ? "MethodNotAllowed" : answer.code]).toEqual([405, "MethodNotAllowed"])
    expect(answer.headers).toMatchObject({ "x-amz-delete-marker": "true", "x-amz-version-id": marker, allow: "DELETE" })
    expect(answer.headers["last-modified"]).toMatch(/GMT$/)
  })

  it.each([
    ["a key that never was", "never"], ["a key that another begins with", "hidde"],
  ])("is not told of %s", async (_, key) => {
    const answer = await client.ask({ method: "GET", target: `/${Bucket}/${key}` })
    expect([answer.status, answer.code, answer.headers["x-amz-delete-marker"]]).toEqual([404, "NoSuchKey", undefined])
  })

  it("is no object to a write with If-Match: 404", async () => {
    const headers = { "if-match": '"x"' }
    const answer = await client.ask({ method: "PUT", target: `/${Bucket}/hidden`, headers, body: Buffer.from("y") })
    expect([answer.status, answer.code]).toEqual([404, "NoSuchKey"])
  })

  it("is not told of a version that is not there", async () => {
    const answer = await client.ask({ method: "GET", target: `/${Bucket}/hidden?versionId=0` })
    expect([answer.status, answer.code]).toEqual([404, "NoSuchVersion"])
    expect(answer.headers["x-amz-delete-marker"]).toBeUndefined()
    expect((await client.ask({ method: "GET", target: `/${Bucket}/hidden?versionId=` })).code).toBe("InvalidArgument")
  })
})

describe("ListObjectVersions", () => {
  const listed = { Bucket: "versions-listed" }
  const put = async (Key: string, Body: string) =>
    (await client.s3.send(new PutObjectCommand({ ...listed, Key, Body }))).VersionId ?? ""
  const list = (more: Partial<ListObjectVersionsCommandInput> = {}) =>
    client.s3.send(new ListObjectVersionsCommand({ ...listed, ...more }))
  const idsIn = ({ Versions = [], DeleteMarkers = [] }: ListObjectVersionsCommandOutput) =>
    [...Versions, ...DeleteMarkers].map(({ Key = "", VersionId = "" }) => `${Key} ${VersionId}`)
  let all: string[] = []
  beforeAll(async () => {
    await client.createBucket(listed.Bucket)
    await put("a/before", "null version")
    await client.s3.send(new PutBucketVersioningCommand({ ...listed, VersioningConfiguration: { Status: "Enabled" } }))
    const keys = ["a/1", "a/1", "a/1", "b", "c/1", "c/1", "c/2", "a/before"]
    const ids: string[] = []
    for (const Key of keys) ids.push(`${Key} ${await put(Key, Key)}`)
    const { VersionId = "" } = await client.s3.send(new DeleteObjectCommand({ ...listed, Key: "b" }))
    all = [...ids, `b ${VersionId}`, "a/before null"].sort()
  })

  it("gives each version and marker with what it is, the newest of a key first", async () => {
    const { Versions = [], DeleteMarkers = [], ...rest } = await list()
    expect([...idsIn({ Versions, DeleteMarkers, $metadata: {} })].sort()).toEqual(all)
    expect(rest).toMatchObject({ Name: listed.Bucket, IsTruncated: false, MaxKeys: 1000 })
    expect(Versions.filter(({ Key }) => Key === "a/1").map(({ IsLatest }) => IsLatest)).toEqual([true, false, false])
    const ETag: unknown = expect.stringMatching(/^"\w{32}"$/)
    expect(Versions.at(-1)).toMatchObject({ Size: 3, StorageClass: "STANDARD", ETag })
    expect(DeleteMarkers).toMatchObject([{ Key: "b", IsLatest: true }])
    expect(Versions.find(({ Key }) => Key === "b")?.IsLatest).toBe(false)
    expect([...Versions, ...DeleteMarkers].every(({ Owner, LastModified }) => Owner?.ID && LastModified)).toBe(true)
  })

  it.each([1, 2, 3, 1000])("gives each once in pages of %i, by both markers", async (MaxKeys) => {
    const ids: string[] = []
    let next: Partial<ListObjectVersionsCommandInput> = {}
    for (let page = 0; page < 20; page++) {
      const answer = await list({ MaxKeys, ...next })
      ids.push(...idsIn(answer))
      if (!answer.IsTruncated) break
      next = { KeyMarker: answer.NextKeyMarker, VersionIdMarker: answer.NextVersionIdMarker }
    }
    expect(ids.sort()).toEqual(all)
  })

  it.each([1, 2, 1000])("rolls prefixes up in pages of %i", async (MaxKeys) => {
    const names: string[] = []
    let next: Partial<ListObjectVersionsCommandInput> = {}
    for (let page = 0; page < 20; page++) {
      const answer = await list({ MaxKeys, Delimiter: "/", ...next })
      names.push(...idsIn(answer).map((id) => id.split(" ")[0] ?? ""))
      names.push(...(answer.CommonPrefixes ?? []).map(({ Prefix }) => Prefix ?? ""))
      if (!answer.IsTruncated) break
      next = { KeyMarker: answer.NextKeyMarker }
      if (answer.NextVersionIdMarker !== undefined) next = { ...next, VersionIdMarker: answer.NextVersionIdMarker }
    }
    expect(names.sort()).toEqual(["a/", "b", "b", "c/"])
  })

  it("takes a prefix, a key marker alone, and max-keys 0", async () => {
    expect(idsIn(await list({ Prefix: "c/" })).length).toBe(3)
    expect(idsIn(await list({ KeyMarker: "b" })).map((id) => id.split(" ")[0])).toEqual(["c/1", "c/1", "c/2"])
    expect(await list({ MaxKeys: 0 })).toMatchObject({ IsTruncated: false, MaxKeys: 0 })
  })

  it("encodes names where it is told to", async () => {
    const odd = { Bucket: "versions-odd" }
    await client.createBucket(odd.Bucket, "versioned")
    for (const Key of ["carriage\rreturn", "a b+c%20/ü\u0001"]) await client.put(Key, "x", odd)
    const encoded = await list({ ...odd, EncodingType: "url" })
    expect(encoded.Versions?.map(({ Key }) => Key)).toEqual(["a%20b%2Bc%2520/%C3%BC%01", "carriage%0Dreturn"])
    expect(encoded.EncodingType).toBe("url")
    expect((await list({ ...odd, Prefix: "carriage" })).Versions?.[0]?.Key).toBe("carriage\rreturn")
  })

  it("refuses a version without a key to go on behind, another encoding, and a bucket that is not there", async () => {
    expect(await outcome(list({ VersionIdMarker: "x" }))).toBe("400 InvalidArgument")
    const encoding = await client.ask({ method: "GET", target: `/${listed.Bucket}?versions&encoding-type=x` })
    expect(encoding.code).toBe("InvalidArgument")
    expect(await outcome(list({ Bucket: "not-there" }))).toBe("404 NoSuchBucket")
  })
})

it("an object without versions has the version null", async () => {
  const plain = { Bucket: "versions-off" }
  await client.createBucket(plain.Bucket)
  await client.put("k", "x", plain)
  const { Versions } = await client.s3.send(new ListObjectVersionsCommand(plain))
  expect(Versions).toMatchObject([{ Key: "k", VersionId: "null", IsLatest: true }])
  expect(await outcome(client.s3.send(new HeadObjectCommand({ ...plain, Key: "k", VersionId: "null" })))).toBe("ok")
})

it("nothing was logged as an error of the server's own", () => expect(client.endpoint.logged).toEqual([]))
