/** Service access roles: what each holds, which one covers which, and their CRNs. */
import { actions, lowestRole, type Action } from "./actions.ts"

/** Each role on the ladder holds what the ones before it hold. */
const ladder = ["Reader", "ReaderPlus", "Writer", "Manager"] as const

/**
 * A service access role. `KeyPurge` (Key Protect) holds purging alone, and no other role holds it. `Wrapper` is ours,
 * for a sealing service that must not open anything: it may wrap and see that a root key is active, not unwrap.
 */
export type Role = (typeof ladder)[number] | "KeyPurge" | "Wrapper"

/** All roles. */
export const roles: readonly Role[] = [...ladder, "KeyPurge", "Wrapper"]

const held = new Map(roles.map((role) => [role, new Set(actions.filter((action) => includes(role, action)))]))

function includes(role: Role, action: Action): boolean {
  if (role === "Wrapper") return action === "kms.secrets.wrap" || action === "kms.secrets.readmetadata"
  const lowest = lowestRole(action)
  return role === lowest || isAtLeast(role, lowest)
}

function isAtLeast(role: Role, lowest: Role): boolean {
  const order: readonly Role[] = ladder
  return order.includes(lowest) && order.indexOf(role) >= order.indexOf(lowest)
}

/** True if a role holds an action. */
export const holds = (role: Role, action: Action): boolean => held.get(role)?.has(action) ?? false

/** True if `role` holds every action that `other` holds: who has `role` may grant `other`. */
export const covers = (role: Role, other: Role): boolean =>
  actions.every((action) => !holds(other, action) || holds(role, action))

const CRN = "crn:v1:bluemix:public:iam::::serviceRole:"

/** The CRN of a role (IAM's `role_id`). */
export const roleCrn = (role: Role): string => CRN + role

/** The role of a CRN, or `undefined` for what is no service access role here. */
export const roleOfCrn = (crn: string): Role | undefined => roles.find((role) => roleCrn(role) === crn)
