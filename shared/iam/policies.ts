/** The policies of accounts, in the state store: all of an account in one document, changed by compare-and-swap. */
import { Failure } from "../errors.ts"
import type { Clock, Document, StateStore } from "../ports.ts"
import { badField } from "./bad-field.ts"
import { timedCache } from "./cache.ts"
import { checkDraft, etagOf, policiesDocument, type Policy, type PolicyDraft } from "./policy.ts"
import { roleCrn, type Role } from "./roles.ts"

/** Policies by account. Every method throws `bad-field` for what can't be the name of an account. A change throws
 *  `conflict`, and has done nothing, where other writers kept changing the account's policies. */
export interface Policies {
  /** As they were at most the cache limit ago; what this instance changed is seen at once. One state read, or none. */
  recent(account: string): Promise<readonly Policy[]>
  /** As they are now. */
  list(account: string): Promise<readonly Policy[]>
  /** As it is now, or `undefined` if there is none. */
  get(account: string, id: string): Promise<Policy | undefined>
  /** Adds a policy made by `by`, an IAM id. Throws `bad-field` for a draft that does not fit (`checkDraft`). */
  create(account: string, draft: PolicyDraft, by: string): Promise<Policy>
  /** Replaces the policy if its tag (`etagOf`) is still this one, else throws `precondition-failed`; `undefined` if
   *  there is none. */
  replace(account: string, id: string, draft: PolicyDraft, etag: string, by: string): Promise<Policy | undefined>
  /** Removes the policy; false if there was none. */
  delete(account: string, id: string): Promise<boolean>
}

interface Stored {
  readonly policies: readonly Policy[]
  /** Absent while there is no document. */
  readonly etag?: string
}

/** What a change makes of an account's policies, and what it gives; without `policies` nothing is written. */
interface Change<T> {
  readonly policies?: readonly Policy[]
  readonly result: T
}

const ATTEMPTS = 64 // each lost one means that another writer won: enough for 64 writers at once
const ACCOUNTS = 100 // kept in memory: a deployment serves one, rarely a few; a bound against made-up names

/** `cacheSeconds` 0 reads each time. */
export function policies(state: StateStore, cacheSeconds: number, clock: Clock): Policies {
  const cache = timedCache<Stored>(cacheSeconds, ACCOUNTS, clock)

  async function load(account: string, last: Stored | undefined): Promise<Stored> {
    const answer = last?.etag === undefined
      ? await state.read(pathOf(account), policiesDocument)
      : await state.readIfChanged(pathOf(account), policiesDocument, last.etag)
    return answer === "unchanged" && last ? last : stored(answer)
  }

  const fresh = async (account: string) => (await cache.refresh(account, (last) => load(account, last))).policies

  async function change<T>(account: string, edit: (policies: readonly Policy[]) => Change<T>): Promise<T> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await load(account, undefined)
      const { policies, result } = edit(current.policies)
      if (!policies || (await write(account, policies, current.etag))) return result
    }
    throw new Failure("conflict", "the account's policies are being changed by others; nothing was done, try again")
  }

  async function write(account: string, policies: readonly Policy[], etag: string | undefined): Promise<boolean> {
    const path = pathOf(account)
    try {
      const written = etag === undefined ? state.create(path, { policies }) : state.replace(path, { policies }, etag)
      return (await written) !== undefined
    } finally {
      cache.forget(account) // also where the answer got lost: the change may have happened
    }
  }

  const now = () => new Date(clock()).toISOString()

  return {
    recent: async (account) => (await cache.get(account, (last) => load(account, last))).policies,
    list: fresh,
    get: async (account, id) => (await fresh(account)).find((policy) => policy.id === id),
    async create(account, draft, by) {
      checkDraft(draft, account)
      const at = now()
      const policy: Policy = {
        ...draft, id: crypto.randomUUID(), state: "active",
        created_at: at, created_by_id: by, last_modified_at: at, last_modified_by_id: by,
      }
      return change(account, (policies) => ({ policies: [...policies, policy], result: policy }))
    },
    async replace(account, id, draft, etag, by) {
      checkDraft(draft, account)
      return change<Policy | undefined>(account, (policies) => {
        const old = policies.find((policy) => policy.id === id)
        if (!old) return { result: undefined }
        if (etagOf(old) !== etag) throw changed()
        const { state, created_at, created_by_id } = old
        const modified = { last_modified_at: now(), last_modified_by_id: by }
        const policy = { ...draft, id, state, created_at, created_by_id, ...modified }
        return { policies: policies.map((each) => (each === old ? policy : each)), result: policy }
      })
    },
    delete: (account, id) => change(account, (policies) => {
      const rest = policies.filter((policy) => policy.id !== id)
      return rest.length < policies.length ? { policies: rest, result: true } : { result: false }
    }),
  }
}

/** What the first identity of an account gets: all roles on all services, by policies like any other. `KeyPurge` stands
 *  apart, so that an owner who wants nobody to purge keys can delete it. */
export function ownerPolicies(account: string, iamId: string): readonly PolicyDraft[] {
  const grant = (role: Role, resource: PolicyDraft["resources"][number]["attributes"]): PolicyDraft => ({
    type: "access",
    subjects: [{ attributes: [{ name: "iam_id", value: iamId }] }],
    roles: [{ role_id: roleCrn(role) }],
    resources: [{ attributes: [{ name: "accountId", value: account }, ...resource] }],
  })
  return [grant("Manager", []), grant("KeyPurge", [{ name: "serviceName", value: "kms" }])]
}

const changed = () => new Failure("precondition-failed", "the policy was changed meanwhile; get it again")

function pathOf(account: string): string {
  if (/^[0-9a-zA-Z_-]{1,64}$/.test(account)) return `policies/${account}.json` // never another path
  throw badField("account", "is 1 to 64 letters, digits, _ or -")
}

function stored(document: Document<{ policies: readonly Policy[] }> | "unchanged" | undefined): Stored {
  if (document === undefined || document === "unchanged") return { policies: [] }
  return { policies: document.value.policies, etag: document.etag }
}
