import {
  DeleteObjectCommand, DeleteObjectTaggingCommand, GetObjectTaggingCommand, HeadObjectCommand, PutObjectTaggingCommand,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"

const Bucket = "tags"
const Key = "k"

let client: TestClient
beforeAll(async () => void (client = await openClient(Bucket, "versioned")))
afterAll(() => client.close())

type Tags = readonly (readonly [name: string, value: string])[]
const tag = (tags: Tags, more: { Key?: string; VersionId?: string } = {}) => {
  const Tagging = { TagSet: tags.map(([Key, Value]) => ({ Key, Value })) }
  return client.s3.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging, ...more }))
}
const tagsOf = async (more: { VersionId?: string } = {}) => {
  const { TagSet = [] } = await client.s3.send(new GetObjectTaggingCommand({ Bucket, Key, ...more }))
  return TagSet.map(({ Key = "", Value = "" }) => [Key, Value]).sort()
}
const many = (count: number) => Array.from({ length: count }, (_, n) => [`name ${n}`, "v"] as const)

describe("the tags of an object", () => {
  it("are replaced, counted and removed, without a new ETag or version", async () => {
    const { ETag, VersionId } = await client.put(Key, "bytes", { Tagging: "old=1" })
    expect((await tag([["a", "1"], ["b", ""]])).VersionId).toBe(VersionId)
    expect(await tagsOf()).toEqual([["a", "1"], ["b", ""]])
    const counted = await client.s3.send(new HeadObjectCommand({ Bucket, Key }))
    expect([counted.ETag, counted.VersionId]).toEqual([ETag, VersionId])
    await client.s3.send(new DeleteObjectTaggingCommand({ Bucket, Key }))
    expect(await tagsOf()).toEqual([])
    expect(await client.textOf(Key)).toBe("bytes")
  })

  it("are those of the version that is named", async () => {
    const older = await client.put(Key, "older")
    await client.put(Key, "newer", { Tagging: "n=1" })
    const VersionId = older.VersionId ?? ""
    await tag([["o", "1"]], { VersionId })
    expect([await tagsOf(), await tagsOf({ VersionId })]).toEqual([[["n", "1"]], [["o", "1"]]])
    await client.s3.send(new DeleteObjectTaggingCommand({ Bucket, Key, VersionId }))
    expect([await tagsOf(), await tagsOf({ VersionId })]).toEqual([[["n", "1"]], []])
  })

  it.each<[string, Tags]>([
    ["of 128 and 256 characters", [["n".repeat(128), "v".repeat(256)]]],
    ["of all characters allowed", [["Grüße 日本 09", "+-=._:/@ "], ["ü", ""]]],
    ["ten of them", many(10)],
    ["none", []],
  ])("may be %s", async (_, tags) => {
    await client.put(Key, "x")
    await tag(tags)
    expect(await tagsOf()).toEqual([...tags].map(([name, value]) => [name, value]).sort())
  })

  it.each<[string, Tags, string]>([
    ["eleven", many(11), "400 BadRequest"],
    ["a name of 129 characters", [["n".repeat(129), "v"]], "400 InvalidTag"],
    ["a value of 257 characters", [["n", "v".repeat(257)]], "400 InvalidTag"],
    ["an empty name", [["", "v"]], "400 InvalidTag"],
    ["one name twice", [["n", "1"], ["n", "2"]], "400 InvalidTag"],
    ["a character that is not allowed in a name", [["a&b", "v"]], "400 InvalidTag"],
    ["a character that is not allowed in a value", [["n", "50 %"]], "400 InvalidTag"],
    ["a name of AWS's own", [["aws:x", "v"]], "400 InvalidTag"],
  ])("are refused: %s", async (_, tags, expected) => {
    await client.put(Key, "x", { Tagging: "kept=1" })
    expect(await outcome(tag(tags))).toBe(expected)
    expect(await tagsOf()).toEqual([["kept", "1"]])
    const header = tags.map((pair) => pair.map(encodeURIComponent).join("=")).join("&")
    expect(await outcome(client.put("refused", "x", { Tagging: header }))).toBe(expected)
    expect(await outcome(client.textOf("refused"))).toBe("404 NoSuchKey")
  })

  it.each([
    ["another root", "<Tags><TagSet/></Tags>"], ["no set", "<Tagging/>"],
    ["a tag without a value", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"],
  ])("are refused from XML with %s", async (_, xml) => {
    const answer = await client.ask({ method: "PUT", target: `/${Bucket}/${Key}?tagging`, body: Buffer.from(xml) })
    expect([answer.status, answer.code]).toEqual([400, "MalformedXML"])
  })

  it("are those of an object that is there, and of no delete marker", async () => {
    const absent = { Key: "absent" }
    expect(await outcome(tag([["a", "b"]], absent))).toBe("404 NoSuchKey")
    expect(await outcome(tag([["a", "b"]], { VersionId: "x" }))).toBe("404 NoSuchVersion")
    expect(await outcome(client.s3.send(new DeleteObjectTaggingCommand({ Bucket, ...absent })))).toBe("404 NoSuchKey")
    const { VersionId = "" } = await client.s3.send(new DeleteObjectCommand({ Bucket, Key }))
    expect(await outcome(tag([["a", "b"]]))).toBe("404 NoSuchKey")
    expect(await outcome(tag([["a", "b"]], { VersionId }))).toBe("405 MethodNotAllowed")
    expect(await outcome(tagsOf({ VersionId }))).toBe("405 MethodNotAllowed")
  })
})

it("nothing was logged as an error of the server's own", () => expect(client.endpoint.logged).toEqual([]))
