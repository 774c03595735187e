/** Who is behind a bearer token, of ourselves or of the one other issuer that the settings may name. */
import { decodeJwt } from "jose"
import { Failure } from "../errors.ts"
import { badField } from "./bad-field.ts"
import { externalTokens, type ExternalIssuer } from "./external-tokens.ts"
import { ownTokens, type OwnTokenParts } from "./own-tokens.ts"
import type { Caller } from "./tokens.ts"
import { refusal } from "./verification.ts"

/** Gives the caller, or throws `unauthorized` for any token that does not hold. A token's `iss` only chooses which
 *  issuer's own keys and algorithms it must hold under. Throws `bad-field` at once where the other issuer is none that
 *  is safe to use. */
export function tokenVerifier(
  own: OwnTokenParts,
  external: ExternalIssuer | undefined,
): (token: string) => Promise<Caller> {
  if (external?.issuer === own.issuer) throw badField("issuer", `${own.issuer} is the name of our own tokens' issuer`)
  const verifyOwn = ownTokens(own)
  const verifyExternal = external && externalTokens(external, own.cacheSeconds, own.clock)
  return async (token) => {
    const issuer = issuerOf(token)
    if (issuer === own.issuer) return (await verifyOwn(token)).caller
    if (verifyExternal && issuer === external.issuer) return verifyExternal(token)
    throw new Failure("unauthorized", "the token is of an issuer that isn't trusted here")
  }
}

function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss
  } catch (error) {
    throw refusal(error)
  }
}
