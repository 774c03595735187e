/** What verifying any token has in common: the claims that count, the clock, and what to say when it does not hold. */
import { createHash } from "node:crypto"
import { errors, type JWTVerifyOptions } from "jose"
import { Failure } from "../errors.ts"
import type { Clock } from "../ports.ts"
import { timedCache } from "./cache.ts"

const SKEW = 60 // seconds by which the issuer's clock and ours may differ
const TOKENS = 10_000 // verified tokens kept, of about 1 KiB each

/** The options for `jwtVerify` that pin an issuer and its algorithms, with time from our clock. That there is an `exp`
 *  is for `readClaims` to see. */
export const pinned = (issuer: string, algorithms: string[], clock: Clock): JWTVerifyOptions =>
  ({ issuer, algorithms, clockTolerance: SKEW, currentDate: new Date(clock()) })

/** Verifies a token once, and again when `cacheSeconds` or the token's own time (`exp`, in seconds) are over. Keeps a
 *  hash of the token, never the token. */
export function onceVerified<T extends { readonly exp: number }>(
  verify: (token: string) => Promise<T>,
  cacheSeconds: number,
  clock: Clock,
): (token: string) => Promise<T> {
  const cache = timedCache<T>(cacheSeconds, TOKENS, clock)
  return async (token) => {
    const name = createHash("sha256").update(token).digest("base64")
    const verified = await cache.get(name, () => verify(token))
    return clock() < verified.exp * 1000 ? verified : cache.refresh(name, () => verify(token))
  }
}

/** The failure for a token that does not hold; `reason` is for the log. */
export const invalid = (reason: string): Failure =>
  new Failure("unauthorized", "the token doesn't hold; get a new one", { reason })

interface ClaimsSchema<T> {
  safeParse(claims: unknown): { success: true; data: T } | { success: false }
}

/** What a claims schema reads in a token whose signature holds; throws `unauthorized` where they are not as they must
 *  be. */
export function readClaims<T>(schema: ClaimsSchema<T>, claims: unknown): T {
  const read = schema.safeParse(claims)
  if (read.success) return read.data
  throw invalid("its claims are not what the issuer gives")
}

/** What to throw for what jose threw: `unauthorized`, with jose's code alone for the log, since its errors carry the
 *  token's claims. What is not jose's stays as it is. */
export function refusal(error: unknown): unknown {
  if (!(error instanceof errors.JOSEError)) return error
  if (!(error instanceof errors.JWTExpired)) return invalid(error.code)
  return new Failure("unauthorized", "the token has expired; get a new one", { reason: error.code })
}
