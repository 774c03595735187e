/** May this caller, or another subject, do this to this resource? Says by which policy, or what is missing. */
import * as z from "zod/mini"
import type { Caller, IamContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { iamCrn } from "../shared/iam/authority.ts"
import { badField } from "../shared/iam/bad-field.ts"
import { parseCrn } from "../shared/iam/crn.ts"
import type { Subject } from "../shared/ports.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute } from "../shared/runtime/endpoint.ts"

const text = z.string().check(z.minLength(1), z.maxLength(2048))
const question = z.strictObject({ subject: z.optional(text), action: text, resource: text })

const ask = endpoint({
  // About oneself anybody may ask. About others it takes iam.decision.read, asked below: the body says who it is about.
  method: "POST", path: "/authorize", action: "any-caller", maxBody: 16 * 1024, errors: "own",
  body: { kind: "json", parser: question },
  async run({ caller, body }, context: IamContext) {
    const subject = subjectOf(body.subject, caller)
    if (subject !== caller.subject) await checkReader(caller, body.resource, context)
    return json(200, await context.authority.decide(subject, body.action, body.resource))
  },
})

/** `POST /authorize {subject?, action, resource}` → `{allowed, policy?, missing?}`; "no" is an answer, not an error. */
export const authorize: readonly AnyRoute<IamContext>[] = [ask]

/** The caller's own subject, the same object, where it is asked about, by whichever of its names. */
function subjectOf(name: string | undefined, caller: Caller): Subject {
  const { iamId, crn } = caller.subject
  if (name === undefined || name === iamId || name === crn) return caller.subject
  const named = /^(?:crn-)?(crn:.*)$/.exec(name)?.[1]
  if (named === undefined) return { iamId: name, account: "" }
  const account = parseCrn(named)?.account
  if (account === undefined) {
    throw badField("subject", "is no CRN")
  }
  return { iamId: `crn-${named}`, account, crn: named }
}

/** The answer tells of the policies of the resource's account. */
async function checkReader(caller: Caller, resource: string, { authority }: IamContext): Promise<void> {
  const account = parseCrn(resource)?.account ?? caller.subject.account
  const decision = await authority.decide(caller.subject, "iam.decision.read", iamCrn(account, "decision"))
  if (decision.allowed) return
  throw new Failure("forbidden", "not allowed: asking about others needs iam.decision.read in the resource's account")
}
