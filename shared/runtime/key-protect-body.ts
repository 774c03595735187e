/** Bodies of Key Protect's v2 API, read as leniently as its clients need, and no more. */
import { decodeBase64, encodeBase64 } from "../crypto/base64.ts"
import { Failure } from "../errors.ts"
import type { Parser } from "../ports.ts"

/** Bytes of a wrap, unwrap or rewrap body: the longest wrapped key is 13,600 characters, the rest is for AAD. */
export const WRAP_BODY_LIMIT = 64 * 1024

// Key Protect's own bodies are four deep. A body within its limit can be deep enough to overflow the stack.
const maxDepth = 32

/** Reads a body by lower-case member names, as clients differ in case (`Tags`, `KeyRingID`). Throws `bad-body` for
 *  what is no object or deeper than 32, and what `parser` throws. */
export function anyCase<T>(parser: Parser<T>): Parser<T> {
  return {
    parse(value) {
      const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
      if (!isObject) throw new Failure("bad-body", "the body must be a JSON object")
      return parser.parse(lowerCased(value, 1))
    },
  }
}

function lowerCased(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value
  if (depth > maxDepth) throw new Failure("bad-body", `the body is nested deeper than ${maxDepth}`)
  if (Array.isArray(value)) return value.map((member) => lowerCased(member, depth + 1))
  const members = Object.entries(value).map(([name, member]) => [name.toLowerCase(), lowerCased(member, depth + 1)])
  return Object.fromEntries(members)
}

/** The bytes of a base64 field: standard alphabet, padded. Throws `bad-field` for any other text. */
export function base64Field(text: string, name: string): Uint8Array {
  const bytes = decodeBase64(text)
  if (bytes) return bytes
  throw new Failure("bad-field", `${name} must be base64`, undefined, { type: "field", name })
}

/** Throws `bad-field` unless the field is base64; what is in it may still be anything. */
export function demandBase64(text: string, name: string): void {
  base64Field(text, name)
}

/** Base64 of a secret, which is zeroed. The text itself can't be: it lives until the response is sent and collected. */
export function encoded(secret: Uint8Array): string {
  const text = encodeBase64(secret)
  secret.fill(0)
  return text
}

/** The AAD of a wrap, unwrap or rewrap body: a list of strings, none if absent or `null`. A `null` in the list is
 *  the empty string (redstone's helper sends `[null]`). Throws `bad-field` for anything else. */
export function aadField(value: unknown): readonly string[] {
  if (value === undefined || value === null) return []
  const texts: unknown[] = Array.isArray(value) ? value.map((text: unknown) => text ?? "") : [undefined]
  if (texts.every((text) => typeof text === "string")) return texts
  throw new Failure("bad-field", "aad must be a list of strings", undefined, { type: "field", name: "aad" })
}
