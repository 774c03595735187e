/** Who there is: the account's owner, service ids, and their API keys, each a document of the state store. */
import { randomBytes } from "node:crypto"
import * as z from "zod/mini"
import type { Clock, Parser, StateStore } from "../ports.ts"
import { apiKeyDocument, digestOf, digestPrefixOf, idOfDigest, newApiKey, type ApiKey } from "./api-keys.ts"
import { badField } from "./bad-field.ts"
import { timedCache } from "./cache.ts"
import { parseCrn } from "./crn.ts"

/** A user or a service id. */
export interface Identity {
  /** `IBMid-<hex>` or `iam-ServiceId-<uuid>`. */
  readonly id: string
  /** The one user of an account is its owner. */
  readonly kind: "user" | "service-id"
  readonly name: string
  readonly description: string
  readonly account: string
  /** CRNs of the services that this service id may act for (grant `iam-authz`). Only the owner may write it. */
  readonly actsFor: readonly string[]
  /** RFC 3339. */
  readonly created: string
}

/** What a caller decides about an identity. */
export type NewIdentity = Omit<Identity, "id" | "created">

/** Identities and keys. A look-up gives what was true at most the cache limit ago, `undefined` for what is not there;
 *  what this instance changed is seen at once. */
export interface Identities {
  /** Throws `bad-field` where it would act for what is no CRN of its own account, or for anything at all as a user. */
  create(identity: NewIdentity): Promise<Identity>
  get(id: string): Promise<Identity | undefined>
  /** Its API keys and tokens hold no longer. Removing what is not there succeeds. */
  delete(id: string): Promise<void>
  /** Makes an API key; `secret` is given out here and never again. The identity must be there. */
  createKey(owner: Identity, name: string): Promise<{ readonly apiKey: ApiKey; readonly secret: string }>
  /** The API key that this secret is, or that has this digest (`digestOf`). */
  findKey(by: { readonly secret: string } | { readonly digest: string }): Promise<ApiKey | undefined>
  /** The key with this id, as it is now: two state reads. */
  getKey(id: string): Promise<ApiKey | undefined>
  /** Tokens made from it hold no longer. Removing what is not there succeeds. */
  deleteKey(id: string): Promise<void>
}

const CACHED = 10_000 // documents of each kind, or the knowledge that there is none; of a few hundred bytes each

const identityDocument = z.object({
  id: z.string(), kind: z.enum(["user", "service-id"]), name: z.string(), description: z.string(),
  account: z.string(), actsFor: z.array(z.string()), created: z.string(),
})

/** `cacheSeconds` 0 reads each time. */
export function identities(state: StateStore, cacheSeconds: number, clock: Clock): Identities {
  const known = cachedDocuments<Identity>(state, identityDocument, cacheSeconds, clock)
  const keys = cachedDocuments<ApiKey>(state, apiKeyDocument, cacheSeconds, clock)
  const now = () => new Date(clock()).toISOString()

  async function digestOfId(id: string): Promise<string | undefined> {
    const prefix = digestPrefixOf(id)
    if (prefix === undefined) return undefined
    const { paths } = await state.list(`api-keys/${prefix}`) // 48 bits of a hash: one, if any
    return paths.flatMap((path) => /^api-keys\/([0-9a-f]{64})\.json$/.exec(path)?.[1] ?? [])
      .find((digest) => idOfDigest(digest) === id)
  }

  return {
    async create(draft) {
      checkActsFor(draft)
      const isUser = draft.kind === "user"
      const id = isUser ? `IBMid-${randomBytes(16).toString("hex")}` : `iam-ServiceId-${crypto.randomUUID()}`
      const identity = { ...draft, id, created: now() }
      await add(state, `identities/${id}.json`, identity)
      return identity
    },
    get: async (id) => (isIdentityId(id) ? known.get(`identities/${id}.json`) : undefined),
    async delete(id) {
      if (isIdentityId(id)) await known.remove(`identities/${id}.json`)
    },
    async createKey(owner, name) {
      const secret = newApiKey()
      const digest = digestOf(secret) ?? ""
      const apiKey = { id: idOfDigest(digest), name, iamId: owner.id, account: owner.account, created: now() }
      await add(state, pathOfKey(digest), apiKey)
      return { apiKey, secret }
    },
    async findKey(by) {
      const digest = "secret" in by ? digestOf(by.secret) : by.digest
      return digest !== undefined && isDigest(digest) ? keys.get(pathOfKey(digest)) : undefined
    },
    async getKey(id) {
      const digest = await digestOfId(id)
      return digest === undefined ? undefined : (await state.read(pathOfKey(digest), apiKeyDocument))?.value
    },
    async deleteKey(id) {
      const digest = await digestOfId(id)
      if (digest !== undefined) await keys.remove(pathOfKey(digest))
    },
  }
}

const pathOfKey = (digest: string) => `api-keys/${digest}.json`

/** What a token says is its API key's digest may become a path, too. */
const isDigest = (text: string) => /^[0-9a-f]{64}$/.test(text)

/** Ids that may become a path; all others are nobody's. */
const isIdentityId = (id: string) => /^(IBMid|iam-ServiceId)-[0-9a-f-]{1,64}$/.test(id)

function checkActsFor({ kind, account, actsFor }: NewIdentity): void {
  const foreign = actsFor.find((crn) => parseCrn(crn)?.account !== account)
  if (foreign !== undefined) throw badField("acts_for", `only services of the own account, not ${foreign}`)
  if (kind === "user" && actsFor.length > 0) throw badField("acts_for", "a user acts for no service; a service id may")
}

async function add(state: StateStore, path: string, document: object): Promise<void> {
  if ((await state.create(path, document)) === undefined) throw new Error("the random name of a document was taken")
}

function cachedDocuments<T>(state: StateStore, parser: Parser<T>, cacheSeconds: number, clock: Clock) {
  const cache = timedCache<T | undefined>(cacheSeconds, CACHED, clock)
  return {
    get: (path: string) => cache.get(path, async () => (await state.read(path, parser))?.value),
    async remove(path: string): Promise<void> {
      try {
        await state.remove(path)
      } finally {
        cache.forget(path)
      }
    },
  }
}
