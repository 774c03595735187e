import { describe, expect, it } from "vitest"
import { algorithms } from "../local/s3/checksums.ts"
import { patterned, pieces } from "./bytes.ts"

// "123456789": the CRC catalogue's check values of CRC-32/ISO-HDLC, CRC-32/ISCSI and CRC-64/NVME. CRC-32C of 32 bytes:
// RFC 3720, B.4. Hashes of "abc": RFC 1321 and FIPS 180.
const published = [
  ["crc32", "123456789", "cbf43926"],
  ["crc32c", "123456789", "e3069283"],
  ["crc64nvme", "123456789", "ae8b14860a799888"],
  ["crc32c", "\0".repeat(32), "8a9136aa"],
  ["crc32c", "\u00ff".repeat(32), "62a8ab43"],
  ["crc32", "", "00000000"],
  ["crc32c", "", "00000000"],
  ["crc64nvme", "", "0000000000000000"],
  ["md5", "abc", "900150983cd24fb0d6963f7d28e17f72"],
  ["sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"],
  ["sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
] as const

describe("the checksums of S3", () => {
  it.each(published)("%s of %j is %s", (name, text, hex) => {
    const checksum = algorithms[name]()
    checksum.update(Buffer.from(text, "latin1"))
    expect(Buffer.from(checksum.digest(), "base64").toString("hex")).toBe(hex)
  })

  it.each(Object.keys(algorithms))("%s is the same over any pieces of the bytes", async (name) => {
    const make = Object.entries(algorithms).find(([known]) => known === name)?.[1]
    const digestIn = async (size: number) => {
      const checksum = make?.()
      for await (const piece of pieces(patterned(10_007), size)) checksum?.update(piece)
      return checksum?.digest()
    }
    const whole = await digestIn(10_007)
    for (const size of [1, 7, 1000]) expect(await digestIn(size)).toBe(whole)
  })
})
