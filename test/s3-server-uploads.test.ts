import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateMultipartUploadCommand, DeleteObjectCommand,
  GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand, ListPartsCommand, UploadPartCommand,
  UploadPartCopyCommand,
  type CreateMultipartUploadCommandInput, type ListMultipartUploadsCommandInput, type UploadPartCopyCommandInput,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { patterned } from "./bytes.ts"
import { checksumOf } from "./s3-framing.ts"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"

const Bucket = "uploads"

let client: TestClient
beforeAll(async () => void (client = await openClient(Bucket)))
afterAll(() => client.close())

const begin = async (Key: string, more: Partial<CreateMultipartUploadCommandInput> = {}) => {
  const { UploadId = "" } = await client.s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }))
  return { Bucket: more.Bucket ?? Bucket, Key, UploadId }
}
type Begun = Awaited<ReturnType<typeof begin>>

describe("UploadPartCopy", () => {
  const bytes = patterned(6 * 1024 ** 2)
  const CopySource = `${Bucket}/source`
  let ETag = ""
  beforeAll(async () => void (ETag = (await client.put("source", bytes)).ETag ?? ""))
  const copy = (upload: Begun, PartNumber: number, more: Partial<UploadPartCopyCommandInput> = {}) =>
    client.s3.send(new UploadPartCopyCommand({ ...upload, PartNumber, CopySource, ...more }))

  it("makes an object of ranges and wholes of others", async () => {
    const upload = await begin("joined")
    const ranges = ["bytes=1048576-6291455", undefined, "bytes=7-7"]
    const Parts = []
    for (const [index, CopySourceRange] of ranges.entries()) {
      const { CopyPartResult } = await copy(upload, index + 1, CopySourceRange === undefined ? {} : { CopySourceRange })
      expect(CopyPartResult?.LastModified).toBeInstanceOf(Date)
      Parts.push({ PartNumber: index + 1, ETag: CopyPartResult?.ETag })
    }
    await client.s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }))
    const { Body } = await client.s3.send(new GetObjectCommand({ Bucket, Key: "joined" }))
    const whole = Buffer.concat([bytes.subarray(1024 ** 2), bytes, bytes.subarray(7, 8)])
    expect(Buffer.from(await Body?.transformToByteArray() ?? []).equals(whole)).toBe(true)
  })

  it.each([
    "bytes=0-6291456", "bytes=6291456-6291457", "bytes=5-4", "bytes=-5", "bytes=5-", "bytes=0-1,3-4", "0-5",
    "bytes= 0-5",
  ])("refuses the range %j: InvalidArgument", async (range) => {
    const upload = await begin("refused")
    const target = `/${Bucket}/refused?partNumber=1&uploadId=${upload.UploadId}`
    const headers = { "x-amz-copy-source": CopySource, "x-amz-copy-source-range": range }
    const answer = await client.ask({ method: "PUT", target, headers })
    expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"])
    expect((await client.s3.send(new ListPartsCommand(upload))).Parts).toBeUndefined()
  })

  it("goes ahead only under its conditions", async () => {
    const upload = await begin("conditional")
    expect(await outcome(copy(upload, 1, { CopySourceIfMatch: ETag }))).toBe("ok")
    expect(await outcome(copy(upload, 1, { CopySourceIfMatch: '"x"' }))).toBe("412 PreconditionFailed")
    expect(await outcome(copy(upload, 1, { CopySourceIfNoneMatch: ETag }))).toBe("412 PreconditionFailed")
    expect(await outcome(copy(upload, 1, { CopySourceIfUnmodifiedSince: new Date(0) }))).toBe("412 PreconditionFailed")
  })

  it("refuses what is not there, and a number that is none", async () => {
    const upload = await begin("absent")
    expect(await outcome(copy(upload, 1, { CopySource: `${Bucket}/absent` }))).toBe("404 NoSuchKey")
    expect(await outcome(copy({ ...upload, UploadId: "none" }, 1))).toBe("404 NoSuchUpload")
    expect(await outcome(copy(upload, 10_001))).toBe("400 InvalidArgument")
  })

  it("copies the version that is named, and says which", async () => {
    const Key = "versioned-source"
    await client.createBucket("uploads-versioned", "versioned")
    const { VersionId = "" } = await client.put(Key, "first", { Bucket: "uploads-versioned" })
    await client.put(Key, "the second", { Bucket: "uploads-versioned" })
    const upload = await begin("of-version")
    const made = await copy(upload, 1, { CopySource: `uploads-versioned/${Key}?versionId=${VersionId}` })
    expect(made.CopySourceVersionId).toBe(VersionId)
    expect((await client.s3.send(new ListPartsCommand(upload))).Parts).toMatchObject([{ Size: 5 }])
    const marker = await client.s3.send(new DeleteObjectCommand({ Bucket: "uploads-versioned", Key }))
    const named = `uploads-versioned/${Key}?versionId=${marker.VersionId ?? ""}`
    expect(await outcome(copy(upload, 1, { CopySource: named }))).toBe("400 InvalidRequest")
  })
})

describe("ListMultipartUploads", () => {
  const listed = { Bucket: "uploads-listed" }
  const list = (more: Partial<ListMultipartUploadsCommandInput> = {}) =>
    client.s3.send(new ListMultipartUploadsCommand({ ...listed, ...more }))
  let all: string[] = []
  beforeAll(async () => {
    await client.createBucket(listed.Bucket)
    const begun = []
    for (const Key of ["a/1", "b", "a/1", "a/2", "c", "b"]) begun.push(await begin(Key, listed))
    all = begun.map(({ Key, UploadId }) => `${Key} ${UploadId}`).sort()
  })

  it("tells of each upload by whom, since when and for what class it is", async () => {
    const upload = await begin("classed", { ...listed, StorageClass: "STANDARD_IA", ChecksumAlgorithm: "CRC32C" })
    const { Uploads } = await list({ Prefix: "classed" })
    expect(Uploads).toMatchObject([{
      Key: "classed", UploadId: upload.UploadId, StorageClass: "STANDARD_IA", Initiated: expect.any(Date),
      ChecksumAlgorithm: "CRC32C", ChecksumType: "COMPOSITE",
      Owner: { ID: "bucketseal" }, Initiator: { ID: "bucketseal" },
    }])
    await client.s3.send(new AbortMultipartUploadCommand(upload))
    expect((await list({ Prefix: "classed" })).Uploads).toBeUndefined()
  })

  it.each([1, 2, 4, 1000])("gives each once in pages of %i, by key and then by age", async (MaxUploads) => {
    const seen: string[] = []
    let next: Partial<ListMultipartUploadsCommandInput> = {}
    for (let page = 0; page < 20; page++) {
      const answer = await list({ MaxUploads, ...next })
      seen.push(...(answer.Uploads ?? []).map(({ Key = "", UploadId = "" }) => `${Key} ${UploadId}`))
      if (!answer.IsTruncated) break
      next = { KeyMarker: answer.NextKeyMarker, UploadIdMarker: answer.NextUploadIdMarker }
    }
    expect(seen.map((name) => name.split(" ")[0])).toEqual(["a/1", "a/1", "a/2", "b", "b", "c"])
    expect(seen.sort()).toEqual(all)
  })

  it("rolls prefixes up, takes a prefix, a key marker alone, max-uploads 0, and encodes names", async () => {
    const rolled = await list({ Delimiter: "/" })
    expect([rolled.CommonPrefixes, rolled.Uploads?.length]).toEqual([[{ Prefix: "a/" }], 3])
    expect((await list({ Prefix: "a/" })).Uploads?.length).toBe(3)
    expect((await list({ KeyMarker: "b" })).Uploads?.map(({ Key }) => Key)).toEqual(["c"])
    expect(await list({ MaxUploads: 0 })).toMatchObject({ IsTruncated: false, MaxUploads: 0 })
    await begin("odd\rname +%", listed)
    expect((await list({ Prefix: "odd", EncodingType: "url" })).Uploads?.[0]?.Key).toBe("odd%0Dname%20%2B%25")
  })

  it("is refused for a bucket that is not there", async () => {
    expect(await outcome(list({ Bucket: "not-there" }))).toBe("404 NoSuchBucket")
  })
})

describe("ListParts", () => {
  it("gives each part once in pages, and says whether there are more", async () => {
    const upload = await begin("paged")
    const numbers = [1, 2, 5, 9_999]
    for (const PartNumber of numbers) await client.s3.send(new UploadPartCommand({ ...upload, PartNumber, Body: "x" }))
    const page = async (PartNumberMarker: string, MaxParts: number) => {
      const answer = await client.s3.send(new ListPartsCommand({ ...upload, PartNumberMarker, MaxParts }))
      return [answer.Parts?.map(({ PartNumber }) => PartNumber), answer.IsTruncated]
    }
    expect([await page("0", 2), await page("2", 2)]).toEqual([[[1, 2], true], [[5, 9_999], false]])
    expect([await page("0", 4), await page("9999", 4), await page("0", 0)])
      .toEqual([[numbers, false], [undefined, false], [undefined, true]])
  })

  it("tells of the upload and of each part with its time and checksum", async () => {
    const upload = await begin("parts", { StorageClass: "STANDARD_IA", ChecksumAlgorithm: "SHA256" })
    const Body = Buffer.from("part")
    const sum = checksumOf("sha256", Body)
    await client.s3.send(new UploadPartCommand({ ...upload, PartNumber: 7, Body, ChecksumSHA256: sum }))
    expect(await client.s3.send(new ListPartsCommand(upload))).toMatchObject({
      StorageClass: "STANDARD_IA", ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE",
      Owner: { ID: "bucketseal" }, Initiator: { ID: "bucketseal" },
      Parts: [{ PartNumber: 7, Size: 4, ChecksumSHA256: sum, LastModified: expect.any(Date) }],
    })
  })
})

describe("AbortMultipartUpload", () => {
  const abort = (which: Begun) => outcome(client.s3.send(new AbortMultipartUploadCommand(which)))

  it("is refused for an upload that is not there, or no longer, and for a bucket that is not there", async () => {
    const upload = await begin("aborted")
    expect(await abort({ ...upload, Bucket: "not-there" })).toBe("404 NoSuchBucket")
    expect([await abort(upload), await abort(upload)]).toEqual(["ok", "404 NoSuchUpload"])
    expect(await abort({ ...upload, UploadId: "none" })).toBe("404 NoSuchUpload")
  })
})

describe("CompleteMultipartUpload", () => {
  it("with If-Match is refused where there is no object: 404, and where it is another: 412", async () => {
    const upload = await begin("compared")
    const { ETag } = await client.s3.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: "x" }))
    const complete = (IfMatch: string) => outcome(client.s3.send(new CompleteMultipartUploadCommand({
      ...upload, IfMatch, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
    })))
    expect(await complete('"x"')).toBe("404 NoSuchKey")
    const there = await client.put("compared", "there")
    expect([await complete('"x"'), await complete(there.ETag ?? "")]).toEqual(["412 PreconditionFailed", "ok"])
  })
})

describe("a read of one part", () => {
  const read = async (Key: string, PartNumber: number) => {
    const head = await outcome(client.s3.send(new HeadObjectCommand({ Bucket, Key, PartNumber })))
    const get = await outcome(client.s3.send(new GetObjectCommand({ Bucket, Key, PartNumber }))
      .then(({ Body }) => Body?.transformToByteArray()))
    return [head.slice(0, 3), get]
  }
  const made = async (Key: string, ...pieces: Uint8Array[]) => {
    const upload = await begin(Key)
    const Parts = []
    for (const [index, Body] of pieces.entries()) {
      const PartNumber = index + 1
      const { ETag } = await client.s3.send(new UploadPartCommand({ ...upload, PartNumber, Body }))
      Parts.push({ PartNumber, ETag })
    }
    await client.s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }))
  }

  it("of an object that was put whole gives it as part 1, as a range, and has no other", async () => {
    await client.put("put-whole", "12345")
    for (const method of ["GET", "HEAD"]) {
      const answer = await client.ask({ method, target: `/${Bucket}/put-whole?partNumber=1` })
      expect([answer.status, answer.headers["content-range"], answer.headers["content-length"]])
        .toEqual([206, "bytes 0-4/5", "5"])
      expect(answer.headers["x-amz-mp-parts-count"]).toBeUndefined()
    }
    expect(await read("put-whole", 2)).toEqual(["416", "416 InvalidPartNumber"])
    await client.put("put-empty", "")
    expect((await client.ask({ method: "GET", target: `/${Bucket}/put-empty?partNumber=1` })).status).toBe(200)
  })

  it("of an object of one part gives it and the count, and of several is not implemented", async () => {
    await made("one-part", Buffer.from("12345"))
    const one = await client.s3.send(new HeadObjectCommand({ Bucket, Key: "one-part", PartNumber: 1 }))
    expect([one.PartsCount, one.ContentLength]).toEqual([1, 5])
    await made("two-parts", patterned(5 * 1024 ** 2), Buffer.from("x"))
    expect(await read("two-parts", 1)).toEqual(["501", "501 NotImplemented"])
    expect(await read("two-parts", 3)).toEqual(["416", "416 InvalidPartNumber"])
  })

  it("takes no range beside it, and no number that is none", async () => {
    const ask = (number: string, headers = {}) =>
      client.ask({ method: "GET", target: `/${Bucket}/put-whole?partNumber=${number}`, headers })
    expect((await ask("1", { range: "bytes=0-1" })).code).toBe("InvalidRequest")
    for (const number of ["0", "10001", "x", ""]) expect((await ask(number)).code).toBe("InvalidArgument")
  })
})

it("nothing was logged as an error of the server's own", () => expect(client.endpoint.logged).toEqual([]))
