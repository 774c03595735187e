/** Parsers whose cost grows with the square of their input do not come to an end here within the limit that a test has: a
 *  quarter of a million characters are 6 × 10¹⁰ steps then, a minute and more; where it grows in line, milliseconds. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { decodeChunks } from "../local/s3/chunked.ts"
import { rangeOf, readDecision, writeConditionOf } from "../local/s3/conditions.ts"
import { copySourceOf } from "../local/s3/copy-source.ts"
import { verifyPresignedV2 } from "../local/s3/presigned-v2.ts"
import { tagsOf } from "../local/s3/tags.ts"
import { parseTarget } from "../local/s3/target.ts"
import { parseDocument } from "../local/s3/xml.ts"
import { parseHeader } from "../shared/crypto/header.ts"
import { parseCrn } from "../shared/iam/crn.ts"
import { matchesWildcard } from "../shared/iam/wildcard.ts"
import { verify, type WireRequest } from "../shared/net/sigv4.ts"
import { parseUploadEvents } from "../shared/objects/events.ts"
import { hasDotSegment, matchPath } from "../shared/runtime/path.ts"
import { checkPreconditions, spanOf } from "../shared/runtime/range.ts"
import { parseXml } from "../shared/store/xml.ts"
import { hostWorld, type HostWorld } from "./host-world.ts"
import type { Call } from "../local/s3/call.ts"

const LENGTH = 250_000
const LIMIT = { timeout: 15_000 }

/** What is repeated, between a beginning and an end that make it almost right. */
const fillers = [
  " ", "9", "a", "/", "%2F", "&", "=", ",", ":", "\"", "[", "<a>",
  ...(process.env["SLOW"] ? ["\t", "0", "%", "%25", ";", ".", "-", "*", "W/", "a=b&", "a=b,", "1-2,", "../", "crn:", "{\"a\":", "<", "&amp;", "\\", "é", "\u0000", "AWS4-HMAC-SHA256 ", "bytes="] : []),
]

const filled = (before: string, filler: string, after: string): string => before + filler.repeat(Math.ceil(LENGTH / filler.length)) + after

/** A request with these headers, as the operations of the S3 endpoint get it. */
function callWith(headers: Readonly<Record<string, string>>): Call {
  return {
    path: "/photos/k", rawQuery: "", bucket: "photos", key: "k", query: new Map(), id: "", method: "GET", accessKeyId: "", sourceAddress: "",
    headers: new Map(Object.entries(headers)), header: (name) => headers[name], openPayload: () => { throw new Error("no body") },
  }
}

const wire = (headers: WireRequest["headers"], query = ""): WireRequest => ({ method: "GET", path: "/photos/k", query, headers })
const secretOf = (id: string): string | undefined => id === "AKID" ? "secret" : undefined
const now = Date.parse("2026-03-01T12:00:00Z")
const info = { size: 1, etag: "x", lastModified: 0, metadata: {} }

/** Each parser, with what comes before and behind the repeated text. */
const parsers: readonly (readonly [what: string, before: string, after: string, parse: (text: string) => unknown])[] = [
  ["a Range header", "bytes=", "x", (text) => spanOf(text, 100)],
  ["a Range header of the S3 endpoint", "bytes=", "x", (range) => rangeOf(callWith({ range }))],
  ["preconditions", "\"", "x", (text) => checkPreconditions(new Map([["if-none-match", text]]) as unknown as Headers, "etag")],
  ["conditions of a read", "\"", "x", (text) => readDecision(callWith({ "if-match": text, "if-none-match": text }), info)],
  ["dates in conditions", "Thu, 01 Jan 1970 ", " GMT", (text) => readDecision(callWith({ "if-modified-since": text }), info)],
  ["the condition of a write", "\"", "\"", (text) => writeConditionOf(callWith({ "if-match": text }))],
  ["the source of a copy", "photos/", "?versionId=", (text) => copySourceOf(callWith({ "x-amz-copy-source": text }))],
  ["tags", "a=", "&b", (text) => tagsOf(callWith({ "x-amz-tagging": text }))],
  ["a target", "/photos/", "?", parseTarget],
  ["the query of a target", "/photos?", "%", parseTarget],
  ["a path", "/objects/photos/", "x", (text) => [matchPath("/objects/:bucket/:key*", text), hasDotSegment(text)]],
  ["an Authorization header", "AWS4-HMAC-SHA256 Credential=AKID/20260301/r/s3/aws4_request, SignedHeaders=", ", Signature=x", (authorization) =>
    verify(wire([["host", "h"], ["authorization", authorization], ["x-amz-date", "20260301T120000Z"], ["x-amz-content-sha256", "x"]]), { now, service: "s3", secretOf })],
  ["a header that is signed", "x", "x", (text) => verify(wire([
    ["host", text], ["x-amz-date", "20260301T120000Z"], ["x-amz-content-sha256", text],
    ["authorization", `AWS4-HMAC-SHA256 Credential=AKID/20260301/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`],
  ]), { now, service: "s3", secretOf })],
  ["a credential in a query", "AKID/20260301", "/r/s3/x", (text) => verify(wire([["host", "h"]], `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-Date=20260301T120000Z&X-Amz-Credential=${encodeURIComponent(text)}&X-Amz-SignedHeaders=host&X-Amz-Signature=${"0".repeat(64)}`), { now, service: "s3", secretOf })],
  ["a query that is signed", "a", "b", (text) => verify(wire([["host", "h"]], `${text}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-Date=20260301T120000Z&X-Amz-Credential=AKID%2F20260301%2Fr%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=${"0".repeat(64)}`), { now, service: "s3", secretOf })],
  ["headers under signature version 2", "x", "x", (text) => verifyPresignedV2(wire([["x-amz-a", text], ["content-type", text]]), new Map([["AWSAccessKeyId", "AKID"], ["Expires", "9999999999"], ["Signature", "x"]]), { now, secretOf })],
  ["a document", "<Delete>", "</Delete>", (text) => parseDocument(text, "Delete")],
  ["a store's document", "<ListBucketResult>", "</ListBucketResult>", parseXml],
  ["a tag of a store's document", "<ListBucketResult ", "/>", parseXml],
  ["a CRN", "crn:v1:bluemix:public:", ":", parseCrn],
  ["an event", "{\"Records\":[{\"eventSource\":\"", "\"}]}", (text) => parseUploadEvents(jsonOf(text))],
  ["an event's key", "", "", (key) => parseUploadEvents({ Records: [{ eventSource: "aws:s3", eventName: "ObjectCreated:Put", s3: { bucket: { name: "photos" }, object: { key } } }] })],
  ["an event that wraps another", "", "", (Message) => parseUploadEvents({ Type: "Notification", Message })],
  ["a header of a sealed object", "bucketseal/1\n", "\n", (text) => parseHeader(Buffer.from(text))],
]

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

describe.each(parsers)("%s", (_, before, after, parse) => {
  it("of a quarter of a million characters, whichever is repeated, is read or refused", LIMIT, () => {
    for (const filler of fillers) {
      const text = filled(before, filler, after)
      try {
        parse(text)
      } catch (error) {
        expect(error).toBeInstanceOf(Error) // refused
      }
    }
  })
})

const longest = 1_000 // characters: what a pattern of a policy may have (IAM)

it.each([
  ["*", "*".repeat(longest), true, true], ["*a", "*a".repeat(longest / 2), true, false], ["?*", "?*".repeat(longest / 2), true, true],
  ["*a … b", `${"*a".repeat(longest / 2 - 1)}b`, false, false], ["a* … b", `${"a*".repeat(longest / 2)}b`, false, false],
])("a pattern of a policy, %s, is decided where trying all that its stars may stand for would come to no end", LIMIT, (_, pattern, all, butLast) => {
  expect(matchesWildcard(pattern, "a".repeat(2_048))).toBe(all)
  expect(matchesWildcard(pattern, `${"a".repeat(2_047)}c`)).toBe(butLast)
})

describe("bodies in chunks", () => {
  it("of a byte each, and lines that come byte by byte, are taken once", async () => {
    let taken = 0
    const framed = Buffer.concat([...Array.from({ length: 20_000 }, () => Buffer.from("1\r\nx\r\n")), Buffer.from("0\r\n\r\n")])
    const bytewise = async function* () {
      for (const byte of framed) {
        taken++
        yield Buffer.of(byte)
      }
    }
    let decoded = 0
    for await (const bytes of decodeChunks(bytewise(), { trailer: false })) decoded += bytes.length
    expect([decoded, taken]).toEqual([20_000, framed.length])
  })
})

describe("tokens", () => {
  let world: HostWorld
  beforeAll(async () => void (world = await hostWorld()))
  afterAll(() => world.close())

  it("of a quarter of a million characters, whichever is repeated, are refused without a look at any document", LIMIT, async () => {
    const before = world.state.requests()
    for (const filler of fillers.filter((one) => /^[\x20-\x7e]+$/.test(one))) {
      await expect(world.context.authenticate(filled(`${world.ownerToken.split(".")[0] ?? ""}.`, filler, ".x"))).rejects.toThrow("token")
    }
    expect(world.state.requests() - before).toBe(0)
  })
})
