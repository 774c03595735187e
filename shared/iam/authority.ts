/** The port `Authority`, by the policies of the resource's account. */
import type { Authority } from "../ports.ts"
import { actions, isAction, serviceOf, type Action } from "./actions.ts"
import { badField } from "./bad-field.ts"
import { formatCrn, parseCrn, type Crn } from "./crn.ts"
import { decideBy } from "./decision.ts"
import type { Policies } from "./policies.ts"
import type { Policy } from "./policy.ts"

/** The ring of a key, which its CRN does not tell; `undefined` where it is not known: policies for a ring then don't
 *  apply. */
export type KeyRingOf = (key: Crn) => Promise<string | undefined>

/** Decides by policies as they were at most the cache limit ago, all of the account in one state read or none. Throws
 *  `bad-field` for an action that does not exist, a resource that is no CRN, and an action on another service's
 *  resource. */
export function authority(policies: Pick<Policies, "recent">, keyRingOf?: KeyRingOf): Authority {
  return {
    async decide(subject, name, resource) {
      const action = actionOf(name)
      const crn = resourceOf(action, resource)
      const all = await policies.recent(crn.account)
      const keyRing = all.some(namesRing) ? await keyRingOf?.(crn) : undefined
      return decideBy(all, subject, { action, resource: crn, ...(keyRing === undefined ? {} : { keyRing }) })
    },
  }
}

/** What `iam.*` actions are decided on: the policies, decisions or identities of an account. */
export const iamCrn = (account: string, type: "policy" | "decision" | "identity"): string =>
  formatCrn({ service: "iam", region: "", account, instance: "", type, resource: "" })

const namesRing = (policy: Policy) =>
  policy.resources.some(({ attributes }) => attributes.some(({ name }) => name === "keyRing"))

function actionOf(name: string): Action {
  if (isAction(name)) return name
  const kin = actions.filter((action) => action.split(".")[0] === name.split(".")[0])
  throw badField("action", `there is no such action${kin.length > 0 ? `; there are ${kin.join(", ")}` : ""}`)
}

const CRN_FORM = "crn:v1:bluemix:public:<service>:<region>:a/<account>:<instance>:<type>:<name>"

function resourceOf(action: Action, resource: string): Crn {
  const crn = parseCrn(resource)
  if (!crn) throw badField("resource", `must be a CRN: ${CRN_FORM}`)
  const service = serviceOf(action)
  const isOurs = service === "bucketseal" && crn.service === "cloud-object-storage" // a bucket's registration and jobs
  if (crn.service !== service && !isOurs) throw badField("resource", `${action} is no action on ${crn.service}`)
  return crn
}
