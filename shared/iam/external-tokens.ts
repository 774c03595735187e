/** Verifying tokens of another issuer: IBM IAM, or any OpenID Connect provider that the settings name. */
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose"
import * as z from "zod/mini"
import { Failure } from "../errors.ts"
import type { Clock } from "../ports.ts"
import { badField } from "./bad-field.ts"
import { parseCrn } from "./crn.ts"
import type { Caller } from "./tokens.ts"
import { onceVerified, pinned, readClaims, refusal } from "./verification.ts"

/** The issuer whose claims about IAM ids, accounts and CRNs are believed. */
export const IBM_ISSUER = "https://iam.cloud.ibm.com/identity"

/** An issuer other than ourselves. */
export interface ExternalIssuer {
  readonly issuer: string
  /** Where its keys are; nothing in a token says that. */
  readonly jwksUrl: string
  /** The `aud` that tokens must have. Only IBM IAM, whose tokens have none, may go without. */
  readonly audience?: string
  /** The account whose policies speak about this issuer's identities. */
  readonly account: string
}

const claims = z.object({ exp: z.number(), sub: z.string().check(z.minLength(1)) })
const ibmClaims = z.object({
  exp: z.number(),
  iam_id: z.string().check(z.minLength(1)),
  sub: z.string(),
  sub_type: z.optional(z.enum(["ServiceId", "Profile", "CRN"])),
  account: z.object({ bss: z.string() }),
})

/** Gives who the token is about, or throws `unauthorized`, and `unavailable` where the issuer's keys can't be fetched.
 *  Throws `bad-field` at once for an issuer without the audience that it needs. */
export function externalTokens(
  external: ExternalIssuer, cacheSeconds: number, clock: Clock,
): (token: string) => Promise<Caller> {
  const { issuer, audience } = external
  if (audience === undefined && issuer !== IBM_ISSUER) {
    throw badField("audience", `is needed with issuer ${issuer}, or its tokens for anybody else would hold here`)
  }
  const keys = keySet(external.jwksUrl, cacheSeconds)

  async function verify(token: string): Promise<{ readonly caller: Caller; readonly exp: number }> {
    const options = { ...pinned(issuer, ["RS256", "ES256"], clock), ...(audience === undefined ? {} : { audience }) }
    try {
      const { payload } = await jwtVerify(token, keys, options)
      const { exp } = readClaims(claims, payload)
      return { caller: issuer === IBM_ISSUER ? ibmCaller(payload) : callerOf(payload, external), exp }
    } catch (error) {
      throw refusal(error)
    }
  }

  const verified = onceVerified(verify, cacheSeconds, clock)
  return async (token) => (await verified(token)).caller
}

/** The issuer's keys, fetched when they are first needed, when they are older than the cache limit, and for a key id
 *  not seen before (jose: at most every 30 seconds). */
function keySet(jwksUrl: string, cacheSeconds: number): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { cacheMaxAge: cacheSeconds * 1000 })
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (error) {
      const isTokens = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported]
      if (isTokens.some((fault) => error instanceof fault)) throw error
      throw new Failure("unavailable", "the keys of the token's issuer can't be fetched; try again", error)
    }
  }
}

/** Only `sub` is taken from it, and never without the issuer's name: it can't stand for anybody else's identity. */
function callerOf(payload: JWTPayload, { issuer, account }: ExternalIssuer): Caller {
  return { subject: { iamId: `${issuer}#${readClaims(claims, payload).sub}`, account }, subjectType: "external" }
}

function ibmCaller(payload: JWTPayload): Caller {
  const { iam_id: iamId, sub, sub_type: type, account } = readClaims(ibmClaims, payload)
  const subject = { iamId, account: account.bss }
  if (type !== "CRN") return { subject, subjectType: type === undefined ? "user" : "service-id" }
  const crn = parseCrn(sub)
  if (!crn || iamId !== `crn-${sub}`) throw new Failure("unauthorized", "the token doesn't hold; its CRN is none")
  return { subject: { iamId, account: crn.account, crn: sub }, subjectType: "service" }
}
