import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  credentials, exchange, head, openEndpoint, region, send, sha256, signed,
  type RawRequest, type TestEndpoint,
} from "./s3-endpoint.ts"
import { checksumOf, chunkedHeaders, signedRequest, unsignedChunks, unsignedTrailer } from "./s3-framing.ts"

let endpoint: TestEndpoint
beforeAll(async () => {
  endpoint = await openEndpoint()
  await send(endpoint.server, { method: "PUT", target: "/raw" })
})
afterAll(() => endpoint.close())

const hello = Buffer.from("hello, world")
const ask = (raw: RawRequest) => send(endpoint.server, raw)
const stored = async (target = "/raw/k") => (await ask({ method: "HEAD", target })).status === 200
const text = async (target: string) => (await ask({ method: "GET", target })).body

describe("a refused request stores nothing and says why", () => {
  const put = { method: "PUT", target: "/raw/k", body: hello }
  const checksums = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const
  type Trailers = Record<string, string>
  const unsigned = (trailers: Trailers, announced = Object.keys(trailers).join(","), chunks = [hello]): RawRequest => ({
    ...put, body: unsignedChunks(chunks, trailers), headers: chunkedHeaders(hello, announced), payload: unsignedTrailer,
  })
  const withHeaders = (headers: Record<string, string>): RawRequest => ({ ...put, headers })
  const framing = (framed: string | Buffer): RawRequest =>
    ({ ...put, body: Buffer.from(framed), headers: chunkedHeaders(hello), payload: unsignedTrailer })
  const crc32 = { "x-amz-checksum-crc32": checksumOf("crc32", hello) }
  const stranger = { ...credentials, accessKeyId: "NOBODY" }
  const forger = { ...credentials, secretAccessKey: "x" }
  const plain = "\r\nhello, world\r\n0\r\n\r\n"
  const zeros = "0".repeat(64)
  const half = "x".repeat(1024)
  const other = (name: (typeof checksums)[number]) =>
    ({ [`x-amz-checksum-${name}`]: checksumOf(name, Buffer.from("other bytes")) })

  const refusals: readonly (readonly [says: string, request: RawRequest, answer: string])[] = [
    ["no signature", { ...put, credentials: undefined }, "403 AccessDenied"],
    ["an unknown access key", { ...put, credentials: stranger }, "403 InvalidAccessKeyId"],
    ["a wrong secret", { ...put, credentials: forger }, "403 SignatureDoesNotMatch"],
    ["a clock 16 minutes behind", { ...put, now: Date.now() - 16 * 60_000 }, "403 RequestTimeTooSkewed"],
    ["a body of another hash", { ...put, payload: sha256(Buffer.from("x")) }, "400 XAmzContentSHA256Mismatch"],
    ["a payload word that is none", { ...put, payload: "SIGNED" }, "400 InvalidArgument"],
    ["elliptic-curve chunks", { ...put, payload: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" }, "501 NotImplemented"],
    ["another MD5", withHeaders({ "content-md5": checksumOf("md5", Buffer.from("x")) }), "400 BadDigest"],
    ["an MD5 that is none", withHeaders({ "content-md5": "eA==" }), "400 InvalidDigest"],
    ...checksums.map((name) => [`another ${name} in a header`, withHeaders(other(name)), "400 BadDigest"] as const),
    ...checksums.map((name) => [`another ${name} in a trailer`, unsigned(other(name)), "400 BadDigest"] as const),
    ["a checksum too short", withHeaders({ "x-amz-checksum-crc32": "eA==" }), "400 InvalidRequest"],
    ["two checksums", withHeaders({ ...crc32, ...other("sha1") }), "400 InvalidRequest"],
    ["a trailer that is no checksum", unsigned({ "x-amz-meta-a": "b" }), "400 InvalidRequest"],
    ["an announced trailer that does not come", unsigned({}, "x-amz-checksum-crc32"), "400 MalformedTrailerError"],
    ["a trailer that was not announced", unsigned(crc32, ""), "400 MalformedTrailerError"],
    ["three trailers", framing("c\r\nhello, world\r\n0\r\na:1\r\nb:2\r\nc:3\r\n\r\n"), "400 MalformedTrailerError"],
    ["a trailer without a colon", framing("c\r\nhello, world\r\n0\r\nabc\r\n\r\n"), "400 MalformedTrailerError"],
    ["chunks shorter than said", unsigned({}, "", [hello.subarray(1)]), "400 IncompleteBody"],
    ["chunks longer than said", unsigned({}, "", [hello, hello]), "400 IncompleteBody"],
    ["no last chunk", framing("c\r\nhello, world\r\n"), "400 IncompleteBody"],
    ["no end of the trailers", framing("c\r\nhello, world\r\n0\r\n"), "400 IncompleteBody"],
    ["bytes after the end", framing("c\r\nhello, world\r\n0\r\n\r\nmore"), "400 IncompleteBody"],
    ["a chunk without its CRLF", framing("c\r\nhello, world0\r\n\r\n"), "400 IncompleteBody"],
    ["lines without CR", framing("c\nhello, world\n0\n\n"), "400 IncompleteBody"],
    ["a size that is no number", framing("xyz\r\nhello, world\r\n0\r\n\r\n"), "400 IncompleteBody"],
    ["an endless chunk line", framing("c;" + "x".repeat(100_000)), "400 IncompleteBody"],
    ["an endless trailer", framing("c\r\nhello, world\r\n0\r\n" + "x".repeat(100_000)), "400 IncompleteBody"],
    ["an unannounced chunk signature", framing(`c;chunk-signature=${zeros}${plain}`), "400 IncompleteBody"],
    ["chunks without a decoded length", { ...put, payload: unsignedTrailer }, "411 MissingContentLength"],
    ["metadata of over 2 KiB", withHeaders({ "x-amz-meta-a": half, "x-amz-meta-b": half }), "400 MetadataTooLarge"],
    ["metadata that is not UTF-8", withHeaders({ "x-amz-meta-a": "\u00ff" }), "400 InvalidArgument"],
    ["a storage class that is none", withHeaders({ "x-amz-storage-class": "FAST" }), "400 InvalidStorageClass"],
    ["a tag twice", withHeaders({ "x-amz-tagging": "a=1&a=2" }), "400 InvalidTag"],
    ["eleven tags", withHeaders({ "x-amz-tagging": "abcdefghijk".split("").join("=v&") }), "400 BadRequest"],
    ["a public ACL", withHeaders({ "x-amz-acl": "public-read" }), "400 AccessControlListNotSupported"],
    ["both write conditions", withHeaders({ "if-match": "x", "if-none-match": "*" }), "400 InvalidRequest"],
    ["a key of 1,025 bytes", { ...put, target: `/raw/${"k".repeat(1025)}` }, "400 KeyTooLongError"],
    ["a key that is not UTF-8", { ...put, target: "/raw/%ff" }, "400 InvalidURI"],
    ["a key with half a percent code", { ...put, target: "/raw/%4" }, "400 InvalidURI"],
    ["a bucket name that is none", { ...put, target: "/Raw/k" }, "400 InvalidBucketName"],
    ["an absolute target", { ...put, target: "http://elsewhere/raw/k" }, "400 InvalidURI"],
    ...["x-amz-copy-source-if-match", "x-amz-copy-source-range", "x-amz-server-side-encryption",
      "x-amz-server-side-encryption-customer-algorithm",
      "x-amz-object-lock-mode", "x-amz-grant-read", "x-amz-write-offset-bytes"]
      .map((name) => [`the header ${name}`, withHeaders({ [name]: "x" }), "501 NotImplemented"] as const),
    ["a parameter for a header whose name is none", { ...put, target: "/raw/k?x-amz-meta-a%20b=1" }, "400 InvalidArgument"],
    ["a parameter for a header with a line break", { ...put, target: "/raw/k?x-amz-meta-a=1%0D%0Ab" }, "400 InvalidArgument"],
    ["a parameter for a header with a NUL", { ...put, target: "/raw/k?x-amz-meta-a=%00" }, "400 InvalidArgument"],
    ...["x-amz-copy-source", "X-Amz-Copy-Source"].map((name) =>
      [`${name} in the query that is not there`, { ...put, target: `/raw/k?${name}=raw%2Fo` }, "404 NoSuchKey"] as const),
    ["encryption in the query", { ...put, target: "/raw/k?X-Amz-Server-Side-Encryption=AES256" }, "501 NotImplemented"],
  ]

  it.each(refusals)("%s", async (_, request, expected) => {
    const answer = await ask(request)
    expect(`${answer.status} ${answer.code}`).toBe(expected)
    expect(answer.headers["x-amz-request-id"]).toMatch(/^[0-9A-F]{16}$/)
    expect(answer.body).toContain(`<RequestId>${answer.headers["x-amz-request-id"]}</RequestId>`)
    const listing = await text("/raw?list-type=2")
    expect(listing).toContain("<KeyCount>0</KeyCount>")
  })

  it("a request for another region is told the right one", async () => {
    const answer = await ask({ ...put, region: "eu-west-1" })
    expect(`${answer.status} ${answer.code}`).toBe("400 AuthorizationHeaderMalformed")
    expect(answer.body).toContain(`<Region>${region}</Region>`)
    expect(await stored()).toBe(false)
  })

  it("a second chunk of other bytes, and another trailer signature", async () => {
    const flip = (at: number) => (framed: Buffer) => {
      framed[at] = (framed[at] ?? 0) ^ 1
      return framed
    }
    const line = `5;chunk-signature=${zeros}\r\n`.length
    const last = (framed: Buffer) => flip(framed.length - 5)(framed) // the end of the trailer's signature
    const unsigned = (framed: Buffer) =>
      Buffer.from(framed.toString("latin1").replace("x-amz-trailer-s", "x-amz-another-s"))
    const spoilt = [
      signedRequest(endpoint.server, hello, undefined, flip(line)),
      signedRequest(endpoint.server, hello, crc32, flip(line + 5 + 2 + line)),
      signedRequest(endpoint.server, hello, crc32, last),
      signedRequest(endpoint.server, hello, crc32, unsigned),
    ]
    for (const request of spoilt) {
      const answer = await exchange(endpoint.server, request)
      expect(`${answer.status} ${answer.code}`).toBe("403 SignatureDoesNotMatch")
    }
    expect(await stored()).toBe(false)
  })

  it("a body that the client drops half-way", async () => {
    const raw: RawRequest = { ...withHeaders({ "content-length": "100000" }), payload: "UNSIGNED-PAYLOAD" }
    const socket = connect(endpoint.server.port, "127.0.0.1")
    socket.write(head(raw, signed(endpoint.server, raw)))
    await new Promise((resolve) => socket.write(Buffer.alloc(50_000), resolve))
    socket.destroy()
    expect(await stored()).toBe(false)
  })
})

describe("a parameter of S3 that is not served never falls through to the plain verb", () => {
  const subresources = [
    "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory",
    "legal-hold", "lifecycle", "logging", "metrics", "notification", "object-lock", "ownershipControls", "partNumber=1",
    "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention",
    "select&select-type=2", "tagging", "torrent", "uploads", "versions", "website",
    "renameObject", "metadataTable", "session", "something-new",
  ]
  const known = [
    "GET /sub?acl", "GET /sub?cors", "GET /sub?lifecycle", "GET /sub?notification", "GET /sub?object-lock",
    "GET /sub?policy", "GET /sub?replication", "GET /sub?requestPayment", "GET /sub?uploads", "GET /sub?versions",
    "POST /sub?delete", "GET /sub/k?acl", "GET /sub/k?partNumber=1", "HEAD /sub/k?partNumber=1", "GET /sub/k?tagging",
    "PUT /sub/k?tagging", "DELETE /sub/k?tagging", "POST /sub/k?uploads",
  ]
  const cases = ["/sub", "/sub/k"].flatMap((path) => subresources.flatMap((name) =>
    ["GET", "HEAD", "PUT", "POST", "DELETE"].map((method) => [method, `${path}?${name}`] as const)))
    .filter(([method, target]) => !known.includes(`${method} ${target}`))

  it.each([["an empty bucket", "/sub"], ["an object", "/sub/k"]])("on %s", { timeout: 60_000 }, async (_, path) => {
    await ask({ method: "PUT", target: "/sub" })
    if (path !== "/sub") await ask({ method: "PUT", target: "/sub/k", body: hello })
    for (const [method, target] of cases.filter(([, target]) => target.startsWith(`${path}?`))) {
      const { status } = await ask({ method, target })
      expect(`${method} ${target} ${status}`).toBe(`${method} ${target} 501`)
    }
    expect((await ask({ method: "HEAD", target: path })).status).toBe(200)
  })

  it("nor does a condition that is not honoured here", async () => {
    await ask({ method: "PUT", target: "/raw/guarded", body: hello })
    const conditions = [
      { headers: { "if-none-match": '"x"' } }, { headers: { "x-amz-if-match-size": "1" } },
      { target: "/raw/guarded?versionId=null", headers: { "if-match": '"x"' } },
    ]
    for (const condition of conditions) {
      const answer = await ask({ method: "DELETE", target: "/raw/guarded", ...condition })
      expect(`${answer.status} ${answer.code}`).toBe("501 NotImplemented")
    }
    expect(await text("/raw/guarded")).toBe("hello, world")
    await ask({ method: "DELETE", target: "/raw/guarded" })
  })

  it("and other methods are not allowed", async () => {
    for (const request of ["PATCH /raw/k", "OPTIONS /raw/k", "PUT /", "DELETE /"]) {
      const [method = "", target = ""] = request.split(" ")
      expect((await ask({ method, target })).code).toBe("MethodNotAllowed")
    }
  })
})
