/** The context of the Node host: everything that any function needs, over the stores that the settings name. */
import { randomBytes } from "node:crypto"
import { rootKeyCacheSeconds, withObjects, type BucketsContext, type IamContext, type KeysContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import type { ExternalIssuer } from "../shared/iam/external-tokens.ts"
import { authority } from "../shared/iam/authority.ts"
import { formatCrn, keyCrn } from "../shared/iam/crn.ts"
import { identities } from "../shared/iam/identities.ts"
import { ownTokens } from "../shared/iam/own-tokens.ts"
import { policies } from "../shared/iam/policies.ts"
import { signingKeys, verificationKeys } from "../shared/iam/signing-keys.ts"
import { tokenIssuer } from "../shared/iam/tokens.ts"
import { tokenVerifier } from "../shared/iam/verifier.ts"
import { embedded } from "../shared/keys/embedded.ts"
import { fieldSealer, refuseForeignState } from "../shared/keys/master-key.ts"
import type { Clock, FieldSealer, Log, StateStore } from "../shared/ports.ts"
import type { Settings } from "../shared/settings.ts"
import { openMasterKeys, type Stores } from "./stores.ts"

/** The host's context; `close` zeroes the keys in memory. */
export type LocalContext = IamContext & KeysContext & BucketsContext & { close(): void }

const ROTATE_WAIT = 3_600 // seconds between two rotations of a key, Key Protect's
const ENABLE_WAIT = 30 // seconds from disable to enable, Key Protect's

/** Builds it. Throws `bad-field` for a master key that is missing or not this state's. */
export async function buildContext(settings: Settings, { objects, state }: Stores, log: Log): Promise<LocalContext> {
  if (settings.keyService !== "embedded") throw new Failure("not-implemented", `keyService ${settings.keyService} isn't there yet; use embedded`)
  const { current, old } = await openMasterKeys(settings, state)
  const sealer = fieldSealer(current, old, randomBytes)
  await refuseForeignState(state, [current, ...old])
  const clock = Date.now
  const iam = buildIam(settings, { state, clock, log, sealer })
  const rootKeys = embedded({
    state, sealer, clock, random: randomBytes, cacheSeconds: rootKeyCacheSeconds(settings), instance: keyInstance(settings),
    waits: { rotate: ROTATE_WAIT, enable: ENABLE_WAIT },
  })
  const context = withObjects(iam, { store: objects, keyService: rootKeys, random: randomBytes })
  const isInUse = async (rootKey: string) => (await context.registrations.list()).some(({ rootKeys: had }) => had.includes(rootKey))
  return { ...context, rootKeys, isInUse }
}

interface IamParts {
  readonly state: StateStore
  readonly clock: Clock
  readonly log: Log
  readonly sealer: FieldSealer
}

function buildIam(settings: Settings, { state, clock, log, sealer }: IamParts): IamContext {
  const { cacheSeconds, account } = settings
  const known = identities(state, cacheSeconds, clock)
  const kept = policies(state, cacheSeconds, clock)
  const own = {
    issuer: `bucketseal:${account}`, verificationKeys: verificationKeys(state, cacheSeconds, clock), identities: known,
    cacheSeconds, clock,
  }
  return {
    settings, clock, log, state, identities: known, policies: kept, authority: authority(kept),
    authenticate: tokenVerifier(own, externalIssuer(settings)),
    tokens: tokenIssuer({ ...own, signingKey: signingKeys(state, sealer, cacheSeconds, clock), verify: ownTokens(own) }),
  }
}

/** Another issuer counts only where both its name and the address of its keys are set. */
function externalIssuer({ issuer, jwksUrl, audience, account }: Settings): ExternalIssuer | undefined {
  if (issuer === undefined && jwksUrl === undefined) return undefined
  if (issuer === undefined || jwksUrl === undefined) {
    throw new Failure("bad-field", "issuer (BUCKETSEAL_ISSUER) and jwksUrl (BUCKETSEAL_JWKS_URL) go together")
  }
  return { issuer, jwksUrl, account, ...(audience === undefined ? {} : { audience }) }
}

function keyInstance({ region, account, kmsInstance }: Settings) {
  return {
    id: kmsInstance, region,
    crn: formatCrn({ service: "kms", region, account, instance: kmsInstance, type: "", resource: "" }),
    keyCrn: (keyId: string) => keyCrn(region, account, kmsInstance, keyId),
  }
}
