import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { promisify } from "node:util"
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateBucketCommand, CreateMultipartUploadCommand,
  DeleteBucketCommand, DeleteObjectCommand, GetBucketLocationCommand, GetBucketVersioningCommand, GetObjectCommand,
  GetObjectTaggingCommand, HeadBucketCommand, HeadObjectCommand, ListBucketsCommand, ListObjectsCommand,
  ListObjectsV2Command, ListPartsCommand, PutBucketVersioningCommand, PutObjectCommand, UploadPartCommand,
  type CompleteMultipartUploadCommandInput, type GetObjectCommandInput,
  type ListObjectsCommandOutput, type ListObjectsV2CommandInput, type ListObjectsV2CommandOutput,
  type PutObjectCommandInput, type S3Client,
} from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { patterned } from "./bytes.ts"
import { credentials, openEndpoint, region, sdkClient, type TestEndpoint } from "./s3-endpoint.ts"
import { outcome } from "./s3-server-client.ts"

const Bucket = "a-bucket"
const oddKeys = [
  "plain", "with space", "a+b", "100%", "%41", "a%2Fb", "/leading", "double//slash", "trailing/", "a/../b", "..", "./x",
  "?q=1&r#f", "grüße 😀", "line\nfeed", "carriage\rreturn", "tab\t", "<&>\"'", "\ufeffmark", "*~!()'", "ü".repeat(512),
]

let endpoint: TestEndpoint
let s3: S3Client
beforeAll(async () => {
  endpoint = await openEndpoint()
  s3 = sdkClient(endpoint.server)
  await s3.send(new CreateBucketCommand({ Bucket }))
})
afterAll(async () => {
  s3.destroy()
  await endpoint.close()
})

const put = (Key: string, Body: string | Uint8Array | Readable, more: Partial<PutObjectCommandInput> = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
/** Reads the body too: the SDK fails, uncaught, where one is left when its client is destroyed. */
const get = async (Key: string, more: Partial<GetObjectCommandInput> = {}) => {
  const answer = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) }
}
const bytesOf = async (Key: string, more: Partial<GetObjectCommandInput> = {}) => (await get(Key, more)).bytes
const textOf = async (Key: string, more: Partial<GetObjectCommandInput> = {}) => (await bytesOf(Key, more)).toString()
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex")

/** A stream of the bytes; not of reused memory, since a Readable reads ahead. */
function streamOf(bytes: Buffer, size = 65_536): Readable {
  const count = Math.ceil(bytes.length / size)
  return Readable.from(Array.from({ length: count }, (_, at) => bytes.subarray(at * size, (at + 1) * size)))
}

describe("the AWS SDK with its default settings", () => {
  it("puts a buffer, with a CRC32 that is answered, and gets it back", async () => {
    const answer = await put("buffer", "hello")
    expect(answer).toMatchObject({ ETag: `"${md5(Buffer.from("hello"))}"`, ChecksumCRC32: "NhCmhg==" })
    expect(await textOf("buffer")).toBe("hello")
  })

  it("puts an empty object", async () => {
    await put("empty", "")
    expect((await bytesOf("empty")).length).toBe(0)
  })

  it.each([1, 16_384, 16_385, 300_000])("puts a stream of %i bytes with a trailing checksum", async (length) => {
    const bytes = patterned(length)
    const answer = await put("stream", streamOf(bytes), { ContentLength: length })
    expect(answer.ChecksumCRC32).toBeDefined()
    expect((await bytesOf("stream")).equals(bytes)).toBe(true)
    expect((await get("stream")).ContentEncoding).toBeUndefined()
  })

  it.each(["CRC32C", "SHA1", "SHA256"] as const)("has a %s of buffer and stream verified", async (name) => {
    expect(await put("sum", "hello", { ChecksumAlgorithm: name })).toHaveProperty(`Checksum${name}`)
    await put("sum", streamOf(patterned(100_000)), { ChecksumAlgorithm: name, ContentLength: 100_000 })
    expect((await bytesOf("sum")).equals(patterned(100_000))).toBe(true)
  })

  it("uploads 12 MiB in parts by lib-storage", async () => {
    const bytes = patterned(12 * 1024 * 1024)
    const upload = new Upload({ client: s3, params: { Bucket, Key: "parts", Body: streamOf(bytes, 1 << 20) } })
    const answer = await upload.done()
    expect(answer.ETag).toMatch(/^"[0-9a-f]{32}-3"$/)
    expect((await bytesOf("parts")).equals(bytes)).toBe(true)
  })

  it.each(oddKeys)("keeps the key %j exact in put, get, head, list and delete", async (Key) => {
    await put(Key, Key)
    expect(await textOf(Key)).toBe(Key)
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key }))).ContentLength).toBe(Buffer.byteLength(Key))
    const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: Key, EncodingType: "url" }))
    expect(listed.Contents?.map((object) => decodeURIComponent(object.Key ?? ""))).toContain(Key)
    await s3.send(new DeleteObjectCommand({ Bucket, Key }))
    expect(await outcome(get(Key))).toBe("404 NoSuchKey")
  })

  it("is refused with a wrong secret or an unknown key, also where a large body is under way", async () => {
    const stranger = sdkClient(endpoint.server, "another secret")
    for (const length of [5, 3_000_000]) {
      const request = stranger.send(new PutObjectCommand({ Bucket, Key: "refused", Body: patterned(length) }))
      expect(await outcome(request)).toBe("403 SignatureDoesNotMatch")
    }
    stranger.destroy()
    expect(await outcome(get("refused"))).toBe("404 NoSuchKey")
  })
})

describe("attributes", () => {
  it("come back as they were given, with the tags counted", async () => {
    const attributes = {
      ContentType: "text/plain; charset=utf-8", CacheControl: "no-cache", ContentLanguage: "de",
      ContentDisposition: "attachment; filename=\"u.txt\"", ContentEncoding: "gzip",
      WebsiteRedirectLocation: "/other", StorageClass: "STANDARD_IA" as const,
      Metadata: { one: "1", "with-dash": "a, b; c=d", empty: "" },
    }
    await put("attributes", Readable.from([Buffer.from("hello")]), {
      ...attributes, ContentLength: 5, ExpiresString: "Thu, 01 Dec 2033 16:00:00 GMT", Tagging: "k=v&name+2=%C3%BC%2F",
    } as Partial<PutObjectCommandInput>)
    expect(await s3.send(new HeadObjectCommand({ Bucket, Key: "attributes" }))).toMatchObject(attributes)
    expect(await get("attributes")).toMatchObject({ ...attributes, TagCount: 2 })
    const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "attributes" }))
    expect(TagSet).toEqual(expect.arrayContaining([{ Key: "k", Value: "v" }, { Key: "name 2", Value: "ü/" }]))
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: "attributes" }))
    expect(Contents?.[0]?.StorageClass).toBe("STANDARD_IA")
  })

  it("default to the type binary/octet-stream", async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: "untyped", Body: Buffer.from("x") }))
    expect(["application/octet-stream", "binary/octet-stream"]).toContain((await get("untyped")).ContentType)
  })

  it("are replaced in one answer by the response- parameters of the request", async () => {
    await put("overrides", "x", { ContentType: "text/plain" })
    const answer = await get("overrides", { ResponseContentType: "text/html", ResponseCacheControl: "max-age=1" })
    expect(answer).toMatchObject({ ContentType: "text/html", CacheControl: "max-age=1" })
  })
})

describe("ranges and conditions of reads", () => {
  let ETag = ""
  let modified = new Date(0)
  beforeAll(async () => {
    ETag = (await put("ranged", "0123456789")).ETag ?? ""
    modified = (await get("ranged")).LastModified ?? modified
    await put("nothing", "")
  })
  const before = () => new Date(modified.getTime() - 1000)

  it.each([
    ["bytes=0-0", "0", "bytes 0-0/10"], ["bytes=3-5", "345", "bytes 3-5/10"], ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=7-100", "789", "bytes 7-9/10"], ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-100", "0123456789", "bytes 0-9/10"],
    ["bytes=3-9223372036854775806", "3456789", "bytes 3-9/10"], // AWS SDK for Java 1: to the end
    ["bytes=-99999999999999999999", "0123456789", "bytes 0-9/10"],
  ])("%s gives %j, and HEAD its length", async (Range, text, ContentRange) => {
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "ranged", Range }))
    expect(head).toMatchObject({ $metadata: { httpStatusCode: 206 }, ContentRange, ContentLength: text.length })
    const answer = await get("ranged", { Range })
    expect(answer).toMatchObject({ $metadata: { httpStatusCode: 206 }, ContentRange, ContentLength: text.length })
    expect(answer.bytes.toString()).toBe(text)
  })

  const ignored = ["bytes=5-2", "bytes=0-1,4-5", "bytes=", "bytes=-", "lines=1-2", "bytes=x-"]
  it.each(ignored)("%s is answered whole", async (Range) => {
    const answer = await get("ranged", { Range })
    expect([answer.$metadata.httpStatusCode, answer.bytes.toString()]).toEqual([200, "0123456789"])
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "ranged", Range }))
    expect([head.$metadata.httpStatusCode, head.ContentLength]).toEqual([200, 10])
  })

  it.each([
    ["ranged", "bytes=10-"], ["ranged", "bytes=10-12"], ["ranged", "bytes=-0"], ["nothing", "bytes=0-"],
    ["ranged", "bytes=99999999999999999999-"],
  ])("of %s, %s is out of range: 416", async (Key, Range) => {
    expect(await outcome(get(Key, { Range }))).toBe("416 InvalidRange")
    expect(await outcome(s3.send(new HeadObjectCommand({ Bucket, Key, Range })))).toMatch(/^416/)
  })

  it("If-Match takes the ETag quoted, unquoted, in a list, and *", async () => {
    for (const IfMatch of [ETag, ETag.slice(1, -1), `"x", ${ETag}`, "*"]) {
      expect(await textOf("ranged", { IfMatch })).toBe("0123456789")
    }
    expect(await outcome(get("ranged", { IfMatch: '"x"' }))).toBe("412 PreconditionFailed")
    expect(await outcome(get("ranged", { IfMatch: `W/${ETag}` }))).toBe("412 PreconditionFailed")
  })

  it("If-None-Match with the ETag, weak too, and If-Modified-Since give 304", async () => {
    for (const IfNoneMatch of [ETag, `W/${ETag}`, "*"]) {
      expect(await outcome(get("ranged", { IfNoneMatch }))).toMatch(/^304/)
    }
    expect(await outcome(get("ranged", { IfModifiedSince: modified }))).toMatch(/^304/)
    expect(await outcome(get("ranged", { IfModifiedSince: before() }))).toBe("ok")
    expect(await outcome(s3.send(new HeadObjectCommand({ Bucket, Key: "ranged", IfNoneMatch: ETag })))).toMatch(/^304/)
  })

  it("If-Unmodified-Since before the change gives 412", async () => {
    expect(await outcome(get("ranged", { IfUnmodifiedSince: before() }))).toMatch(/^412/)
    expect(await outcome(get("ranged", { IfUnmodifiedSince: modified }))).toBe("ok")
  })

  it("ETags count before dates, and conditions before ranges", async () => {
    expect(await outcome(get("ranged", { IfMatch: ETag, IfUnmodifiedSince: before() }))).toBe("ok")
    expect(await outcome(get("ranged", { IfNoneMatch: '"x"', IfModifiedSince: modified }))).toBe("ok")
    expect(await outcome(get("ranged", { IfMatch: '"x"', IfNoneMatch: ETag }))).toBe("412 PreconditionFailed")
    expect(await outcome(get("ranged", { IfMatch: '"x"', Range: "bytes=10-" }))).toBe("412 PreconditionFailed")
    expect(await outcome(get("ranged", { IfNoneMatch: ETag, Range: "bytes=10-" }))).toMatch(/^304/)
  })
})

describe("conditions of writes", () => {
  const code = (Key: string, more: Partial<PutObjectCommandInput>) => outcome(put(Key, "new", more))

  it("If-None-Match * writes only what was not there", async () => {
    expect(await code("once", { IfNoneMatch: "*" })).toBe("ok")
    expect(await code("once", { IfNoneMatch: "*" })).toBe("412 PreconditionFailed")
  })

  it("If-Match writes only over that ETag, quoted or not", async () => {
    const { ETag = "" } = await put("swap", "old")
    expect(await code("swap", { IfMatch: `"${md5(Buffer.from("stale"))}"` })).toBe("412 PreconditionFailed")
    expect(await textOf("swap")).toBe("old")
    expect(await code("swap", { IfMatch: ETag })).toBe("ok")
    expect(await code("swap", { IfMatch: md5(Buffer.from("new")) })).toBe("ok")
    expect(await code("absent", { IfMatch: ETag })).toBe("404 NoSuchKey")
    expect(await outcome(get("absent"))).toBe("404 NoSuchKey")
  })

  it("are NotImplemented where S3 has none: another If-None-Match, If-Match *", async () => {
    expect(await code("swap", { IfNoneMatch: '"x"' })).toMatch(/^501/)
    expect(await code("swap", { IfMatch: "*" })).toMatch(/^501/)
  })
})

describe("listings", () => {
  const tree = ["a/1", "a/2", "b", "c/1", "c/2", "d"]
  const listed = { Bucket: "listed" }
  beforeAll(async () => {
    await s3.send(new CreateBucketCommand(listed))
    for (const Key of tree) await s3.send(new PutObjectCommand({ ...listed, Key, Body: Key }))
  })

  const namesIn = ({ Contents = [], CommonPrefixes = [] }: ListObjectsCommandOutput | ListObjectsV2CommandOutput) =>
    [...Contents.map(({ Key }) => Key ?? ""), ...CommonPrefixes.map(({ Prefix }) => Prefix ?? "")]

  it.each([1, 2, 3, 1000])("version 2 in pages of %i gives each name once", async (MaxKeys) => {
    const names: string[] = []
    let ContinuationToken: string | undefined
    for (let page = 0; page < 10 && (page === 0 || ContinuationToken !== undefined); page++) {
      const answer = await s3.send(new ListObjectsV2Command({
        ...listed, MaxKeys, Delimiter: "/", ...(ContinuationToken !== undefined && { ContinuationToken }),
      }))
      names.push(...namesIn(answer))
      ContinuationToken = answer.NextContinuationToken
    }
    expect(names.sort()).toEqual(["a/", "b", "c/", "d"])
  })

  it.each([1, 2, 3, 1000])("version 1 in pages of %i gives each name once, by NextMarker", async (MaxKeys) => {
    const names: string[] = []
    let Marker: string | undefined
    for (let page = 0; page < 10 && (page === 0 || Marker !== undefined); page++) {
      const from = Marker === undefined ? {} : { Marker }
      const answer = await s3.send(new ListObjectsCommand({ ...listed, MaxKeys, Delimiter: "/", ...from }))
      names.push(...namesIn(answer))
      Marker = answer.NextMarker
    }
    expect(names.sort()).toEqual(["a/", "b", "c/", "d"])
  })

  it("take prefix, start-after, marker, max-keys 0 and fetch-owner", async () => {
    const v2 = async (more: Partial<ListObjectsV2CommandInput>) =>
      ((await s3.send(new ListObjectsV2Command({ ...listed, ...more }))).Contents ?? []).map(({ Key }) => Key)
    expect(await v2({ Prefix: "c/" })).toEqual(["c/1", "c/2"])
    expect(await v2({ StartAfter: "c/1" })).toEqual(["c/2", "d"])
    expect(await v2({ MaxKeys: 0 })).toEqual([])
    const byMarker = await s3.send(new ListObjectsCommand({ ...listed, Marker: "c/1" }))
    expect(byMarker.Contents?.map(({ Key }) => Key)).toEqual(["c/2", "d"])
    const owned = await s3.send(new ListObjectsV2Command({ ...listed, FetchOwner: true }))
    expect(owned.Contents?.[0]?.Owner?.ID).toBeDefined()
  })

  it("refuse an unknown encoding and a max-keys that is no number", async () => {
    const list = (more: object) => outcome(s3.send(new ListObjectsV2Command({ ...listed, ...more })))
    expect(await list({ EncodingType: "x" })).toBe("400 InvalidArgument")
    expect(await list({ MaxKeys: -1 })).toBe("400 InvalidArgument")
  })
})

describe("buckets", () => {
  it("are made, told of, listed and removed", async () => {
    const one = { Bucket: "made-here" }
    await s3.send(new CreateBucketCommand(one))
    expect((await s3.send(new HeadBucketCommand(one))).BucketRegion).toBe(region)
    expect((await s3.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name)).toContain("made-here")
    expect((await s3.send(new GetBucketLocationCommand(one))).LocationConstraint).toBeFalsy()
    await s3.send(new DeleteBucketCommand(one))
    expect(await outcome(s3.send(new HeadBucketCommand(one)))).toMatch(/^404/)
  })

  it("that hold objects are not removed, and absent ones are NoSuchBucket", async () => {
    await put("kept", "x")
    expect(await outcome(s3.send(new DeleteBucketCommand({ Bucket })))).toBe("409 BucketNotEmpty")
    const absent = { Bucket: "not-there" }
    expect(await outcome(s3.send(new GetObjectCommand({ ...absent, Key: "k" })))).toBe("404 NoSuchBucket")
    expect(await outcome(s3.send(new PutObjectCommand({ ...absent, Key: "k", Body: "x" })))).toBe("404 NoSuchBucket")
    expect(await outcome(s3.send(new ListObjectsV2Command(absent)))).toBe("404 NoSuchBucket")
    expect(await outcome(s3.send(new DeleteBucketCommand(absent)))).toBe("404 NoSuchBucket")
  })

  it("in another region are refused", async () => {
    const elsewhere = { CreateBucketConfiguration: { LocationConstraint: "eu-west-1" as const } }
    expect(await outcome(s3.send(new CreateBucketCommand({ Bucket: "elsewhere", ...elsewhere }))))
      .toBe("400 IllegalLocationConstraintException")
  })

  it("tell whether they keep versions, and are told to", async () => {
    const one = { Bucket: "versioned" }
    await s3.send(new CreateBucketCommand(one))
    const status = async () => (await s3.send(new GetBucketVersioningCommand(one))).Status
    expect(await status()).toBeUndefined()
    for (const Status of ["Enabled", "Suspended"] as const) {
      await s3.send(new PutBucketVersioningCommand({ ...one, VersioningConfiguration: { Status } }))
      expect(await status()).toBe(Status)
    }
  })

  it("that keep versions give each by its id, and only that one is deleted by it", async () => {
    const one = { Bucket: "versions-kept", Key: "k" }
    await s3.send(new CreateBucketCommand(one))
    await s3.send(new PutBucketVersioningCommand({ ...one, VersioningConfiguration: { Status: "Enabled" } }))
    const first = await s3.send(new PutObjectCommand({ ...one, Body: "first" }))
    const second = await s3.send(new PutObjectCommand({ ...one, Body: "second" }))
    const textAt = async (VersionId?: string) => {
      const version = VersionId === undefined ? {} : { VersionId }
      return (await s3.send(new GetObjectCommand({ ...one, ...version }))).Body?.transformToString()
    }
    expect(first.VersionId).toBeDefined()
    expect([await textAt(), await textAt(first.VersionId)]).toEqual(["second", "first"])
    await s3.send(new DeleteObjectCommand({ ...one, VersionId: second.VersionId }))
    expect(await textAt()).toBe("first")
    expect(await outcome(textAt(second.VersionId))).toBe("404 NoSuchVersion")
    await s3.send(new DeleteObjectCommand(one))
    expect(await outcome(textAt())).toBe("404 NoSuchKey")
    expect(await textAt(first.VersionId)).toBe("first")
  })
})

describe("multipart uploads", () => {
  const part = patterned(5 * 1024 * 1024)
  const begin = async (Key: string) => {
    const { UploadId = "" } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    return { Bucket, Key, UploadId }
  }
  type Begun = Awaited<ReturnType<typeof begin>>
  const send = async (upload: Begun, PartNumber: number, Body: Uint8Array) =>
    ({ PartNumber, ETag: (await s3.send(new UploadPartCommand({ ...upload, PartNumber, Body }))).ETag ?? "" })
  type Sent = Awaited<ReturnType<typeof send>>
  const complete = (upload: Begun, Parts: Sent[], more: Partial<CompleteMultipartUploadCommandInput> = {}) =>
    s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...more }))

  it("list their parts, in pages", async () => {
    const upload = await begin("listed-parts")
    for (const number of [3, 1, 2]) await send(upload, number, Buffer.from(`part ${number}`))
    const first = await s3.send(new ListPartsCommand({ ...upload, MaxParts: 2 }))
    expect(first.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([[1, 6], [2, 6]])
    expect([first.IsTruncated, first.NextPartNumberMarker]).toEqual([true, "2"])
    const rest = await s3.send(new ListPartsCommand({ ...upload, PartNumberMarker: first.NextPartNumberMarker }))
    expect([rest.Parts?.map(({ PartNumber }) => PartNumber), rest.IsTruncated]).toEqual([[3], false])
    await s3.send(new AbortMultipartUploadCommand(upload))
    expect(await outcome(s3.send(new ListPartsCommand(upload)))).toBe("404 NoSuchUpload")
  })

  it("refuse a wrong order, a wrong ETag, an unknown part, a small part, no parts, and store nothing", async () => {
    const upload = await begin("refused-parts")
    const [one, two] = [await send(upload, 1, Buffer.from("small")), await send(upload, 2, part)]
    expect(await outcome(complete(upload, [two, one]))).toBe("400 InvalidPartOrder")
    expect(await outcome(complete(upload, [one, one]))).toBe("400 InvalidPartOrder")
    expect(await outcome(complete(upload, [{ ...one, ETag: two.ETag }]))).toBe("400 InvalidPart")
    expect(await outcome(complete(upload, [{ ...one, PartNumber: 9 }]))).toBe("400 InvalidPart")
    expect(await outcome(complete(upload, [one, two]))).toBe("400 EntityTooSmall")
    expect(await outcome(complete(upload, []))).toBe("400 MalformedXML")
    expect(await outcome(complete(upload, Array<Sent>(10_001).fill(one)))).toBe("400 MalformedXML")
    expect(await outcome(complete(upload, Array<Sent>(10_000).fill(one)))).toBe("400 InvalidPartOrder")
    expect(await outcome(send(upload, 10_001, part))).toBe("400 InvalidArgument")
    expect(await outcome(complete({ ...upload, UploadId: "no-such-upload" }, [two]))).toBe("404 NoSuchUpload")
    expect(await outcome(get("refused-parts"))).toBe("404 NoSuchKey")
    expect(await outcome(complete(upload, [two]))).toBe("ok")
  })

  it("complete under the conditions of writes", async () => {
    const { ETag = "" } = await put("conditional", "old")
    const attempt = async (more: Partial<CompleteMultipartUploadCommandInput>) => {
      const upload = await begin("conditional")
      return outcome(complete(upload, [await send(upload, 1, Buffer.from("new"))], more))
    }
    expect(await attempt({ IfNoneMatch: "*" })).toBe("412 PreconditionFailed")
    expect(await attempt({ IfMatch: '"x"' })).toBe("412 PreconditionFailed")
    expect(await textOf("conditional")).toBe("old")
    expect(await attempt({ IfMatch: ETag })).toBe("ok")
    expect(await textOf("conditional")).toBe("new")
  })
})

describe("notifications", () => {
  it("tell of each put and completed upload as AWS does, with the key form-encoded, and of nothing else", async () => {
    const Key = "dir/a b+c%20é\"q.txt"
    endpoint.records.length = 0
    const { ETag } = await put(Key, "hello")
    await outcome(put(Key, "again", { IfNoneMatch: "*" }))
    await new Upload({ client: s3, params: { Bucket, Key, Body: patterned(6 * 1024 * 1024) } }).done()
    await s3.send(new DeleteObjectCommand({ Bucket, Key }))
    const [first, second, ...others] = endpoint.records
    expect(others).toEqual([])
    expect(first).toMatchObject({
      eventVersion: "2.1", eventSource: "aws:s3", eventName: "ObjectCreated:Put", awsRegion: region,
      s3: {
        bucket: { name: Bucket },
        object: { key: "dir/a+b%2Bc%2520%C3%A9%22q.txt", size: 5, eTag: ETag?.slice(1, -1) },
      },
    })
    expect(second?.eventName).toBe("ObjectCreated:CompleteMultipartUpload")
    expect(second?.s3.object.size).toBe(6 * 1024 * 1024)
    expect((first?.s3.object.sequencer ?? "") < (second?.s3.object.sequencer ?? "")).toBe(true)
  })
})

const aws = "/usr/bin/aws"
const run = promisify(execFile)

describe.skipIf(!existsSync(aws))(`Debian's aws${existsSync(aws) ? "" : " (left out: apt-get install awscli)"}`, () => {
  let folder = ""
  beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), "s3-aws-")) })
  afterAll(() => rm(folder, { recursive: true }))
  const command = (...words: string[]) => run(aws, ["--endpoint-url", endpoint.server.url, ...words], {
    env: {
      PATH: "/usr/bin:/bin", HOME: folder, AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey, AWS_DEFAULT_REGION: region, AWS_EC2_METADATA_DISABLED: "true",
    },
  })

  it("makes a bucket, copies 20 MiB up in parts and down again, and lists it", { timeout: 180_000 }, async () => {
    const bytes = patterned(20 * 1024 * 1024)
    const [up, down] = [join(folder, "up"), join(folder, "down")]
    await writeFile(up, bytes)
    await command("s3", "mb", "s3://by-aws")
    await command("s3", "cp", up, "s3://by-aws/a folder/file +%.bin")
    await command("s3", "cp", "s3://by-aws/a folder/file +%.bin", down)
    expect((await readFile(down)).equals(bytes)).toBe(true)
    expect((await command("s3", "ls", "s3://by-aws/a folder/")).stdout).toMatch(/ 20971520 file \+%\.bin\n$/)
  })
})

it("nothing was logged as an error of the server's own", () => expect(endpoint.logged).toEqual([]))
