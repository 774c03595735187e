/** The key service that the settings name. */
import { Failure } from "../errors.ts"
import type { Clock, KeyService, StateStore } from "../ports.ts"
import type { Settings } from "../settings.ts"
import { sealerOf } from "./deployed.ts"
import { ownRootKeys } from "./root-keys.ts"

/** Opens it. Throws `bad-field` where its settings are missing, and `not-implemented` for one that is not there yet. */
export function keyServiceOf(settings: Settings, { state, clock }: { readonly state: StateStore; readonly clock: Clock }): KeyService {
  if (settings.keyService === "embedded") return ownRootKeys(settings, { state, clock, sealer: sealerOf(settings) })
  throw new Failure("not-implemented", `keyService ${settings.keyService} isn't there yet; use embedded`)
}
