/** Endpoint: what a job may do that no registration asks for is approved here, by somebody who may do it himself. */
import type { Caller, ObjectsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { bucketCrn, storeCrn } from "../shared/iam/crn.ts"
import { identities } from "../shared/iam/identities.ts"
import { approvalRequest, approvals as kept, type Approval, type ApprovalRequest } from "../shared/objects/approvals.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"

const crnOf = ({ settings }: ObjectsContext, bucket: string) =>
  bucketCrn(settings.account, settings.storeInstance, bucket)

/** The bucket is in the body, which is read behind the route's own decision: so it is decided in `run`. */
const create = endpoint({
  method: "POST", path: "/approvals", action: "any-caller", maxBody: 16 * 1024,
  body: { kind: "json", parser: approvalRequest }, errors: "own",
  async run({ body, caller }: Call<ApprovalRequest>, context: ObjectsContext) {
    const action = `bucketseal.objects.${body.operation}`
    const resource = crnOf(context, body.scope.bucket)
    const { allowed } = await context.authority.decide(caller.subject, action, resource)
    if (!allowed) throw new Failure("forbidden", `not allowed: ${action} on ${resource}`)
    const made = await kept(context.state, context.clock).create(body, await makerOf(caller, context))
    context.log.info("an operation was approved", { ...made })
    return json(201, made)
  },
})

const get = endpoint({
  method: "GET", path: "/approvals/:id", action: "bucketseal.registrations.read", resource: resourceOf,
  maxBody: 0, errors: "own",
  run: async (call, context: ObjectsContext) => json(200, await found(call, context)),
})

const withdraw = endpoint({
  method: "DELETE", path: "/approvals/:id", action: "bucketseal.objects.fix", resource: resourceOf,
  maxBody: 0, errors: "own",
  async run(call, context: ObjectsContext) {
    const approval = await found(call, context)
    await kept(context.state, context.clock).withdraw(approval)
    context.log.info("an approval was withdrawn", { id: approval.id, by: call.caller.subject.iamId })
    return new Response(null, { status: 204 })
  },
})

/** `POST /approvals`, `GET` and `DELETE /approvals/{id}`. */
export const approvals: readonly AnyRoute<ObjectsContext>[] = [create, get, withdraw]

/** Who approves it, and whether his identity is one of ours. */
async function makerOf({ subject: { iamId } }: Caller, { state, clock }: ObjectsContext) {
  return { by: iamId, isOurs: await identities(state, 0, clock).get(iamId) !== undefined }
}

/** The bucket that it is about; the whole store for one that isn't there, so that not everybody learns that. */
async function resourceOf({ params }: Call<unknown>, context: ObjectsContext): Promise<string> {
  const approval = await kept(context.state, context.clock).read(params["id"] ?? "")
  if (approval) return crnOf(context, approval.scope.bucket)
  return storeCrn(context.settings.account, context.settings.storeInstance)
}

async function found({ params }: Call<unknown>, { state, clock }: ObjectsContext): Promise<Approval> {
  const approval = await kept(state, clock).read(params["id"] ?? "")
  if (approval) return approval
  throw new Failure("not-found", "there is no such approval, or it was withdrawn")
}
