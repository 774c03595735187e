/** The account's owner: made at the first start, with all roles, by policies like any others. */
import type { Identities, Identity } from "../shared/iam/identities.ts"
import { ownerPolicies, type Policies } from "../shared/iam/policies.ts"
import type { StateStore } from "../shared/ports.ts"

/** An API key of the owner's: `kept` if it still holds, else a new one. The owner is made if there is none yet. */
export async function ownerKey(
  { state, identities, policies }: { readonly state: StateStore; readonly identities: Identities; readonly policies: Policies },
  account: string,
  kept: string | undefined,
): Promise<string> {
  if (kept !== undefined && await identities.findKey({ secret: kept })) return kept
  const owner = await findOwner(state, identities) ?? await makeOwner(identities, policies, account)
  return (await identities.createKey(owner, "first start")).secret
}

async function makeOwner(identities: Identities, policies: Policies, account: string): Promise<Identity> {
  const owner = await identities.create({ kind: "user", name: "owner", description: "the account's owner", account, actsFor: [] })
  for (const draft of ownerPolicies(account, owner.id)) await policies.create(account, draft, owner.id)
  return owner
}

async function findOwner(state: StateStore, identities: Identities): Promise<Identity | undefined> {
  const { paths } = await state.list("identities/IBMid-", { limit: 1 }) // users: an account has one, its owner
  const id = paths[0]?.slice("identities/".length, -".json".length)
  return id === undefined ? undefined : identities.get(id)
}
