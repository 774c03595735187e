/**
 * Text in header values. On the wire a value is bytes, which node:http gives and takes as one character each
 * (ISO 8859-1); stores and their users mean UTF-8.
 */

/** Whether a text is a header's name (RFC 9110, section 5.6.2), in lower case. */
export const isHeaderName = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(text)

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text of a header value that came: its bytes read as UTF-8. In a value that is no UTF-8 each byte above 0x7F
 *  becomes the lone surrogate U+DC00 + byte (as in PEP 383), so that `encodeHeader` gives back the very bytes. */
export function decodeHeader(value: string): string {
  if (/^[\x00-\x7f]*$/.test(value)) return value
  try {
    return decoder.decode(Buffer.from(value, "latin1"))
  } catch {
    return value.replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(0xdc00 + byte.charCodeAt(0)))
  }
}

/** The header value for a text: the inverse of `decodeHeader`. `undefined` for a text with control characters. */
export function encodeHeader(text: string): string | undefined {
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) return undefined
  return text.replace(/[^\x00-\x7f]/gu, (letter) => {
    const escaped = /^[\udc80-\udcff]$/u.test(letter)
    return escaped ? String.fromCharCode(letter.charCodeAt(0) - 0xdc00) : Buffer.from(letter).toString("latin1")
  })
}
