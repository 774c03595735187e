/** API keys: 256 random bits each, of which only the SHA-256 is kept. */
import { createHash, randomBytes } from "node:crypto"
import * as z from "zod/mini"

/** What is kept of an API key. */
export interface ApiKey {
  /** `ApiKey-<uuid>`; the UUID is a part of the key's SHA-256, so that its document is found by it. */
  readonly id: string
  readonly name: string
  /** Whose key it is. */
  readonly iamId: string
  readonly account: string
  /** RFC 3339. */
  readonly created: string
}

/** Parses `api-keys/<digest>.json`. */
export const apiKeyDocument = z.object({
  id: z.string(), name: z.string(), iamId: z.string(), account: z.string(), created: z.string(),
})

const PREFIX = "bsk_" // lets secret scanners, and whoever finds one, tell what it is

/** A new API key: `bsk_` and 256 random bits in base64url, 47 characters. */
export const newApiKey = (): string => PREFIX + randomBytes(32).toString("base64url")

/** What names a key in the state store: the hex of its SHA-256, or `undefined` for what can't be one of our keys. No
 *  salt and no stretching: nobody guesses 256 random bits. */
export function digestOf(apiKey: string): string | undefined {
  return /^bsk_[\w-]{43}$/.test(apiKey) ? createHash("sha256").update(apiKey).digest("hex") : undefined
}

/** The id of the key with this digest: a UUID of version 8 (RFC 9562, section 5.8) over the digest's first 122 bits. */
export function idOfDigest(digest: string): string {
  const variant = (8 + (parseInt(digest.charAt(15), 16) & 3)).toString(16)
  const [third, fourth] = [`8${digest.slice(12, 15)}`, variant + digest.slice(16, 19)]
  return ["ApiKey", digest.slice(0, 8), digest.slice(8, 12), third, fourth, digest.slice(19, 31)].join("-")
}

const ID = /^ApiKey-([0-9a-f]{8})-([0-9a-f]{4})-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The first 12 hex digits of the digest of the key with this id, or `undefined` for what is no such id. */
export function digestPrefixOf(id: string): string | undefined {
  const [, first, second] = ID.exec(id) ?? []
  return first === undefined || second === undefined ? undefined : first + second
}
