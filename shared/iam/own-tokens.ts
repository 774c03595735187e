/** Verifying tokens of our own: signed by a key of ours, and the documents they were made from still there. */
import { jwtVerify } from "jose"
import * as z from "zod/mini"
import { Failure } from "../errors.ts"
import type { Clock } from "../ports.ts"
import { parseCrn } from "./crn.ts"
import type { Identities } from "./identities.ts"
import type { VerificationKeys } from "./signing-keys.ts"
import type { Caller } from "./tokens.ts"
import { invalid, onceVerified, pinned, readClaims, refusal } from "./verification.ts"

/** What a token of ours that holds says. */
export interface OwnToken {
  readonly caller: Caller
  /** Names the API key that it was made from. */
  readonly apiKeyDigest: string
}

/** What verifying works with. */
export interface OwnTokenParts {
  readonly issuer: string
  readonly verificationKeys: VerificationKeys
  readonly identities: Pick<Identities, "get" | "findKey">
  readonly cacheSeconds: number
  readonly clock: Clock
}

const claims = z.object({
  exp: z.number(),
  iam_id: z.string(),
  sub_type: z.optional(z.enum(["ServiceId", "CRN"])),
  account: z.object({ bss: z.string() }),
  authn: z.object({ iam_id: z.string() }),
  apikey_digest: z.string(),
})
interface Verified extends z.infer<typeof claims> {
  readonly kid: string
}

/** Gives what the token says, or throws `unauthorized`. Signatures are remembered. That the signing key, the API key,
 *  the identity and its right to act for a service are still there is asked each time, of caches with that limit. */
export function ownTokens(parts: OwnTokenParts): (token: string) => Promise<OwnToken> {
  const { issuer, verificationKeys, cacheSeconds, clock } = parts

  async function keyOf(kid: string | undefined) {
    const key = kid === undefined ? undefined : await verificationKeys.find(kid)
    if (!key) throw invalid("unknown signing key")
    return key
  }

  async function verify(token: string): Promise<Verified> {
    try {
      const options = pinned(issuer, ["RS256"], clock)
      const { payload, protectedHeader } = await jwtVerify(token, ({ kid }) => keyOf(kid), options)
      return { ...readClaims(claims, payload), kid: protectedHeader.kid ?? "" }
    } catch (error) {
      throw refusal(error)
    }
  }

  const verified = onceVerified(verify, cacheSeconds, clock)
  return async (token) => {
    const signed = await verified(token)
    await keyOf(signed.kid)
    await checkDocuments(signed, parts.identities)
    return { caller: callerOf(signed), apiKeyDigest: signed.apikey_digest }
  }
}

/** The identity is the one that got the token, also where it got it for a service. */
async function checkDocuments(token: Verified, identities: OwnTokenParts["identities"]): Promise<void> {
  const [apiKey, identity] = await Promise.all([
    identities.findKey({ digest: token.apikey_digest }), identities.get(token.authn.iam_id),
  ])
  const mayAct = token.sub_type !== "CRN" || identity?.actsFor.includes(serviceOf(token))
  if (apiKey && identity && apiKey.iamId === identity.id && mayAct) return
  throw new Failure("unauthorized", "the token was revoked", { reason: "its API key, identity or service is gone" })
}

const serviceOf = (token: Verified) => token.iam_id.replace(/^crn-/, "")

function callerOf(token: Verified): Caller {
  const { iam_id: iamId, account } = token
  if (token.sub_type === "CRN") {
    const crn = serviceOf(token)
    return { subject: { iamId, account: parseCrn(crn)?.account ?? account.bss, crn }, subjectType: "service" }
  }
  const subject = { iamId, account: account.bss }
  return { subject, subjectType: token.sub_type === "ServiceId" ? "service-id" : "user" }
}
