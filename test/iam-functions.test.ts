import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from "jose"
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest"
import { authorizations } from "../functions/authorizations.ts"
import { authorize } from "../functions/authorize.ts"
import { identities } from "../functions/identities.ts"
import { token } from "../functions/token.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { access, ACCOUNT, authorization, bucket, firstOwner, iam, KEY, KMS, rootKey, serviceId, STORE, testClock } from "./iam-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const routes = [...token, ...authorizations, ...authorize, ...identities]
const GRANT = "urn:ibm:params:oauth:grant-type:"
const masterKey = new Uint8Array(32).fill(9)
const secrets = new Set<string>()
const logged: string[] = []

interface Asked {
  readonly token?: string
  readonly json?: unknown
  readonly text?: string
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}
interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & { readonly id: string }
}
type Ask = (method: string, path: string, asked?: Asked) => Promise<Answered>

let here: ReturnType<typeof iam>
let ask: Ask
let owner: Awaited<ReturnType<typeof firstOwner>>
const state = memoryState() // one for all: the signing key is made once; each test has its own identities

beforeEach(async () => {
  here = iam({ state, clock: testClock(), masterKey })
  const answering = answer(routes, here.context)
  ask = async (method, path, { token: bearer, json, text, form, headers } = {}) => {
    const body = text ?? (json === undefined ? form && new URLSearchParams(form) : JSON.stringify(json))
    const all = new Headers(headers)
    if (bearer !== undefined) all.set("authorization", `Bearer ${bearer}`)
    const response = await answering(new Request(`http://127.0.0.1${path}`, { method, headers: all, ...(body === undefined ? {} : { body }) }))
    const answered = await response.text()
    return { status: response.status, headers: response.headers, body: (answered === "" ? {} : JSON.parse(answered)) as Answered["body"] }
  }
  owner = await firstOwner(here.context)
  keep(owner)
})

const keep = (issued: { readonly secret: string; readonly token: string }) => void secrets.add(issued.secret).add(issued.token)

async function another(actsFor: readonly string[] = []) {
  const made = await serviceId(here.context, actsFor)
  keep(made)
  return made
}

/** Creates a policy as the owner. */
const grant = async (draft: unknown) => {
  const answered = await ask("POST", "/v1/policies", { token: owner.token, json: draft })
  expect(answered.status).toBe(201)
  return answered
}

afterEach(() => void logged.push(...here.logged))
afterAll(() => {
  expect(logged.length).toBeGreaterThan(50)
  const all = logged.join("\n")
  for (const secret of secrets) expect(all.includes(secret), "a secret is in the log").toBe(false)
})

describe("POST /identity/token", () => {
  const form = () => ({ grant_type: `${GRANT}apikey`, apikey: owner.secret })

  it.each([
    ["sdk-core", "/identity/token", { response_type: "cloud_iam" }, {}],
    ["ibm-cos-sdk", "/identity/token", { client_id: "the key again", redirect_uri: "", refresh_token: "" }, { authorization: "Basic Yng6Yng=" }],
    ["redstone", "/oidc/token", { response_type: "cloud_iam", uaa_client_id: "cf" }, { authorization: "Basic Yng6Yng=" }],
    ["Go", "/oidc/token", {}, {}],
  ])("answers as %s asks", async (_, path, more, headers) => {
    const { status, body, headers: sent } = await ask("POST", path, { form: { ...form(), ...more }, headers })
    expect(status).toBe(200)
    const { access_token, ...rest } = body
    expect(rest).toEqual({
      refresh_token: "not_supported", token_type: "Bearer", expires_in: 3600, expiration: here.clock() / 1000 + 3600, scope: "ibm openid",
    })
    expect(sent.get("cache-control")).toBe("no-store")
    const { exp = 0, iat = 0 } = decodeJwt(String(access_token))
    expect(exp - iat).toBe(3600)
  })

  it("gives what the published keys verify, and the discovery document names them", async () => {
    const { body } = await ask("POST", "/identity/token", { form: form() })
    const { body: discovery } = await ask("GET", "/identity/.well-known/openid-configuration")
    const keysAt = new URL(String(discovery["jwks_uri"]))
    const { body: set } = await ask("GET", keysAt.pathname)
    const keys = createLocalJWKSet(set as unknown as JSONWebKeySet)
    const issuer = String(discovery["issuer"])
    await jwtVerify(String(body["access_token"]), keys, { issuer, algorithms: ["RS256"], currentDate: new Date(here.clock()) })
  })

  it("gives a service id the token of a service it may act for", async () => {
    const crn = bucket("photos")
    const { token: access_token } = await another([crn])
    const authz = { grant_type: `${GRANT}iam-authz`, access_token, desired_iam_id: `crn-${crn}` }
    const { status, body } = await ask("POST", "/identity/token", { form: authz })
    expect([status, body["expires_in"]]).toEqual([200, 1800])
    secrets.add(String(body["access_token"]))
    const other = await ask("POST", "/identity/token", { form: { ...authz, desired_iam_id: `crn-${bucket("other")}` } })
    expect([other.status, other.body["errorCode"]]).toEqual([401, "BXNIM0408E"])
  })

  it.each<[string, Readonly<Record<string, string>>, number, string]>([
    ["an unknown key", { grant_type: `${GRANT}apikey`, apikey: `bsk_${"A".repeat(43)}` }, 400, "BXNIM0415E"],
    ["no key", { grant_type: `${GRANT}apikey` }, 400, "BXNIM0415E"],
    ["no grant type", { apikey: "x" }, 400, "BXNIM0109E"],
    ["a grant that isn't served", { grant_type: "password", username: "a", password: "b" }, 400, "BXNIM0109E"],
    ["a grant of IAM's that isn't served", { grant_type: `${GRANT}assume`, access_token: "x", profile_id: "y" }, 400, "BXNIM0109E"],
    ["iam-authz without a token", { grant_type: `${GRANT}iam-authz`, desired_iam_id: "crn-x" }, 400, "BXNIM0109E"],
    ["iam-authz without an identity", { grant_type: `${GRANT}iam-authz`, access_token: "x" }, 400, "BXNIM0109E"],
    ["iam-authz with a token that is none", { grant_type: `${GRANT}iam-authz`, access_token: "x", desired_iam_id: "crn-x" }, 401, "BXNIM0408E"],
    ["a body of 33 KiB", { grant_type: `${GRANT}apikey`, apikey: "x".repeat(33 * 1024) }, 413, "BXNIM0413E"],
  ])("refuses %s", async (_, wrong, status, errorCode) => {
    const answered = await ask("POST", "/identity/token", { form: wrong })
    expect([answered.status, answered.body["errorCode"]]).toEqual([status, errorCode])
    expect(Object.keys(answered.body)).toEqual(["errorCode", "errorMessage", "errorDetails", "context"])
    expect(answered.body["context"]).toHaveProperty("requestId")
  })

  it("refuses a body that is no form, and another method", async () => {
    expect((await ask("POST", "/identity/token", { json: form() })).status).toBe(400)
    expect((await ask("GET", "/identity/token")).status).toBe(405)
  })
})

describe("/v1/policies", () => {
  const draft = (name = "photos") => authorization(
    { serviceName: "cloud-object-storage", serviceInstance: STORE, resourceType: "bucket", resource: name }, "Reader", { serviceName: "kms", serviceInstance: KMS })

  it("creates, gets, replaces and deletes, each state under its ETag", async () => {
    const made = await grant({ ...draft(), unknown: "ignored" })
    const { id } = made.body
    const etag = made.headers.get("etag") ?? ""
    expect(made.body).toMatchObject({
      ...draft(), state: "active", created_by_id: owner.owner.id, href: `http://127.0.0.1/v1/policies/${id}`,
      roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader", display_name: "Reader" }],
    })
    expect(made.body).not.toHaveProperty("unknown")
    const got = await ask("GET", `/v1/policies/${id}`, { token: owner.token })
    expect([got.status, got.headers.get("etag"), got.body]).toEqual([200, etag, made.body])
    const put = (json: unknown, ifMatch: string) =>
      ask("PUT", `/v1/policies/${id}`, { token: owner.token, json, headers: ifMatch === "" ? {} : { "if-match": ifMatch } })
    const replaced = await put(got.body, etag) // what was got may be put back: the fields that IAM adds are ignored
    expect(replaced.status).toBe(200)
    const changed = await put(draft("other"), (replaced.headers.get("etag") ?? "").replaceAll('"', "")) // unquoted too
    expect([changed.status, changed.body["subjects"]]).toEqual([200, draft("other").subjects])
    expect((await put(draft(), etag)).status).toBe(412)
    expect((await put(draft(), "")).status).toBe(400)
    expect((await ask("DELETE", `/v1/policies/${id}`, { token: owner.token })).status).toBe(204)
    for (const method of ["GET", "DELETE"]) expect((await ask(method, `/v1/policies/${id}`, { token: owner.token })).status).toBe(404)
    expect((await put(draft(), etag)).status).toBe(404)
  })

  it("lists those of an account, by type and identity", async () => {
    const { identity } = await another()
    const authorized = await grant(draft("listed"))
    const allowed = await grant(access(identity.id, "Reader", { serviceName: "kms" }))
    const ids = async (query: string) => {
      const { body } = await ask("GET", `/v1/policies?account_id=${ACCOUNT}${query}`, { token: owner.token })
      return (body["policies"] as { readonly id: string }[]).map(({ id }) => id)
    }
    expect(await ids("")).toEqual(expect.arrayContaining([authorized.body.id, allowed.body.id]))
    expect(await ids("&type=authorization")).toContain(authorized.body.id)
    expect(await ids("&type=authorization")).not.toContain(allowed.body.id)
    expect(await ids(`&iam_id=${identity.id}`)).toEqual([allowed.body.id])
  })

  it.each([
    ["no account", "/v1/policies", 400], ["another account", "/v1/policies?account_id=acct2", 403],
    ["what is no account", "/v1/policies?account_id=..%2Fx", 400], ["what would be a part of a CRN", "/v1/policies?account_id=a:b", 400],
  ])("lists nothing for %s", async (_, path, status) => expect((await ask("GET", path, { token: owner.token })).status).toBe(status))

  it.each<[string, Asked, number]>([
    ["broken JSON", { text: "{" }, 400], ["a list", { json: [] }, 400], ["nothing", {}, 400],
    ["a wrong type", { json: { ...draft(), subjects: "all" } }, 400],
    ["another account's target", { json: { ...draft(), resources: [{ attributes: [{ name: "accountId", value: "acct2" }, { name: "serviceName", value: "kms" }] }] } }, 400],
    ["an unknown role", { json: { ...draft(), roles: [{ role_id: "Reader" }] } }, 400],
    ["an attribute that can't be decided on", { json: { ...draft(), resources: [{ attributes: [...(draft().resources[0]?.attributes ?? []), { name: "resourceGroupId", value: "g" }] }] } }, 400],
    ["65 KiB", { json: { ...draft(), description: "x".repeat(65 * 1024) } }, 413],
  ])("refuses to create from %s, with IAM's error", async (_, asked, status) => {
    const answered = await ask("POST", "/v1/policies", { token: owner.token, ...asked })
    expect([answered.status, Object.keys(answered.body)]).toEqual([status, ["errorCode", "errorMessage", "errorDetails", "context"]])
  })

  it("is closed without a token, with a forged one, and without the right", async () => {
    const { token: plain } = await another()
    const every = [["POST", "/v1/policies"], ["GET", `/v1/policies?account_id=${ACCOUNT}`], ["GET", "/v1/policies/x"], ["PUT", "/v1/policies/x"], ["DELETE", "/v1/policies/x"]] as const
    for (const [method, path] of every) {
      const json = method === "POST" || method === "PUT" ? { json: draft() } : {}
      expect((await ask(method, path, json)).status).toBe(401)
      expect((await ask(method, path, { ...json, token: owner.token.slice(0, -6) + "AAAAAA" })).status).toBe(401)
      expect((await ask(method, path, { ...json, token: plain })).status).toBe(403)
    }
  })

  it("lets a manager of policies grant no more than the manager has", async () => {
    const { identity, token: manager } = await another()
    await grant(access(identity.id, "Manager", { serviceName: "iam" }))
    await grant(access(identity.id, "Reader", { serviceName: "kms", serviceInstance: KMS }))
    const create = async (json: unknown) => (await ask("POST", "/v1/policies", { token: manager, json })).status
    expect(await create(draft())).toBe(201)
    expect(await create(access(identity.id, "Manager", { serviceName: "kms", serviceInstance: KMS }))).toBe(403)
    expect(await create(access(identity.id, "Reader", { serviceName: "cloud-object-storage" }))).toBe(403)
    expect(await create(access(identity.id, "Reader", { serviceName: "kms" }))).toBe(403)
    expect(await create(access(identity.id, "Manager", {}))).toBe(403)
    const made = await ask("POST", "/v1/policies", { token: manager, json: draft() })
    const headers = { "if-match": made.headers.get("etag") ?? "" }
    const wider = await ask("PUT", `/v1/policies/${made.body.id}`, { token: manager, headers, json: access(identity.id, "Manager", {}) })
    expect(wider.status).toBe(403)
  })

  it("names the roles there are, for a service or all", async () => {
    const { token: plain } = await another()
    const of = async (query: string) => ((await ask("GET", `/v2/roles${query}`, { token: plain })).body["service_roles"] as { display_name: string; actions: string[] }[])
    expect((await of("?service_name=kms")).map((role) => role.display_name)).toEqual(["Reader", "ReaderPlus", "Writer", "Manager", "KeyPurge", "Wrapper"])
    expect((await of("?service_name=iam")).find((role) => role.display_name === "Reader")?.actions).toEqual(["iam.policy.read", "iam.decision.read", "iam.identity.read"])
    expect((await of("")).find((role) => role.display_name === "Wrapper")?.actions).toEqual(["kms.secrets.wrap", "kms.secrets.readmetadata"])
  })
})

describe("POST /authorize", () => {
  const wish = { action: "kms.secrets.wrap", resource: rootKey() }

  it("says by which policy, and what is missing; creating exactly that allows it, deleting it forbids it", async () => {
    const json = { ...wish, subject: bucket("two-phase") }
    const decide = async () => (await ask("POST", "/authorize", { token: owner.token, json })).body
    const missing = (await decide())["missing"]
    expect(missing).toMatchObject({ type: "authorization", roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }] })
    const { body: { id } } = await grant(missing)
    expect(await decide()).toEqual({ allowed: true, policy: id })
    await ask("DELETE", `/v1/policies/${id}`, { token: owner.token })
    expect(await decide()).toEqual({ allowed: false, missing })
  })

  it("answers anybody about themselves, by any of their names, and never 403 for a no", async () => {
    const crn = bucket("selfish")
    const { identity, token: plain } = await another([crn])
    for (const more of [{}, { subject: identity.id }]) {
      expect(await ask("POST", "/authorize", { token: plain, json: { ...wish, ...more } })).toMatchObject({ status: 200, body: { allowed: false } })
    }
    const { token: service } = await here.tokens.issueForService({ token: plain, desiredIamId: `crn-${crn}` })
    for (const more of [{}, { subject: crn }, { subject: `crn-${crn}` }]) {
      const { status, body } = await ask("POST", "/authorize", { token: service, json: { ...wish, ...more } })
      expect([status, Object.keys(body)]).toEqual([200, ["allowed", "missing"]])
    }
  })

  it("answers about others whoever may read decisions", async () => {
    const { identity, token: plain } = await another()
    const json = { ...wish, subject: owner.owner.id }
    expect((await ask("POST", "/authorize", { token: plain, json })).status).toBe(403)
    expect((await ask("POST", "/authorize", { token: plain, json: { ...wish, subject: bucket("b") } })).status).toBe(403)
    await grant(access(identity.id, "Reader", { serviceName: "iam", resourceType: "decision" }))
    expect(await ask("POST", "/authorize", { token: plain, json })).toMatchObject({ status: 200, body: { allowed: true } })
    expect((await ask("GET", `/v1/policies?account_id=${ACCOUNT}`, { token: plain })).status).toBe(403)
  })

  it.each<[string, unknown, string]>([
    ["an unknown field", { ...wish, account: ACCOUNT }, "account"],
    ["no action", { resource: rootKey() }, "action"],
    ["an unknown action", { ...wish, action: "kms.secrets.steal" }, "action"],
    ["a resource that is no CRN", { ...wish, resource: KEY }, "resource"],
    ["a subject that is a broken CRN", { ...wish, subject: "crn:v1:x" }, "subject"],
    ["a wrong type", { ...wish, action: 1 }, "action"],
    ["an action on another service's resource", { ...wish, resource: bucket("b") }, "resource"],
  ])("refuses %s and says which field", async (_, json, field) => {
    const { status, body } = await ask("POST", "/authorize", { token: owner.token, json })
    const [resource] = body["resources"] as { readonly reasons: readonly { readonly target: unknown }[] }[]
    expect([status, resource?.reasons[0]?.target]).toEqual([400, { type: "field", name: field }])
  })

  it("is closed without a token", async () => expect((await ask("POST", "/authorize", { json: wish })).status).toBe(401))
})

describe("/v1/serviceids and /v1/apikeys", () => {
  const create = (json: object, bearer = owner.token) => ask("POST", "/v1/serviceids", { token: bearer, json: { account_id: ACCOUNT, name: "reader", ...json } })
  const createKey = (iam_id: string, bearer = owner.token) => ask("POST", "/v1/apikeys", { token: bearer, json: { name: "k", iam_id, account_id: ACCOUNT } })

  it("make a second identity, whose key becomes its token until either is deleted", async () => {
    const { status, body } = await create({ description: "d", unknown: 1 })
    expect(status).toBe(201)
    expect(body).toMatchObject({ iam_id: `iam-${body.id}`, account_id: ACCOUNT, name: "reader", description: "d", acts_for: [] })
    const key = await createKey(String(body["iam_id"]))
    expect([key.status, key.headers.get("cache-control")]).toEqual([201, "no-store"])
    const apikey = String(key.body["apikey"])
    secrets.add(apikey)
    const issue = () => ask("POST", "/identity/token", { form: { grant_type: `${GRANT}apikey`, apikey } })
    const bearer = String((await issue()).body["access_token"])
    secrets.add(bearer)
    const details = await ask("GET", "/v1/apikeys/details", { token: bearer, headers: { "iam-apikey": apikey } })
    const { apikey: _, ...shown } = key.body
    expect([details.status, details.body]).toEqual([200, shown])
    for (const id of [body.id, String(body["iam_id"])]) expect((await ask("GET", `/v1/serviceids/${id}`, { token: owner.token })).body).toEqual(body)
    expect((await ask("DELETE", `/v1/apikeys/${key.body.id}`, { token: owner.token })).status).toBe(204)
    expect((await ask("POST", "/authorize", { token: bearer, json: {} })).status).toBe(401)
    expect((await issue()).status).toBe(400)
    expect((await ask("DELETE", `/v1/serviceids/${body.id}`, { token: owner.token })).status).toBe(204)
    expect((await ask("GET", `/v1/serviceids/${body.id}`, { token: owner.token })).status).toBe(404)
    expect((await createKey(String(body["iam_id"]))).status).toBe(404)
  })

  it("let only the owner say for whom a service id acts, and only for services of the account", async () => {
    const { identity, token: manager } = await another()
    await grant(access(identity.id, "Manager", { serviceName: "iam" }))
    const acts_for = [bucket("photos")]
    expect((await create({}, manager)).status).toBe(201)
    expect((await create({ acts_for }, manager)).status).toBe(403)
    expect((await create({ acts_for })).body["acts_for"]).toEqual(acts_for)
    expect((await create({ acts_for: [bucket("photos", "acct2")] })).status).toBe(400)
    expect((await create({ acts_for: ["photos"] })).status).toBe(400)
  })

  it("let nobody but the owner make or remove another identity's key, the owner's least of all", async () => {
    const { identity, token: manager } = await another()
    const victim = await another([bucket("photos")])
    await grant(access(identity.id, "Manager", { serviceName: "iam" }))
    const ownersKey = await here.identities.findKey({ secret: owner.secret })
    for (const id of [owner.owner.id, victim.identity.id, "iam-ServiceId-00000000-0000-4000-8000-000000000000"]) expect((await createKey(id, manager)).status).toBe(403)
    for (const id of [ownersKey?.id ?? "", victim.apiKey.id]) expect((await ask("DELETE", `/v1/apikeys/${id}`, { token: manager })).status).toBe(403)
    const own = await createKey(identity.id, manager)
    secrets.add(String(own.body["apikey"]))
    expect(own.status).toBe(201)
    expect((await ask("DELETE", `/v1/apikeys/${own.body.id}`, { token: manager })).status).toBe(204)
  })

  it("never show or delete the owner as a service id", async () => {
    for (const method of ["GET", "DELETE"]) expect((await ask(method, `/v1/serviceids/${owner.owner.id}`, { token: owner.token })).status).toBe(404)
    expect((await here.identities.get(owner.owner.id))?.kind).toBe("user")
  })

  it.each<[string, string, string, Asked, number]>([
    ["another account", "POST", "/v1/serviceids", { json: { account_id: "acct2", name: "x" } }, 400],
    ["no name", "POST", "/v1/serviceids", { json: { account_id: ACCOUNT } }, 400],
    ["an empty name", "POST", "/v1/serviceids", { json: { account_id: ACCOUNT, name: "" } }, 400],
    ["a wrong type", "POST", "/v1/serviceids", { json: { name: "x", acts_for: bucket("b") } }, 400],
    ["broken JSON", "POST", "/v1/apikeys", { text: "{" }, 400],
    ["no identity", "POST", "/v1/apikeys", { json: { name: "x" } }, 400],
    ["17 KiB", "POST", "/v1/apikeys", { json: { name: "x", iam_id: "y".repeat(17 * 1024) } }, 413],
    ["no such service id", "GET", "/v1/serviceids/ServiceId-0", {}, 404],
    ["a path for an id", "GET", "/v1/serviceids/..%2Fpolicies%2Facct1", {}, 404],
    ["no such key", "DELETE", "/v1/apikeys/ApiKey-0", {}, 404],
    ["details without a key", "GET", "/v1/apikeys/details", {}, 400],
    ["details of no key", "GET", "/v1/apikeys/details", { headers: { "iam-apikey": "x" } }, 404],
    ["another method", "PATCH", "/v1/apikeys/x", {}, 405],
  ])("refuse %s", async (_, method, path, asked, status) => {
    expect((await ask(method, path, { token: owner.token, ...asked })).status).toBe(status)
  })

  it("are closed without a token and without the right", async () => {
    const { token: plain } = await another()
    for (const [method, path] of [["POST", "/v1/serviceids"], ["GET", "/v1/serviceids/x"], ["DELETE", "/v1/serviceids/x"], ["POST", "/v1/apikeys"], ["DELETE", "/v1/apikeys/x"]] as const) {
      expect((await ask(method, path)).status).toBe(401)
      expect((await ask(method, path, { token: plain })).status).toBe(403)
    }
  })
})

describe("the routes", () => {
  it("are open to nobody but where a token is got", () => {
    const open = routes.filter(({ action }) => action === "unsafe-anyone").map(({ method, path }) => `${method} ${path}`)
    expect(open).toEqual(["POST /identity/token", "POST /oidc/token", "GET /identity/keys", "GET /identity/.well-known/openid-configuration"])
    for (const { action, resource, path } of routes) expect(action === "unsafe-anyone" || action === "any-caller" || resource !== undefined, path).toBe(true)
  })
})
