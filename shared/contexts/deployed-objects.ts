/** The context of a deployed endpoint on objects. */
import { randomBytes } from "node:crypto"
import type { ObjectsContext } from "../context.ts"
import { openDeployed, type Variables } from "./deployed.ts"
import { baseContext } from "./iam.ts"
import { keyServiceOf } from "./key-service.ts"
import { withObjects } from "./objects.ts"

/** Builds it from the variables of its platform. Throws as `openDeployed` and `keyServiceOf`. */
export async function openContext(variables: Variables): Promise<ObjectsContext> {
  const { settings, ...parts } = await openDeployed(variables)
  return withObjects(baseContext(settings, parts), { store: parts.store, keyService: keyServiceOf(settings, parts), random: randomBytes })
}
