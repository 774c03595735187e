import { createHmac } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { credentials, type RawRequest } from "./s3-endpoint.ts"
import { openClient, type TestClient } from "./s3-server-client.ts"

let client: TestClient
beforeAll(async () => { client = await openClient("raw", "versioned") })
afterAll(() => client.close())

const later = 4_102_444_800 // seconds since the epoch: the year 2100
const fetched = (target: string, more: Partial<RawRequest> = {}) =>
  client.ask({ method: "GET", target, credentials: undefined, ...more })
const codeOf = async (target: string, more: Partial<RawRequest> = {}) => (await fetched(target, more)).code

/** What a URL is signed over, and how it is then sent. */
interface Signing {
  readonly method?: string
  /** The head's lines: Content-MD5, Content-Type. */
  readonly standard?: string
  readonly expires?: string | number
  /** Lines, each with its line feed. */
  readonly amz?: string
  /** With `?`, as signed: values decoded. */
  readonly query?: string
  readonly secret?: string
}

/** The three parameters that sign a path, by the words of S3's user guide. */
function parametersFor(path: string, signing: Signing = {}): string {
  const { method = "GET", standard = "\n", expires = later, amz = "", query = "" } = signing
  const text = `${method}\n${standard}\n${expires}\n${amz}${path}${query}`
  const signature = createHmac("sha1", signing.secret ?? credentials.secretAccessKey).update(text).digest("base64")
  return `AWSAccessKeyId=${credentials.accessKeyId}&Expires=${expires}&Signature=${encodeURIComponent(signature)}`
}
const url = (path: string, signing?: Signing) => `${path}?${parametersFor(path, signing)}`

describe("a URL presigned by signature version 2", () => {
  // As boto3 1.26 and s3cmd 2.3 made them, alike: the key, its place in the URL, and the signature.
  const recorded = [
    ["a b", "a%20b", "bQS%2BxdfUDpTse2ghg%2BNXzb1De5c%3D"],
    ["a+b", "a%2Bb", "X8%2FkgLa1La3hEc2kQAwlI2bD%2ByQ%3D"],
    ["a%20b", "a%2520b", "mr5Bbi1rgXGsnoYEEgAkaM37ogk%3D"],
    ["grüße", "gr%C3%BC%C3%9Fe", "Xu9k%2BflOqREYPE7Oay9HHL8Ig%2BA%3D"],
    [`quote"s'`, "quote%22s%27", "rugw54m8htZ2NhIJD660tyYLvBg%3D"],
    ["😀", "%F0%9F%98%80", "jbRJJyd0C8ihFoinMYj4LUL%2BUgg%3D"],
    ["a//b", "a//b", "OYjUBtxx%2FU9O%2BBb%2Bos8glI0bm4o%3D"],
    ["~(x)!*", "~%28x%29%21%2A", "C1V4nRQkT7S3BlxCgx1j94FpSdc%3D"],
  ] as const
  it.each(recorded)("of boto3 or s3cmd reads the object %s", async (key, path, signature) => {
    await client.put(key, `text of ${key}`)
    const target = `/raw/${path}?AWSAccessKeyId=TESTACCESSKEY&Expires=${later}&Signature=${signature}`
    const { status, body } = await fetched(target)
    expect([status, Buffer.from(body, "latin1").toString()]).toEqual([200, `text of ${key}`])
    expect((await fetched(target, { method: "HEAD" })).status).toBe(403)
  })

  it("of boto3 heads an object, and sets headers of the answer", async () => {
    const who = `AWSAccessKeyId=TESTACCESSKEY`
    const head = `/raw/a%20b?${who}&Signature=QrDW1vOptHzOBwkhYwAbei7XTNM%3D&Expires=${later}`
    expect((await fetched(head, { method: "HEAD" })).headers["content-length"]).toBe("11")
    const named = "response-content-disposition=inline%3B%20filename%3D%22a%20b%2Bc%26%C3%BC.txt%22"
    const signature = "Signature=c5Tg8mOJ0zhiXyXEvW7TRlEUBAI%3D"
    const target = `/raw/a%20b?${named}&response-content-type=text%2Fx&${who}&${signature}&Expires=${later}`
    const inline = Buffer.from('inline; filename="a b+c&ü.txt"').toString("latin1")
    const headers = { "content-disposition": inline, "content-type": "text/x" }
    expect((await fetched(target)).headers).toMatchObject(headers)
    expect(await codeOf(target.replace("text%2Fx", "text%2Fhtml"))).toBe("SignatureDoesNotMatch")
    expect(await codeOf(target.replace("&response-content-type=text%2Fx", ""))).toBe("SignatureDoesNotMatch")
  })

  it("reads the version that was signed, and no other", async () => {
    const { VersionId: first = "" } = await client.put("versions", "first")
    const { VersionId: second = "" } = await client.put("versions", "second")
    const signed = (version: string) => parametersFor("/raw/versions", { query: `?versionId=${version}` })
    const target = (...parameters: string[]) => `/raw/versions?${parameters.join("&")}`
    const [one, two] = [`versionId=${first}`, `versionId=${second}`]
    expect((await fetched(target(one, signed(first)))).body).toBe("first")
    expect((await fetched(target(one, signed(first), two))).body).toBe("first") // the first counts, and is signed
    expect(await codeOf(target(two, one, signed(first)))).toBe("SignatureDoesNotMatch")
    expect(await codeOf(target(two, signed(first)))).toBe("SignatureDoesNotMatch")
    expect(await codeOf(target(signed(first)))).toBe("SignatureDoesNotMatch")
    expect(await codeOf(`${url("/raw/versions")}&${one}`)).toBe("SignatureDoesNotMatch")
    expect(await codeOf(`${url("/raw/versions")}&version%49d=${first}`)).toBe("SignatureDoesNotMatch")
    expect((await fetched(`/raw?versions&${parametersFor("/raw", { query: "?versions" })}`)).status).toBe(200)
  })

  it.each([
    "prefix=a", "list-type=2", "max-parts=1", "encoding-type=url", "tagging", "x-id=GetObject", "unknown=",
    "versionid=x", "x-amz-meta-a=b", "X-Amz-Security-Token=x", "X-Amz-Signature=x", "response-unknown=x",
  ])("is refused with %s, which it does not sign, even where a signer meant it to be", async (parameter) => {
    const refusal = { status: 403, code: "AccessDenied" }
    expect(await fetched(`${url("/raw/a%20b")}&${parameter}`)).toMatchObject(refusal)
    expect(await fetched(`${url("/raw")}&${parameter}`)).toMatchObject(refusal)
    const amz = `${parameter.toLowerCase().replace("=", ":")}\n`
    const query = `?${parameter}`
    expect(await fetched(`/raw/a%20b${query}&${parametersFor("/raw/a%20b", { query })}`)).toMatchObject(refusal)
    expect(await fetched(`/raw/a%20b${query}&${parametersFor("/raw/a%20b", { amz })}`)).toMatchObject(refusal)
  })

  it.each(["PUT", "POST", "DELETE"])("is refused for %s, though signed for it", async (method) => {
    const body = Buffer.from("changed")
    const answer = await fetched(url("/raw/a%20b", { method }), { method, body })
    expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"])
    expect(answer.body).toContain("AWS4-HMAC-SHA256")
    expect(await client.textOf("a b")).toBe("text of a b")
  })

  it("covers every x-amz- header, and the type and MD5 of a body, as they are sent", async () => {
    const headers = { "X-Amz-Meta-B": "  two  words ", "x-amz-meta-a-c": "3", "x-amz-meta-a": "1" }
    const amz = "x-amz-meta-a:1\nx-amz-meta-a-c:3\nx-amz-meta-b:two  words\n"
    const signed = url("/raw/a%20b", { amz, standard: "bWQ1\ntext/x" })
    const standard = { "Content-MD5": "bWQ1", "Content-Type": "text/x" }
    expect((await fetched(signed, { headers: { ...headers, ...standard } })).status).toBe(200)
    const changes: Record<string, string>[] = [
      standard, headers,
      ...[["x-amz-meta-a", "2"], ["x-amz-meta-d", ""], ["Content-Type", "text/y"], ["Content-MD5", ""]]
        .map(([name = "", value = ""]) => ({ ...headers, ...standard, [name]: value })),
    ]
    for (const changed of changes) expect(await codeOf(signed, { headers: changed })).toBe("SignatureDoesNotMatch")
    const unsigned = { "x-amz-checksum-mode": "ENABLED" }
    expect(await codeOf(url("/raw/a%20b"), { headers: unsigned })).toBe("SignatureDoesNotMatch")
  })

  it("holds until it expires, which may be at any time", async () => {
    const now = Math.floor(Date.now() / 1000)
    const at = (expires: string | number) => fetched(url("/raw/a%20b", { expires }))
    expect((await at(now + 60)).status).toBe(200)
    expect((await at("9".repeat(400))).status).toBe(200)
    const expired = await at(now - 1)
    expect([expired.status, expired.code]).toEqual([403, "AccessDenied"])
    expect(expired.body).toContain("Request has expired")
    for (const expires of ["-1", "1e12", "Infinity", `${later}.5`, `0x${later.toString(16)}`, "later"]) {
      expect((await at(expires)).code).toBe("AccessDenied")
    }
    expect(await codeOf(url("/raw/a%20b").replace(String(later), String(later + 1)))).toBe("SignatureDoesNotMatch")
  })

  it("is refused when incomplete, of an unknown key, or wrongly signed", async () => {
    const good = url("/raw/a%20b")
    expect((await fetched(good)).status).toBe(200)
    for (const name of ["AWSAccessKeyId", "Expires", "Signature"]) {
      expect(await codeOf(good.replace(new RegExp(`${name}=[^&]*&?`), ""))).toBe("AccessDenied")
      expect(await codeOf(good.replace(new RegExp(`${name}=[^&]*`), `${name}=`))).toBe("AccessDenied")
    }
    expect(await codeOf(good.replace("TESTACCESSKEY", "NOBODY"))).toBe("InvalidAccessKeyId")
    expect(await codeOf(url("/raw/a%20b", { secret: "another" }))).toBe("SignatureDoesNotMatch")
    for (const signature of ["x", "AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D", "%C3%BC".repeat(14)]) {
      expect(await codeOf(good.replace(/Signature=.*/, `Signature=${signature}`))).toBe("SignatureDoesNotMatch")
    }
  })

  it("is signed over the path as it is sent, so that another way to write it is refused", async () => {
    expect((await fetched(url("/raw/a+b"))).body).toBe("text of a+b")
    const sentAs = (path: string) => codeOf(`${path}?${parametersFor("/raw/a%2Bb")}`)
    for (const path of ["/raw/a+b", "/raw/a%2bb", "/raw/%61%2Bb", "/raw/other", "/raw"]) {
      expect(await sentAs(path)).toBe("SignatureDoesNotMatch")
    }
  })

  it("is the only form of version 2 that is taken: a header signed by it is refused", async () => {
    const headers = { authorization: `AWS ${credentials.accessKeyId}:AAAAAAAAAAAAAAAAAAAAAAAAAAA=` }
    const refusal = { status: 400, code: "AuthorizationHeaderMalformed" }
    expect(await fetched("/raw/a%20b", { headers })).toMatchObject(refusal)
  })
})
