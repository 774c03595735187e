/** The checksums of S3 (S3 reference, "Checking object integrity"), each as a running digest. */
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"

/** A checksum under way. */
export interface Checksum {
  update(bytes: Uint8Array): void
  /** Base64 of the value, big-endian for a CRC. */
  digest(): string
}

/** The algorithms, by the name that stands after `x-amz-checksum-`. */
export const algorithms = {
  crc32: () => cyclic32((bytes, value) => crc32(bytes, value)),
  crc32c: () => cyclic32(crc32c),
  crc64nvme: () => cyclic64(),
  sha1: () => hashed("sha1"),
  sha256: () => hashed("sha256"),
  md5: () => hashed("md5"),
} as const satisfies Record<string, () => Checksum>

function hashed(algorithm: string): Checksum {
  const hash = createHash(algorithm)
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("base64") }
}

function cyclic32(step: (bytes: Uint8Array, value: number) => number): Checksum {
  let value = 0
  return {
    update: (bytes) => { value = step(bytes, value) },
    digest: () => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value)
      return bytes.toString("base64")
    },
  }
}

/** The reversed polynomial of CRC-32 (IEEE 802.3). */
export const ieee = 0xedb88320
/** The reversed polynomial of CRC-32C, Castagnoli's (RFC 3720, section 12.1). */
export const castagnoli = 0x82f63b78
/** The reversed polynomial of CRC-64/NVME (NVM Express command set, 5.2.1.3.4). */
export const nvme = 0x9a6c9329ac4bc9b5n

const table32c = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ castagnoli : value >>> 1
  return value
})

function crc32c(bytes: Uint8Array, before: number): number {
  let value = ~before
  for (let at = 0; at < bytes.length; at++) value = (value >>> 8) ^ (table32c[(value ^ (bytes[at] ?? 0)) & 0xff] ?? 0)
  return ~value >>> 0
}

// A 64-bit value as two 32-bit halves: BigInt in the loop would be some twenty times slower.
const [tableHigh, tableLow] = tables64()

function tables64(): readonly [high: Uint32Array, low: Uint32Array] {
  const values = Array.from({ length: 256 }, (_, byte) => {
    let value = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ nvme : value >> 1n
    return value
  })
  const low = Uint32Array.from(values, (value) => Number(value & 0xffffffffn))
  return [Uint32Array.from(values, (value) => Number(value >> 32n)), low]
}

function cyclic64(): Checksum {
  let high = ~0
  let low = ~0
  return {
    update: (bytes) => {
      for (let at = 0; at < bytes.length; at++) {
        const entry = (low ^ (bytes[at] ?? 0)) & 0xff
        low = ((low >>> 8) | (high << 24)) ^ (tableLow[entry] ?? 0)
        high = (high >>> 8) ^ (tableHigh[entry] ?? 0)
      }
    },
    digest: () => {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt32BE(~high >>> 0)
      bytes.writeUInt32BE(~low >>> 0, 4)
      return bytes.toString("base64")
    },
  }
}
