/**
 * Wrapped keys as Key Protect writes them: base64 of a JSON text,
 *
 *     {"ciphertext":"<base64 of AES-GCM ciphertext ‖ 16-byte tag>",
 *      "iv":"<base64 of 12 bytes>","version":"4.0.0","handle":"<uuid>"}          without white space
 *
 * `handle` is the root key version that wrapped. It is a hint and not authenticated: the envelope is bound to the key
 * material and the AAD, not to a key's name, so that two keys of the same imported material open each other's.
 */
import { IV_SIZE, openSecret, sealSecret, TAG_SIZE } from "../crypto/aead.ts"
import { decodeBase64, encodeBase64 } from "../crypto/base64.ts"
import { Failure } from "../errors.ts"

/** The longest secret that is wrapped, in bytes: Key Protect's limit for a standard key's payload; it publishes no
 *  other. */
const PLAINTEXT_LIMIT = 7_500
/** The longest AAD string, in UTF-16 units (Key Protect). */
const AAD_STRING_LIMIT = 255

const VERSION = "4.0.0"
const TEXT_LIMIT = 16_384 // no envelope is longer: 7,516 bytes are 10,024 characters, with all around them under 13,600

/** A wrapped key, taken apart but not opened. */
export interface Envelope {
  readonly sealed: Uint8Array
  readonly iv: Uint8Array
  readonly handle: string
}

/** Seals 1 to 7,500 bytes under a root key version's material. Throws `bad-field` for other sizes and for too long
 *  AAD. */
export function sealEnvelope(
  material: Uint8Array,
  handle: string,
  iv: Uint8Array,
  aad: readonly string[],
  plaintext: Uint8Array,
): string {
  if (plaintext.length < 1 || plaintext.length > PLAINTEXT_LIMIT) {
    throw badField("plaintext", `must have 1 to ${PLAINTEXT_LIMIT} bytes`)
  }
  const ciphertext = encodeBase64(sealSecret(material, iv, aadBytes(aad), plaintext))
  const envelope = { ciphertext, iv: encodeBase64(iv), version: VERSION, handle }
  return Buffer.from(JSON.stringify(envelope)).toString("base64")
}

/** Takes a wrapped key apart. Throws `undecryptable` for whatever is none. */
export function parseEnvelope(text: string): Envelope {
  const json = text.length <= TEXT_LIMIT ? parseJson(decodeBase64(text)) : undefined
  const { ciphertext, iv, version, handle } = json ?? {}
  const sealed = typeof ciphertext === "string" ? decodeBase64(ciphertext) : undefined
  const ivBytes = typeof iv === "string" ? decodeBase64(iv) : undefined
  const sized = sealed && sealed.length > TAG_SIZE && ivBytes?.length === IV_SIZE
  if (!sized || version !== VERSION || typeof handle !== "string") throw undecryptable("not an envelope")
  return { sealed, iv: ivBytes, handle }
}

/** Opens an envelope with a root key version's material; the caller zeroes what it gets. Throws `undecryptable` for
 *  other material, other AAD or tampered bytes, `bad-field` for too long AAD. */
export function openEnvelope(material: Uint8Array, envelope: Envelope, aad: readonly string[]): Uint8Array {
  return openSecret(material, envelope.iv, aadBytes(aad), envelope.sealed)
}

/** The one error of unwrapping. `why` is for the log. */
export function undecryptable(why: string): Failure {
  return new Failure("undecryptable", "the ciphertext can't be decrypted", why)
}

/** Persistent (design §11): JSON text is unambiguous in content and order; no AAD at all is no bytes, `[""]` is
 *  some. */
function aadBytes(aad: readonly string[]): Uint8Array {
  if (aad.some((text) => text.length > AAD_STRING_LIMIT)) {
    throw badField("aad", `each string may have at most ${AAD_STRING_LIMIT} characters`)
  }
  return Buffer.from(aad.length === 0 ? "" : JSON.stringify(aad))
}

function badField(name: string, rule: string): Failure {
  return new Failure("bad-field", `${name}: ${rule}`, undefined, { type: "field", name })
}

function parseJson(bytes: Buffer | undefined): Record<string, unknown> | undefined {
  if (!bytes) return undefined
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
