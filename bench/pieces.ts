/** Bytes fed from memory in pieces, as a socket gives them. */
import { randomBytes } from "node:crypto"

/** Bytes in a piece: what a socket gives at once at most. */
const PIECE = 65_536

/** 64 MiB: more than the caches hold. */
export const plaintext = randomBytes(64 * 2 ** 20)

/** Views of these bytes, `times` over, in pieces. */
export async function* pieces(bytes: Uint8Array, times = 1): AsyncGenerator<Uint8Array, void> {
  for (let turn = 0; turn < times; turn++) {
    for (let from = 0; from < bytes.length; from += PIECE) yield bytes.subarray(from, from + PIECE)
  }
}

/** Reads to the end and gives the number of bytes. */
export async function drained(source: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0
  for await (const piece of source) size += piece.length
  return size
}
