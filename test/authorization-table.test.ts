/** Who may call what: every endpoint, by every kind of caller, on every scope of a policy, against a table by hand. */
import { randomBytes, randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { routes } from "../local/routes.ts"
import { bucketCrn } from "../shared/iam/crn.ts"
import { identities } from "../shared/iam/identities.ts"
import { ownerPolicies } from "../shared/iam/policies.ts"
import type { PolicyDraft } from "../shared/iam/policy.ts"
import { roleCrn, type Role } from "../shared/iam/roles.ts"
import { signingKeys } from "../shared/iam/signing-keys.ts"
import { tokenIssuer } from "../shared/iam/tokens.ts"
import { fieldSealer } from "../shared/keys/master-key.ts"
import { ACCOUNT, EVENTS_SECRET, hostWorld, KMS, STORE, type HostWorld } from "./host-world.ts"

/** What a request is about, and so which policies cover it. */
type About =
  /** A key, or the instance it is in. */
  | "key" | "keys"
  /** A bucket, or the store it is in. */
  | "bucket" | "store"
  /** The account of the caller, or the one that the request names. */
  | "own account" | "named account"
  /** Nothing: the caller need only be known; nor even that; or must know the events secret. The path that has the secret
   *  in it is called with a wrong one, which nobody may. */
  | "any caller" | "anyone" | "events secret" | "nobody"

/** Each endpoint, the lowest role of Reader < ReaderPlus < Writer < Manager that may call it, and what it is about. */
const table = `
  POST   /identity/token                              -        anyone
  POST   /oidc/token                                  -        anyone
  GET    /identity/keys                               -        anyone
  GET    /identity/.well-known/openid-configuration   -        anyone
  POST   /v1/serviceids                               Manager  own account
  GET    /v1/serviceids/:id                           Reader   own account
  DELETE /v1/serviceids/:id                           Manager  own account
  POST   /v1/apikeys                                  Manager  own account
  GET    /v1/apikeys/details                          -        any caller
  DELETE /v1/apikeys/:id                              Manager  own account
  POST   /v1/policies                                 Manager  own account
  GET    /v1/policies                                 Reader   named account
  GET    /v1/policies/:id                             Reader   own account
  PUT    /v1/policies/:id                             Manager  own account
  DELETE /v1/policies/:id                             Manager  own account
  GET    /v2/roles                                    -        any caller
  POST   /authorize                                   -        any caller
  POST   /api/v2/keys                                 Writer   keys
  GET    /api/v2/keys                                 Reader   keys
  HEAD   /api/v2/keys                                 Reader   keys
  GET    /api/v2/keys/:id                             Reader   key
  GET    /api/v2/keys/:id/metadata                    Reader   key
  GET    /api/v2/keys/:id/versions                    Reader   key
  DELETE /api/v2/keys/:id                             Manager  key
  POST   /api/v2/keys/:id/actions/rotate              Writer   key
  POST   /api/v2/keys/:id?action=rotate               Writer   key
  POST   /api/v2/keys/:id/actions/disable             Manager  key
  POST   /api/v2/keys/:id?action=disable              Manager  key
  POST   /api/v2/keys/:id/actions/enable              Manager  key
  POST   /api/v2/keys/:id?action=enable               Manager  key
  POST   /api/v2/keys/:id/actions/wrap                Reader   key
  POST   /api/v2/keys/:id?action=wrap                 Reader   key
  POST   /api/v2/keys/:id/actions/unwrap              Reader   key
  POST   /api/v2/keys/:id?action=unwrap               Reader   key
  POST   /api/v2/keys/:id/actions/rewrap              Reader   key
  POST   /api/v2/keys/:id?action=rewrap               Reader   key
  PUT    /registrations/:bucket                       Manager  bucket
  GET    /registrations/:bucket                       Reader   bucket
  DELETE /registrations/:bucket                       Manager  bucket
  GET    /registrations                               Reader   store
  GET    /objects/:bucket/:key*                       Reader   bucket
  GET    /objects/:bucket                             Reader   bucket
  HEAD   /objects/:bucket/:key*                       Reader   bucket
  HEAD   /objects/:bucket                             Reader   bucket
  GET    /status                                      Reader   store
  POST   /approvals                                   -        any caller
  GET    /approvals/:id                               Reader   store
  DELETE /approvals/:id                               Manager  store
  POST   /events                                      -        events secret
  POST   /events/:secret                              -        nobody
`

/** Besides the ladder: what the two roles that stand apart may call. KeyPurge may call nothing that is served here. */
const wrapperMay = [
  "POST /api/v2/keys/:id/actions/wrap", "POST /api/v2/keys/:id?action=wrap",
  "GET /api/v2/keys/:id", "GET /api/v2/keys/:id/metadata",
]

/** What the policy of each scope covers. A policy for one key or bucket covers neither its siblings nor what holds it. */
const covers: Readonly<Record<Scope, readonly About[]>> = {
  "the account": ["key", "keys", "bucket", "store", "own account", "named account"],
  "the services": ["key", "keys", "bucket", "store", "own account", "named account"],
  "these instances": ["key", "keys", "bucket", "store"],
  "this key and bucket": ["key", "bucket"],
  "keys and buckets of this pattern": ["key", "bucket"],
  "other instances": [],
  "another key and bucket": [],
  "another service": [],
}

type Scope =
  | "the account" | "the services" | "these instances" | "this key and bucket" | "keys and buckets of this pattern"
  | "other instances" | "another key and bucket" | "another service"

const ladder = ["Reader", "ReaderPlus", "Writer", "Manager"] as const
const roles: readonly Role[] = [...ladder, "KeyPurge", "Wrapper"]

interface Row {
  /** Method, path and query, as the route has them. */
  readonly route: string
  readonly method: string
  readonly template: string
  readonly least: string
  readonly about: About
}

const rows: readonly Row[] = table.trim().split("\n").map((line) => {
  const [, method = "", template = "", least = "", about = ""] = /^(\S+) +(\S+) +(\S+) +(.+)$/.exec(line.trim()) ?? []
  return { route: `${method} ${template}`, method, template, least, about: about as About } // as the table above has them
})

const isOpen = ({ about }: Row) => ["any caller", "anyone", "events secret", "nobody"].includes(about)

function roleMay(role: Role, { route, least }: Row): boolean {
  if (role === "Wrapper") return wrapperMay.includes(route)
  const order: readonly string[] = ladder
  return order.includes(role) && order.indexOf(role) >= order.indexOf(least)
}

const KEY = randomUUID()
type Attribute = PolicyDraft["resources"][number]["attributes"][number]

/** The resources of the policy that gives a role on a scope. */
function resourcesOf(scope: Scope): PolicyDraft["resources"] {
  const account: Attribute = { name: "accountId", value: ACCOUNT }
  const on = (serviceName: string, more: readonly Attribute[] = []) =>
    ({ attributes: [account, { name: "serviceName" as const, value: serviceName }, ...more] })
  const both = (keys: readonly Attribute[], buckets: readonly Attribute[]) =>
    [on("kms", keys), on("cloud-object-storage", buckets), on("bucketseal", buckets)]
  const at = (value: string): Attribute => ({ name: "serviceInstance", value })
  const named = (value: string): Attribute => ({ name: "resource", value })
  const like = (value: string): Attribute => ({ name: "resource", value, operator: "stringMatch" })
  switch (scope) {
    case "the account": return [{ attributes: [account] }]
    case "the services": return [...both([], []), on("iam")]
    case "these instances": return [...both([at(KMS)], [at(STORE)]), on("iam", [at(KMS)])]
    case "this key and bucket": return both([at(KMS), named(KEY)], [at(STORE), named("photos")])
    case "keys and buckets of this pattern": return both([at(KMS), like(`${KEY.slice(0, 8)}*`)], [at(STORE), like("ph?tos")])
    case "other instances": return both([at(STORE)], [at(KMS)])
    case "another key and bucket": return both([at(KMS), named(randomUUID())], [at(STORE), named("photos2")])
    case "another service": return [on("schematics")]
  }
}

/** A caller: how it is called in a failure, its headers, and what it may call. */
interface Who {
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  readonly may: (row: Row) => boolean
}

let world: HostWorld
const callers: Who[] = []

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const knowsNothing = ({ about }: Row) => about === "anyone"
const isKnown = ({ about }: Row) => about === "anyone" || about === "any caller"

beforeAll(async () => {
  world = await hostWorld()
  const { context } = world
  const serviceId = async (name: string, actsFor: readonly string[] = []) => {
    const identity = await context.identities.create({ kind: "service-id", name, description: "", account: ACCOUNT, actsFor })
    const { secret } = await context.identities.createKey(identity, name)
    return { id: identity.id, token: (await context.tokens.issue({ apiKey: secret })).token }
  }
  callers.push(
    { name: "no token", headers: { authorization: "" }, may: knowsNothing },
    { name: "garbage for a token", headers: bearer("a.b.c"), may: knowsNothing },
    { name: "a token with another's signature", headers: bearer(world.ownerToken.replace(/[^.]+$/, randomBytes(256).toString("base64url"))), may: knowsNothing },
    { name: "an expired token of the owner", headers: bearer(await expiredToken()), may: knowsNothing },
    { name: "an API key for a token", headers: bearer(world.ownerSecret), may: knowsNothing },
    { name: "the events secret", headers: bearer(EVENTS_SECRET), may: ({ about }) => ["anyone", "events secret"].includes(about) },
    { name: "the owner", headers: bearer(world.ownerToken), may: ({ about }) => about !== "events secret" && about !== "nobody" },
    { name: "a service id without a policy", headers: bearer((await serviceId("nobody")).token), may: isKnown },
    { name: "another account's owner", headers: bearer(await otherOwner()), may: (row) => isKnown(row) || row.about === "own account" },
  )
  callers.push(...await actingCallers(serviceId))
  for (const scope of Object.keys(covers) as Scope[]) {
    for (const role of roles) {
      const name = `${role} on ${scope}`
      const { id, token } = await serviceId(name)
      await context.policies.create(ACCOUNT, {
        type: "access", subjects: [{ attributes: [{ name: "iam_id", value: id }] }],
        roles: [{ role_id: roleCrn(role) }], resources: resourcesOf(scope),
      }, "test")
      callers.push({ name, headers: bearer(token), may: (row) => isOpen(row) ? isKnown(row) : covers[scope].includes(row.about) && roleMay(role, row) })
    }
  }
})
afterAll(() => world.close())

/** A token that the host itself gave out two hours ago. */
async function expiredToken(): Promise<string> {
  const { context, state, masterKey } = world
  const clock = () => Date.now() - 7_200_000
  const { issue } = tokenIssuer({
    issuer: `bucketseal:${ACCOUNT}`, identities: identities(state, 0, clock), clock,
    signingKey: signingKeys(state, fieldSealer(masterKey, [], randomBytes), 0, clock),
    verificationKeys: { find: () => Promise.resolve(undefined), all: () => Promise.resolve([]) },
    verify: () => Promise.reject(new Error("gives out no token for a service")),
  })
  const { token } = await issue({ apiKey: world.ownerSecret })
  await expect(context.authenticate(token)).rejects.toThrow("expired")
  return token
}

/** May do everything in an account of its own. */
async function otherOwner(): Promise<string> {
  const { identities: known, policies, tokens } = world.context
  const owner = await known.create({ kind: "user", name: "other", description: "", account: "acct2", actsFor: [] })
  for (const draft of ownerPolicies("acct2", owner.id)) await policies.create("acct2", draft, owner.id)
  return (await tokens.issue({ apiKey: (await known.createKey(owner, "its")).secret })).token
}

/** Service ids that act for a bucket (grant iam-authz), with an authorization from it to this instance, and without: the
 *  service id's own rights are not the bucket's. */
async function actingCallers(serviceId: (name: string, actsFor: readonly string[]) => Promise<{ id: string; token: string }>): Promise<Who[]> {
  const { policies, tokens } = world.context
  const acting = async (bucket: string) => {
    const crn = bucketCrn(ACCOUNT, STORE, bucket)
    const { id, token } = await serviceId(`for ${bucket}`, [crn])
    await policies.create(ACCOUNT, {
      type: "access", subjects: [{ attributes: [{ name: "iam_id", value: id }] }],
      roles: [{ role_id: roleCrn("Manager") }], resources: [{ attributes: [{ name: "accountId", value: ACCOUNT }] }],
    }, "test")
    return (await tokens.issueForService({ token, desiredIamId: `crn-${crn}` })).token
  }
  await policies.create(ACCOUNT, {
    type: "authorization", roles: [{ role_id: roleCrn("Reader") }], resources: [{ attributes: [
      { name: "accountId", value: ACCOUNT }, { name: "serviceName", value: "kms" }, { name: "serviceInstance", value: KMS },
    ] }],
    subjects: [{ attributes: [
      { name: "accountId", value: ACCOUNT }, { name: "serviceName", value: "cloud-object-storage" }, { name: "resource", value: "photos" },
    ] }],
  }, "test")
  const mayBrowse = (row: Row) => isKnown(row) || (row.least === "Reader" && ["key", "keys"].includes(row.about))
  return [
    { name: "a bucket with an authorization", headers: bearer(await acting("photos")), may: mayBrowse },
    { name: "a bucket without one", headers: bearer(await acting("videos")), may: isKnown },
  ]
}

/** A request that harms nothing where it is allowed: its key, policy and object are not there, and its body is empty. */
function requestOf({ template, about }: Row): { readonly path: string; readonly body: string } {
  const id = template.startsWith("/api/v2/keys") ? KEY : randomUUID()
  const path = template.replace(":id", id).replace(":bucket", "photos").replace(":key*", "not/there").replace(":secret", EVENTS_SECRET.replace(/^./, "f"))
  return { path: about === "named account" ? `${path}?account_id=${ACCOUNT}` : path, body: "{}" }
}

const allowed = async (row: Row, who: Who): Promise<boolean> => {
  const { path, body } = requestOf(row)
  const { status } = await world.call(row.method, path, body, who.headers)
  if (status >= 500) throw new Error(`${row.route} by ${who.name}: ${status}`)
  return status !== 401 && status !== 403
}

describe("the table of authorizations", () => {
  it("names every endpoint that is served, and none that is not", () => {
    const queryOf = (query: Readonly<Record<string, string>> = {}) => Object.entries(query).map(([name, value]) => `?${name}=${value}`).join("")
    const served = routes.map(({ method, path, query }) => `${method} ${path}${queryOf(query)}`)
    expect(rows.map(({ route }) => route).toSorted()).toEqual(served.toSorted())
  })

  it("holds in each cell: endpoint × caller, role and scope", async () => {
    const wrong: string[] = []
    let yes = 0
    for (const row of rows) {
      for (const who of callers) {
        const isAllowed = await allowed(row, who)
        if (isAllowed) yes++
        if (isAllowed !== who.may(row)) wrong.push(`${row.route}: ${who.name} ${isAllowed ? "is" : "isn't"} allowed`)
      }
    }
    process.stdout.write(`table of authorizations: ${rows.length} endpoints × ${callers.length} callers = ${rows.length * callers.length} cells, ${yes} allowed\n`)
    expect(wrong).toEqual([])
    expect(yes).toBeGreaterThan(rows.length)
  })

  it("holds for the other key, bucket, instance and account that a policy does not name", async () => {
    const isAllowed = async (name: string, path: string, headers: Record<string, string> = {}) => {
      const who = callers.find((one) => one.name === name)
      const { status } = await world.call("GET", path, undefined, { ...who?.headers, ...headers })
      return [200, 404].includes(status)
    }
    const name = "Manager on this key and bucket"
    expect(await isAllowed(name, `/api/v2/keys/${KEY}`)).toBe(true)
    expect(await isAllowed(name, `/api/v2/keys/${randomUUID()}`)).toBe(false)
    expect(await isAllowed(name, `/api/v2/keys/${KEY}`, { "bluemix-instance": STORE })).toBe(false)
    expect(await isAllowed(name, "/objects/photos?key=x")).toBe(true)
    for (const bucket of ["photos2", "photo", "PHOTOS", "photos%2Fx", "photos:x"]) {
      expect(await isAllowed(name, `/objects/${bucket}?key=x`)).toBe(false)
    }
    const told = await world.call("POST", `/events/${EVENTS_SECRET}`, "{}", { authorization: "" })
    expect(told.status).toBe(202)
    expect(await isAllowed("the owner", "/v1/policies?account_id=acct2")).toBe(false)
    expect(await isAllowed("another account's owner", "/v1/policies?account_id=acct2")).toBe(true)
  })
})
