/** One IAM policy: its shape, as IamPolicyManagementV1 has it, and what makes it acceptable. */
import { createHash } from "node:crypto"
import * as z from "zod/mini"
import { badField } from "./bad-field.ts"
import { roleOfCrn } from "./roles.ts"

const text = z.string().check(z.minLength(1), z.maxLength(1000)) // IAM: values are 1 to 1000 characters
const few = z.maxLength(10) // IAM takes one; ten is what one check of a request may cost

const place = ["accountId", "serviceName", "serviceInstance", "region", "resourceType", "resource"] as const
const subjectAttribute = z.object({
  name: z.enum([...place, "iam_id"]),
  value: text,
  operator: z.exactOptional(z.literal("stringEquals")), // IAM has patterns on resources only
})
const resourceAttribute = z.object({
  name: z.enum([...place, "keyRing"]),
  value: text,
  operator: z.exactOptional(z.enum(["stringEquals", "stringMatch"])),
})
const isRole = z.refine<string>((crn) => roleOfCrn(crn) !== undefined, "is no role here (GET /v2/roles)")
const role = z.object({ role_id: z.string().check(isRole) })
const draftShape = {
  type: z.enum(["authorization", "access"]),
  description: z.exactOptional(z.string().check(z.maxLength(300))),
  subjects: z.array(z.object({ attributes: z.array(subjectAttribute).check(few) })).check(z.minLength(1), few),
  roles: z.array(role).check(z.minLength(1), few),
  resources: z.array(z.object({ attributes: z.array(resourceAttribute).check(few) })).check(z.minLength(1), few),
}

/** Parses a policy as a caller gives it. Unknown fields are dropped (IAM's habit), unknown attributes and roles
 *  refused: leaving one out would make the policy wider than what was asked for. */
export const policyDraft = z.object(draftShape)

/** What a caller decides about a policy. `authorization`: a service may use another one; `access`: an identity may. */
export type PolicyDraft = z.infer<typeof policyDraft>

const policy = z.object({
  ...draftShape,
  id: z.string(),
  state: z.literal("active"),
  created_at: z.string(),
  created_by_id: z.string(),
  last_modified_at: z.string(),
  last_modified_by_id: z.string(),
})

/** A policy as it is kept. Dates are RFC 3339. */
export type Policy = z.infer<typeof policy>

/** Parses the one document that holds all policies of an account. */
export const policiesDocument = z.object({ policies: z.array(policy) })

/** The tag by which a policy is replaced: it changes with the policy's content. Without quotes. */
export const etagOf = (kept: Policy): string =>
  createHash("sha256").update(JSON.stringify(kept)).digest("hex").slice(0, 32)

/** Throws `bad-field` unless the policy names this account as its target's, each attribute once, and a source
 *  (authorization: account and service) or an identity (access: `iam_id` alone) as its subject. */
export function checkDraft(draft: PolicyDraft, account: string): void {
  for (const { attributes } of draft.subjects) {
    const names = namesOf(attributes, "subjects")
    if (draft.type === "authorization") demand(names, ["accountId", "serviceName"], "subjects")
    else demand(names, ["iam_id"], "subjects")
    if (draft.type === "access" ? names.length > 1 : names.includes("iam_id")) {
      throw badField("subjects", "an access policy names iam_id alone, an authorization a service")
    }
  }
  for (const { attributes } of draft.resources) {
    const names = namesOf(attributes, "resources")
    demand(names, draft.type === "authorization" ? ["accountId", "serviceName"] : ["accountId"], "resources")
    const target = attributes.find(({ name }) => name === "accountId")
    if (target?.value !== account || target.operator === "stringMatch") {
      throw badField("resources", `accountId must be ${account}: a policy is kept in its target's account`)
    }
  }
}

function namesOf(attributes: readonly { readonly name: string }[], field: string): string[] {
  const names = attributes.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice) throw badField(field, `attribute ${twice} stands there twice`)
  return names
}

function demand(names: readonly string[], needed: readonly string[], field: string): void {
  const missing = needed.find((name) => !names.includes(name))
  if (missing) throw badField(field, `attribute ${missing} is needed`)
}
