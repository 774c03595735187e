/** Sealed objects for tests: header and message together, as they stand in a bucket. */
import { deriveMessageKey } from "../shared/crypto/chunked.ts"
import { encodeHeader, parseHeader, type Header, type ParsedHeader } from "../shared/crypto/header.ts"
import { openMessage, sealMessage } from "../shared/crypto/stream.ts"
import { drain, pieces } from "./bytes.ts"

/** The sealed object. The salt is the caller's, so that vectors come out. */
export async function sealObject(
  dek: Uint8Array,
  salt: Uint8Array,
  header: Header,
  plaintext: Uint8Array,
): Promise<Buffer> {
  const context = encodeHeader(header)
  const message = deriveMessageKey(dek, salt, context)
  const { bytes, error } = await drain(() => sealMessage(message, salt, pieces(plaintext, 65_536), { reopen: true }))
  if (error) throw error
  return Buffer.concat([context, bytes])
}

/** What opening an object came to: what its start is and, where it has a header, what its message gave until the end or
 *  the error. */
export type Opened = { parsed: ParsedHeader; bytes: Buffer; error: unknown }

/** Opens an object as a stream, by the header in front of it. One without a header gives no bytes and no error. */
export async function openObject(dek: Uint8Array, object: Uint8Array): Promise<Opened> {
  const parsed = parseHeader(object)
  if (parsed.kind !== "header") return { parsed, bytes: Buffer.alloc(0), error: undefined }
  const [context, message] = [object.subarray(0, parsed.size), object.subarray(parsed.size)]
  return { parsed, ...(await drain(() => openMessage(dek, context, pieces(message, 65_536)))) }
}
