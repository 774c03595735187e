/** What the endpoint makes of XML that is not what S3's operations take: nothing, and it says so. */
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, UploadPartCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { httpClient } from "../shared/net/request.ts"
import { s3Store } from "../shared/store/s3.ts"
import { checksumOf } from "./s3-framing.ts"
import { openClient, type TestClient } from "./s3-server-client.ts"
import { answer, closeServers, scripted } from "./scripted-server.ts"
import { failureOf } from "./store-contract-reads.ts"

const Bucket = "documents"

let client: TestClient
beforeAll(async () => void (client = await openClient(Bucket)))
afterAll(() => client.close())

const send = (method: string, target: string, text: string) => {
  const body = Buffer.from(text)
  return client.ask({ method, target, body, headers: { "content-md5": checksumOf("md5", body) } })
}
const keys = async () => {
  const { body } = await client.ask({ method: "GET", target: `/${Bucket}?list-type=2` })
  return [...body.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key)
}

describe("a document that is not well-formed, or has elements where text belongs, changes nothing", () => {
  const object = (inner: string) => `<Delete><Object>${inner}</Object></Delete>`
  it.each([
    ["an element left open", "<Delete><Object><Key>x</Delete>"],
    ["end tags crossed", "<Delete><Object><Key>x</Object></Key></Delete>"],
    ["another end tag", "<Delete><Object><Key>x</Key></Objects></Delete>"],
    ["a second root", "<Delete><Object><Key>x</Key></Object></Delete><Delete/>"],
    ["an element within a key", object("<Key>a<b/>c</Key>")],
    ["an element for a key", object("<Key><x/></Key>")],
    ["an element for a version", object("<Key>x</Key><VersionId><y/></VersionId>")],
    ["two keys of one object", object("<Key>x</Key><Key>ac</Key>")],
    ["CDATA", object("<Key><![CDATA[a&amp;b]]></Key>")],
    ["a document type", `<!DOCTYPE Delete>${object("<Key>x</Key>")}`],
    ["many other elements", `<Delete><Object><Key>x</Key></Object>${"<x/>".repeat(6002)}</Delete>`],
    ["an endless tag", `<Delete><Object ${"x ".repeat(16_384)}><Key>x</Key></Object></Delete>`],
  ])("%s", async (_, text) => {
    for (const key of ["x", "ac", "a%26b"]) await client.ask({ method: "PUT", target: `/${Bucket}/${key}` })
    const { status, code } = await send("POST", `/${Bucket}?delete`, text)
    expect([status, code]).toEqual([400, "MalformedXML"])
    expect(await keys()).toEqual(["a&#38;b", "ac", "x"])
  })

  it("tags and a versioning state neither", async () => {
    for (const [target, text] of [
      [`/${Bucket}/x?tagging`, "<Tagging><TagSet><Tag><Key>a</Key><Value>1</TagSet></Tagging>"],
      [`/${Bucket}/x?tagging`, "<Tagging><TagSet><Tag><Key>a</Key><Value><b/></Value></Tag></TagSet></Tagging>"],
      [`/${Bucket}?versioning`, "<VersioningConfiguration><Status>Enabled</VersioningConfiguration>"],
    ] as const) {
      expect((await send("PUT", target, text)).code).toBe("MalformedXML")
    }
    expect((await client.ask({ method: "GET", target: `/${Bucket}/x?tagging` })).body).not.toContain("<Tag>")
    expect((await client.ask({ method: "GET", target: `/${Bucket}?versioning` })).body).not.toContain("Enabled")
  })
})

describe("CompleteMultipartUpload", () => {
  const wide = `<CompleteMultipartUpload>${"<x/>".repeat(50_000)}</CompleteMultipartUpload>`
  const complete = async (text: string, uploadId: string) =>
    (await send("POST", `/${Bucket}/u?uploadId=${uploadId}`, text)).code

  it("looks for the upload before it parses, and parses no more elements than parts can have", async () => {
    expect(await complete(wide, "none")).toBe("NoSuchUpload")
    const { UploadId = "" } = await client.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "u" }))
    expect(await complete(wide, UploadId)).toBe("MalformedXML")
    const part = { Bucket, Key: "u", UploadId, PartNumber: 1 }
    const { ETag } = await client.s3.send(new UploadPartCommand({ ...part, Body: "x" }))
    const unclosed = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${ETag}</ETag></CompleteMultipartUpload>`
    expect(await complete(unclosed, UploadId)).toBe("MalformedXML")
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
    await client.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "u", UploadId, MultipartUpload }))
    expect(await keys()).toContain("u")
  })
})

describe("a listing that a store answers", () => {
  afterAll(closeServers)
  const listed = async (document: string) => {
    const { port } = await scripted(answer(200, document))
    const store = s3Store({
      endpoint: `http://127.0.0.1:${port}`, region: "eu-de", addressing: "path", allowHttp: true,
      credentials: () => Promise.resolve({ accessKeyId: "AKID", secretAccessKey: "secret" }),
      http: httpClient({ allowHttp: true, backOff: 1 }),
    })
    return store.list(Bucket)
  }
  const listing = (inner: string) =>
    `<ListBucketResult><Contents>${inner}<Size>1</Size></Contents></ListBucketResult>`

  it.each([
    ["cut off within", listing("<Key>x</Key>").replace("</Key><Size>1</Size></Contents>", "")],
    ["with another end tag", listing("<Key>x</Kex>")],
    ["with an element within a key", listing("<Key>a<b/>c</Key>")],
    ["with a key half in CDATA", listing("<Key>a<![CDATA[b]]></Key>")],
  ])("%s is not acted upon", async (_, document) => {
    expect(await failureOf(listed(document))).toBe("store-refused")
  })

  it("with a key in CDATA gives it as it stands there", async () => {
    expect((await listed(listing("<Key><![CDATA[a&amp;b]]></Key>"))).objects).toMatchObject([{ key: "a&amp;b" }])
  })
})
