/** Tokens of our own: an API key becomes one, and a service id's becomes that of a service it may act for. */
import { SignJWT, type JWK } from "jose"
import { Failure } from "../errors.ts"
import type { Clock, Subject } from "../ports.ts"
import { parseCrn } from "./crn.ts"
import type { Identities, Identity } from "./identities.ts"
import { digestOf } from "./api-keys.ts"
import type { OwnToken } from "./own-tokens.ts"
import type { SigningKey, VerificationKeys } from "./signing-keys.ts"

/** Who is calling, as a verified token says. */
export interface Caller {
  readonly subject: Subject
  readonly subjectType: "user" | "service-id" | "service" | "external" | "nobody"
}

/** A signed token. */
export interface IssuedToken {
  readonly token: string
  /** Seconds it holds. */
  readonly expiresIn: number
  /** When it ends, in seconds since the epoch. */
  readonly expiration: number
}

/** Gives out tokens. Whatever is wrong with what was shown throws, and says no more than that it does not hold. */
export interface TokenIssuer {
  /** Throws `bad-field` (target `apikey`) for a key that is not there, or whose identity is not. */
  issue(grant: { readonly apiKey: string }): Promise<IssuedToken>
  /** Grant `iam-authz`: throws `unauthorized` unless `token` is one of ours, of a service id which may act for the CRN
   *  that follows `crn-` in `desiredIamId`. */
  issueForService(grant: { readonly token: string; readonly desiredIamId: string }): Promise<IssuedToken>
  /** The public keys, as RFC 7517 has them. */
  jwks(): Promise<{ readonly keys: readonly JWK[] }>
  /** OpenID Connect Discovery 1.0, section 3, for this address (scheme and host, no path). */
  discovery(origin: string): Readonly<Record<string, unknown>>
}

/** What an issuer works with. */
export interface TokenIssuerParts {
  /** The `iss` of our tokens. Must be nobody else's: by it the keys to verify with are chosen. */
  readonly issuer: string
  readonly signingKey: () => Promise<SigningKey>
  readonly verificationKeys: VerificationKeys
  /** Verifies a token of ours (`ownTokens`). */
  readonly verify: (token: string) => Promise<OwnToken>
  readonly identities: Pick<Identities, "get" | "findKey">
  readonly clock: Clock
}

const GRANT = "urn:ibm:params:oauth:grant-type:"
const LIFETIME = 3600 // seconds; IAM's, which clients expect (`expires_in`)
const SERVICE_LIFETIME = 1800 // seconds; about what IAM gives for iam-authz

/** The `TokenIssuer` of one state store. */
export function tokenIssuer(parts: TokenIssuerParts): TokenIssuer {
  const { issuer, identities, verify, verificationKeys } = parts
  return {
    async issue({ apiKey }) {
      const key = await identities.findKey({ secret: apiKey })
      const identity = key && (await identities.get(key.iamId))
      const digest = digestOf(apiKey)
      if (!identity || digest === undefined) throw unknownKey()
      return sign(parts, { ...claimsOf(identity), grant_type: `${GRANT}apikey`, apikey_digest: digest }, LIFETIME)
    },
    async issueForService({ token, desiredIamId }) {
      const { caller, apiKeyDigest } = await verify(token)
      const identity = await identities.get(caller.subject.iamId)
      const crn = /^crn-(.*)$/.exec(desiredIamId)?.[1] ?? ""
      if (!identity?.actsFor.includes(crn)) { // users and services have none
        throw new Failure("unauthorized", "the access token's identity doesn't act for desired_iam_id")
      }
      return sign(parts, { ...claimsForService(crn, identity), apikey_digest: apiKeyDigest }, SERVICE_LIFETIME)
    },
    jwks: async () => ({ keys: await verificationKeys.all() }),
    discovery: (origin) => discoveryOf(issuer, origin),
  }
}

const unknownKey = () =>
  new Failure("bad-field", "Provided API key could not be found.", undefined, { type: "field", name: "apikey" })

/** Who a token is about, in the claims of IAM's tokens. */
function claimsOf(identity: Identity) {
  const isUser = identity.kind === "user"
  const who = {
    iam_id: identity.id,
    sub: isUser ? identity.id : identity.id.replace(/^iam-/, ""),
    ...(isUser ? {} : { sub_type: "ServiceId" }),
  }
  const account = { valid: true, bss: identity.account }
  return { ...who, id: identity.id, realmid: isUser ? "IBMid" : "iam", account, authn: { ...who, name: identity.name } }
}

function claimsForService(crn: string, identity: Identity) {
  return {
    iam_id: `crn-${crn}`, id: `crn-${crn}`, realmid: "crn", sub: crn, sub_type: "CRN", grant_type: `${GRANT}iam-authz`,
    account: { valid: true, bss: parseCrn(crn)?.account ?? identity.account },
    authn: claimsOf(identity).authn, // the delegate: the token holds while this identity may act for the service
  }
}

async function sign(parts: TokenIssuerParts, claims: object, lifetime: number): Promise<IssuedToken> {
  const { issuer, clock } = parts
  const { kid, key } = await parts.signingKey()
  const issuedAt = Math.floor(clock() / 1000)
  const expiration = issuedAt + lifetime
  const token = await new SignJWT({ ...claims, scope: "ibm openid", client_id: "default" })
    .setProtectedHeader({ alg: "RS256", kid, typ: "JWT" })
    .setIssuer(issuer)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiration)
    .setJti(crypto.randomUUID())
    .sign(key)
  return { token, expiresIn: lifetime, expiration }
}

function discoveryOf(issuer: string, origin: string) {
  return {
    issuer,
    token_endpoint: `${origin}/identity/token`,
    jwks_uri: `${origin}/identity/keys`,
    grant_types_supported: [`${GRANT}apikey`, `${GRANT}iam-authz`],
    response_types_supported: ["cloud_iam"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    scopes_supported: ["ibm", "openid"],
    claims_supported: ["iss", "iat", "exp", "jti", "iam_id", "id", "realmid", "sub", "sub_type", "account", "authn"],
  }
}
