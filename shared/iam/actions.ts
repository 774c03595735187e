/** Every IAM action there is here, and the lowest role that holds it. */
import type { Role } from "./roles.ts"

/**
 * kms: Key Protect, "Managing user access" (registrations are written with a Reader's rights, but by services only:
 * their endpoint holds that). The others are ours; `docs/security.md` says what each opens.
 */
const table = {
  "kms.secrets.wrap": "Reader",
  "kms.secrets.unwrap": "Reader",
  "kms.secrets.rewrap": "Reader",
  "kms.secrets.readmetadata": "Reader",
  "kms.secrets.list": "Reader",
  "kms.secrets.head": "Reader",
  "kms.secrets.listkeyversions": "Reader",
  "kms.secrets.eventack": "Reader",
  "kms.keyrings.list": "Reader",
  "kms.registrations.list": "Reader",
  "kms.registrations.listforkey": "Reader",
  "kms.registrations.create": "Reader",
  "kms.registrations.merge": "Reader",
  "kms.registrations.write": "Reader",
  "kms.registrations.delete": "Reader",
  "kms.secrets.read": "ReaderPlus",
  "kms.secrets.create": "Writer",
  "kms.secrets.rotate": "Writer",
  "kms.secrets.setkeyfordeletion": "Writer",
  "kms.secrets.unsetkeyfordeletion": "Writer",
  "kms.secrets.sync": "Writer",
  "kms.secrets.createalias": "Writer",
  "kms.secrets.deletealias": "Writer",
  "kms.keyrings.create": "Writer",
  "kms.importtoken.create": "Writer",
  "kms.importtoken.read": "Writer",
  "kms.secrets-with-policy-overrides.create": "Manager",
  "kms.secrets.disable": "Manager",
  "kms.secrets.enable": "Manager",
  "kms.secrets.delete": "Manager",
  "kms.secrets.restore": "Manager",
  "kms.secrets.patch": "Manager",
  "kms.keyrings.delete": "Manager",
  "kms.policies.read": "Manager",
  "kms.policies.write": "Manager",
  "kms.instancepolicies.read": "Manager",
  "kms.instancepolicies.write": "Manager",
  "kms.kmip-management.create": "Manager",
  "kms.kmip-management.list": "Manager",
  "kms.kmip-management.read": "Manager",
  "kms.kmip-management.delete": "Manager",
  "kms.secrets.purge": "KeyPurge",
  "cloud-object-storage.object.get": "Reader",
  "bucketseal.registrations.read": "Reader",
  "bucketseal.registrations.write": "Manager",
  "bucketseal.jobs.run": "Writer",
  "bucketseal.objects.decrypt": "Manager",
  "bucketseal.objects.reencrypt": "Manager",
  "bucketseal.objects.fix": "Manager",
  "bucketseal.keys.retire": "Manager",
  "bucketseal.keys.shred": "Manager",
  "iam.policy.read": "Reader",
  "iam.policy.write": "Manager",
  "iam.decision.read": "Reader",
  "iam.identity.read": "Reader",
  "iam.identity.write": "Manager",
} as const satisfies Record<string, Role>

/** What a caller may be allowed to do, as a closed union: `<service>.<thing>.<verb>`. */
export type Action = keyof typeof table

/** All actions, in the order of the table. */
export const actions = Object.keys(table) as readonly Action[]

/** True for the name of an action in the table. */
export const isAction = (name: string): name is Action => Object.hasOwn(table, name)

/** The role to ask for where this action is missing: the lowest on the ladder Reader < ReaderPlus < Writer < Manager,
 *  or the special one that alone holds it. Never `Wrapper`, which is chosen on purpose. */
export const lowestRole = (action: Action): Role => table[action]

/** The service whose policies decide on an action: what stands before its first dot. */
export const serviceOf = (action: Action): string => action.slice(0, action.indexOf("."))
