/** Bearer tokens of any bytes, under the claims and headers that attacks on JWTs use. */
import { createHmac } from "node:crypto"
import fc from "fast-check"
import { importJWK, SignJWT, type JWTPayload } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { fieldSealer } from "../shared/keys/master-key.ts"
import { signingKeys, type SigningKey } from "../shared/iam/signing-keys.ts"
import { ACCOUNT, faultOf, hostWorld, type HostWorld } from "./host-world.ts"
import { count, pick, property, randoms, report, tries } from "./hostile.ts"
import { mutated, mutatedText } from "./mutations.ts"

let world: HostWorld
let signing: SigningKey
let claims: JWTPayload

beforeAll(async () => {
  world = await hostWorld()
  signing = await signingKeys(world.state, fieldSealer(world.masterKey, [], (size) => Buffer.alloc(size)), 300, Date.now)()
  claims = decoded(world.ownerToken.split(".")[1]) as JWTPayload
})
afterAll(() => world.close())

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const decoded = (part = ""): unknown => JSON.parse(Buffer.from(part, "base64url").toString())

/** The status of a request with this token; fails where the answer is not a refusal of ours. */
async function statusOf(token: string): Promise<number> {
  const response = await world.call("GET", "/v2/roles", undefined, { authorization: `Bearer ${token.replace(/[^\x21-\x7e]/g, "?")}` })
  const { status } = response
  expect(await faultOf(response)).toBeUndefined()
  return status
}

const expectWell = async () => expect(await statusOf(world.ownerToken)).toBe(200)

describe("a token", () => {
  it("of any text is refused", async () => {
    const part = fc.oneof(fc.string({ unit: "binary-ascii" }), fc.json().map((text) => Buffer.from(text).toString("base64url")), fc.constant(""))
    await fc.assert(fc.asyncProperty(fc.array(part, { maxLength: 6 }), async (parts) => {
      expect(await statusOf(parts.join("."))).toBe(401)
    }), property(500))
    await expectWell()
  })

  it("with characters changed at random is refused, unless it says the same", async () => {
    const counts: Record<string, number> = {}
    for (const random of randoms(tries(500))) {
      const changed = mutatedText(world.ownerToken, random).replace(/[^\x21-\x7e]/g, "")
      const status = await statusOf(changed)
      count(counts, status)
      if (status !== 401) expect(changed).toBe(world.ownerToken)
    }
    report("mutated tokens", counts)
    await expectWell()
  })

  const jku = "http://192.0.2.66/keys.json"
  const headers: readonly (readonly [what: string, header: object])[] = [
    ["alg none", { alg: "none" }], ["alg NONE", { alg: "NONE" }], ["no alg", {}], ["an alg that is a list", { alg: ["RS256"] }], ["an alg of every object", { alg: "__proto__" }],
    ["HS256", { alg: "HS256" }], ["ES256", { alg: "ES256" }], ["PS256", { alg: "PS256" }], ["another length", { alg: "RS512" }], ["lower case", { alg: "rs256" }], ["encryption", { alg: "RSA-OAEP", enc: "A256GCM" }],
    ["a kid that climbs", { alg: "RS256", kid: "../identities/x" }], ["a kid with a NUL", { alg: "RS256", kid: "a\u0000b" }], ["a kid that is an object", { alg: "RS256", kid: { a: 1 } }],
    ["a kid of every object", { alg: "RS256", kid: "__proto__" }], ["an endless kid", { alg: "RS256", kid: "k".repeat(10_000) }], ["a kid that is half a pair", { alg: "RS256", kid: "\ud800" }],
    ["keys from elsewhere", { alg: "RS256", jku }], ["certificates from elsewhere", { alg: "RS256", x5u: jku, x5c: ["AAAA"] }], ["a key of its own", { alg: "RS256", jwk: { kty: "oct", k: "AAAA" } }],
    ["unknown critical members", { alg: "RS256", crit: ["exp"], exp: 1 }], ["an empty list of critical members", { alg: "RS256", crit: [] }], ["unencoded contents", { alg: "RS256", b64: false, crit: ["b64"] }],
    ["compression", { alg: "RS256", zip: "DEF" }], ["a nested token", { alg: "RS256", cty: "JWT" }],
  ]

  it.each(headers)("whose header has %s is refused, under whatever signature", async (_, header) => {
    const signed = `${encoded({ kid: signing.kid, ...header })}.${encoded(claims)}`
    const [own, hmac] = [world.ownerToken.split(".")[2] ?? "", createHmac("sha256", JSON.stringify((await world.context.tokens.jwks()).keys[0])).update(signed).digest("base64url")]
    for (const signature of ["", own, hmac, "A".repeat(342), "A".repeat(100_000)]) expect(await statusOf(`${signed}.${signature}`)).toBe(401)
    await expectWell()
  })

  it("that is huge, deep or cut off anywhere is refused", async () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
    const payloads = [deep, `{"iss":${deep}}`, `{${'"a":{'.repeat(50_000)}${"}".repeat(50_001)}`, JSON.stringify({ ...claims, x: "x".repeat(1_000_000) }), `{"iss":"bucketseal:${ACCOUNT}","exp":1e999}`]
    for (const payload of payloads) {
      expect(await statusOf(`${encoded({ alg: "RS256", kid: signing.kid })}.${Buffer.from(payload).toString("base64url")}.AAAA`)).toBe(401)
    }
    for (const text of [".".repeat(100_000), "a.".repeat(50_000), "-".repeat(1_000_000)]) expect(await statusOf(text)).toBe(401)
    for (let length = 0; length < world.ownerToken.length; length += 7) expect(await statusOf(world.ownerToken.slice(0, length))).toBe(401)
    await expectWell()
  })
})

describe("claims that our own key has signed", () => {
  const sign = (changed: object) => new SignJWT({ ...changed }).setProtectedHeader({ alg: "RS256", kid: signing.kid }).sign(signing.key)

  it("hold as they are", async () => expect(await statusOf(await sign(claims))).toBe(200))

  const times: readonly (readonly [what: string, change: object])[] = [
    ["exp as text", { exp: "9999999999" }], ["exp 0", { exp: 0 }], ["exp below 0", { exp: -1 }], ["exp null", { exp: null }], ["exp as a list", { exp: [9_999_999_999] }], ["exp as an object", { exp: {} }], ["exp true", { exp: true }],
    ["nbf as text", { nbf: "0" }], ["nbf null", { nbf: null }], ["nbf far ahead", { nbf: 1e300 }],
    ["iss as a list", { iss: [`bucketseal:${ACCOUNT}`] }], ["iss null", { iss: null }],
    ["iam_id as a list", { iam_id: ["x"] }], ["iam_id missing", { iam_id: undefined }], ["a key's digest that climbs", { apikey_digest: "../../identities/x" }], ["a key's digest of every object", { apikey_digest: "__proto__" }],
    ["an account as text", { account: ACCOUNT }], ["an identity that climbs", { authn: { iam_id: "../policies/acct1" } }], ["an identity of every object", { authn: { iam_id: "IBMid-__proto__" } }],
    ["a service that is no CRN", { sub_type: "CRN", iam_id: "crn-x" }], ["an unknown type", { sub_type: "Root" }],
  ]

  it.each(times)("are refused with %s", async (_, change) => {
    expect(await statusOf(await sign({ ...claims, ...change }))).toBe(401)
    await expectWell()
  })

  it("changed at random never break anything", async () => {
    const counts: Record<string, number> = {}
    for (const random of randoms(tries(150))) {
      const changed = mutated(claims, random)
      if (typeof changed !== "object" || changed === null || Array.isArray(changed)) continue
      const status = await statusOf((await sign(changed)).slice(0, 200_000))
      count(counts, status)
    }
    report("mutated claims", counts)
    await expectWell()
  }, 120_000)
})

describe("a request for a token", () => {
  const grant = "urn:ibm:params:oauth:grant-type"
  const post = (body: string | Uint8Array, path = "/identity/token") => world.call("POST", path, body, { authorization: "", "content-type": "application/x-www-form-urlencoded" })

  it("of any form is refused in IAM's words, or answered", async () => {
    const counts: Record<string, number> = {}
    const forms = [
      `grant_type=${grant}:apikey&apikey=${world.ownerSecret}`, `grant_type=${grant}:iam-authz&access_token=${world.ownerToken}&desired_iam_id=crn-crn:v1:bluemix:public:kms:us-south:a/${ACCOUNT}:x::`,
      "grant_type=refresh_token", "__proto__=x&grant_type=toString", "%00=%ff&grant_type=%", "&".repeat(30_000), "=".repeat(30_000), "a=".repeat(10_000), "grant_type=" + "x".repeat(40_000),
    ]
    for (const random of randoms(tries(300))) {
      const response = await post(mutatedText(pick(random, forms), random), pick(random, ["/identity/token", "/oidc/token"]))
      const { status } = response
      expect(await faultOf(response)).toBeUndefined()
      count(counts, status)
    }
    report("mutated token requests", counts)
    expect(counts["400"]).toBeGreaterThan(100)
    expect((await post(forms[0] ?? "")).status).toBe(200)
  })
})

it("a public key is all that /identity/keys gives, whatever was asked before", async () => {
  const { keys } = await world.context.tokens.jwks()
  for (const key of keys) expect(Object.keys(key)).not.toContain("d")
  await importJWK(keys[0] ?? {}, "RS256")
})
