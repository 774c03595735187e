/** The context of a deployed Key Protect function. */
import type { KeysContext } from "../context.ts"
import { isRootKeyInUse } from "../keys/root-key-use.ts"
import { openDeployed, sealerOf, type Variables } from "./deployed.ts"
import { baseContext } from "./iam.ts"
import { ownRootKeys } from "./root-keys.ts"

/** Builds it from the variables of its platform. Throws as `openDeployed` and `sealerOf`. */
export async function openContext(variables: Variables): Promise<KeysContext> {
  const { settings, ...parts } = await openDeployed(variables)
  const rootKeys = ownRootKeys(settings, { ...parts, sealer: sealerOf(settings) })
  return { ...baseContext(settings, parts), rootKeys, isInUse: (rootKey) => isRootKeyInUse(parts.state, rootKey) }
}
