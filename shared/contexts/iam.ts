/** What the IAM functions, and all that authenticate, are given. */
import type { BaseContext, IamContext } from "../context.ts"
import { authority } from "../iam/authority.ts"
import type { ExternalIssuer } from "../iam/external-tokens.ts"
import { identities } from "../iam/identities.ts"
import { ownTokens } from "../iam/own-tokens.ts"
import { policies } from "../iam/policies.ts"
import { signingKeys, verificationKeys } from "../iam/signing-keys.ts"
import { tokenIssuer } from "../iam/tokens.ts"
import { tokenVerifier } from "../iam/verifier.ts"
import { Failure } from "../errors.ts"
import type { Clock, FieldSealer, Log, StateStore } from "../ports.ts"
import type { Settings } from "../settings.ts"

/** What it is built on. */
export interface IamParts {
  readonly state: StateStore
  readonly clock: Clock
  readonly log: Log
}

/** Everything about identities, policies and tokens but the making of tokens. Throws `bad-field` where half an issuer is set. */
export function baseContext(settings: Settings, parts: IamParts): BaseContext & Pick<IamContext, "identities" | "policies"> {
  const { state, clock } = parts
  const kept = policies(state, settings.cacheSeconds, clock)
  const own = ownIssuer(settings, parts)
  return {
    settings, ...parts, identities: own.identities, policies: kept, authority: authority(kept),
    authenticate: tokenVerifier(own, externalIssuer(settings)),
  }
}

/** That, and the making of tokens. `sealer` opens the signing keys. */
export function iamContext(settings: Settings, parts: IamParts & { readonly sealer: FieldSealer }): IamContext {
  const { sealer, ...rest } = parts
  const own = ownIssuer(settings, rest)
  const signingKey = signingKeys(rest.state, sealer, settings.cacheSeconds, rest.clock)
  return { ...baseContext(settings, rest), tokens: tokenIssuer({ ...own, signingKey, verify: ownTokens(own) }) }
}

function ownIssuer({ account, cacheSeconds }: Settings, { state, clock }: IamParts) {
  return {
    issuer: `bucketseal:${account}`, verificationKeys: verificationKeys(state, cacheSeconds, clock),
    identities: identities(state, cacheSeconds, clock), cacheSeconds, clock,
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
