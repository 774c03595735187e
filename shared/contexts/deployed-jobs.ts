/** The context of a deployed job. */
import { randomBytes } from "node:crypto"
import type { JobsContext } from "../context.ts"
import { authority } from "../iam/authority.ts"
import { policies } from "../iam/policies.ts"
import { openDeployed, type Variables } from "./deployed.ts"
import { keyServiceOf } from "./key-service.ts"
import { withObjects } from "./objects.ts"

/** Builds it from the variables of its platform. Throws as `openDeployed` and `keyServiceOf`. */
export async function openContext(variables: Variables): Promise<JobsContext> {
  const base = await openDeployed(variables)
  const { settings, state, store, clock } = base
  const decided = { ...base, authority: authority(policies(state, settings.cacheSeconds, clock)) }
  return withObjects(decided, { store, keyService: keyServiceOf(settings, base), random: randomBytes })
}
