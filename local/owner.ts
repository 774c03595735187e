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
  const description = "the account's owner"
  const owner = await findOwner(state, identities)
    ?? await identities.create({ kind: "user", name: "owner", description, account, actsFor: [] })
  await empower(owner, policies)
  return (await identities.createKey(owner, "first start")).secret
}

/** Gives the owner all roles, unless he has the main one, which is given last: a first start may have ended before it. */
async function empower({ id, account }: Identity, policies: Policies): Promise<void> {
  const isAboutOwner = (attribute: { readonly name: string; readonly value: string }) => attribute.name === "iam_id" && attribute.value === id
  const all = await policies.list(account)
  const [main] = ownerPolicies(account, id)
  const hasMain = all.some(({ subjects, roles }) =>
    roles[0]?.role_id === main?.roles[0]?.role_id && subjects.some(({ attributes }) => attributes.some(isAboutOwner)))
  if (hasMain) return
  for (const draft of ownerPolicies(account, id).toReversed()) await policies.create(account, draft, id)
}

async function findOwner(state: StateStore, identities: Identities): Promise<Identity | undefined> {
  const { paths } = await state.list("identities/IBMid-", { limit: 1 }) // users: an account has one, its owner
  const id = paths[0]?.slice("identities/".length, -".json".length)
  return id === undefined ? undefined : identities.get(id)
}
