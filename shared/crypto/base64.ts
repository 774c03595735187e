/** Base64 without leniency: Node's decoder skips what it does not know, so two texts could stand for the same bytes. */

/** The bytes of standard, padded, canonical base64 (RFC 4648, section 4), or `undefined` for any other text. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : undefined
}

/** Standard, padded base64. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")
}
