import { once } from "node:events"
import { createServer } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { httpClient } from "../shared/net/request.ts"
import type { WriteCondition } from "../shared/ports.ts"
import { addresses } from "../shared/store/s3-address.ts"
import { s3Store, type S3StoreOptions } from "../shared/store/s3.ts"
import { patterned, pieces } from "./bytes.ts"
import { answer, closeServers, listen, reset, scripted, type Step } from "./scripted-server.ts"
import { collect, failureOf, md5 } from "./store-contract-reads.ts"

afterEach(closeServers)

const ref = { bucket: "bucket", key: "key" }
const etag = md5("x")
const condition: WriteCondition = { ifMatch: etag }

function storeAt(port: number, options: Partial<S3StoreOptions> = {}) {
  return s3Store({
    endpoint: `http://127.0.0.1:${port}`, region: "eu-de", addressing: "path", allowHttp: true,
    credentials: () => Promise.resolve({ accessKeyId: "AKID", secretAccessKey: "secret", sessionToken: "token" }),
    http: httpClient({ allowHttp: true, backOff: 1 }), ...options,
  })
}

const refusal = (status: number, code: string, headers: Record<string, string> = {}, more = ""): Step =>
  answer(status, `<?xml version="1.0"?><Error><Code>${code}</Code><Message></Message>${more}</Error>`, headers)
const stored = answer(200, "", { etag: `"${etag}"` })
const object = answer(200, "bytes", { etag: `"${etag}"`, "last-modified": "Tue, 24 Nov 2026 10:00:00 GMT" })

describe("an endpoint", () => {
  it("must be https unless plain HTTP is allowed", () => {
    const credentials = () => Promise.reject(new Error("not asked"))
    const options = { region: "eu-de", addressing: "path", credentials } as const
    expect(() => s3Store({ ...options, endpoint: "http://127.0.0.1:1", allowHttp: false })).toThrow(/https/)
    expect(() => s3Store({ ...options, endpoint: "https://127.0.0.1:1", allowHttp: false })).not.toThrow()
  })

  const none = ["ftp://h", "h", "https://h/path", "https://u:p@h", "https://h?x"]
  it.each(none)("is refused where it is none: %s", (endpoint) => {
    expect(() => addresses({ endpoint, region: "r", addressing: "path" })).toThrow(/endpoint/)
  })

  const aws = { endpoint: "https://s3.eu-west-1.amazonaws.com", region: "eu-west-1", addressing: "virtual" } as const
  const rows = [
    [aws, "eu-west-1", "b-1", "a/../k", "b-1.s3.eu-west-1.amazonaws.com", "/a/../k"],
    [aws, "us-east-2", "b-1", "k", "b-1.s3.us-east-2.amazonaws.com", "/k"],
    [aws, "eu-west-1", "dotted.name", "k", "s3.eu-west-1.amazonaws.com", "/dotted.name/k"],
    [{ ...aws, addressing: "path" }, "eu-west-1", "b-1", "//k", "s3.eu-west-1.amazonaws.com", "/b-1///k"],
    [{ ...aws, endpoint: "https://store.example:9000" }, "us-east-2", "b-1", "k", "b-1.store.example:9000", "/k"],
    [{ ...aws, endpoint: "https://[::1]:9000", addressing: "path" }, "us-east-2", "b-1", "k", "[::1]:9000", "/b-1/k"],
  ] as const
  it.each(rows)("%j in %s: %s, %s is at %s%s", (options, region, bucket, key, host, path) => {
    expect(addresses(options)(region, bucket, key)).toMatchObject({ host, path })
  })

  const noBuckets = ["", ".", "..", "a/b", "a b", "evil.example/", "x@evil.example", "a?b"]
  it.each(noBuckets)("takes %j for no bucket", (bucket) => {
    for (const addressing of ["path", "virtual"] as const) {
      expect(() => addresses({ ...aws, addressing })("eu-west-1", bucket, "k")).toThrow(/no bucket name/)
    }
  })

  it("has no address for an empty key, which would be the bucket's", () => {
    expect(() => addresses(aws)("eu-west-1", "b-1", "")).toThrow(/must not be empty/)
  })
})

describe("a request", () => {
  it("is signed with the session token, and carries the trace header unsigned", async () => {
    const server = await scripted(object)
    await storeAt(server.port, { traceHeader: () => "Root=1-abc" }).head(ref)
    const { headers } = server.seen[0] ?? {}
    expect(headers).toMatchObject({ "x-amz-security-token": "token", "x-amzn-trace-id": "Root=1-abc" })
    expect(headers?.authorization).toMatch(/SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/)
  })

  it("carries the hashes of a small body; a large one or a stream goes unsigned", async () => {
    const server = await scripted(stored)
    const store = storeAt(server.port)
    await store.put(ref, Buffer.from("x"))
    await store.put(ref, Buffer.alloc(1024 * 1024 + 1))
    await store.put(ref, { length: 3, stream: pieces(Buffer.from("abc"), 3) })
    expect(server.seen.map(({ headers }) => [headers["x-amz-content-sha256"], headers["content-md5"]])).toEqual([
      ["2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", Buffer.from(etag, "hex").toString("base64")],
      ["UNSIGNED-PAYLOAD", undefined],
      ["UNSIGNED-PAYLOAD", undefined],
    ])
  })

  it("writes If-Match quoted, or as the condition says", async () => {
    const server = await scripted(stored)
    const store = storeAt(server.port)
    for (const form of [undefined, "quoted", "unquoted"] as const) {
      await store.put(ref, Buffer.from("x"), { condition: { ifMatch: etag, ...(form ? { form } : {}) } })
    }
    expect(server.seen.map(({ headers }) => headers["if-match"])).toEqual([`"${etag}"`, `"${etag}"`, etag])
  })

  it("gets If-Match and If-None-Match quoted on reads", async () => {
    const server = await scripted(object)
    await storeAt(server.port).head(ref, { ifMatch: etag, ifNoneMatch: "other" })
    expect(server.seen[0]?.headers).toMatchObject({ "if-match": `"${etag}"`, "if-none-match": '"other"' })
  })
})

describe("a write with a condition", () => {
  const unclear: [string, Step][] = [
    ["a reset", reset], ["a 500", refusal(500, "InternalError")], ["a 503", refusal(503, "ServiceUnavailable")],
  ]
  it.each(unclear)(
    "is sent once, and throws unavailable after %s",
    async (_, step) => {
      const server = await scripted(step, stored)
      const put = storeAt(server.port).put(ref, Buffer.from("x"), { condition })
      expect(await failureOf(put)).toBe("unavailable")
      expect(server.seen).toHaveLength(1)
    },
  )

  it("is sent once, and throws throttled after SlowDown", async () => {
    const server = await scripted(refusal(503, "SlowDown"), stored)
    expect(await failureOf(storeAt(server.port).put(ref, Buffer.from("x"), { condition }))).toBe("throttled")
    expect(server.seen).toHaveLength(1)
  })

  it("without one is sent again after each", async () => {
    const server = await scripted(reset, refusal(500, "InternalError"), refusal(503, "SlowDown"), stored)
    expect(await storeAt(server.port).put(ref, Buffer.from("x"))).toEqual({ etag })
    expect(server.seen).toHaveLength(4)
  })

  const rows = [
    [412, "PreconditionFailed", "precondition-failed"],
    [404, "NoSuchKey", "precondition-failed"],
    [404, "NoSuchBucket", "bucket-not-found"],
    [409, "ConditionalRequestConflict", "conflict"],
    [403, "AccessDenied", "forbidden"],
    [400, "InvalidRequest", "store-refused"],
    [501, "NotImplemented", "store-refused"],
  ] as const
  it.each(rows)("that is answered %i %s throws %s", async (status, code, expected) => {
    const server = await scripted(refusal(status, code))
    expect(await failureOf(storeAt(server.port).put(ref, Buffer.from("x"), { condition }))).toBe(expected)
    expect(server.seen).toHaveLength(1)
  })
})

describe("a read", () => {
  const rows = [
    ["GET", 404, "NoSuchKey", "no failure"],
    ["GET", 404, "NoSuchVersion", "no failure"],
    ["GET", 404, "NoSuchBucket", "bucket-not-found"],
    ["GET", 404, "", "store-refused"],
    ["GET", 404, "NotFound", "store-refused"],
    ["GET", 403, "InvalidObjectState", "archived"],
    ["GET", 403, "AccessDenied", "forbidden"],
    ["GET", 412, "PreconditionFailed", "precondition-failed"],
    ["GET", 304, "", "not-modified"],
    ["GET", 416, "InvalidRange", "range-not-satisfiable"],
    ["GET", 503, "SlowDown", "throttled"],
    ["GET", 429, "", "throttled"],
    ["GET", 500, "InternalError", "unavailable"],
    ["HEAD", 404, "", "no failure"],
    ["HEAD", 403, "", "forbidden"],
    ["HEAD", 412, "", "precondition-failed"],
    ["HEAD", 304, "", "not-modified"],
    ["HEAD", 500, "", "unavailable"],
  ] as const
  it.each(rows)("by %s that is answered %i %s: %s", async (method, status, code, expected) => {
    const server = await scripted(refusal(status, code))
    const store = storeAt(server.port)
    expect(await failureOf(method === "GET" ? store.get(ref) : store.head(ref))).toBe(expected)
  })

  it("of tags, and a delete, take a 404 without its code for no answer about the object", async () => {
    const store = storeAt((await scripted(answer(404, "<html>no such page</html>"))).port)
    expect(await failureOf(store.getTags(ref))).toBe("store-refused")
    expect(await failureOf(store.delete(ref))).toBe("store-refused")
  })

  it.each([203, 206])("of the whole object refuses an answer of %i, and drops its body: store-refused", async (status) => {
    const dropped: Promise<unknown>[] = []
    const server = await scripted((request, response) => {
      dropped.push(once(request.socket, "close"))
      response.writeHead(status, { etag: `"${etag}"`, "content-range": "bytes 0-4/10", "content-length": 5 }).write("byt")
    })
    expect(await failureOf(storeAt(server.port).get(ref))).toBe("store-refused")
    await Promise.all(dropped)
    expect(server.seen).toHaveLength(1)
  })

  it("of a version that is a delete marker gives undefined", async () => {
    const server = await scripted(refusal(405, "MethodNotAllowed", { "x-amz-delete-marker": "true" }))
    expect(await storeAt(server.port).get(ref, { versionId: "v" })).toBeUndefined()
  })

  it("fails where the store drops the body half-way: unavailable", async () => {
    const head = `HTTP/1.1 200 OK\r\netag: "${etag}"\r\ncontent-length: 10\r\n\r\n`
    const port = await listen(createServer((socket) => void socket.once("data", () => socket.end(`${head}half`))))
    const got = await storeAt(port).get(ref)
    expect(await failureOf(collect(got?.body ?? pieces(Buffer.alloc(0), 1)))).toBe("unavailable")
  })

  it("tells what headers say: versions, tags, encryption, locks, the class unless it is the default", async () => {
    const server = await scripted(
      answer(200, "bytes", {
        etag: `"${etag}"`, "last-modified": "Tue, 24 Nov 2026 10:00:00 GMT", "x-amz-version-id": "v1",
        "x-amz-tagging-count": "2", "x-amz-server-side-encryption": "aws:kms", "x-amz-storage-class": "GLACIER_IR",
        "x-amz-server-side-encryption-aws-kms-key-id": "k1", "x-amz-object-lock-mode": "GOVERNANCE",
        expires: "whenever", "x-amz-meta-a": "1", "x-amz-website-redirect-location": "/x",
      }),
      answer(200, "", {
        "x-amz-server-side-encryption-customer-algorithm": "AES256", "x-amz-object-lock-legal-hold": "ON",
        "x-amz-storage-class": "STANDARD",
      }),
    )
    const store = storeAt(server.port)
    expect(await store.head(ref)).toEqual({
      size: 5, etag, lastModified: Date.parse("2026-11-24T10:00:00Z"), versionId: "v1", tagCount: 2, locked: true,
      encryption: { kind: "aws:kms", keyId: "k1" }, storageClass: "GLACIER_IR", expires: "whenever",
      metadata: { a: "1" }, websiteRedirect: "/x",
    })
    const other = await store.head(ref)
    expect(other).toMatchObject({ encryption: { kind: "customer" }, locked: true })
    expect([other?.storageClass, other?.tagCount]).toEqual([undefined, undefined])
  })
})

describe("a range", () => {
  const partial = (contentRange: string, body: string) =>
    answer(206, body, { etag: `"${etag}"`, "content-range": contentRange })

  it("is what was asked for", async () => {
    const server = await scripted(partial("bytes 2-4/10", "cde"))
    const got = await storeAt(server.port).get(ref, { range: { start: 2, end: 4 } })
    expect([got?.size, got?.range, (await collect(got?.body ?? pieces(Buffer.alloc(0), 1))).toString()]).toEqual([
      10, { start: 2, end: 4 }, "cde",
    ])
    expect(server.seen[0]?.headers.range).toBe("bytes=2-4")
  })

  const wrong = [
    ["the whole object, Range ignored", object],
    ["another start", partial("bytes 1-4/10", "bcde")],
    ["another end", partial("bytes 2-5/10", "cdef")],
    ["no Content-Range", answer(206, "cde")],
    ["more bytes than it says", partial("bytes 2-4/10", "cdef")],
  ] as const
  it.each(wrong)("is refused where the store delivers %s: store-refused", async (_, step) => {
    const server = await scripted(step)
    expect(await failureOf(storeAt(server.port).get(ref, { range: { start: 2, end: 4 } }))).toBe("store-refused")
  })

  it("from the end is refused where the store takes it for one from the beginning", async () => {
    const server = await scripted(partial("bytes 0-5/10", "abcdef"))
    expect(await failureOf(storeAt(server.port).get(ref, { range: { suffix: 5 } }))).toBe("store-refused")
  })
})

describe("a wrong clock", () => {
  const hours = 3_600_000
  const late = () => Date.now() - 2 * hours

  it("is corrected by the store's, once, for all later requests, also for a write with a condition", async () => {
    const server = await scripted(refusal(403, "RequestTimeTooSkewed"), stored)
    const store = storeAt(server.port, { clock: late })
    await store.put(ref, Buffer.from("x"), { condition })
    await store.put(ref, Buffer.from("x"))
    const ages = server.seen.map(({ headers }) => Math.round((Date.now() - timeOf(headers["x-amz-date"])) / hours))
    expect(ages).toEqual([2, 0, 0])
  })

  it("is corrected after a HEAD, whose refusal has no code, where the Date shows it", async () => {
    const server = await scripted(answer(403), object)
    expect((await storeAt(server.port, { clock: late }).head(ref))?.size).toBe(5)
    const right = await scripted(answer(403), object)
    expect(await failureOf(storeAt(right.port).head(ref))).toBe("forbidden")
    expect(right.seen).toHaveLength(1)
  })

  it("that stays refused is no reason to go on", async () => {
    const server = await scripted(refusal(403, "RequestTimeTooSkewed"))
    expect(await failureOf(storeAt(server.port, { clock: late }).get(ref))).toBe("forbidden")
    expect(server.seen).toHaveLength(2)
  })
})

describe("a bucket in another region", () => {
  const named = { "x-amz-bucket-region": "us-south" }
  const elsewhere: [string, Step][] = [
    ["301 with its header", refusal(301, "PermanentRedirect", named, "<Endpoint>evil.example</Endpoint>")],
    ["307 with its header", refusal(307, "TemporaryRedirect", named)],
    ["400 with <Region>", refusal(400, "AuthorizationHeaderMalformed", {}, "<Region>us-south</Region>")],
  ]
  it.each(elsewhere)("is learnt from %s, for all later requests", async (_, step) => {
    const server = await scripted(step, stored)
    const store = storeAt(server.port)
    await store.put(ref, Buffer.from("x"), { condition })
    await store.put(ref, Buffer.from("x"))
    const credential = /Credential=AKID\/\d+\/([^/]+)/
    const regions = server.seen.map(({ headers }) => credential.exec(headers.authorization ?? "")?.[1])
    expect(regions).toEqual(["eu-de", "us-south", "us-south"])
  })

  it("never leads to a Location or Endpoint that the store names", async () => {
    const away = await scripted(stored)
    const location = `http://127.0.0.1:${away.port}/`
    const named = `<Endpoint>127.0.0.1:${away.port}</Endpoint>`
    for (const headers of [{ location }, { location, "x-amz-bucket-region": "../evil.example" }]) {
      const server = await scripted(refusal(307, "TemporaryRedirect", headers, named))
      expect(await failureOf(storeAt(server.port).put(ref, Buffer.from("x")))).toBe("store-refused")
      expect(server.seen).toHaveLength(1)
    }
    expect(away.seen).toEqual([])
  })
})

describe("completing an upload", () => {
  const parts = [1, 2].map((number) => ({ number, etag: md5(String(number)), size: 1 }))
  const complete = (port: number) => storeAt(port).completeUpload(ref, "id", parts)
  const done = (tag: string) =>
    answer(200, `<CompleteMultipartUploadResult><ETag>${tag}</ETag></CompleteMultipartUploadResult>`)

  it("gives the ETag of the answer, or what it must be where that has none", async () => {
    expect(await complete((await scripted(done("&quot;abc-2&quot;"))).port)).toEqual({ etag: "abc-2" })
    const expected = md5(Buffer.concat(parts.map((part) => Buffer.from(part.etag, "hex"))))
    expect(await complete((await scripted(done(""))).port)).toEqual({ etag: `${expected}-2` })
  })

  const late = [
    ["InternalError", "unavailable"], ["PreconditionFailed", "precondition-failed"], ["NoSuchUpload", "not-found"],
  ]
  it.each(late)(
    "that is answered 200 with the error %s throws %s",
    async (code, expected) => {
      const server = await scripted(refusal(200, code))
      expect(await failureOf(complete(server.port))).toBe(expected)
      expect(server.seen).toHaveLength(1)
    },
  )

  const conditional = [
    ["NoSuchKey", "precondition-failed"], ["PreconditionFailed", "precondition-failed"],
    ["ConditionalRequestConflict", "conflict"],
  ] as const
  it.each(conditional)("under a condition that is answered 200 with the error %s throws %s", async (code, expected) => {
    const server = await scripted(refusal(200, code))
    expect(await failureOf(storeAt(server.port).completeUpload(ref, "id", parts, { condition }))).toBe(expected)
  })

  const unclear: [string, Step][] = [
    ["a reset", reset], ["half a document", answer(200, "<CompleteMultipartUploadResult>")], ["nothing", answer(200)],
  ]
  it.each(unclear)(
    "that is answered by %s is sent once and throws unavailable",
    async (_, step) => {
      const server = await scripted(step)
      expect(await failureOf(complete(server.port))).toBe("unavailable")
      expect(server.seen).toHaveLength(1)
    },
  )
})

describe("a listing", () => {
  it("gives keys as they are, however they were encoded", async () => {
    const keys = ["a+b%2Bc%20d", "%0A%F0%9F%98%80", "%3C%26amp%3B%3E", "007"]
    const contents = keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join("\n")
    const server = await scripted(
      answer(200, `<ListBucketResult><EncodingType>url</EncodingType>${contents}</ListBucketResult>`),
      answer(200, "<ListBucketResult><Contents><Key> a&#10;&amp;lt;%41 </Key></Contents></ListBucketResult>"),
    )
    const store = storeAt(server.port)
    expect((await store.list("bucket")).objects.map(({ key }) => key)).toEqual(["a b+c d", "\n😀", "<&amp;>", "007"])
    expect((await store.list("bucket")).objects.map(({ key }) => key)).toEqual([" a\n&lt;%41 "])
  })

  const broken = [
    ["no XML", "hello"], ["another document", "<Other/>"], ["half of one", "<ListBucketResult><Contents/>"],
  ]
  it.each(broken)("is refused where the answer is %s: store-refused", async (_, text) => {
    const server = await scripted(answer(200, text))
    expect(await failureOf(storeAt(server.port).list("bucket"))).toBe("store-refused")
  })

  it.each(["", "<NextContinuationToken/>"])(
    "is refused where it is cut and does not say how it goes on (%j): store-refused",
    async (token) => {
      const text = `<ListBucketResult><IsTruncated>true</IsTruncated>${token}</ListBucketResult>`
      const server = await scripted(answer(200, text))
      expect(await failureOf(storeAt(server.port).list("bucket"))).toBe("store-refused")
    },
  )

  it("is refused beyond 8 MiB: store-refused", async () => {
    const server = await scripted(answer(200, `<ListBucketResult>${" ".repeat(8 * 1024 * 1024)}</ListBucketResult>`))
    expect(await failureOf(storeAt(server.port).list("bucket"))).toBe("store-refused")
  })
})

describe("bucket settings", () => {
  /** Answers by the sub-resource that is asked for. */
  async function settingsOf(steps: Record<string, Step>) {
    const server = await scripted((request, response, body) => {
      const name = /\?([a-z-]+)=/.exec(request.url ?? "")?.[1] ?? ""
      const step = steps[name] ?? refusal(501, "NotImplemented")
      step(request, response, body)
    })
    return storeAt(server.port).bucketSettings("bucket")
  }

  it("are unknown where the store refuses to say, or answers with another document", async () => {
    const names = ["versioning", "mfaDelete", "objectLock", "defaultRetention", "replicated", "notifies", "policy", "lifecycle"]
    const unknown = Object.fromEntries(names.map((name) => [name, "unknown"]))
    expect(await settingsOf({})).toEqual(unknown)
    const listing = answer(200, "<ListBucketResult/>")
    const forbidden = refusal(403, "AccessDenied")
    const others = {
      versioning: listing, "object-lock": forbidden, replication: listing, lifecycle: forbidden, policy: listing, acl: forbidden,
    }
    expect(await settingsOf(others)).toEqual(unknown)
  })

  it("are off where the store says that there are none", async () => {
    expect(await settingsOf({
      location: answer(200, "<LocationConstraint xmlns='x'>eu-de</LocationConstraint>"),
      versioning: answer(200, "<VersioningConfiguration/>"),
      "object-lock": refusal(404, "ObjectLockConfigurationNotFoundError"),
      replication: refusal(404, "ReplicationConfigurationNotFoundError"),
      lifecycle: refusal(404, "NoSuchLifecycleConfiguration"),
      notification: answer(200, "<NotificationConfiguration xmlns='x'/>"),
      policy: refusal(404, "NoSuchBucketPolicy"),
    })).toEqual({
      versioning: "off", mfaDelete: false, objectLock: false, defaultRetention: false, replicated: false, notifies: false,
      policy: false, lifecycle: [], location: "eu-de",
    })
  })

  it("tell MFA delete, a default retention, notifications, a policy and the owner", async () => {
    expect(await settingsOf({
      versioning: answer(200, "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"),
      "object-lock": answer(200, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
        + "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"),
      notification: answer(200, "<NotificationConfiguration><TopicConfiguration><Id>x</Id></TopicConfiguration></NotificationConfiguration>"),
      policy: answer(200, '{"Version":"2012-10-17","Statement":[]}'),
      acl: answer(200, "<AccessControlPolicy><Owner><ID>somebody</ID></Owner></AccessControlPolicy>"),
    })).toMatchObject({
      versioning: "enabled", mfaDelete: true, objectLock: true, defaultRetention: true, notifies: true, policy: true, owner: "somebody",
    })
  })

  it("tell versions, locks, replication, and which rules expire or archive", async () => {
    const lock = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
    const rule = (content: string, status = "Enabled") => `<Rule><Status>${status}</Status>${content}</Rule>`
    const lifecycle = [
      rule("<Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>1</Days></Expiration>"),
      rule("<Prefix>old/</Prefix><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"),
      rule("<Filter><And><Prefix>and/</Prefix></And></Filter><Expiration><Date>2027-01-01</Date></Expiration>"),
      rule("<Filter/><Transition><StorageClass>STANDARD_IA</StorageClass></Transition>"),
      rule("<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
      rule("<Filter/><Expiration><Days>1</Days></Expiration>", "Disabled"),
      rule("<Expiration><Days>1</Days></Expiration><Transition><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>"),
    ]
    expect(await settingsOf({
      versioning: answer(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
      "object-lock": answer(200, `<ObjectLockConfiguration>${lock}</ObjectLockConfiguration>`),
      replication: answer(200, `<ReplicationConfiguration><Role/>${rule("")}</ReplicationConfiguration>`),
      lifecycle: answer(200, `<LifecycleConfiguration>${lifecycle.join("")}</LifecycleConfiguration>`),
    })).toMatchObject({
      versioning: "enabled", objectLock: true, replicated: true, lifecycle: [
        { prefix: "tmp/", effect: "expires" }, { prefix: "old/", effect: "archives" },
        { prefix: "and/", effect: "expires" }, { prefix: "", effect: "expires" }, { prefix: "", effect: "archives" },
      ],
    })
  })

  it("are undefined where there is no bucket, and fail where the store fails", async () => {
    expect(await settingsOf({ lifecycle: refusal(404, "NoSuchBucket") })).toBeUndefined()
    await expect(settingsOf({ lifecycle: refusal(500, "InternalError") })).rejects.toThrow(/failed to answer/)
  })
})

describe("what a write carries", () => {
  it("refuses a key of SSE-C, control characters, and names that are none: store-refused", async () => {
    const store = storeAt(1)
    const put = (options: Parameters<typeof store.put>[2]) => failureOf(store.put(ref, Buffer.from("x"), options))
    expect(await put({ encryption: { kind: "customer" } })).toBe("store-refused")
    expect(await put({ attributes: { cacheControl: "a\r\nx-evil: 1" } })).toBe("store-refused")
    expect(await put({ attributes: { metadata: { a: "x\0" } } })).toBe("store-refused")
    expect(await put({ attributes: { metadata: { "a:b": "x" } } })).toBe("store-refused")
  })

  it("sends attributes, tags and encryption by their headers, text as UTF-8", async () => {
    const server = await scripted(stored)
    await storeAt(server.port).put(ref, Buffer.from("x"), {
      attributes: { contentType: "text/plain", storageClass: "STANDARD_IA", metadata: { name: "日本" } },
      tags: [["a b", "c&d=é"]], encryption: { kind: "aws:kms", keyId: "k" },
    })
    expect(server.seen[0]?.headers).toMatchObject({
      "content-type": "text/plain", "x-amz-storage-class": "STANDARD_IA", "x-amz-tagging": "a%20b=c%26d%3D%C3%A9",
      "x-amz-meta-name": Buffer.from("日本").toString("latin1"), "x-amz-server-side-encryption": "aws:kms",
      "x-amz-server-side-encryption-aws-kms-key-id": "k",
    })
  })

  it("gives back every header's very bytes, UTF-8 or not", async () => {
    const values = ["plain", "Grüße", "日本 😀", "\x80\xff\xfe", "a\xe4b"]
    for (const value of values) {
      const bytes = /^[\x00-\xff]*$/.test(value) && value !== "Grüße" ? value : Buffer.from(value).toString("latin1")
      const server = await scripted(answer(200, "", { "x-amz-meta-v": bytes }), stored)
      const store = storeAt(server.port)
      const metadata = (await store.head(ref))?.metadata ?? {}
      await store.put(ref, Buffer.from("x"), { attributes: { metadata } })
      expect(server.seen[1]?.headers["x-amz-meta-v"]).toBe(bytes)
    }
  })

  it("a stream that was begun is sent once, also without a condition", async () => {
    const bytes = patterned(100_000)
    const server = await scripted(refusal(503, "SlowDown"), stored)
    const body = { length: bytes.length, stream: pieces(bytes, 10_000) }
    expect(await failureOf(storeAt(server.port).put(ref, body))).toBe("throttled")
    expect(server.seen).toHaveLength(1)
  })
})

const timeOf = (date: unknown): number =>
  Date.parse(String(date).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))
