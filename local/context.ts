/** The context of the Node host: everything that any function needs, over the stores that the settings name. */
import { randomBytes } from "node:crypto"
import type { IamContext, JobsContext, KeysContext } from "../shared/context.ts"
import { iamContext } from "../shared/contexts/iam.ts"
import { withObjects } from "../shared/contexts/objects.ts"
import { ownRootKeys } from "../shared/contexts/root-keys.ts"
import { Failure } from "../shared/errors.ts"
import { fieldSealer, refuseForeignState } from "../shared/keys/master-key.ts"
import { isRootKeyInUse } from "../shared/keys/root-key-use.ts"
import type { Log } from "../shared/ports.ts"
import type { Settings } from "../shared/settings.ts"
import { openMasterKeys, type Stores } from "./stores.ts"

/** The host's context; `close` zeroes the keys in memory. */
export type LocalContext = IamContext & KeysContext & JobsContext & { close(): void }

/** Builds it. Throws `bad-field` for a master key that is missing or not this state's. */
export async function buildContext(settings: Settings, { objects, state }: Stores, log: Log): Promise<LocalContext> {
  if (settings.keyService !== "embedded") throw new Failure("not-implemented", `keyService ${settings.keyService} isn't there yet; use embedded`)
  const { current, old } = await openMasterKeys(settings, state)
  const sealer = fieldSealer(current, old, randomBytes)
  await refuseForeignState(state, [current, ...old])
  const clock = Date.now
  const rootKeys = ownRootKeys(settings, { state, clock, sealer })
  const context = withObjects(iamContext(settings, { state, clock, log, sealer }), { store: objects, keyService: rootKeys, random: randomBytes })
  return { ...context, rootKeys, isInUse: (rootKey) => isRootKeyInUse(state, rootKey) }
}
