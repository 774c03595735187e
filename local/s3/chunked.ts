/**
 * The body encoding `aws-chunked` (S3 reference, "Signature calculations … multiple chunks", and "Trailing checksums"):
 *
 *     <size in hex>[;chunk-signature=<64 hex>] CRLF <bytes> CRLF    any number of chunks
 *     0[;chunk-signature=<64 hex>] CRLF                             the last one
 *     <name>:<value> CRLF                                           trailers, x-amz-trailer-signature last, if signed
 *     CRLF
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { chunkSignature } from "../../shared/net/sigv4.ts"
import { S3Error } from "./errors.ts"
import { lineReader, type LineReader } from "./lines.ts"

/** What chunk signatures are computed with: the request's own verified signature. */
export interface Signing {
  readonly signingKey: Buffer
  readonly signature: string
  readonly date: string
  readonly scope: string
}

/** What to expect of the framing. */
export interface ChunkedOptions {
  /** Absent for the unsigned form. */
  readonly signing?: Signing
  /** True where trailers may come. */
  readonly trailer: boolean
}

// A size of 10 digits is over 5 GiB, and a signature is 64: 128 leaves room. A trailer is a name and a base64 value.
const maxChunkLine = 128
const maxTrailerLine = 512
// One checksum and its signature are all that S3 allows.
const maxTrailers = 2

/**
 * The bytes inside the framing, as they come, and the trailers once they ended. A signature is checked at the end of
 * its chunk, after its bytes were given out: nothing may be kept of a stream that failed. Throws `IncompleteBody`,
 * `SignatureDoesNotMatch` or `MalformedTrailerError`.
 */
export async function* decodeChunks(
  source: AsyncIterable<Uint8Array>,
  options: ChunkedOptions,
): AsyncGenerator<Uint8Array, ReadonlyMap<string, string>> {
  const reader = lineReader(source)
  const signatures = options.signing && signatureChain(options.signing)
  try {
    for (;;) {
      const { size, signature } = parseChunkLine(await reader.line(maxChunkLine), signatures !== undefined)
      const hash = createHash("sha256")
      for (let left = size; left > 0;) {
        const bytes = await reader.bytes(left)
        if (signatures) hash.update(bytes)
        left -= bytes.length
        yield bytes
      }
      signatures?.check("chunk", hash.digest("hex"), signature)
      if (size === 0) return await readTrailers(reader, options.trailer, signatures)
      if (await reader.line(0) !== "") throw new S3Error("IncompleteBody")
    }
  } finally {
    await reader.close()
  }
}

function parseChunkLine(line: string, signed: boolean): { size: number; signature: string } {
  const [, size, signature] = /^([0-9A-Fa-f]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? []
  if (size === undefined || signed !== (signature !== undefined)) {
    throw new S3Error("IncompleteBody", "The body is not in the encoding that x-amz-content-sha256 announces.")
  }
  return { size: parseInt(size, 16), signature: signature ?? "" }
}

type SignatureChain = ReturnType<typeof signatureChain>

function signatureChain(signing: Signing) {
  let previous = signing.signature
  return {
    check(kind: "chunk" | "trailer", hash: string, signature: string): void {
      const expected = chunkSignature(signing, { kind, previous, hash })
      if (signature.length !== expected.length || !timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) {
        throw new S3Error("SignatureDoesNotMatch")
      }
      previous = expected
    },
  }
}

async function readTrailers(
  reader: LineReader,
  allowed: boolean,
  signatures: SignatureChain | undefined,
): Promise<ReadonlyMap<string, string>> {
  const trailers = new Map<string, string>()
  for (let line = await reader.line(maxTrailerLine); line !== ""; line = await reader.line(maxTrailerLine)) {
    const colon = line.indexOf(":")
    const name = line.slice(0, colon).toLowerCase()
    const wellFormed = allowed && colon > 0 && !trailers.has(name) && trailers.size < maxTrailers
    if (!wellFormed) throw new S3Error("MalformedTrailerError")
    trailers.set(name, line.slice(colon + 1).trim())
  }
  if (!(await reader.ended())) throw new S3Error("IncompleteBody", "The body goes on after its last chunk.")
  if (signatures && allowed) checkTrailers(trailers, signatures)
  return trailers
}

function checkTrailers(trailers: Map<string, string>, signatures: SignatureChain): void {
  const signature = trailers.get("x-amz-trailer-signature") ?? ""
  trailers.delete("x-amz-trailer-signature")
  const lines = [...trailers].map(([name, value]) => `${name}:${value}\n`).join("")
  signatures.check("trailer", createHash("sha256").update(lines, "latin1").digest("hex"), signature)
}
