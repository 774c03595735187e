import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, GetObjectCommand, HeadObjectCommand,
  UploadPartCommand, UploadPartCopyCommand,
  type ChecksumAlgorithm, type ChecksumType, type CompletedPart, type CompleteMultipartUploadCommandInput,
} from "@aws-sdk/client-s3"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { combineCrcs } from "../local/s3/crc-combination.ts"
import { patterned } from "./bytes.ts"
import { checksumOf } from "./s3-framing.ts"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"

const Bucket = "checksums"

let client: TestClient
beforeAll(async () => void (client = await openClient(Bucket)))
afterAll(() => client.close())

const names = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const
type Name = (typeof names)[number]
const member = (name: Name) => `Checksum${name.toUpperCase()}`
const head = (Key: string) => client.s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }))

describe("CRCs of pieces make that of the whole", () => {
  const crcs = ["crc32", "crc32c", "crc64nvme"] as const
  const combined = (name: (typeof crcs)[number], pieces: readonly Uint8Array[]) =>
    combineCrcs(name, pieces.map((piece) => ({ value: checksumOf(name, piece), size: piece.length })))

  it.each(crcs)("%s of any bytes in any pieces", (name) => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (pieces) => {
      expect(combined(name, pieces)).toBe(checksumOf(name, Buffer.concat(pieces)))
    }), { numRuns: process.env.SLOW ? 10_000 : 100 })
  })

  it.each(crcs)("%s of pieces with more than 2^16 bytes", (name) => {
    const bytes = patterned(3_000_001)
    expect(combined(name, [bytes.subarray(0, 1), bytes.subarray(1, 2_000_000), bytes.subarray(2_000_000)]))
      .toBe(checksumOf(name, bytes))
  })

  it.each(crcs)("%s also behind a piece whose size has more than 32 bits", (name) => {
    const first = { value: checksumOf(name, Buffer.from("x")), size: 1 }
    const shift = (size: number) => ({ value: checksumOf(name, Buffer.alloc(0)), size }) // a CRC of 0 changes nothing else
    const slowly = combineCrcs(name, [first, ...Array.from({ length: 8 }, () => shift(2 ** 30))])
    expect(combineCrcs(name, [first, shift(2 ** 33)])).toBe(slowly)
    expect(slowly).not.toBe(first.value)
  })
})

describe("the checksum of an object that is put", () => {
  const bytes = Buffer.from("bytes")

  it.each(names)("%s is kept, and answered where it is asked for", async (name) => {
    const headers = { [`x-amz-checksum-${name}`]: checksumOf(name, bytes) }
    const target = `/${Bucket}/put`
    const made = await client.ask({ method: "PUT", target, body: bytes, headers })
    expect(made.headers).toMatchObject({ ...headers, "x-amz-checksum-type": "FULL_OBJECT" })
    const asking = { "x-amz-checksum-mode": "ENABLED" }
    for (const method of ["GET", "HEAD"]) {
      expect((await client.ask({ method, target, headers: asking })).headers)
        .toMatchObject({ ...headers, "x-amz-checksum-type": "FULL_OBJECT" })
      expect(Object.keys((await client.ask({ method, target })).headers).join()).not.toContain("checksum")
    }
    const range = await client.ask({ method: "GET", target, headers: { ...asking, range: "bytes=0-1" } })
    expect(Object.keys(range.headers).join()).not.toContain("checksum") // it would be taken for that of the range
  })

  it("goes with the object: the next one without has none", async () => {
    await client.put("replaced", "old")
    await client.ask({ method: "PUT", target: `/${Bucket}/replaced`, body: bytes })
    expect((await head("replaced")).ChecksumCRC32).toBeUndefined()
  })
})

describe("the checksum of an object made of parts", () => {
  const pieces = [patterned(5 * 1024 ** 2), Buffer.from("the end")] as const
  const whole = Buffer.concat(pieces)
  const composite = (name: Name, parts: readonly Uint8Array[] = pieces) => {
    const values = parts.map((piece) => Buffer.from(checksumOf(name, piece), "base64"))
    return `${checksumOf(name, Buffer.concat(values))}-${parts.length}`
  }

  const begin = async (Key: string, name?: Name, ChecksumType?: ChecksumType) => {
    const algorithm = name?.toUpperCase() as ChecksumAlgorithm | undefined // each name in capitals is one
    const kind = { ...(algorithm && { ChecksumAlgorithm: algorithm }), ...(ChecksumType && { ChecksumType }) }
    return client.s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...kind }))
  }
  const sendPart = async (Key: string, UploadId: string, PartNumber: number, Body: Uint8Array, name: Name) => {
    const value = { [member(name)]: checksumOf(name, Body) }
    const part = { Bucket, Key, UploadId, PartNumber, Body, ...value }
    const { ETag = "" } = await client.s3.send(new UploadPartCommand(part))
    return { PartNumber, ETag, ...value }
  }
  const sent = async (Key: string, name?: Name, type?: ChecksumType, sums: Name = name ?? "crc32") => {
    const { UploadId = "" } = await begin(Key, name, type)
    const parts: CompletedPart[] = []
    for (const [index, piece] of pieces.entries()) parts.push(await sendPart(Key, UploadId, index + 1, piece, sums))
    const complete = (more: Partial<CompleteMultipartUploadCommandInput> = {}, Parts: CompletedPart[] = parts) =>
      client.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }))
    return { UploadId, parts, complete }
  }
  const bare = (parts: readonly CompletedPart[]) =>
    parts.map(({ ETag, PartNumber }): CompletedPart => ({ ETag, PartNumber }))

  it.each([
    ["crc32", undefined, "COMPOSITE"], ["crc32c", undefined, "COMPOSITE"], ["sha1", undefined, "COMPOSITE"],
    ["sha256", "COMPOSITE", "COMPOSITE"], ["crc64nvme", undefined, "FULL_OBJECT"],
    ["crc32", "FULL_OBJECT", "FULL_OBJECT"], ["crc32c", "FULL_OBJECT", "FULL_OBJECT"],
  ] as const)("begun with %s and the type %s is %s", async (name, asked, type) => {
    const Key = `${name}-${type}`
    const { complete } = await sent(Key, name, asked)
    const value = type === "FULL_OBJECT" ? checksumOf(name, whole) : composite(name)
    expect(await complete()).toMatchObject({ [member(name)]: value, ChecksumType: type })
    expect(await head(Key)).toMatchObject({ [member(name)]: value, ChecksumType: type })
    const got = await client.s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }))
    expect(Buffer.from(await got.Body?.transformToByteArray() ?? []).equals(whole)).toBe(true)
  })

  it.each([
    ["SHA256", "FULL_OBJECT"], ["SHA1", "FULL_OBJECT"], ["CRC64NVME", "COMPOSITE"], ["MD5", undefined],
    ["CRC32", "WHOLE"], [undefined, "COMPOSITE"],
  ])("can't be begun with %s and the type %s", async (algorithm, type) => {
    const headers = {
      ...(algorithm && { "x-amz-checksum-algorithm": algorithm }), ...(type && { "x-amz-checksum-type": type }),
    }
    const answer = await client.ask({ method: "POST", target: `/${Bucket}/k?uploads`, headers })
    expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"])
  })

  it("is told when the upload begins", async () => {
    const begun = await begin("told", "crc32c")
    expect(begun).toMatchObject({ ChecksumAlgorithm: "CRC32C", ChecksumType: "COMPOSITE" })
  })

  it("is not made of parts that were named with another checksum, or without one where it is composite", async () => {
    const { parts, complete } = await sent("parts-named", "crc32")
    const [one = {}, two = {}] = parts
    expect(await outcome(complete({}, [{ ...one, ChecksumCRC32: "AAAAAA==" }, two]))).toBe("400 InvalidPart")
    expect(await outcome(complete({}, bare(parts)))).toBe("400 InvalidRequest")
    expect(await outcome(head("parts-named"))).toMatch(/^404/)
    expect(await outcome(complete())).toBe("ok")
  })

  it("of the whole needs no checksum named for its parts", async () => {
    const { parts, complete } = await sent("parts-unnamed", "crc32", "FULL_OBJECT")
    expect(await complete({}, bare(parts))).toMatchObject({ ChecksumCRC32: checksumOf("crc32", whole) })
  })

  it("is not made of parts that were sent with another kind, or with none", async () => {
    const other = await sent("other-kind", "sha1", undefined, "crc32c")
    expect(await outcome(other.complete())).toBe("400 InvalidRequest")
    const { UploadId = "" } = await begin("none-sent", "crc64nvme")
    const target = `/${Bucket}/none-sent?partNumber=1&uploadId=${UploadId}`
    const { headers } = await client.ask({ method: "PUT", target, body: pieces[1] })
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: headers.etag }] }
    const upload = { Bucket, Key: "none-sent", UploadId, MultipartUpload }
    expect(await outcome(client.s3.send(new CompleteMultipartUploadCommand(upload)))).toBe("400 InvalidRequest")
  })

  it.each([
    ["crc32", "FULL_OBJECT"], ["crc64nvme", "FULL_OBJECT"], ["sha256", "COMPOSITE"],
  ] as const)("%s, %s, given for the whole must be right", async (name, type) => {
    const { complete } = await sent(`given-${name}`, name, type)
    const right = type === "FULL_OBJECT" ? checksumOf(name, whole) : composite(name)
    const wrong = checksumOf(name, Buffer.from("other bytes"))
    expect(await outcome(complete({ [member(name)]: wrong }))).toBe("400 BadDigest")
    const other = name === "crc32" ? "sha1" : "crc32"
    expect(await outcome(complete({ [member(other)]: checksumOf(other, whole) }))).toBe("400 InvalidRequest")
    const wrongType = type === "FULL_OBJECT" ? "COMPOSITE" : "FULL_OBJECT"
    expect(await outcome(complete({ ChecksumType: wrongType }))).toBe("400 InvalidRequest")
    expect(await outcome(head(`given-${name}`))).toMatch(/^404/)
    expect(await outcome(complete({ [member(name)]: right, ChecksumType: type }))).toBe("ok")
  })

  it("of an upload begun with none is none, unless one is given for the whole", async () => {
    const without = await sent("begun-without")
    expect((await without.complete({}, bare(without.parts))).ChecksumCRC32).toBeUndefined()
    expect((await head("begun-without")).ChecksumCRC32).toBeUndefined()
    const given = await sent("given-at-last")
    const ChecksumType = "FULL_OBJECT" as const
    expect(await outcome(given.complete({ ChecksumCRC32: "AAAAAA==", ChecksumType }))).toBe("400 BadDigest")
    await given.complete({ ChecksumCRC32: checksumOf("crc32", whole), ChecksumType })
    expect(await head("given-at-last")).toMatchObject({ ChecksumCRC32: checksumOf("crc32", whole), ChecksumType })
  })

  it("is computed of parts that are copied", async () => {
    await client.put("part-source", whole)
    const { UploadId = "" } = await begin("copied-part", "sha256")
    const upload = { Bucket, Key: "copied-part", UploadId }
    const part = { ...upload, PartNumber: 1, CopySource: `${Bucket}/part-source`, CopySourceRange: "bytes=5-1000" }
    const { CopyPartResult } = await client.s3.send(new UploadPartCopyCommand(part))
    const copied = whole.subarray(5, 1001)
    expect(CopyPartResult?.ChecksumSHA256).toBe(checksumOf("sha256", copied))
    const Parts = [{ PartNumber: 1, ETag: CopyPartResult?.ETag, ChecksumSHA256: CopyPartResult?.ChecksumSHA256 }]
    const made = await client.s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }))
    expect(made.ChecksumSHA256).toBe(composite("sha256", [copied]))
  })

  it("is that of all bytes once the object is copied", async () => {
    const { complete } = await sent("to-copy", "sha256")
    await complete()
    const copy = { Bucket, Key: "copied", CopySource: `${Bucket}/to-copy` }
    const { CopyObjectResult } = await client.s3.send(new CopyObjectCommand(copy))
    expect(CopyObjectResult).toMatchObject({ ChecksumSHA256: checksumOf("sha256", whole), ChecksumType: "FULL_OBJECT" })
  })

  it("and its size, where it is announced, must be right", async () => {
    const { complete } = await sent("sized", "crc32")
    expect(await outcome(complete({ MpuObjectSize: whole.length - 1 }))).toBe("400 InvalidRequest")
    expect(await outcome(complete({ MpuObjectSize: whole.length }))).toBe("ok")
  })
})

it("nothing was logged as an error of the server's own", () => expect(client.endpoint.logged).toEqual([]))
