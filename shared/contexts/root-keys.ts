/** The root keys of our own. */
import { randomBytes } from "node:crypto"
import { formatCrn, keyCrn } from "../iam/crn.ts"
import { embedded, type RootKeys } from "../keys/embedded.ts"
import type { Clock, FieldSealer, StateStore } from "../ports.ts"
import type { Settings } from "../settings.ts"

const ROTATE_WAIT = 3_600 // seconds between two rotations of a key, Key Protect's
const ENABLE_WAIT = 30 // seconds from disable to enable, Key Protect's

/** Those of the instance that the settings name, under the master key that `sealer` holds. */
export function ownRootKeys(
  settings: Settings, { state, clock, sealer }: { readonly state: StateStore; readonly clock: Clock; readonly sealer: FieldSealer },
): RootKeys {
  return embedded({
    state, sealer, clock, random: randomBytes, cacheSeconds: rootKeyCacheSeconds(settings), instance: keyInstance(settings),
    waits: { rotate: ROTATE_WAIT, enable: ENABLE_WAIT },
  })
}

/** How old a root key's document may be when it is used. An unwrapped data key may be as old again as the rest of the limit:
 *  the two add up, and a disabled root key must open nothing once `cacheSeconds` have passed. */
export const rootKeyCacheSeconds = ({ cacheSeconds }: Settings): number => Math.min(1, cacheSeconds)

function keyInstance({ region, account, kmsInstance }: Settings) {
  return {
    id: kmsInstance, region,
    crn: formatCrn({ service: "kms", region, account, instance: kmsInstance, type: "", resource: "" }),
    keyCrn: (keyId: string) => keyCrn(region, account, kmsInstance, keyId),
  }
}
