import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { openSecret, sealSecret } from "../shared/crypto/aead.ts"
import { decodeBase64, encodeBase64 } from "../shared/crypto/base64.ts"

const file = new URL("../../shared/vectors/wycheproof/aes_gcm_test.json", import.meta.url)

interface Vector {
  tcId: number; comment: string; key: string; iv: string; aad: string; msg: string; ct: string; tag: string
  result: "valid" | "invalid" | "acceptable"
}
interface Group { keySize: number; ivSize: number; tagSize: number; tests: Vector[] }
const suite = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { testGroups: Group[] }) : { testGroups: [] }
const vectors = suite.testGroups.filter(({ ivSize, tagSize }) => ivSize === 96 && tagSize === 128)
  .flatMap(({ keySize, tests }) => tests.map((test) => ({ ...test, keySize })))
const hex = (text: string) => Buffer.from(text, "hex")

describe.skipIf(vectors.length === 0)("Wycheproof aes_gcm, 96-bit IVs (put its file in ../shared/vectors/wycheproof/)", () => {
  it("has 66 or more vectors of each key size", () => {
    for (const size of [128, 192, 256]) expect(vectors.filter(({ keySize }) => keySize === size).length).toBeGreaterThan(60)
  })

  it.each(vectors)("$keySize-bit key, $tcId $comment ($result)", (vector) => {
    const [key, iv, aad, msg] = [hex(vector.key), hex(vector.iv), hex(vector.aad), hex(vector.msg)]
    const sealed = hex(vector.ct + vector.tag)
    if (vector.result === "valid") {
      expect(openSecret(key, iv, aad, sealed)).toEqual(msg)
      expect(sealSecret(key, iv, aad, msg)).toEqual(sealed)
    } else {
      expect(() => openSecret(key, iv, aad, sealed)).toThrow(expect.objectContaining({ code: "undecryptable" }))
    }
  })
})

describe("sealing whole secrets", () => {
  const key = Buffer.alloc(32, 7)
  const iv = Buffer.alloc(12, 1)
  const aad = Buffer.from("context")
  const sealed = sealSecret(key, iv, aad, Buffer.from("a secret"))
  const refused: unknown = expect.objectContaining({
    code: "undecryptable", message: "the ciphertext can't be decrypted",
  })

  it("refuses every flipped byte of ciphertext and tag with one error", () => {
    for (let at = 0; at < sealed.length; at++) {
      const tampered = Buffer.from(sealed)
      tampered[at] = (tampered[at] ?? 0) ^ 1
      expect(() => openSecret(key, iv, aad, tampered)).toThrow(refused)
    }
  })
  it("refuses every truncation, down to nothing", () => {
    for (let size = 0; size < sealed.length; size++) {
      expect(() => openSecret(key, iv, aad, sealed.subarray(0, size))).toThrow(refused)
    }
  })
  it.each([0, 11, 13, 16])("refuses to open with an IV of %i bytes", (size) => {
    expect(() => openSecret(key, Buffer.alloc(size), aad, sealed)).toThrow(refused)
  })
  it("refuses other AAD and another key", () => {
    expect(() => openSecret(key, iv, Buffer.from("contexu"), sealed)).toThrow(refused)
    expect(() => openSecret(Buffer.alloc(32, 8), iv, aad, sealed)).toThrow(refused)
  })
  it("calls an IV or key of another size a bug when sealing", () => {
    expect(() => sealSecret(key, Buffer.alloc(16), aad, aad)).toThrow("an IV has 12 bytes")
    expect(() => sealSecret(Buffer.alloc(31), iv, aad, aad)).toThrow("an AES key has 16, 24 or 32 bytes")
  })
})

describe("base64", () => {
  it("reads what it writes", () => {
    for (const size of [0, 1, 2, 3, 32]) expect(decodeBase64(encodeBase64(Buffer.alloc(size, 0xff)))).toEqual(Buffer.alloc(size, 0xff))
  })
  it.each([
    "AA", "AA=", "A===", "AB==", "AAA_", "AA==\n", " AA==", "AA==AA==", "Ā", "AAAA AAAA", "%",
  ])("refuses %j", (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })
})
