/** IAM on a state store in memory: as many instances as wanted on one store, and a clock that tests move. */
import { randomBytes } from "node:crypto"
import type { IamContext } from "../shared/context.ts"
import { authority } from "../shared/iam/authority.ts"
import type { ExternalIssuer } from "../shared/iam/external-tokens.ts"
import { identities } from "../shared/iam/identities.ts"
import { ownTokens } from "../shared/iam/own-tokens.ts"
import { ownerPolicies, policies } from "../shared/iam/policies.ts"
import type { PolicyDraft } from "../shared/iam/policy.ts"
import { roleCrn, type Role } from "../shared/iam/roles.ts"
import { signingKeys, verificationKeys } from "../shared/iam/signing-keys.ts"
import { tokenIssuer } from "../shared/iam/tokens.ts"
import { tokenVerifier } from "../shared/iam/verifier.ts"
import { fieldSealer } from "../shared/keys/master-key.ts"
import type { StateStore } from "../shared/ports.ts"
import { parseSettings } from "../shared/settings.ts"

export const ACCOUNT = "acct1"
export const STORE = "0e1f2a3b-0000-4000-8000-000000000001"
export const KMS = "0e1f2a3b-0000-4000-8000-000000000002"
export const KEY = "0e1f2a3b-0000-4000-8000-000000000003"
export const CACHE_SECONDS = 300
export const ISSUER = "https://bucketseal.example/identity"

export const bucket = (name: string, account = ACCOUNT, instance = STORE) =>
  `crn:v1:bluemix:public:cloud-object-storage:global:a/${account}:${instance}:bucket:${name}`
export const rootKey = (id = KEY, instance = KMS, account = ACCOUNT, region = "us-south") =>
  `crn:v1:bluemix:public:kms:${region}:a/${account}:${instance}:key:${id}`

type Attributes = Readonly<Record<string, string>>
type Named = PolicyDraft["resources"][number]["attributes"][number]

/** A `~` before a value makes it a pattern. */
const attributes = (values: Attributes): Named[] => Object.entries(values).map(([name, value]) => {
  const named = { name, value } as Named // tests write the names that IAM knows, and some that it does not
  return value.startsWith("~") ? { ...named, value: value.slice(1), operator: "stringMatch" as const } : named
})

const draft = (type: PolicyDraft["type"], subject: Attributes, role: Role, resource: Attributes): PolicyDraft => ({
  type,
  subjects: [{ attributes: attributes(subject) as PolicyDraft["subjects"][number]["attributes"] }],
  roles: [{ role_id: roleCrn(role) }],
  resources: [{ attributes: attributes({ accountId: ACCOUNT, ...resource }) }],
})

export const access = (iamId: string, role: Role, resource: Attributes) =>
  draft("access", { iam_id: iamId }, role, resource)
export const authorization = (source: Attributes, role: Role, target: Attributes) =>
  draft("authorization", { accountId: ACCOUNT, ...source }, role, target)

/** A clock that stands still until it is moved. */
export function testClock() {
  let now = Date.parse("2026-03-01T12:00:00Z")
  return Object.assign(() => now, { pass: (seconds: number) => void (now += seconds * 1000) })
}

/** What an instance is put together from. */
export interface World {
  readonly state: StateStore
  readonly clock: () => number
  readonly masterKey?: Uint8Array
  readonly external?: ExternalIssuer
  readonly cacheSeconds?: number
}

/** What a host would put together: one instance on a state store. `logged` holds every line that it wrote. */
export function iam({ state, clock, masterKey = randomBytes(32), external, cacheSeconds = CACHE_SECONDS }: World) {
  const logged: string[] = []
  const line = (message: string, fields?: object) => void logged.push(JSON.stringify([message, fields], errorsWhole))
  const known = identities(state, cacheSeconds, clock)
  const held = policies(state, cacheSeconds, clock)
  const keys = verificationKeys(state, cacheSeconds, clock)
  const own = { issuer: ISSUER, verificationKeys: keys, identities: known, cacheSeconds, clock }
  const signingKey = signingKeys(state, fieldSealer(masterKey, [], (size) => randomBytes(size)), cacheSeconds, clock)
  const context: IamContext = {
    settings: parseSettings({ account: ACCOUNT, storeInstance: STORE, kmsInstance: KMS }),
    clock, state, log: { info: line, warn: line, error: line },
    identities: known, policies: held, authority: authority(held),
    tokens: tokenIssuer({ ...own, signingKey, verify: ownTokens(own) }),
    authenticate: tokenVerifier(own, external),
  }
  const authenticate = (token: string) => context.authenticate(token)
  const { tokens } = context
  return { context, logged, signingKey, state, clock, identities: known, policies: held, tokens, authenticate }
}

/** Errors with all that they carry, as the most talkative log would write them. */
function errorsWhole(_: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  return Object.assign({}, value, { name, message, stack, cause })
}

/** The account's owner, as the first start makes it, and a token of its. */
export async function firstOwner({ identities: known, policies: held, tokens }: IamContext) {
  const owner = await known.create({ kind: "user", name: "owner", description: "", account: ACCOUNT, actsFor: [] })
  for (const each of ownerPolicies(ACCOUNT, owner.id)) await held.create(ACCOUNT, each, owner.id)
  const { secret } = await known.createKey(owner, "first")
  return { owner, secret, token: (await tokens.issue({ apiKey: secret })).token }
}

/** A service id with an API key and a token. */
export async function serviceId({ identities: known, tokens }: IamContext, actsFor: readonly string[] = []) {
  const draft = { kind: "service-id" as const, name: "reader", description: "", account: ACCOUNT, actsFor }
  const identity = await known.create(draft)
  const { apiKey, secret } = await known.createKey(identity, "its")
  return { identity, apiKey, secret, token: (await tokens.issue({ apiKey: secret })).token }
}
