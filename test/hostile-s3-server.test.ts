/** The local S3 endpoint under requests that no client sends: documents, targets, signatures and raw bytes. */
import { once } from "node:events"
import { connect } from "node:net"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { presign } from "../shared/net/sigv4.ts"
import { parseXml } from "../shared/store/xml.ts"
import { count, pick, property, randoms, report, tries } from "./hostile.ts"
import { mutatedText } from "./mutations.ts"
import { credentials, head, openEndpoint, region, send, signed, type RawAnswer, type RawRequest, type TestEndpoint } from "./s3-endpoint.ts"
import { checksumOf, chunkedHeaders, signedRequest, unsignedChunks, unsignedTrailer } from "./s3-framing.ts"

let endpoint: TestEndpoint
let upload: string

beforeAll(async () => {
  endpoint = await openEndpoint()
  for (const bucket of ["/raw", "/docs"]) await ask({ method: "PUT", target: bucket })
  await ask({ method: "PUT", target: "/docs/k", body: Buffer.from("kept") })
  upload = /<UploadId>(\w+)/.exec((await ask({ method: "POST", target: "/docs/k?uploads" })).body)?.[1] ?? ""
  await ask({ method: "PUT", target: `/docs/k?partNumber=1&uploadId=${upload}`, body: Buffer.from("part") })
})
afterAll(() => endpoint.close())

const ask = (raw: RawRequest) => send(endpoint.server, raw)

/** What is wrong with an answer as the answer to bad input; `undefined` where nothing is. */
function faultOf({ status, headers, body }: Pick<RawAnswer, "status" | "headers" | "body">, method = "GET"): string | undefined {
  if (status >= 200 && status < 400) return undefined
  const said = `${status} ${body.slice(0, 300)}`
  if (status < 400 || status >= 500 && status !== 501 || Number.isNaN(status)) return `not a refusal: ${said}`
  if (method === "HEAD") return body === "" ? undefined : `a body for HEAD: ${said}`
  const document = parseXml(Buffer.from(body, "latin1").toString())
  const isError = document?.root === "Error" && typeof document.element === "object" && typeof document.element["Code"] === "string"
  return isError && headers["content-type"] === "application/xml" ? undefined : `no error of S3's: ${said}`
}

/** That the endpoint is still there, and has logged no error of its own. */
async function expectWell(): Promise<void> {
  const { status, body } = await ask({ method: "GET", target: "/docs/k" })
  expect([status, body]).toEqual([200, "kept"])
  expect(endpoint.logged).toEqual([])
}

describe("documents", () => {
  const many = (one: string, times: number) => one.repeat(times)
  const goodDocuments = (): readonly (readonly [method: string, target: string, text: string])[] => [
    ["POST", "/raw?delete", "<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>null</VersionId></Object><Object><Key>b&amp;&#10;</Key><ETag>\"x\"</ETag></Object></Delete>"],
    ["POST", `/docs/k?uploadId=${upload}`, "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>\"x\"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>"],
    ["PUT", "/raw/k?tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>"],
    ["PUT", "/raw?versioning", "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>"],
    ["PUT", "/made", "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"],
  ]
  const pieces = [
    "<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", "<?xml version='1.1'?>", "&b;", "&#0;", "&#xD800;",
    "&#x110000;", "&#xFFFFFFFFF;", "&amp", "<a:", " xmlns:a='b'", "\u0000", "\ufffe", "<__proto__>x</__proto__>", "<constructor/>", "<toString/>", "<Object/>", "<Key/>", many("<a>", 500), many("x", 20_000),
  ]
  const mutatedDocument = (text: string, random: () => number): string => {
    if (random() < 0.3) return mutatedText(text, random)
    let all = text
    for (let left = 1 + Math.floor(random() * 3); left > 0; left--) {
      const at = Math.floor(random() * (all.length + 1))
      all = all.slice(0, at) + pick(random, [...pieces, "", all.slice(at, at + 30)]) + all.slice(at + Math.floor(random() * 6))
    }
    return all
  }

  const RUNS = tries(150, 20_000)
  it(`of ${RUNS} that were changed at random, each is taken or refused by an error of S3's`, async () => {
    const counts: Record<string, number> = {}
    for (const random of randoms(RUNS)) {
      const [method, target, text] = pick(random, goodDocuments())
      const body = Buffer.from(mutatedDocument(text, random))
      const answer = await ask({ method, target, body, headers: { "content-md5": checksumOf("md5", body) } })
      const fault = faultOf(answer)
      if (fault) expect.fail(`${fault}\nfor ${method} ${target} ${body.toString("latin1", 0, 1_000)}`)
      count(counts, answer.code ?? answer.status)
    }
    report("mutated S3 documents", counts)
    expect(counts["MalformedXML"]).toBeGreaterThan(RUNS / 4)
    expect(counts["200"]).toBeGreaterThan(RUNS / 50)
    await expectWell()
  })

  it("as long as they may be, of whatever they are made, are answered (their cost is linear)", async () => {
    const root = (inner: string) => `<Delete>${inner}</Delete>`
    const documents = [
      root(many("<Object>", 6_000)), root(many("<Object><Key>k</Key></Object>", 1_001)), root(many("&amp;", 400_000)), root(many("<!-- -->", 200_000)),
      root(many("<![CDATA[x]]>", 100_000)), many("<?a b?>", 250_000) + "<Delete/>", `<Delete ${many("a='b' ", 300_000)}/>`, `<Delete${many(" ", 2_000_000)}/>`,
      `<!DOCTYPE a [${many("<!ENTITY a 'b'>", 100_000)}]><Delete/>`, root(many("<", 2_000_000)), root(many("]]>", 600_000)), root(many("<!", 1_000_000)),
    ]
    for (const document of documents) {
      const body = Buffer.from(document)
      const answer = await ask({ method: "POST", target: "/raw?delete", body, headers: { "content-md5": checksumOf("md5", body) } })
      expect([document.slice(0, 30), answer.status, answer.code]).toEqual([document.slice(0, 30), 400, "MalformedXML"])
    }
    await expectWell()
  })
})

/** Without halves of surrogate pairs, which no URL can have. */
const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd")

/** A request target of hostile pieces, one character a byte. */
const targets = (() => {
  const segment = fc.oneof(
    fc.constantFrom("..", ".", "%2e%2e", "%2E", "..%2f..", "%00", "%0a", "%0d%0aX:%20y", "%ff", "%c0%ae%c0%ae", "%ed%a0%80", "%", "%zz", "%252e", "", "\\", "~", "+", "raw", "docs", "k", "con", "a".repeat(1_025), "%F0%9F%AA%A3", "/", "@evil", ":80"),
    fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => encodeURIComponent(wellFormed(text))),
  )
  const value = fc.oneof(
    fc.constantFrom("", "-1", "0", "1", "1e3", "999999999", "9999999999", "%00", "%ff", "%E2%82%AC", "../..", "url", "2", "null", "x".repeat(2_000), "%F4%8F%BF%BF".repeat(300), "AAAA", "e30", "W10", "%22", "__proto__"),
    fc.string({ unit: "binary-ascii", maxLength: 20 }).map(encodeURIComponent),
  )
  const name = fc.constantFrom(
    "prefix", "delimiter", "max-keys", "encoding-type", "marker", "list-type", "continuation-token", "start-after", "fetch-owner", "versions", "key-marker", "version-id-marker",
    "uploads", "upload-id-marker", "max-uploads", "uploadId", "partNumber", "max-parts", "part-number-marker", "versionId", "tagging", "acl", "location", "versioning", "delete",
    "response-content-type", "response-expires", "max-buckets", "bucket-region", "__proto__", "x-id", "x-amz-meta-a", "x-amz-tagging", "x-amz-copy-source", "X-Amz-Expires", "policy",
  )
  const query = fc.array(fc.tuple(name, value).map(([one, other]) => `${one}=${other}`), { maxLength: 4 })
  return fc.tuple(fc.array(segment, { maxLength: 5 }), query).map(([segments, parameters]) => `/${segments.join("/")}${parameters.length > 0 ? `?${parameters.join("&")}` : ""}`)
})()

/** Parameters of listings with any values: what every page is asked by. */
const listings = fc.tuple(
  fc.constantFrom("", "list-type=2", "versions", "uploads"), fc.array(fc.tuple(
    fc.constantFrom("prefix", "delimiter", "max-keys", "max-uploads", "encoding-type", "marker", "start-after", "continuation-token", "key-marker", "version-id-marker", "upload-id-marker"),
    fc.oneof(fc.string({ unit: "grapheme", maxLength: 30 }), fc.base64String({ maxLength: 60 }), fc.constantFrom("url", "/", "", "null", "a".repeat(32), "\u0000", "\uffff", "k".repeat(3_000))),
  ), { maxLength: 4 }),
).map(([kind, pairs]) => `/docs?${[kind, ...new Map(pairs)].map((one) => Array.isArray(one) ? `${one[0]}=${encodeURIComponent(wellFormed(one[1]))}` : one).filter((one) => one !== "").join("&")}`)

describe("targets", () => {
  const methods = fc.constantFrom("GET", "HEAD", "PUT", "DELETE", "POST")

  it("of any bytes, signed, are served or refused by an error of S3's, under every method", async () => {
    const counts: Record<string, number> = {}
    await fc.assert(fc.asyncProperty(methods, targets, async (method, target) => {
      fc.pre(!/^\/docs(\/k)?(\?|$)/.test(target) || method === "GET")
      const answer = await ask({ method, target })
      count(counts, answer.status)
      expect(faultOf(answer, method)).toBeUndefined()
    }), property(150, 20_000))
    report("hostile S3 targets", counts)
    await expectWell()
  })

  it("of listings, with markers and tokens of any text, are served or refused by an error of S3's", async () => {
    const counts: Record<string, number> = {}
    await fc.assert(fc.asyncProperty(listings, async (target) => {
      const answer = await ask({ method: "GET", target })
      count(counts, answer.status)
      expect(faultOf(answer)).toBeUndefined()
    }), property(250))
    report("hostile S3 listings", counts)
    expect(counts["200"]).toBeGreaterThan(50)
    await expectWell()
  })

  it.each(["GET", "HEAD", "DELETE", "PUT"])("with a version that no header could name are refused: %s", async (method) => {
    for (const id of ["%00", "%0d%0ax", "%E2%82%AC", "%7f"]) {
      const suffix = method === "PUT" ? "tagging&" : ""
      const answer = await ask({ method, target: `/docs/k?${suffix}versionId=${id}`, body: Buffer.from("<Tagging><TagSet/></Tagging>") })
      expect([answer.status, faultOf(answer, method)]).toEqual([400, undefined])
    }
    await expectWell()
  })
})

describe("headers", () => {
  const names = [
    "range", "if-match", "if-none-match", "if-modified-since", "if-range", "content-md5", "x-amz-tagging", "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-decoded-content-length",
    "x-amz-trailer", "x-amz-checksum-crc32", "x-amz-checksum-type", "x-amz-sdk-checksum-algorithm", "x-amz-storage-class", "x-amz-meta-__proto__", "x-amz-acl", "content-type", "expires",
    "x-amz-content-sha256", "x-amz-date", "content-encoding", "x-amz-website-redirect-location", "x-amz-copy-source-if-match", "x-amz-metadata-directive", "x-amz-tagging-directive",
  ]
  const value = fc.oneof(
    fc.string({ unit: "binary-ascii", maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, "").trim()),
    fc.constantFrom("", "*", "\"\"", "W/\"x\"", "bytes=0-", "bytes=5-2", "bytes=-99999999999999999999", "docs/k", "/docs/k?versionId=%00", "docs/..%2fk", "a=b&a=c", "%", "\xff\xfe", "\xc3\xa9", "REPLACE", "COPY", "COMPOSITE",
      "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999999999", "-1", "1e3", "AAAAAA==", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD", "x".repeat(3_000), ",".repeat(2_000)),
  )
  const sent = fc.array(fc.tuple(fc.constantFrom(...names), value), { minLength: 1, maxLength: 4 }).map((pairs): Record<string, string> => Object.fromEntries(pairs))

  it("of any values are obeyed or refused by an error of S3's", async () => {
    const counts: Record<string, number> = {}
    await fc.assert(fc.asyncProperty(fc.constantFrom("GET", "HEAD", "PUT", "DELETE"), sent, async (method, { "x-amz-date": _, "x-amz-content-sha256": payload, ...headers }) => {
      const target = method === "GET" || method === "HEAD" ? "/docs/k" : "/raw/headers"
      const body = method === "PUT" ? { body: Buffer.from("hello, world") } : {}
      const answer = await ask({ method, target, headers, ...body, ...(payload === undefined ? {} : { payload }) })
      count(counts, answer.status)
      expect(faultOf(answer, method)).toBeUndefined()
    }), property(150, 20_000))
    report("hostile S3 headers", counts)
    expect(Object.keys(counts)).toEqual(expect.arrayContaining(["200", "400", "501"]))
    await expectWell()
  })
})

describe("signatures", () => {
  it("changed in any way are refused, and in no way break anything", async () => {
    const counts: Record<string, number> = {}
    const now = Date.now()
    for (const random of randoms(tries(100, 12_500))) {
      const raw: RawRequest = { method: "GET", target: "/docs/k", now }
      const headers = signed(endpoint.server, raw).map(([name, value]) => [name, value] as const)
      const chosen = pick(random, ["authorization", "x-amz-date", "x-amz-content-sha256", "host"])
      const changed = headers.map(([name, value]) => [name, name === chosen ? mutatedText(value, random).replace(/[^\x20-\x7e]/g, "?").slice(0, 8_000) : value] as const)
      if (JSON.stringify(changed) === JSON.stringify(headers)) continue
      const answer = await exchangeAll(head(raw, [...changed, ["connection", "close"]]))
      const [first] = answer
      count(counts, first?.status ?? "cut")
      if (first) expect(faultOf(first)).toBeUndefined()
      if (first?.status === 200) expect(normalized(changed)).toBe(normalized(headers))
    }
    report("mutated S3 signatures", counts)
    await expectWell()
  })

  /** Blanks count for nothing at the ends of a header and behind a comma. */
  const normalized = (headers: readonly (readonly [string, string])[]) =>
    JSON.stringify(headers.map(([name, value]) => [name, value.trim().replace(/ +/g, " ").replace(/, /g, ",")]))

  it("in queries, changed in any way, are refused, and in no way break anything", async () => {
    const counts: Record<string, number> = {}
    const { host } = new URL(endpoint.server.url)
    const options = { region, service: "s3", credentials, now: Date.now(), expires: 600, payloadHash: "UNSIGNED-PAYLOAD" }
    const good = presign({ method: "GET", path: "/docs/k", query: "", headers: [["host", host]] }, options)
    const v2 = `AWSAccessKeyId=${credentials.accessKeyId}&Expires=9999999999&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D`
    for (const random of randoms(tries(100, 12_500))) {
      const changed = mutatedText(random() < 0.7 ? good : v2, random).replace(/[^\x21-\x7e]/g, "%").replaceAll("#", "").slice(0, 8_000)
      if (changed === good) continue
      const answer = await ask({ method: "GET", target: `/docs/k?${changed}`, credentials: undefined })
      count(counts, answer.status)
      expect([changed, faultOf(answer)]).toEqual([changed, undefined])
      if (answer.status === 200) expect(new URLSearchParams(changed).get("X-Amz-Signature")).toBe(new URLSearchParams(good).get("X-Amz-Signature"))
    }
    report("mutated presigned queries", counts)
    await expectWell()
  })
})

/** The answers on one connection that is opened for these bytes. The client ends it when there is an answer, if it waits
 *  for one, and another connection was served meanwhile; that the server then closes it, too, is waited for. */
async function exchangeAll(bytes: Buffer, awaitsAnswer = false): Promise<RawAnswer[]> {
  const socket = connect(endpoint.server.port, "127.0.0.1")
  const received: Buffer[] = []
  const closed = new Promise<void>((resolve) => {
    socket.on("data", (bytes: Buffer) => void received.push(bytes))
    socket.on("error", () => undefined) // a reset is an end like any other
    socket.on("close", () => resolve())
  })
  socket.write(bytes)
  if (awaitsAnswer) await Promise.race([once(socket, "data"), closed])
  const other = await ask({ method: "HEAD", target: "/docs/k" })
  expect(other.status).toBe(200)
  socket.end()
  await closed
  return answersIn(Buffer.concat(received).toString("latin1"))
}

/** The answers in what came over one connection. Throws for bytes that are no HTTP answer. */
function answersIn(text: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let rest = text; rest !== "";) {
    const [head = "", status, lines = ""] = /^HTTP\/1\.1 (\d{3})[^\r]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest) ?? []
    if (status === undefined) throw new Error(`no HTTP answer: ${rest.slice(0, 200)}`)
    const headers = Object.fromEntries(lines.split("\r\n").filter((line) => line !== "").map((line) => {
      const [name = "", ...value] = line.split(":")
      return [name.toLowerCase(), value.join(":").trim()]
    }))
    const length = headers["transfer-encoding"] === "chunked" ? rest.indexOf("0\r\n\r\n") + 5 - head.length : Number(headers["content-length"] ?? 0)
    const body = rest.slice(head.length, head.length + length)
    answers.push({ status: Number(status), headers, body, code: /<Code>(\w+)<\/Code>/.exec(body)?.[1] })
    rest = rest.slice(head.length + length)
  }
  return answers
}

describe("raw bytes", () => {
  const put = (more: Partial<RawRequest> = {}): RawRequest => ({ method: "PUT", target: "/raw/bytes", body: Buffer.from("hello, world"), ...more })
  const headOf = (raw: RawRequest, extra: readonly (readonly [string, string])[] = []) => head(raw, [...signed(endpoint.server, raw), ...extra])
  const text = (...lines: readonly string[]) => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1")
  const long = "x".repeat(20_000)

  /** What is sent, and the status of the first answer; `cut`: the connection ends without one. */
  const rows: readonly (readonly [what: string, bytes: () => Buffer, first: number | "cut"])[] = [
    ["no request", () => text("GARBAGE"), 400],
    ["no version, as before HTTP/1.0", () => text("GET /docs/k"), 403],
    ["another protocol", () => text("PRI * HTTP/2.0", "", "SM"), 400],
    ["a TLS greeting", () => Buffer.from("160301020001000001fc0303", "hex"), 400],
    ["a version that there is not", () => text("GET / HTTP/9.9", "Host: a"), 400],
    ["a control character in the target", () => text("GET /\x01 HTTP/1.1", "Host: a"), 400],
    ["a byte over 127 in the target", () => text("GET /\xe9 HTTP/1.1", "Host: a"), 400],
    ["a control character in a header", () => text("GET / HTTP/1.1", "Host: a", "X: \x01"), 400],
    ["a header without a colon", () => text("GET / HTTP/1.1", "Host: a", "X"), 400],
    ["a folded header", () => text("GET / HTTP/1.1", "Host: a", " folded"), 400],
    ["a blank before a colon", () => text("GET / HTTP/1.1", "Host: a", "X : y"), 400],
    ["a huge header", () => text("GET / HTTP/1.1", "Host: a", `X: ${long}`), 431],
    ["a huge target", () => text(`GET /${long} HTTP/1.1`, "Host: a"), 431],
    ["very many headers", () => text("GET / HTTP/1.1", "Host: a", ...Array.from({ length: 3_000 }, () => "a: b")), 403],
    ["an absolute target", () => headOf({ method: "GET", target: "http://evil.example/docs/k" }), 400],
    ["a star for a target", () => text("OPTIONS * HTTP/1.1", "Host: a"), 400],
    ["a tunnel to elsewhere", () => text("CONNECT evil.example:443 HTTP/1.1", "Host: a"), "cut"],
    ["two lengths", () => text("PUT /raw/k HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2", "", "x"), 400],
    ["a length and chunks", () => text("PUT /raw/k HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked", "", "0"), 400],
    ["a negative length", () => text("PUT /raw/k HTTP/1.1", "Host: a", "Content-Length: -1"), 400],
    ["a length that is no number", () => text("PUT /raw/k HTTP/1.1", "Host: a", "Content-Length: 0x1"), 400],
    ["an endless length", () => text("PUT /raw/k HTTP/1.1", "Host: a", `Content-Length: ${"9".repeat(40)}`), 400],
    ["another transfer encoding", () => text("PUT /raw/k HTTP/1.1", "Host: a", "Transfer-Encoding: gzip"), 400],
    ["chunks of HTTP's instead of the length that was signed", () => Buffer.concat([head(put(), [...signed(endpoint.server, put()).filter(([name]) => name !== "content-length"), ["transfer-encoding", "chunked"]]), Buffer.from("1\r\nx\r\n0\r\n\r\n")]), 403],
    ["no host", () => text("GET / HTTP/1.1"), 403],
    ["an expectation that there is not", () => text("GET / HTTP/1.1", "Host: a", "Expect: 200-ok"), 403],
    ["no host, as in HTTP/1.0", () => text("GET / HTTP/1.0"), 403],
    ["a body that is shorter than its length", () => Buffer.concat([headOf(put({ headers: { "content-length": "1000" }, payload: "UNSIGNED-PAYLOAD" })), Buffer.from("short")]), 400],
    ["a body that is longer than its length", () => Buffer.concat([headOf(put()), Buffer.from("hello, world"), Buffer.from("and more\r\n\r\n")]), 200],
    ["half a head", () => headOf(put()).subarray(0, 100), 400],
    ["chunks that lie about themselves", () => {
      const raw = put({ body: Buffer.from("c\r\nhello, world\r\n0\r\n\r\nGET /docs/k HTTP/1.1\r\n\r\n"), headers: chunkedHeaders(Buffer.from("hello, world")), payload: unsignedTrailer })
      return Buffer.concat([headOf(raw), raw.body ?? Buffer.alloc(0)])
    }, 400],
  ]

  /** These are refused only when the client has ended them. */
  const isCut = ["a body that is shorter than its length", "half a head"]

  it.each(rows)("%s", async (what, bytes, first) => {
    const answers = await exchangeAll(bytes(), first !== "cut" && !isCut.includes(what))
    expect(answers.map((answer) => faultOf(answer)).filter((fault) => fault !== undefined)).toEqual([])
    expect(answers[0]?.status ?? "cut").toBe(first)
    await expectWell()
  })

  it("a request that is smuggled behind another one's body is that body's", async () => {
    const smuggled = text("DELETE /docs/k HTTP/1.1", "Host: a")
    const raw = put({ body: smuggled })
    const answers = await exchangeAll(Buffer.concat([headOf(raw), smuggled]), true)
    expect(answers.map(({ status }) => status)).toEqual([200])
    expect((await ask({ method: "GET", target: "/raw/bytes" })).body).toBe(smuggled.toString("latin1"))
  })

  it("a hundred requests in one piece are answered, one after another, and what breaks off behind them is, too", async () => {
    const get: RawRequest = { method: "GET", target: "/docs/k" }
    const socket = connect(endpoint.server.port, "127.0.0.1")
    socket.write(Buffer.concat([...Array.from({ length: 100 }, () => headOf(get)), text("GARBAGE")]))
    const received: Buffer[] = await socket.toArray() // the server ends it
    const statuses = answersIn(Buffer.concat(received).toString("latin1")).map(({ status }) => status)
    expect(statuses).toEqual([...Array.from({ length: 100 }, () => 200), 400])
  })

  it("a body that comes byte by byte is stored as it is", async () => {
    const raw = put({ method: "PUT", body: unsignedChunks([Buffer.from("hello, "), Buffer.from("world")], {}), headers: chunkedHeaders(Buffer.from("hello, world")), payload: unsignedTrailer })
    const socket = connect({ port: endpoint.server.port, host: "127.0.0.1", noDelay: true })
    const answered = new Promise<string>((resolve) => socket.once("data", (bytes: Buffer) => resolve(bytes.toString("latin1"))))
    socket.write(headOf(raw))
    for (const byte of raw.body ?? []) {
      socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await answered).toMatch(/^HTTP\/1.1 200 /)
    socket.destroy()
    expect((await ask({ method: "GET", target: "/raw/bytes" })).body).toBe("hello, world")
  })

  const RUNS = tries(150, 20_000)
  it(`of ${RUNS} requests with bytes changed at random, each is answered as HTTP is, or cut`, async () => {
    const counts: Record<string, number> = {}
    const signedChunks = Buffer.concat(signedRequest(endpoint.server, Buffer.from("hello, world"), { "x-amz-checksum-crc32": checksumOf("crc32", Buffer.from("hello, world")) }))
    const good = [Buffer.concat([headOf(put()), Buffer.from("hello, world")]), headOf({ method: "GET", target: "/raw?list-type=2" }), signedChunks]
    for (const random of randoms(RUNS)) {
      const bytes = Buffer.from(mutatedText(pick(random, good).toString("latin1"), random).slice(0, 60_000), "latin1")
      const answers = await exchangeAll(bytes)
      const faults = answers.map((answer) => faultOf(answer)).filter((fault) => fault !== undefined)
      if (faults.length > 0) expect.fail(`${faults.join()}\nfor ${bytes.toString("latin1", 0, 1_500)}`)
      count(counts, answers[0]?.status ?? "cut")
    }
    report("mutated raw requests", counts)
    expect(Object.keys(counts)).toEqual(expect.arrayContaining(["400", "403"]))
    await expectWell()
  }, 600_000)
})
