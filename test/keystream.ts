/** Any amount of test bytes from any place on, without holding them: an AES-CTR key stream. */
import { createCipheriv, createHash } from "node:crypto"
import { Readable } from "node:stream"

const PIECE = 1 << 20

/** Bytes `from` up to and not including `to` of the stream, in pieces of up to 1 MiB. */
async function* keystream(from: number, to: number): AsyncGenerator<Buffer, void> {
  const counter = Buffer.alloc(16)
  const block = Math.floor(from / 16)
  counter.writeBigUInt64BE(BigInt(block), 8)
  const cipher = createCipheriv("aes-256-ctr", Buffer.alloc(32, 7), counter)
  cipher.update(Buffer.alloc(from - block * 16))
  for (let at = from; at < to; at += PIECE) yield cipher.update(Buffer.alloc(Math.min(PIECE, to - at)))
}

/** The same as a Node stream, for clients that want one. */
export const keystreamReadable = (size: number): Readable => Readable.from(keystream(0, size), { objectMode: false })

/** SHA-256 of a part of it. */
export async function keystreamHash(from: number, to: number): Promise<string> {
  const hash = createHash("sha256")
  for await (const piece of keystream(from, to)) hash.update(piece)
  return hash.digest("hex")
}
