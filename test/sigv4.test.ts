import { existsSync, readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import * as z from "zod/mini"
import {
  amzDate, canonicalRequest, percentEncode, scopeOf, sha256Hex, stringToSign,
} from "../shared/net/sigv4-canonical.ts"
import {
  chunkSignature, presign, signHeaders, verify, type Credentials, type WireRequest,
} from "../shared/net/sigv4.ts"

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
const alice: Credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" }
const now = Date.parse("2026-11-24T10:00:00Z")
const scope = { region: "eu-de", service: "s3" }
const secretOf = (id: string) => (id === alice.accessKeyId ? alice.secretAccessKey : undefined)

describe("AWS's published SigV4 suite", () => {
  const suite = new URL("../../shared/vectors/sigv4/", import.meta.url)
  if (!existsSync(suite)) {
    it.skip("left out: put awslabs/aws-c-auth's tests/aws-signing-test-suite/v4 into ../shared/vectors/sigv4", () => {})
    return
  }
  const folders = readdirSync(suite, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const names = folders.map((entry) => entry.name)
  let run = 0

  it.each(names)("%s: canonical request, string to sign and signature, in header and query form", (name) => {
    const vector = readVector(new URL(`${name}/`, suite))
    checkHeaderForm(vector)
    checkQueryForm(vector)
    run++
  })

  it("was run whole: as many cases as folders, 38 of them", () => {
    expect(names).toHaveLength(38)
    expect(run).toBe(names.length)
  })
})

interface Vector {
  readonly request: WireRequest
  readonly options: Parameters<typeof presign>[1]
  readonly signBody: boolean
  readonly text: (file: string) => string
}

const Context = z.object({
  credentials: z.object({ access_key_id: z.string(), secret_access_key: z.string(), token: z.optional(z.string()) }),
  expiration_in_seconds: z.number(), normalize: z.boolean(), region: z.string(), service: z.string(),
  sign_body: z.boolean(), timestamp: z.string(), omit_session_token: z.optional(z.boolean()),
})

/** The files hold UTF-8 as it stands on the wire, so they are read one character a byte. */
function readVector(folder: URL): Vector {
  const text = (file: string) => readFileSync(new URL(file, folder), "latin1")
  const context = Context.parse(JSON.parse(text("context.json")))
  const { request, body } = parseRequest(text("request.txt"))
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, token } = context.credentials
  // The cases with omit_session_token add the token after signing, so that it isn't signed.
  const session = token === undefined || context.omit_session_token ? {} : { sessionToken: token }
  const payloadHash = context.sign_body ? sha256Hex(body) : emptyHash
  const options = {
    credentials: { accessKeyId, secretAccessKey, ...session },
    region: context.region, service: context.service, now: Date.parse(context.timestamp),
    payloadHash, normalizePath: context.normalize, expires: context.expiration_in_seconds,
  }
  return { request, options, signBody: context.sign_body, text }
}

function parseRequest(text: string): { request: WireRequest; body: string } {
  const [head = "", body = ""] = text.split(/\n\n([^]*)/)
  const [first = "", ...lines] = head.replace(/\n\s+/g, " ").split("\n")
  const [, method = "", path = "", query = ""] = /^(\S+) (.*?)(?:\?(.*))? HTTP\/1\.1$/.exec(first) ?? []
  const headers = lines.filter((line) => line !== "").map((line): [string, string] => {
    const at = line.indexOf(":")
    return [line.slice(0, at), line.slice(at + 1)]
  })
  return { request: { method, path, query, headers }, body }
}

const isSigned = (name: string) => name !== "authorization"

function checkHeaderForm({ request, options, signBody, text }: Vector) {
  const bodyHeader: [string, string][] = signBody ? [["x-amz-content-sha256", options.payloadHash]] : []
  const unsigned = { ...request, headers: [...request.headers, ...bodyHeader] }
  const added = signHeaders(unsigned, options)
  const signed = { ...unsigned, headers: [...unsigned.headers, ...added] }
  const canonical = canonicalRequest(signed, { ...options, isSigned }).text
  const date = amzDate(options.now)
  expect(canonical).toBe(text("header-canonical-request.txt"))
  expect(stringToSign(date, scopeOf(date, options), canonical)).toBe(text("header-string-to-sign.txt"))
  expect(added.at(-1)?.[1]).toMatch(new RegExp(`Signature=${text("header-signature.txt")}$`))
}

function checkQueryForm({ request, options, text }: Vector) {
  const query = presign(request, options)
  const canonical = canonicalRequest({ ...request, query }, { ...options, isSigned }).text
  const date = amzDate(options.now)
  expect(canonical).toBe(text("query-canonical-request.txt"))
  expect(stringToSign(date, scopeOf(date, options), canonical)).toBe(text("query-string-to-sign.txt"))
  expect(query).toMatch(new RegExp(`&X-Amz-Signature=${text("query-signature.txt")}$`))
}

const putHeaders = [["Host", "127.0.0.1:9000"], ["x-amz-meta-a", "1"]] as const

/** A PUT as a client sends it, signed in header form. */
function signedPut(key: string, session: Partial<Credentials> = {}): WireRequest {
  const path = `/bucket/${key.split("/").map(percentEncode).join("/")}`
  const request = { method: "PUT", path, query: "tagging=&a=b%20c", headers: putHeaders }
  const credentials = { ...alice, ...session }
  const added = signHeaders(request, { ...scope, now, payloadHash: sha256Hex("bytes"), credentials })
  return { ...request, headers: [...request.headers, ...added] }
}

/** The same as a presigned URL of 60 seconds. */
function presignedPut(key: string): WireRequest {
  const path = `/bucket/${key.split("/").map(percentEncode).join("/")}`
  const request = { method: "PUT", path, query: "a=b%20c", headers: putHeaders }
  const options = { ...scope, now, payloadHash: "UNSIGNED-PAYLOAD", credentials: alice, expires: 60 }
  return { ...request, query: presign(request, options) }
}

const check = (request: WireRequest, at = now) => verify(request, { now: at, service: "s3", secretOf })
const codeOf = (request: WireRequest, at = now) => {
  const verified = check(request, at)
  return verified.ok ? "ok" : verified.code
}

const withHeader = (request: WireRequest, name: string, change: (value: string) => string): WireRequest => ({
  ...request,
  headers: request.headers.map(([header, value]) => {
    return [header, header.toLowerCase() === name ? change(value) : value] as const
  }),
})

const keys = [
  "plain", "with space", "a+b", "100%", "a%20b", "//double//", "/leading", "a/../b", "..", "./a", "grün/日本", "🙂",
  "line\nbreak", "!'()*", "q?x=1&y#z", "a=b;c:d@e,$", "x".repeat(1024),
]

describe("verify", () => {
  it.each(keys)("accepts what signHeaders and presign made for the key %j", (key) => {
    const verified = { ok: true, accessKeyId: "AKIDEXAMPLE" }
    expect(check(signedPut(key))).toMatchObject({ ...verified, payload: sha256Hex("bytes") })
    expect(check(presignedPut(key))).toMatchObject({ ...verified, payload: "UNSIGNED-PAYLOAD" })
  })

  it("accepts a session token that is signed", () => {
    expect(check(signedPut("k", { sessionToken: "token==" })).ok).toBe(true)
  })

  it("folds ASCII white space in headers and keeps the byte 0xA0, which ends letters of UTF-8", () => {
    const headers = [["x-amz-meta-a", " \t\xc3\xa0 \t l\xc3\xa0\xe2\x80\xa0 "]] as const // à là†
    const request = { method: "PUT", path: "/", query: "", headers }
    const { text } = canonicalRequest(request, { service: "s3", payloadHash: emptyHash, isSigned: () => true })
    expect(text).toContain("\nx-amz-meta-a:\xc3\xa0 l\xc3\xa0\xe2\x80\xa0\n")
  })

  it("takes every way to encode the same path for the same path", () => {
    const request = signedPut("a(b)/c")
    expect(codeOf({ ...request, path: "/bucket/a(b)%2fc" })).toBe("ok")
    expect(codeOf({ ...request, path: "/bucket/a%28b%29//c" })).toBe("SignatureDoesNotMatch")
  })

  const flips: [string, (request: WireRequest) => WireRequest][] = [
    ["method", (request) => ({ ...request, method: "GET" })],
    ["path", (request) => ({ ...request, path: request.path + "x" })],
    ["query value", (request) => ({ ...request, query: request.query.replace("b%20c", "b%20d") })],
    ["query, one more parameter", (request) => ({ ...request, query: "acl&" + request.query })],
    ["host", (request) => withHeader(request, "host", () => "127.0.0.1:9001")],
    ["signed header", (request) => withHeader(request, "x-amz-meta-a", () => "2")],
    ["signed header, once more", (request) => ({ ...request, headers: [...request.headers, ["x-amz-meta-a", "2"]] })],
    ["signed header, taken off", (request) => {
      return { ...request, headers: request.headers.filter(([name]) => name !== "x-amz-meta-a") }
    }],
  ]
  it.each(flips)("refuses a changed %s", (_, flip) => {
    expect(codeOf(flip(signedPut("key")))).toBe("SignatureDoesNotMatch")
    expect(codeOf(flip(presignedPut("key")))).toBe("SignatureDoesNotMatch")
  })

  it("refuses a changed date, payload hash, region and signature", () => {
    const request = signedPut("key")
    const later = withHeader(request, "x-amz-date", (date) => date.replace("1000", "1001"))
    const body = withHeader(request, "x-amz-content-sha256", () => emptyHash)
    const region = withHeader(request, "authorization", (value) => value.replace("/eu-de/", "/us-east-1/"))
    for (const changed of [later, body, region]) expect(codeOf(changed)).toBe("SignatureDoesNotMatch")
    const signature = /[0-9a-f]{64}$/.exec(request.headers.at(-1)?.[1] ?? "")?.[0] ?? ""
    for (let i = 0; i < 64; i++) {
      const flipped = signature.slice(0, i) + (signature[i] === "0" ? "1" : "0") + signature.slice(i + 1)
      const changed = withHeader(request, "authorization", (value) => value.replace(signature, flipped))
      expect(codeOf(changed)).toBe("SignatureDoesNotMatch")
    }
  })

  it("refuses changed presigned parameters", () => {
    const request = presignedPut("key")
    const longer = { ...request, query: request.query.replace("Expires=60", "Expires=61") }
    const fewer = { ...request, query: request.query.replace("host%3Bx-amz-meta-a", "host") }
    expect(codeOf(longer)).toBe("SignatureDoesNotMatch")
    expect(codeOf(fewer)).toBe("AccessDenied")
  })

  it("refuses an x-amz- header that is not signed, and a request whose host is not", () => {
    const request = signedPut("key")
    expect(codeOf({ ...request, headers: [...request.headers, ["x-amz-acl", "public-read"]] })).toBe("AccessDenied")
    expect(codeOf({ ...request, headers: [...request.headers, ["Range", "bytes=0-1"]] })).toBe("ok")
    expect(codeOf(withHeader(request, "authorization", (value) => value.replace("=host;", "=")))).toBe("AccessDenied")
  })

  it("holds the clock to 15 minutes, and a presigned URL to its expiry", () => {
    const minutes = 60_000
    expect(codeOf(signedPut("key"), now + 15 * minutes)).toBe("ok")
    expect(codeOf(signedPut("key"), now + 15 * minutes + 1)).toBe("RequestTimeTooSkewed")
    expect(codeOf(signedPut("key"), now - 15 * minutes - 1)).toBe("RequestTimeTooSkewed")
    expect(codeOf(presignedPut("key"), now + 60_000)).toBe("ok")
    expect(codeOf(presignedPut("key"), now + 60_001)).toBe("AccessDenied")
    expect(codeOf(presignedPut("key"), now - 15 * minutes - 1)).toBe("AccessDenied")
  })

  it("says which of missing, malformed, and unknown a signature is", () => {
    const request = signedPut("key")
    const changed = (from: string | RegExp, to: string) => {
      return codeOf(withHeader(request, "authorization", (value) => value.replace(from, to)))
    }
    expect(codeOf({ ...request, headers: request.headers.slice(0, 2) })).toBe("AccessDenied")
    expect(changed(/.*/, "AWS AKIDEXAMPLE:abc=")).toBe("AuthorizationHeaderMalformed")
    expect(changed("/s3/", "/sqs/")).toBe("AuthorizationHeaderMalformed")
    expect(changed("/20261124/", "/20261123/")).toBe("AuthorizationHeaderMalformed")
    expect(changed("AKIDEXAMPLE", "NOBODY")).toBe("InvalidAccessKeyId")
    expect(codeOf(withHeader(request, "x-amz-date", () => "yesterday"))).toBe("AuthorizationHeaderMalformed")
    const presigned = presignedPut("key")
    const query = presigned.query.replace("Expires=60", "Expires=604801")
    expect(codeOf({ ...presigned, query })).toBe("AuthorizationHeaderMalformed")
  })
})

describe("chunkSignature", () => {
  const secretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
  const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey }
  const at = Date.parse("2013-05-24T00:00:00Z")

  /** The request of the S3 reference's examples: 66,560 bytes of "a" in chunks of 65,536, 1,024 and 0. */
  function example(payloadHash: string, more: (readonly [string, string])[]) {
    const request: WireRequest = {
      method: "PUT", path: "/examplebucket/chunkObject.txt", query: "", headers: [
        ["Host", "s3.amazonaws.com"], ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
        ["Content-Encoding", "aws-chunked"], ["x-amz-decoded-content-length", "66560"], ...more,
      ],
    }
    const added = signHeaders(request, { region: "us-east-1", service: "s3", now: at, credentials, payloadHash })
    const headers = [...request.headers, ...added]
    const verified = verify({ ...request, headers }, { now: at, service: "s3", secretOf: () => secretAccessKey })
    if (!verified.ok) throw new Error(verified.code)
    return verified
  }

  const chunks = [65_536, 1_024, 0].map((length) => sha256Hex("a".repeat(length)))

  it("gives the signatures published for a body in chunks (S3 reference, sigv4-streaming)", () => {
    const request = example("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", [["Content-Length", "66824"]])
    expect(request.signature).toBe("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
    expect(chainOf(request, chunks)).toEqual([
      "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ])
  })

  it("gives the signatures published for a body with a trailer (S3 reference, sigv4-streaming-trailers)", () => {
    const request = example("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", [["x-amz-trailer", "x-amz-checksum-crc32c"]])
    expect(request.signature).toBe("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")
    const signatures = chainOf(request, chunks)
    expect(signatures).toEqual([
      "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
      "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
      "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ])
    const hash = sha256Hex("x-amz-checksum-crc32c:sOO8/Q==\n")
    expect(chunkSignature(request, { kind: "trailer", previous: signatures[2] ?? "", hash }))
      .toBe("d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435")
  })
})

function chainOf(request: Parameters<typeof chunkSignature>[0] & { signature: string }, hashes: string[]): string[] {
  let previous = request.signature
  return hashes.map((hash) => (previous = chunkSignature(request, { kind: "chunk", previous, hash })))
}
