/** AES-GCM over whole small secrets (NIST SP 800-38D): 96-bit IV, 128-bit tag behind the ciphertext. */
import { createCipheriv, createDecipheriv, type CipherGCMTypes } from "node:crypto"
import { Failure } from "../errors.ts"

/** Bytes of an IV. */
export const IV_SIZE = 12
/** Bytes that sealing adds: the tag, at its full length. */
export const TAG_SIZE = 16

/** Seals a secret: ciphertext ‖ tag. The key has 16, 24 or 32 bytes; the IV must never come twice under one key
 *  (fresh random bytes do for 2³² messages, SP 800-38D section 8.3). Throws a plain `Error` for other sizes: a bug,
 *  not bad input. */
export function sealSecret(key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  if (iv.length !== IV_SIZE) throw new Error(`an IV has ${IV_SIZE} bytes, not ${iv.length}`)
  const cipher = createCipheriv(algorithmFor(key), key, iv, { authTagLength: TAG_SIZE })
  cipher.setAAD(aad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** Opens what `sealSecret` gave; the caller zeroes it. Throws the one `undecryptable` for another key, IV or AAD,
 *  and for bytes that are truncated, tampered or of an impossible size. */
export function openSecret(key: Uint8Array, iv: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer {
  const size = sealed.length - TAG_SIZE
  if (iv.length !== IV_SIZE || size < 0) throw new Failure("undecryptable", "the ciphertext can't be decrypted")
  const decipher = createDecipheriv(algorithmFor(key), key, iv, { authTagLength: TAG_SIZE })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(size))
  const plaintext = decipher.update(sealed.subarray(0, size))
  try {
    decipher.final() // gives no bytes in GCM; it checks the tag
    return plaintext
  } catch (cause) {
    plaintext.fill(0)
    throw new Failure("undecryptable", "the ciphertext can't be decrypted", cause)
  }
}

function algorithmFor(key: Uint8Array): CipherGCMTypes {
  if (key.length === 32) return "aes-256-gcm"
  if (key.length === 24) return "aes-192-gcm"
  if (key.length === 16) return "aes-128-gcm"
  throw new Error(`an AES key has 16, 24 or 32 bytes, not ${key.length}`)
}
