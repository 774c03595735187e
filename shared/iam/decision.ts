/** Decisions by policies, which are given: whom a policy is about, what it covers, and what is missing. */
import type { Decision, MissingAuthorization, PolicyAttribute, Subject } from "../ports.ts"
import { lowestRole, serviceOf, type Action } from "./actions.ts"
import { parseCrn, type Crn } from "./crn.ts"
import type { Policy, PolicyDraft } from "./policy.ts"
import { covers, holds, roleCrn, roleOfCrn, type Role } from "./roles.ts"
import { matchesWildcard } from "./wildcard.ts"

/** What a decision is about: an action on a resource, and the ring of its key where that is known. */
export interface Wish {
  readonly action: Action
  readonly resource: Crn
  readonly keyRing?: string
}

/** The policy's account is the resource's. A service that acts for itself is judged by authorizations, everybody else
 *  by access policies; an absent attribute stands for any value, an unknown one for none. */
export function decideBy(policies: readonly Policy[], subject: Subject, wish: Wish): Decision {
  const values = resourceValues(wish)
  const allowing = policies.find((policy) =>
    isAbout(policy, subject) &&
    rolesOf(policy).some((role) => holds(role, wish.action)) &&
    policy.resources.some(({ attributes }) => matchesAll(attributes, values)))
  if (allowing) return { allowed: true, policy: allowing.id }
  const source = subject.crn === undefined ? undefined : parseCrn(subject.crn)
  return source ? { allowed: false, missing: missingAuthorization(source, wish) } : { allowed: false }
}

/** True if the subject holds, on everything that the draft is about, each role that it grants or one that covers it. A
 *  pattern in the draft is held only by the same pattern or by no restriction at all. */
export function mayGrant(policies: readonly Policy[], subject: Subject, draft: PolicyDraft): boolean {
  const own = policies.filter((policy) => isAbout(policy, subject))
  return rolesOf(draft).every((granted) => draft.resources.every((target) => own.some((policy) =>
    rolesOf(policy).some((role) => covers(role, granted)) &&
    policy.resources.some(({ attributes }) => attributes.every((wide) => contains(wide, target.attributes))))))
}

function contains(wide: PolicyAttribute, target: readonly PolicyAttribute[]): boolean {
  const narrow = target.find(({ name }) => name === wide.name)
  if (!narrow) return false
  if (narrow.operator === "stringMatch") return wide.operator === "stringMatch" && wide.value === narrow.value
  return matches(wide, narrow.value)
}

function isAbout(policy: Policy, subject: Subject): boolean {
  const values = subjectValues(subject)
  if (!values || policy.type !== (subject.crn === undefined ? "access" : "authorization")) return false
  return policy.subjects.some(({ attributes }) => matchesAll(attributes, values))
}

/** `undefined` for what calls itself a service and has no CRN that can be read. */
function subjectValues({ iamId, crn }: Subject): Values | undefined {
  if (crn === undefined) return { iam_id: iamId }
  const source = parseCrn(crn)
  return source && placeValues(source, source.service)
}

type Values = Readonly<Record<string, string | undefined>>

const placeValues = (crn: Crn, serviceName: string): Values => ({
  accountId: crn.account, serviceName, serviceInstance: crn.instance, region: crn.region,
  resourceType: crn.type, resource: crn.resource,
})

/** The service is the action's: our own actions are decided on buckets, which carry their store's service name. */
const resourceValues = ({ action, resource, keyRing }: Wish): Values =>
  ({ ...placeValues(resource, serviceOf(action)), keyRing })

const matchesAll = (attributes: readonly PolicyAttribute[], values: Values): boolean =>
  attributes.length > 0 && attributes.every((attribute) => matches(attribute, values[attribute.name]))

function matches(attribute: PolicyAttribute, value: string | undefined): boolean {
  if (value === undefined) return false
  return attribute.operator === "stringMatch" ? matchesWildcard(attribute.value, value) : attribute.value === value
}

const rolesOf = (policy: PolicyDraft): Role[] =>
  policy.roles.flatMap(({ role_id }) => roleOfCrn(role_id) ?? []) // stored policies hold known roles only

function missingAuthorization(source: Crn, { action, resource }: Wish): MissingAuthorization {
  return {
    type: "authorization",
    subjects: [{ attributes: attributesOf(placeValues(source, source.service)) }],
    roles: [{ role_id: roleCrn(lowestRole(action)) }],
    resources: [{ attributes: attributesOf(placeValues(resource, serviceOf(action))) }],
  }
}

/** As narrow as the CRN; only the region is left out where an instance, which has one region, is named. */
function attributesOf(values: Values): PolicyAttribute[] {
  const isImplied = (name: string) => name === "region" && values["serviceInstance"] !== ""
  return Object.entries(values).flatMap(([name, value]) => (!value || isImplied(name) ? [] : [{ name, value }]))
}
