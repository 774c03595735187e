import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT, createLocalJWKSet, type JWTPayload } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { digestOf, idOfDigest } from "../shared/iam/api-keys.ts"
import { IBM_ISSUER, type ExternalIssuer } from "../shared/iam/external-tokens.ts"
import { identities } from "../shared/iam/identities.ts"
import type { StateStore } from "../shared/ports.ts"
import { ACCOUNT, bucket, CACHE_SECONDS, firstOwner, iam, ISSUER, serviceId, testClock } from "./iam-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const masterKey = new Uint8Array(32).fill(7)

const rawOf = async (state: StateStore, path: string) =>
  (await state.read(path, { parse: (value) => value as Record<string, unknown> }))?.value // the store's own JSON

/** Making an RSA key takes a while: one, made as at a first start, is in every world. */
const signingKey = (async () => {
  const state = memoryState()
  await iam({ state, clock: testClock(), masterKey }).signingKey()
  const [path = ""] = (await state.list("signing-keys/")).paths
  return [path, await rawOf(state, path)] as const
})()

type World = Awaited<ReturnType<typeof world>>

/** One instance with an owner, and another on the same state store. */
async function world() {
  const [state, clock] = [memoryState(), testClock()]
  await state.create(...(await signingKey))
  const here = iam({ state, clock, masterKey })
  return { state, clock, here, there: iam({ state, clock, masterKey }), ...(await firstOwner(here.context)) }
}

const refused = { code: "unauthorized" }
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

describe("a token of ours", () => {
  it("names its identity and account, in IAM's claims, for an hour", async () => {
    const { here, owner, secret, clock } = await world()
    const { token, expiresIn, expiration } = await here.tokens.issue({ apiKey: secret })
    const now = clock() / 1000
    expect([expiresIn, expiration]).toEqual([3600, now + 3600])
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: "RS256" })
    expect(decodeJwt(token)).toMatchObject({
      iss: ISSUER, iat: now, exp: now + 3600, iam_id: owner.id, id: owner.id, realmid: "IBMid", sub: owner.id,
      account: { valid: true, bss: ACCOUNT }, authn: { iam_id: owner.id }, scope: "ibm openid", client_id: "default",
      grant_type: "urn:ibm:params:oauth:grant-type:apikey",
    })
    expect(await here.authenticate(token)).toEqual({ subject: { iamId: owner.id, account: ACCOUNT }, subjectType: "user" })
  })

  it("holds on every instance of the state store, and under its published keys", async () => {
    const { here, there, token } = await world()
    expect((await there.authenticate(token)).subjectType).toBe("user")
    await jwtVerify(token, createLocalJWKSet({ keys: [...(await here.tokens.jwks()).keys] }), { currentDate: new Date(here.clock()) })
  })

  it("is of a service id", async () => {
    const { here } = await world()
    const { identity, token } = await serviceId(here.context)
    expect(decodeJwt(token)).toMatchObject({ iam_id: identity.id, sub: identity.id.slice(4), sub_type: "ServiceId", realmid: "iam" })
    expect(await here.authenticate(token)).toEqual({ subject: { iamId: identity.id, account: ACCOUNT }, subjectType: "service-id" })
  })

  it("isn't given for a key that does not exist, is not one, or whose identity is gone", async () => {
    const { here, secret } = await world()
    const { identity, secret: gone } = await serviceId(here.context)
    await here.identities.delete(identity.id)
    for (const apiKey of [gone, "", "x", `${secret}x`, secret.toLowerCase(), digestOf(secret) ?? "", "../identities/x"]) {
      await expect(here.tokens.issue({ apiKey })).rejects.toMatchObject({ code: "bad-field", target: { name: "apikey" } })
    }
  })

  it("ends at its time, and a minute later at the latest where clocks differ", async () => {
    const { here, there, token, clock } = await world()
    await here.authenticate(token)
    clock.pass(3600 + 59)
    for (const each of [here, there]) expect((await each.authenticate(token)).subjectType).toBe("user")
    clock.pass(1)
    for (const each of [here, there]) await expect(each.authenticate(token)).rejects.toMatchObject(refused)
  })

  it("is verified once in a cache period, and its documents read once", async () => {
    const { state, there, token, clock } = await world()
    await there.authenticate(token)
    const before = state.requests()
    for (let each = 0; each < 50; each++) await there.authenticate(token)
    expect(state.requests()).toBe(before)
    clock.pass(CACHE_SECONDS)
    await there.authenticate(token)
    expect(state.requests() - before).toBe(3) // signing key, API key, identity
  })
})

describe("a revoked token", () => {
  type Here = World["here"]
  type Issued = Awaited<ReturnType<typeof serviceId>>
  it.each<[string, (here: Here, issued: Issued) => Promise<void>]>([
    ["its API key is deleted", (here, { apiKey }) => here.identities.deleteKey(apiKey.id)],
    ["its identity is deleted", (here, { identity }) => here.identities.delete(identity.id)],
  ])("is refused at once where %s, and elsewhere when the cache limit has passed", async (_, revoke) => {
    const { here, there, clock } = await world()
    const issued = await serviceId(here.context)
    await Promise.all([here.authenticate(issued.token), there.authenticate(issued.token)])
    clock.pass(CACHE_SECONDS - 1)
    await there.authenticate(issued.token)
    await revoke(here, issued)
    await expect(here.authenticate(issued.token)).rejects.toMatchObject(refused)
    await there.authenticate(issued.token) // what it knows is not older than the limit yet
    clock.pass(1)
    await expect(there.authenticate(issued.token)).rejects.toMatchObject(refused)
  })

  it("is refused when the cache limit has passed and its signing key is gone", async () => {
    const { state, here, there, secret, token: first, clock } = await world()
    await there.authenticate(first)
    clock.pass(CACHE_SECONDS - 1)
    const { token } = await here.tokens.issue({ apiKey: secret })
    await there.authenticate(token) // verified just now, by a key that it got to know long before
    await state.remove(`signing-keys/${decodeProtectedHeader(token).kid ?? ""}.json`)
    clock.pass(1)
    await expect(there.authenticate(token)).rejects.toMatchObject(refused)
  })

  it("is refused where its API key now belongs to another identity", async () => {
    const { state, here, clock } = await world()
    const { apiKey, secret, token } = await serviceId(here.context)
    const path = `api-keys/${digestOf(secret) ?? ""}.json`
    await state.remove(path)
    await state.create(path, { ...apiKey, iamId: "iam-ServiceId-0" })
    clock.pass(CACHE_SECONDS)
    await expect(here.authenticate(token)).rejects.toMatchObject(refused)
  })
})

describe("a forged token", () => {
  const claimsOf = (token: string): JWTPayload => decodeJwt(token)
  const without = (claims: JWTPayload, name: string) => Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name))
  type Forge = (token: string, about: World) => string | Promise<string>
  let about: World
  beforeAll(async () => void (about = await world()))

  const signedByAnother = (header: object) => async (token: string) => {
    const { privateKey } = await generateKeyPair("RS256")
    const kid = decodeProtectedHeader(token).kid ?? ""
    return new SignJWT(claimsOf(token)).setProtectedHeader({ alg: "RS256", kid, ...header }).sign(privateKey)
  }
  const withHmac = (secretOf: (about: World) => Promise<string>): Forge => async (token, about) => {
    const kid = decodeProtectedHeader(token).kid ?? ""
    return new SignJWT(claimsOf(token)).setProtectedHeader({ alg: "HS256", kid }).sign(new TextEncoder().encode(await secretOf(about)))
  }
  const published = async ({ here }: World) => (await here.tokens.jwks()).keys[0]
  const resigned = (change: (claims: JWTPayload, now: number) => JWTPayload, header: object = {}): Forge => async (token, { here, clock }) => {
    const { kid, key } = await here.signingKey()
    return new SignJWT(change(claimsOf(token), clock() / 1000)).setProtectedHeader({ alg: "RS256", kid, ...header }).sign(key)
  }

  it.each<[string, Forge]>([
    ["alg none", (token) => `${encode({ alg: "none" })}.${token.split(".")[1] ?? ""}.`],
    ["alg none, and the old signature", (token) => [encode({ alg: "none" }), ...token.split(".").slice(1)].join(".")],
    ["HS256 under the public key's modulus", withHmac(async (about) => (await published(about))?.n ?? "")],
    ["HS256 under the public key's JWK", withHmac(async (about) => JSON.stringify(await published(about)))],
    ["another key under our key's id", signedByAnother({})],
    ["another key, which its header offers itself", async (token) => {
      const { privateKey, publicKey } = await generateKeyPair("RS256")
      const header = { alg: "RS256", jwk: await exportJWK(publicKey), jku: "http://127.0.0.1:9/keys" }
      return new SignJWT(claimsOf(token)).setProtectedHeader(header).sign(privateKey)
    }],
    ["a key id that does not exist", resigned((claims) => claims, { kid: "20260301T120000Z-0123456789abcdef" })],
    ["no key id", resigned((claims) => claims, { kid: undefined })],
    ["a key id that is another document's path", resigned((claims) => claims, { kid: "../identities/x" })],
    ["a critical header that nobody knows", (token) => [encode({ ...decodeProtectedHeader(token), crit: ["x"], x: 1 }), ...token.split(".").slice(1)].join(".")],
    ["a changed claim", (token) => {
      const [header = "", , signature = ""] = token.split(".")
      return [header, encode({ ...claimsOf(token), iam_id: "IBMid-0" }), signature].join(".")
    }],
    ["a changed signature", (token) => token.slice(0, -8) + (token.endsWith("AAAAAAAA") ? "BBBBBBBB" : "AAAAAAAA")],
    ["no signature", (token) => token.split(".").slice(0, 2).join(".")],
    ["another issuer", resigned((claims) => ({ ...claims, iss: "https://elsewhere.example" }))],
    ["no issuer", resigned((claims) => without(claims, "iss"))],
    ["an end in the past", resigned((claims, now) => ({ ...claims, exp: now - 60 }))],
    ["no end", resigned((claims) => without(claims, "exp"))],
    ["a beginning in the future", resigned((claims, now) => ({ ...claims, nbf: now + 61 }))],
    ["claims that our issuer never gives", resigned((claims) => without(claims, "authn"))],
    ["a service that it doesn't act for", resigned((claims) => ({ ...claims, sub_type: "CRN", iam_id: `crn-${bucket("b")}`, sub: bucket("b") }))],
    ["nothing", () => ""],
    ["what is no token", () => "a.b.c"],
  ])("is refused with %s", async (_, forge) => {
    const { token } = await serviceId(about.here.context, [bucket("photos")])
    const forged = await forge(token, about)
    const granted = about.here.tokens.issueForService({ token: forged, desiredIamId: `crn-${bucket("photos")}` })
    await expect(granted).rejects.toMatchObject(refused)
    await about.here.authenticate(token)
    await expect(about.here.authenticate(forged)).rejects.toMatchObject(refused)
    await expect(about.there.authenticate(forged)).rejects.toMatchObject(refused)
    expect((await about.here.authenticate(token)).subjectType).toBe("service-id")
  })

  it("is what these tests mean: signed anew without a change, and a minute early, it holds", async () => {
    const anew = await resigned((claims, now) => ({ ...claims, nbf: now + 60 }))(about.token, about)
    expect((await about.there.authenticate(anew)).subjectType).toBe("user")
  })
})

describe("a service's token", () => {
  const crn = bucket("photos")
  const desiredIamId = `crn-${crn}`

  it("is given to a service id that may act for it, and holds for half an hour", async () => {
    const { here, there, clock } = await world()
    const { identity, token } = await serviceId(here.context, [crn])
    const granted = await here.tokens.issueForService({ token, desiredIamId })
    expect(granted.expiresIn).toBe(1800)
    expect(decodeJwt(granted.token)).toMatchObject({
      iam_id: desiredIamId, sub: crn, sub_type: "CRN", realmid: "crn", account: { bss: ACCOUNT },
      authn: { iam_id: identity.id, sub_type: "ServiceId" }, grant_type: "urn:ibm:params:oauth:grant-type:iam-authz",
    })
    const caller = { subject: { iamId: desiredIamId, account: ACCOUNT, crn }, subjectType: "service" }
    expect(await there.authenticate(granted.token)).toEqual(caller)
    clock.pass(1860)
    await expect(there.authenticate(granted.token)).rejects.toMatchObject(refused)
  })

  it("is refused for another service, to an identity that may act for none, to the owner, and to a service itself", async () => {
    const { here, token: ownerToken } = await world()
    const { token } = await serviceId(here.context, [crn])
    const plain = await serviceId(here.context)
    const granted = await here.tokens.issueForService({ token, desiredIamId })
    for (const [shown, desired] of [
      [token, `crn-${bucket("other")}`], [token, crn], [token, ""], [token, "crn-"], [plain.token, desiredIamId],
      [ownerToken, desiredIamId], [granted.token, desiredIamId], ["x", desiredIamId],
    ] as const) {
      await expect(here.tokens.issueForService({ token: shown, desiredIamId: desired })).rejects.toMatchObject(refused)
    }
  })

  it("is refused where the service id may act for it no longer, when the cache limit has passed", async () => {
    const { state, here, there, clock } = await world()
    const { identity, token } = await serviceId(here.context, [crn])
    const granted = await here.tokens.issueForService({ token, desiredIamId })
    await there.authenticate(granted.token)
    const path = `identities/${identity.id}.json`
    await state.remove(path)
    await state.create(path, { ...identity, actsFor: [bucket("other")] })
    clock.pass(CACHE_SECONDS)
    await expect(there.authenticate(granted.token)).rejects.toMatchObject(refused)
    expect((await there.authenticate(token)).subjectType).toBe("service-id")
  })
})

describe("signing keys", () => {
  it("are made once, and two instances that race verify each other's tokens and publish all keys", async () => {
    const [state, clock] = [memoryState(), testClock()]
    const [here, there] = [iam({ state, clock, masterKey }), iam({ state, clock, masterKey })]
    const owner = await here.identities.create({ kind: "user", name: "owner", description: "", account: ACCOUNT, actsFor: [] })
    const { secret: apiKey } = await here.identities.createKey(owner, "first")
    const issued = await Promise.all([here, there, here, there].map((each) => each.tokens.issue({ apiKey })))
    const { paths } = await state.list("signing-keys/")
    expect(paths.length).toBeLessThanOrEqual(2)
    const set = createLocalJWKSet({ keys: [...(await here.tokens.jwks()).keys] })
    for (const { token } of issued) {
      for (const each of [here, there]) expect((await each.authenticate(token)).subject.iamId).toBe(owner.id)
      await jwtVerify(token, set, { currentDate: new Date(clock()) })
    }
    clock.pass(CACHE_SECONDS)
    const later = await Promise.all([here, there].map((each) => each.tokens.issue({ apiKey })))
    expect(new Set(later.map(({ token }) => decodeProtectedHeader(token).kid)).size).toBe(1)
    expect((await state.list("signing-keys/")).paths).toEqual(paths)
  })

  it("publish no private part", async () => {
    const { here } = await world()
    const [key] = (await here.tokens.jwks()).keys
    expect(Object.keys(key ?? {}).sort()).toEqual(["alg", "e", "kid", "kty", "n", "use"])
  })

  it("don't open under another master key, nor in another document", async () => {
    const { state, clock, secret } = await world()
    const stranger = iam({ state, clock, masterKey: new Uint8Array(32).fill(8) })
    await expect(stranger.tokens.issue({ apiKey: secret })).rejects.toMatchObject({ code: "internal" })
    const [path = ""] = (await state.list("signing-keys/")).paths
    const kid = "20990101T000000Z-0123456789abcdef"
    await state.create(`signing-keys/${kid}.json`, { ...(await rawOf(state, path)), kid })
    await expect(iam({ state, clock, masterKey }).tokens.issue({ apiKey: secret })).rejects.toMatchObject({ code: "internal" })
  })

  it("leave neither an API key nor a private key in the state store", async () => {
    const { state, here, secret } = await world()
    const others = await serviceId(here.context, [bucket("photos")])
    const { paths } = await state.list("")
    const all = JSON.stringify(await Promise.all(paths.map((path) => rawOf(state, path))))
    expect(paths.map((path) => path.split("/")[0])).toEqual(expect.arrayContaining(["api-keys", "identities", "policies", "signing-keys"]))
    for (const each of [secret, others.secret, secret.slice(4), "MIIEv", "\"d\":"]) expect(all).not.toContain(each) // MIIEv: PKCS #8
  })
})

describe("API keys", () => {
  it("are 256 random bits, found by themselves and by their id", async () => {
    const { here, owner } = await world()
    const { apiKey, secret } = await here.identities.createKey(owner, "second")
    expect(Buffer.from(secret.replace(/^bsk_/, ""), "base64url")).toHaveLength(32)
    expect(apiKey.id).toMatch(/^ApiKey-[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(await here.identities.findKey({ secret })).toEqual(apiKey)
    expect(await here.identities.getKey(apiKey.id)).toEqual(apiKey)
    expect(apiKey).not.toHaveProperty("secret")
  })

  it("have an id that is the digest's, up to the bits a UUID of version 8 fixes", () => {
    expect(idOfDigest("0123456789abcdef0123456789abcdef" + "0".repeat(32))).toBe("ApiKey-01234567-89ab-8cde-b012-3456789abcde")
  })

  it("are not found by the id of another, or by what is no id", async () => {
    const { here, owner } = await world()
    const { apiKey } = await here.identities.createKey(owner, "second")
    for (const id of [apiKey.id.slice(0, -1) + (apiKey.id.endsWith("0") ? "1" : "0"), "ApiKey-", "", "../x"]) {
      expect(await here.identities.getKey(id)).toBeUndefined()
      await here.identities.deleteKey(id)
    }
    expect(await here.identities.getKey(apiKey.id)).toEqual(apiKey)
  })

  it("that don't exist cost one state read in a cache period, and what can't be one costs none", async () => {
    const { state, here } = await world()
    const [before, secret] = [state.requests(), `bsk_${"A".repeat(43)}`]
    for (let each = 0; each < 5; each++) expect(await here.identities.findKey({ secret })).toBeUndefined()
    expect(await here.identities.findKey({ secret: "bsk_x" })).toBeUndefined()
    expect(state.requests() - before).toBe(1)
  })
})

describe("identities", () => {
  it.each(["", "x", "../policies/acct1", "IBMid-../x", "iam-ServiceId-", "iam-ServiceId-a/b"])("have no document at %j, which costs no state read", async (id) => {
    const state = memoryState()
    const known = identities(state, CACHE_SECONDS, testClock())
    expect(await known.get(id)).toBeUndefined()
    await known.delete(id)
    expect(state.requests()).toBe(0)
  })

  it.each([
    ["a service of another account", "service-id", bucket("b", "acct2")],
    ["what is no CRN", "service-id", "photos"],
    ["any service, as a user", "user", bucket("b")],
  ] as const)("can't act for %s", async (_, kind, crn) => {
    const known = identities(memoryState(), CACHE_SECONDS, testClock())
    const made = known.create({ kind, name: "x", description: "", account: ACCOUNT, actsFor: [crn] })
    await expect(made).rejects.toMatchObject({ code: "bad-field" })
  })
})

describe("another issuer's token", () => {
  const audience = "bucketseal"
  let server: Server
  let jwksUrl: string
  let fetched = 0
  let keys: Awaited<ReturnType<typeof generateKeyPair>>
  let elliptic: Awaited<ReturnType<typeof generateKeyPair>>

  beforeAll(async () => {
    keys = await generateKeyPair("RS256", { extractable: true })
    elliptic = await generateKeyPair("ES256")
    const set = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "k1" }, { ...(await exportJWK(elliptic.publicKey)), kid: "k2" }] }
    server = createServer((_, response) => {
      fetched++
      response.end(JSON.stringify(set))
    })
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  })
  afterAll(() => void server.close())

  const clock = testClock()
  const now = clock() / 1000
  const oidc = (): ExternalIssuer => ({ issuer: "https://login.example", jwksUrl, audience, account: ACCOUNT })
  const good = { iss: "https://login.example", sub: "alice", aud: audience, exp: now + 600 }
  const sign = (claims: JWTPayload, header = { alg: "RS256", kid: "k1" }) =>
    new SignJWT(claims).setProtectedHeader(header).sign(header.alg === "ES256" ? elliptic.privateKey : keys.privateKey)
  const authenticate = (external: ExternalIssuer) => iam({ state: memoryState(), clock, external }).authenticate

  it.each([["RS256", "k1"], ["ES256", "k2"]])("is of <issuer>#<sub>, by %s", async (alg, kid) => {
    const caller = await authenticate(oidc())(await sign(good, { alg, kid }))
    expect(caller).toEqual({ subject: { iamId: "https://login.example#alice", account: ACCOUNT }, subjectType: "external" })
  })

  it("is not believed about IAM ids, accounts and CRNs", async () => {
    const claims = { ...good, iam_id: "IBMid-owner", sub_type: "CRN", account: { bss: "acct2" }, sub: bucket("photos") }
    const { subject } = await authenticate(oidc())(await sign(claims))
    expect(subject).toEqual({ iamId: `https://login.example#${bucket("photos")}`, account: ACCOUNT })
  })

  it.each<[string, () => Promise<string>]>([
    ["another audience", () => sign({ ...good, aud: "other" })],
    ["no audience", () => sign({ iss: good.iss, sub: good.sub, exp: good.exp })],
    ["an end in the past", () => sign({ ...good, exp: now - 60 })],
    ["a beginning in the future", () => sign({ ...good, nbf: now + 61 })],
    ["no end", () => sign({ iss: good.iss, sub: good.sub, aud: audience })],
    ["no subject", () => sign({ iss: good.iss, aud: audience, exp: good.exp })],
    ["an empty subject", () => sign({ ...good, sub: "" })],
    ["our issuer's name", () => sign({ ...good, iss: ISSUER })],
    ["IBM's name", () => sign({ ...good, iss: IBM_ISSUER })],
    ["another algorithm of the same key", async () => {
      const key = await importJWK(await exportJWK(keys.privateKey), "PS256")
      return new SignJWT(good).setProtectedHeader({ alg: "PS256", kid: "k1" }).sign(key)
    }],
    ["an unknown key", () => sign(good, { alg: "RS256", kid: "k9" })],
    ["another's signature", async () => new SignJWT(good).setProtectedHeader({ alg: "RS256", kid: "k1" }).sign((await generateKeyPair("RS256")).privateKey)],
    ["HS256", () => new SignJWT(good).setProtectedHeader({ alg: "HS256", kid: "k1" }).sign(new TextEncoder().encode("x".repeat(32)))],
  ])("is refused with %s", async (_, make) => {
    const forged = await make()
    await expect(authenticate(oidc())(forged)).rejects.toMatchObject(refused)
  })

  it("of ours, signed with our key but for the other's name, is refused", async () => {
    const state = memoryState()
    const here = iam({ state, clock, external: oidc() })
    const { kid, key } = await here.signingKey()
    await expect(here.authenticate(await new SignJWT(good).setProtectedHeader({ alg: "RS256", kid }).sign(key))).rejects.toMatchObject(refused)
  })

  it("is refused where no other issuer is named", async () => {
    await expect(iam({ state: memoryState(), clock }).authenticate(await sign(good))).rejects.toMatchObject(refused)
  })

  it("costs one fetch of the keys in a cache period", async () => {
    const verify = authenticate(oidc())
    const before = fetched
    for (let each = 0; each < 5; each++) await verify(await sign({ ...good, jti: String(each) }))
    expect(fetched - before).toBe(1)
  })

  it("is `unavailable`, not refused, where the issuer's keys can't be fetched", async () => {
    const closed = createServer()
    await new Promise<void>((resolve) => void closed.listen(0, "127.0.0.1", resolve))
    const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}/keys`
    await new Promise((resolve) => void closed.close(resolve))
    await expect(authenticate({ ...oidc(), jwksUrl: url })(await sign(good))).rejects.toMatchObject({ code: "unavailable" })
  })

  it("of IBM IAM is believed about IAM ids, accounts and CRNs, without an audience", async () => {
    const verify = authenticate({ issuer: IBM_ISSUER, jwksUrl, account: ACCOUNT })
    const base = { iss: IBM_ISSUER, exp: now + 600, account: { bss: "acct9" } }
    expect(await verify(await sign({ ...base, iam_id: "IBMid-1", sub: "a@example.com" })))
      .toEqual({ subject: { iamId: "IBMid-1", account: "acct9" }, subjectType: "user" })
    expect(await verify(await sign({ ...base, iam_id: "iam-ServiceId-1", sub: "ServiceId-1", sub_type: "ServiceId" })))
      .toEqual({ subject: { iamId: "iam-ServiceId-1", account: "acct9" }, subjectType: "service-id" })
    const crn = bucket("photos", "acct9")
    expect(await verify(await sign({ ...base, iam_id: `crn-${crn}`, sub: crn, sub_type: "CRN" })))
      .toEqual({ subject: { iamId: `crn-${crn}`, account: "acct9", crn }, subjectType: "service" })
    for (const wrong of [{ iam_id: "IBMid-1", sub: crn, sub_type: "CRN" }, { iam_id: "crn-x", sub: "x", sub_type: "CRN" }, { sub: "x" }, { iam_id: "x", sub: "x", sub_type: "Root" }]) {
      await expect(verify(await sign({ ...base, ...wrong }))).rejects.toMatchObject(refused)
    }
  })

  it("needs an audience unless it is IBM's, and another name than ours", () => {
    const [state, { issuer, account }] = [memoryState(), oidc()]
    expect(() => iam({ state, clock, external: { issuer, jwksUrl, account } })).toThrow(/audience/)
    expect(() => iam({ state, clock, external: { ...oidc(), issuer: ISSUER } })).toThrow(/our own/)
  })
})
