import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { inflateSync } from "node:zlib"
import { describe, expect, it } from "vitest"
import { chunkOffset, deriveMessageKey, messageShape, openChunk, openPrefix, PREFIX_SIZE, SALT_SIZE } from "../shared/crypto/chunked.ts"
import { openChunks, openMessage, sealMessage } from "../shared/crypto/stream.ts"
import { drain, pieces } from "./bytes.ts"

const file = new URL("../../shared/vectors/wycheproof/c2sp_chunked_encryption_aes_256_gcm_test.json", import.meta.url)

interface Vector {
  tcId: number; comment: string; flags: string[]; key: string; ctx: string; ct: string; result: "valid" | "invalid"
  msgLength?: number; msgSha512?: string; aeadKey?: string; baseNonce?: string
}
const suite: { numberOfTests: number; testGroups: { tests: Vector[] }[] } = existsSync(file)
  ? JSON.parse(readFileSync(file, "utf8"))
  : { numberOfTests: 0, testGroups: [] }
const vectors = suite.testGroups.flatMap((group) => group.tests)
const sha512 = (bytes: Uint8Array) => createHash("sha512").update(bytes).digest("hex")

describe.skipIf(vectors.length === 0)("Wycheproof c2sp_chunked_encryption_aes_256_gcm (put its file in ../shared/vectors/wycheproof/)", () => {
  it("has every vector in it", () => expect(vectors.length).toBe(suite.numberOfTests))

  describe.each(vectors)("$tcId $comment ($result)", (vector) => {
    const key = Buffer.from(vector.key, "hex")
    const context = Buffer.from(vector.ctx, "hex")
    const sealed = inflateSync(Buffer.from(vector.ct, "hex"))
    const valid = vector.result === "valid"

    it.each([1, 17, 10_007, sealed.length + 1])("opens or refuses it as a stream of %i-byte pieces", async (size) => {
      if (size === 1 && sealed.length > 1e6) size = 4099 // a byte at a time takes minutes for the 4 MB ones
      const { bytes, error } = await drain(() => openMessage(key, context, pieces(sealed, size)))
      if (valid) {
        expect(error).toBeUndefined()
        expect([bytes.length, sha512(bytes)]).toEqual([vector.msgLength, vector.msgSha512])
      } else {
        expect(error).toBeDefined()
        expect(bytes.length).toBeLessThanOrEqual(vector.flags.includes("PartialPlaintext") ? vector.msgLength ?? 0 : 0)
        if (bytes.length > 0 && bytes.length === vector.msgLength) expect(sha512(bytes)).toBe(vector.msgSha512)
      }
    })

    it("opens or refuses it by random access", () => {
      const open = () => {
        const message = openPrefix(key, context, sealed)
        const { plaintextSize, finalChunk } = messageShape(sealed.length)
        const out = Buffer.alloc(plaintextSize + 16_384)
        for (let index = 0; index <= finalChunk; index++) {
          openChunk(message, index, sealed.subarray(chunkOffset(index), Math.min(chunkOffset(index + 1), sealed.length)), out, 16_384 * index)
        }
        return out.subarray(0, plaintextSize)
      }
      if (valid) expect(sha512(open())).toBe(vector.msgSha512)
      else expect(open).toThrow()
    })

    it("authenticates the end where the final chunk is sound", async () => {
      const openEnd = async () => {
        const message = openPrefix(key, context, sealed)
        const { finalChunk } = messageShape(sealed.length)
        const tail = sealed.subarray(chunkOffset(finalChunk))
        const { error } = await drain(() => openChunks(message, { first: finalChunk, count: 0, final: true }, pieces(tail, 1000)))
        if (error) throw error
      }
      if (valid || vector.flags.includes("ValidFinalChunk")) await openEnd()
      else await expect(openEnd()).rejects.toThrow()
    })

    if (valid) it("seals to the same bytes", async () => {
      const { bytes: plaintext } = await drain(() => openMessage(key, context, pieces(sealed, 70_001)))
      const salt = sealed.subarray(0, SALT_SIZE)
      const message = deriveMessageKey(key, salt, context)
      for (const size of [8191, 65_536, plaintext.length + 1]) {
        const { bytes } = await drain(() => sealMessage(message, salt, pieces(plaintext, size), { reopen: true }))
        expect(bytes.equals(sealed)).toBe(true)
      }
    })

    if (vector.aeadKey !== undefined) it("derives the same AEAD key and base nonce", () => {
      const message = deriveMessageKey(key, sealed.subarray(0, SALT_SIZE), context)
      expect(message.aead.export().toString("hex")).toBe(vector.aeadKey)
      expect(message.baseNonce.toString("hex")).toBe(vector.baseNonce)
      if (valid) expect(message.commitment.equals(sealed.subarray(SALT_SIZE, PREFIX_SIZE))).toBe(true)
    })
  })
})
