/**
 * The CRC of bytes that follow one another, from the CRC of each. A CRC is a remainder of polynomials over GF(2), so
 * putting `n` bytes behind others multiplies the remainder of these by x^(8n) (R. Williams, "A painless guide to CRC
 * error detection algorithms", 1993). What S3's three CRCs begin with, and are inverted with at the end, cancels out.
 */
import { castagnoli, ieee, nvme } from "./checksums.ts"

/** The checksums that can be combined so, by the name that stands after `x-amz-checksum-`. */
export const combinable = {
  crc32: { bytes: 4, polynomial: [ieee, 0] },
  crc32c: { bytes: 4, polynomial: [castagnoli, 0] },
  crc64nvme: { bytes: 8, polynomial: [Number(nvme >> 32n), Number(nvme & 0xffffffffn)] },
} as const satisfies Record<string, Field>

/** A polynomial: the coefficient of x^0 is the highest bit, as the reversed CRCs have it. One of 32 bits stands in the
 *  first half. Two halves, as BigInt would be some twenty times slower. */
type Polynomial = readonly [high: number, low: number]

/** The remainders by a polynomial, whose own highest coefficient is left out. */
interface Field {
  readonly bytes: 4 | 8
  readonly polynomial: Polynomial
}

/** One piece: its CRC in base64, and its size in bytes. */
interface Piece {
  readonly value: string
  readonly size: number
}

/** The CRC of the pieces put together in this order, in base64. */
export function combineCrcs(algorithm: keyof typeof combinable, pieces: readonly Piece[]): string {
  const field = combinable[algorithm]
  const whole = pieces.reduce<Polynomial>((before, { value, size }) => {
    const [high, low] = multiply(field, before, powerOfX(field, size))
    const [nextHigh, nextLow] = parse(value)
    return [high ^ nextHigh, low ^ nextLow]
  }, [0, 0])
  return write(whole).subarray(0, field.bytes).toString("base64")
}

/** x^(8 · bytes), by squaring. */
function powerOfX(field: Field, bytes: number): Polynomial {
  let result: Polynomial = [1 << 31, 0] // x^0
  let square: Polynomial = [1 << (31 - 8), 0] // x^8
  for (let left = bytes; left > 0; left = Math.floor(left / 2)) { // sizes go beyond the 32 bits of `>>`
    if (left % 2 === 1) result = multiply(field, result, square)
    square = multiply(field, square, square)
  }
  return result
}

function multiply({ bytes, polynomial }: Field, [a, b]: Polynomial, [c, d]: Polynomial): Polynomial {
  let [factorHigh, factorLow, high, low] = [a, b, 0, 0]
  let [shiftedHigh, shiftedLow] = [c, d]
  for (let bit = 0; bit < 8 * bytes; bit++) {
    if (factorHigh < 0) {
      high ^= shiftedHigh
      low ^= shiftedLow
    }
    factorHigh = (factorHigh << 1) | (factorLow >>> 31)
    factorLow <<= 1
    // Times x; what goes beyond the degree is replaced by the remainder of it.
    const beyond = (bytes === 4 ? shiftedHigh : shiftedLow) & 1
    shiftedLow = bytes === 4 ? 0 : (shiftedLow >>> 1) | (shiftedHigh << 31)
    shiftedHigh >>>= 1
    if (beyond) {
      shiftedHigh ^= polynomial[0]
      shiftedLow ^= polynomial[1]
    }
  }
  return [high, low]
}

function parse(value: string): Polynomial {
  const bytes = Buffer.alloc(8)
  bytes.write(value, "base64")
  return [bytes.readInt32BE(0), bytes.readInt32BE(4)]
}

function write([high, low]: Polynomial): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32BE(high | 0, 0)
  bytes.writeInt32BE(low | 0, 4)
  return bytes
}
