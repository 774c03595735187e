/** Bytes of an object of any size, from any offset on, made as fast as memory is copied. */
import { createHash } from "node:crypto"
import { patterned } from "../bytes.ts"

const PIECE = 2 ** 18 // bytes
const PAGE = 2 ** 12 // bytes: each begins with its own number
const template = patterned(PIECE)

/** The bytes from `from` up to and not including `end`. No two pages are equal, nor two 16-byte blocks of one piece. */
export async function* generated(from: number, end: number): AsyncGenerator<Buffer, void> {
  for (let begins = from - (from % PIECE); begins < end; begins += PIECE) {
    const piece = Buffer.from(template)
    for (let at = 0; at < PIECE; at += PAGE) piece.writeUIntBE((begins + at) / PAGE, at, 6)
    yield piece.subarray(Math.max(0, from - begins), Math.min(PIECE, end - begins))
  }
}

/** SHA-256 of them. */
export async function generatedHash(from: number, end: number): Promise<string> {
  const hash = createHash("sha256")
  for await (const piece of generated(from, end)) hash.update(piece)
  return hash.digest("hex")
}
