/** The context of a deployed IAM function. */
import type { IamContext } from "../context.ts"
import { openDeployed, sealerOf, type Variables } from "./deployed.ts"
import { iamContext } from "./iam.ts"

/** Builds it from the variables of its platform. Throws as `openDeployed` and `sealerOf`. */
export async function openContext(variables: Variables): Promise<IamContext> {
  const { settings, ...parts } = await openDeployed(variables)
  return iamContext(settings, { ...parts, sealer: sealerOf(settings) })
}
