/** Policies: which service may use another one (authorizations), and what an identity may do (access). */
import type { IamContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { actions, serviceOf } from "../shared/iam/actions.ts"
import { iamCrn } from "../shared/iam/authority.ts"
import { mayGrant } from "../shared/iam/decision.ts"
import { checkDraft, etagOf, policyDraft, type Policy, type PolicyDraft } from "../shared/iam/policy.ts"
import { holds, roleCrn, roleOfCrn, roles, type Role } from "../shared/iam/roles.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"

const MAX_BODY = 64 * 1024 // bytes; ten subjects, roles and resources of long attributes fit

/** A policy is made, read and changed in the caller's own account. */
const ownAccount = ({ caller }: Call<unknown>) => iamCrn(caller.subject.account, "policy")

const create = endpoint({
  method: "POST", path: "/v1/policies", action: "iam.policy.write", resource: ownAccount,
  maxBody: MAX_BODY, errors: "iam", body: { kind: "json", parser: policyDraft },
  async run(call, context: IamContext) {
    const { account, iamId } = await checkGrant(call, context)
    return reply(201, await context.policies.create(account, call.body, iamId), call)
  },
})

const list = endpoint({
  method: "GET", path: "/v1/policies", action: "iam.policy.read", maxBody: 0, errors: "iam",
  resource: ({ query }) => iamCrn(accountOf(query), "policy"),
  async run(call, { policies }: IamContext) {
    const [type, iamId] = [call.query.get("type"), call.query.get("iam_id")]
    const wanted = (await policies.list(accountOf(call.query)))
      .filter((policy) => type === null || policy.type === type)
      .filter((policy) => iamId === null || isFor(policy, iamId))
    return json(200, { policies: wanted.map((policy) => shown(policy, call)) })
  },
})

const get = endpoint({
  method: "GET", path: "/v1/policies/:id", action: "iam.policy.read", resource: ownAccount, maxBody: 0, errors: "iam",
  run: async (call, { policies }: IamContext) =>
    reply(200, await policies.get(call.caller.subject.account, call.params["id"] ?? ""), call),
})

/** Needs If-Match with the policy's ETag, quoted or not: without one 400, with a stale one 412 (RFC 9110, section
 *  13.1.1; IAM's reference names no status). */
const replace = endpoint({
  method: "PUT", path: "/v1/policies/:id", action: "iam.policy.write", resource: ownAccount,
  maxBody: MAX_BODY, errors: "iam", body: { kind: "json", parser: policyDraft },
  async run(call, context: IamContext) {
    const etag = call.request.headers.get("if-match")?.replaceAll('"', "")
    if (!etag) throw noTag()
    const { account, iamId } = await checkGrant(call, context)
    return reply(200, await context.policies.replace(account, call.params["id"] ?? "", call.body, etag, iamId), call)
  },
})

const remove = endpoint({
  method: "DELETE", path: "/v1/policies/:id", action: "iam.policy.write", resource: ownAccount,
  maxBody: 0, errors: "iam",
  async run({ caller, params }, { policies }: IamContext) {
    if (!(await policies.delete(caller.subject.account, params["id"] ?? ""))) throw notFound()
    return new Response(null, { status: 204 })
  },
})

const listRoles = endpoint({
  method: "GET", path: "/v2/roles", action: "any-caller", maxBody: 0, errors: "iam",
  run: ({ query }) => Promise.resolve(json(200, rolesFor(query.get("service_name")))),
})

/** `/v1/policies` of IamPolicyManagementV1, and `GET /v2/roles`. */
export const authorizations: readonly AnyRoute<IamContext>[] = [create, list, get, replace, remove, listRoles]

/** Besides `iam.policy.write`, granting needs what is granted: a role that covers it, on everything the policy is
 *  about. */
async function checkGrant({ caller, body }: Call<PolicyDraft>, { policies }: IamContext) {
  const { subject } = caller
  checkDraft(body, subject.account)
  if (mayGrant(await policies.list(subject.account), subject, body)) return subject
  throw new Failure("forbidden", "not allowed: who grants a role needs it, or one that covers it, on the whole target")
}

function accountOf(query: URLSearchParams): string {
  const account = query.get("account_id")
  if (account) return account
  throw new Failure("bad-query", "account_id is needed", undefined, { type: "query_param", name: "account_id" })
}

const isFor = ({ subjects }: Policy, iamId: string) =>
  subjects.some(({ attributes }) => attributes.some(({ name, value }) => name === "iam_id" && value === iamId))

function reply(status: number, policy: Policy | undefined, call: Call<unknown>): Response {
  if (!policy) throw notFound()
  return json(status, shown(policy, call), { etag: `"${etagOf(policy)}"` })
}

const noTag = () =>
  new Failure("bad-query", "If-Match is needed: the policy's ETag", undefined, { type: "header", name: "If-Match" })

const notFound = () => new Failure("not-found", "there is no such policy in your account")

const shown = (policy: Policy, { request }: Call<unknown>) => ({
  ...policy,
  href: `${new URL(request.url).origin}/v1/policies/${policy.id}`,
  roles: policy.roles.map(({ role_id }) => ({ role_id, display_name: roleOfCrn(role_id) })),
})

/** All roles with the actions that they hold, or those which hold any action on one service. */
function rolesFor(service: string | null) {
  const wanted = actions.filter((action) => service === null || serviceOf(action) === service)
  const shownRole = (role: Role) =>
    ({ crn: roleCrn(role), display_name: role, actions: wanted.filter((action) => holds(role, action)) })
  const service_roles = roles.map(shownRole).filter((role) => role.actions.length > 0)
  return { custom_roles: [], service_roles, system_roles: [] }
}
