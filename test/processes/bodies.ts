/** Bodies that say which write they came by, so that a reader can tell whole from torn and new from old. */
import { patterned } from "../bytes.ts"

/** Bytes of the body of write `n`: some go into the index of the local store, some into files. */
export const sizeOf = (n: number): number => [100, 16_384, 16_385, 200_000][n % 4] ?? 0

/** The body of write `n`. */
export function bodyOf(n: number): Buffer {
  const body = patterned(sizeOf(n))
  body.write(`${n};`)
  return body
}

/** Which write a body came by; -1 for what no write wrote. */
export function writeOf(body: Buffer): number {
  const n = parseInt(body.subarray(0, 20).toString("latin1"), 10)
  return Number.isInteger(n) && body.equals(bodyOf(n)) ? n : -1
}
