/** What uploaders write: bytes that say which write they came by, and no two writes have the same. */
import { createCipheriv, createHash } from "node:crypto"
import type { Random } from "./random.ts"

/** What a write stored. */
export interface Content {
  /** Which write, by its number in the run. */
  readonly write: number
  /** Bytes. */
  readonly size: number
  /** Hex. */
  readonly sha256: string
}

/** Stands in every body of 32 bytes or more, and nowhere else: a log that holds it holds plaintext. */
export const MARKER = "plaintext-of-the-soak"

/** The body of a write. */
export function bodyOf(write: number, size: number): Buffer {
  const key = createHash("sha256").update(`body ${write}`).digest()
  const bytes = createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size))
  bytes.write(`${write} ${MARKER}\n`)
  return bytes
}

/** What these bytes are. */
export const contentOf = (write: number, bytes: Uint8Array): Content => ({ write, size: bytes.length, sha256: sha256(bytes) })

/** SHA-256, as hex. */
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const MIB = 2 ** 20

/** Sizes around what decides something: a chunk (16 KiB), the first read (64 KiB), a multipart upload of ours (5 MiB). None is
 *  smaller than a number, so that no two bodies are equal. */
const sizes = [16, 300, 16_383, 16_384, 16_385, 65_536, 70_000, 200_000, MIB] as const

/** Bytes of one write; one in thirty is large. */
export function sizeOf(random: Random): number {
  return random.chance(1 / 30) ? 5 * MIB + random.below(3 * MIB) : random.pick(sizes) + random.below(2)
}
