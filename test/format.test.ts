/** The rules of format 1: header, sizes, derivation, nonces, cutting, and the check that re-opens. */
import { createCipheriv, createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  CHUNK_SIZE, chunkOffset, deriveMessageKey, messageShape, openChunk, openPrefix, PREFIX_SIZE, sealChunk,
  SEALED_CHUNK_SIZE, sealedSize, type MessageKey,
} from "../shared/crypto/chunked.ts"
import { encodeHeader, MAX_HEADER_SIZE, parseHeader } from "../shared/crypto/header.ts"
import { openMessage, sealMessage } from "../shared/crypto/stream.ts"
import { Failure } from "../shared/errors.ts"
import { drain, patterned, pieces } from "./bytes.ts"

const numRuns = process.env.SLOW ? 3_000 : 60
const dek = Buffer.from("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "hex")
const salt = Buffer.from("404142434445464748494a4b4c4d4e4f5051525354555657", "hex")
const context = Buffer.from("demo")
const message = deriveMessageKey(dek, salt, context)
/** Matches an `Error` that is no `Failure`: a bug, which callers see as `internal`. */
const plainError = (text: string) => expect.toSatisfy((error: unknown) => (
  error instanceof Error && !(error instanceof Failure) && error.message.includes(text)
))
const undecryptable = expect.objectContaining({ code: "undecryptable" })

/** One UTF-16 code unit, lone surrogates and JSON's special characters among them. */
const anyUnit = fc.oneof(
  fc.constantFrom(..."\"\\/\b\f\n\r\t\0\x1f\x7f\u2028\u2029\ufeff", "\ud800", "\udfff"),
  fc.nat(0xffff).map((unit) => String.fromCharCode(unit)),
)

async function seal(plaintext: Uint8Array, reopen = false): Promise<Buffer> {
  const { bytes, error } = await drain(() => sealMessage(message, salt, pieces(plaintext, 65_536), { reopen }))
  if (error) throw error
  return bytes
}

describe("the header", () => {
  const id = "5f0c7d4e-0b5a-4c93-9a57-3d1f6f0e7a11"
  const header = { dek: id, bucket: "photos", key: "A/b" }
  const line = `{"dek":"${id}","bucket":"photos","key":"A/b"}`
  const object = (first: string, second: string, end = "\n") => Buffer.from(`${first}\n${second}${end}`)
  const lineTwo = (second: string, end?: string) => object("bucketseal/1", second, end)
  const keyed = (key: string) => lineTwo(line.replace("A/b", key))
  const rawKey = (key: string) => Buffer.from(keyed(key).toString("utf8"), "latin1")
  const filled = (size: number) => keyed("k".repeat(size - lineTwo(line).length + 3)) // an object start of `size` bytes
  const parsedLine = { kind: "header", header, size: 13 + line.length + 1 }

  it("is the two lines that the format draws", () => {
    expect(encodeHeader(header).toString()).toBe(`bucketseal/1\n${line}\n`)
    expect(parseHeader(lineTwo(line))).toEqual(parsedLine)
  })

  it("ends at its second line end, whatever follows", () => {
    for (const after of [Buffer.alloc(0), Buffer.from("\n\n"), Buffer.alloc(10_000, 0xff)]) {
      expect(parseHeader(Buffer.concat([lineTwo(line), after]))).toEqual(parsedLine)
    }
  })

  it("is found in a view that does not begin at its buffer's start", () => {
    expect(parseHeader(Buffer.concat([Buffer.from("xyz"), lineTwo(line)]).subarray(3))).toEqual(parsedLine)
  })

  it.each<[rule: string, good: Buffer, bad: Buffer]>([
    ["has dek first", lineTwo(line), lineTwo(`{"bucket":"photos","dek":"${id}","key":"A/b"}`)],
    ["has key last", lineTwo(line), lineTwo(`{"dek":"${id}","key":"A/b","bucket":"photos"}`)],
    ["has no fourth member", lineTwo(line), lineTwo(line.replace("}", ',"size":"1"}'))],
    ["has no member named __proto__", lineTwo(line), lineTwo(line.replace("}", ',"__proto__":"1"}'))],
    ["lacks no member", lineTwo(line), lineTwo(`{"dek":"${id}","bucket":"photos"}`)],
    ["has no member twice", lineTwo(line), lineTwo(line.replace("}", ',"key":"A/b"}'))],
    ["has no white space between members", lineTwo(line), lineTwo(line.replace('","key', '", "key'))],
    ["has no white space before the object", lineTwo(line), lineTwo(` ${line}`)],
    ["has no white space after the object", lineTwo(line), lineTwo(`${line} `)],
    ["has strings, not numbers", keyed("7"), lineTwo(line.replace('"A/b"', "7"))],
    ["has strings, not null", keyed("null"), lineTwo(line.replace('"A/b"', "null"))],
    ["has strings, not objects", keyed("{}"), lineTwo(line.replace('"A/b"', "{}"))],
    ["is an object, not an array", lineTwo(line), lineTwo(`["${id}","photos","A/b"]`)],
    ["is JSON", lineTwo(line), lineTwo(line.slice(0, -1))],
    ["ends its first line in LF alone", lineTwo(line), object("bucketseal/1\r", line)],
    ["ends its second line in LF alone", lineTwo(line), lineTwo(line, "\r\n")],
    ["ends in LF", lineTwo(line), lineTwo(line, "")],
    ["begins with no byte order mark", lineTwo(line), Buffer.concat([Buffer.from("\ufeff"), lineTwo(line)])],
    ["has no byte order mark before its object", keyed("\ufeff"), lineTwo(`\ufeff${line}`)],
    ["is valid UTF-8", keyed("\ufffd"), rawKey("A\xff")],
    ["is shortest-form UTF-8", keyed("/"), rawKey("\xc0\xaf")],
    ["does not escape a slash", keyed("A/b"), keyed("A\\/b")],
    ["does not escape what needs no escape", keyed("A/b"), keyed("\\u0041/b")],
    ["does not escape DEL", keyed("\x7f"), keyed("\\u007f")],
    ["does not escape U+2028", keyed("\u2028"), keyed("\\u2028")],
    ["does not escape a pair of surrogates", keyed("🦀"), keyed("\\ud83e\\udd80")],
    ["writes escapes in lower-case hex", keyed("\\u001f"), keyed("\\u001F")],
    ["uses the short escape where there is one", keyed("\\n"), keyed("\\u000a")],
    ["escapes control characters", keyed("\\u0001"), keyed("\x01")],
    ["begins with the magic in lower case", lineTwo(line), object("Bucketseal/1", line)],
    ["writes its format number without leading zero", lineTwo(line), object("bucketseal/01", line)],
    ["writes its format number in digits", lineTwo(line), object("bucketseal/1x", line)],
    ["has at most 8,192 bytes", filled(8_192), filled(8_193)],
  ])("%s", (_, good, bad) => {
    expect(parseHeader(good).kind).toBe("header")
    expect(parseHeader(bad)).toEqual({ kind: "none" })
  })

  it.each(["0", "2", "10", "4294967295"])("of format %s is an unknown format", (number) => {
    expect(parseHeader(object(`bucketseal/${number}`, "whatever that format says"))).toEqual({ kind: "unknown-format" })
  })

  it.each(["", "-1", "1.0", "00", "02", " 2", "2 ", "x", "12345678901"])("of format %j is none at all", (number) => {
    expect(parseHeader(object(`bucketseal/${number}`, line))).toEqual({ kind: "none" })
  })

  it("is none where the object ends before it", () => {
    const whole = lineTwo(line)
    for (let size = 0; size < whole.length; size++) expect(parseHeader(whole.subarray(0, size)).kind).toBe("none")
  })

  it("is none, and no error, where invalid UTF-8 would grow past 8,192 bytes when it is encoded again", () => {
    const bad = Buffer.concat([lineTwo(line).subarray(0, -6), Buffer.alloc(4_000, 0xff), Buffer.from('"}\n')])
    expect(parseHeader(bad)).toEqual({ kind: "none" })
  })

  it("is written up to 8,192 bytes and not beyond", () => {
    const room = MAX_HEADER_SIZE - encodeHeader({ ...header, key: "" }).length
    const fits = { ...header, key: "k".repeat(room) }
    expect(encodeHeader(fits).length).toBe(8_192)
    expect(parseHeader(encodeHeader(fits))).toEqual({ kind: "header", header: fits, size: 8_192 })
    expect(() => encodeHeader({ ...header, key: "k".repeat(room + 1) })).toThrow("doesn't fit")
  })

  it("fits for every key of 1,024 bytes in a bucket of 63, also where each byte is escaped", () => {
    const longest = { dek: id, bucket: "b".repeat(63), key: "\x01".repeat(1_024) }
    expect(parseHeader(encodeHeader(longest))).toMatchObject({ kind: "header", header: longest })
  })

  it("gives back every bucket and key", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.string({ unit: anyUnit }))
    fc.assert(fc.property(fc.uuid(), text, text, (uuid, bucket, key) => {
      const encoded = encodeHeader({ dek: uuid, bucket, key })
      expect(parseHeader(encoded)).toEqual({ kind: "header", header: { dek: uuid, bucket, key }, size: encoded.length })
    }), { numRuns: 5 * numRuns })
  })

  it("has one encoding: whatever parses is what encoding gives", () => {
    const start = lineTwo(line)
    fc.assert(fc.property(fc.nat(start.length - 1), fc.nat(255), fc.nat(2), (at, byte, removed) => {
      const changed = Buffer.concat([start.subarray(0, at), Buffer.from([byte]), start.subarray(at + removed)])
      const parsed = parseHeader(changed)
      if (parsed.kind !== "header") return
      expect(encodeHeader(parsed.header).equals(changed.subarray(0, parsed.size))).toBe(true)
    }), { numRuns: 20 * numRuns })
  })
})

describe("sizes", () => {
  it.each([
    [0, 72], [1, 73], [16_383, 16_455], [16_384, 16_472], [16_385, 16_473], [32_768, 32_872], [100_000, 100_168],
    [5_242_880, 5_248_072], [2 ** 52 - 1, 4_507_997_673_881_655],
  ])("%i plaintext bytes are %i sealed ones, and back", (plaintextSize, size) => {
    expect(sealedSize(plaintextSize)).toBe(size)
    expect(messageShape(size)).toEqual({
      plaintextSize, finalChunk: Math.floor(plaintextSize / CHUNK_SIZE), finalSize: plaintextSize % CHUNK_SIZE + 16,
    })
  })

  it("that no message has are undecryptable", () => {
    const refuse = (size: number) => expect(() => messageShape(size), String(size)).toThrow(undecryptable)
    for (const size of [0, 1, 55]) refuse(size)
    for (const full of [0, 1, 2, 320, 2 ** 38 - 1]) {
      for (let over = 0; over < 16; over++) refuse(56 + 16_400 * full + over)
      expect(messageShape(56 + 16_400 * full + 16).plaintextSize).toBe(16_384 * full)
    }
  })

  it("beyond 2^38 chunks are no message's", () => {
    expect(() => messageShape(56 + 16_400 * 2 ** 38 + 16)).toThrow(undecryptable)
  })

  it("are each other's inverse", () => {
    fc.assert(fc.property(fc.maxSafeNat().map((n) => n % 2 ** 52), (size) => {
      expect(messageShape(sealedSize(size)).plaintextSize).toBe(size)
    }))
    fc.assert(fc.property(fc.maxSafeNat().map((n) => n % (sealedSize(2 ** 52 - 1) + 1)), (size) => {
      const remainder = (size - PREFIX_SIZE) % SEALED_CHUNK_SIZE
      if (size < 72 || remainder < 16) expect(() => messageShape(size)).toThrow(undecryptable)
      else expect(sealedSize(messageShape(size).plaintextSize)).toBe(size)
    }))
  })

  it("are those that sealing gives", async () => {
    for (const size of [0, 1, 16_383, 16_384, 16_385, 262_144, 278_528, 300_000]) {
      expect((await seal(patterned(size))).length).toBe(sealedSize(size))
    }
  })
})

describe("the worked example of docs/format.md", () => {
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

  it("derives these three", () => {
    const { aead, baseNonce, commitment } = message
    expect([aead.export(), baseNonce, commitment].map((bytes) => bytes.toString("hex"))).toEqual([
      "c725587b2e1955ff0c01b36218027968cd17b9f0316f50540929dfce178325d6",
      "5c491d41c7c8112af907de7c",
      "08e483eba3aabe16763bb3a63780b3355fc82801e871910495e16ad310bb1fb2",
    ])
  })

  it.each([
    ["", "08ffebe8cbab461efdfcd78b15a61b27"],
    ["hello", "69a4ffb5a9f0de3a7b8cc87fb62714387506b49ea8"],
  ])("seals %j to salt, commitment and this chunk", async (text, chunk) => {
    const expected = Buffer.concat([salt, message.commitment, Buffer.from(chunk, "hex")])
    expect((await seal(Buffer.from(text))).toString("hex")).toBe(expected.toString("hex"))
  })

  it("seals 16,384 zeros to a full chunk and an empty one", async () => {
    const sealed = await seal(Buffer.alloc(16_384))
    expect(sealed.toString("hex", 56, 72)).toBe("01c193d9c66a1d7248e165a54e22c707")
    expect(sealed.subarray(-16).toString("hex")).toBe("9a060960ec0b526d6cdce70c96ce80bb")
    expect(sha256(sealed)).toBe("c8991518c84006f25089a13e0e0679d6dfed3dad51ac111263b6b050e426299d")
  })

  it("seals 20,000 zeros to these bytes", async () => {
    const sealed = await seal(Buffer.alloc(20_000))
    expect(sha256(sealed)).toBe("46c43042e5605c92a2b274dc7052d95492cf28c895f1aa957c6daa4746c8f279")
  })
})

describe("deriving a message's key", () => {
  it.each([0, 16, 31, 33, 64])("refuses an input key of %i bytes as a bug", (size) => {
    expect(() => deriveMessageKey(Buffer.alloc(size), salt, context)).toThrow(plainError("an input key has 32 bytes"))
  })

  it.each([0, 16, 23, 25])("refuses a salt of %i bytes as a bug", (size) => {
    expect(() => deriveMessageKey(dek, Buffer.alloc(size), context)).toThrow(plainError("a salt has 24 bytes"))
  })

  it("depends on every input, and on where salt ends and context begins", () => {
    const commitments = [
      message, deriveMessageKey(Buffer.alloc(32), salt, context), deriveMessageKey(dek, Buffer.alloc(24), context),
      deriveMessageKey(dek, salt, Buffer.alloc(0)), deriveMessageKey(dek, salt, Buffer.from("demo\0")),
    ].map(({ commitment }) => commitment.toString("hex"))
    expect(new Set(commitments).size).toBe(commitments.length)
  })

  it("takes a context of any length", () => {
    expect(deriveMessageKey(dek, salt, Buffer.alloc(MAX_HEADER_SIZE)).commitment.length).toBe(32)
  })
})

describe("the nonce of chunk i", () => {
  const plaintext = Buffer.from("a chunk far out")
  const out = Buffer.alloc(64)

  it.each([
    [0, "5c491d41c7c8112af907de7c"],
    [1, "5c491d41c7c8112af907de7d"],
    [4, "5c491d41c7c8112af907de78"],
    [256, "5c491d41c7c8112af907df7c"],
    [2 ** 31, "5c491d41c7c8112a7907de7c"],
    [2 ** 32 - 1, "5c491d41c7c8112a06f82183"],
    [2 ** 32, "5c491d41c7c8112bf907de7c"],
    [2 ** 32 + 1, "5c491d41c7c8112bf907de7d"],
    [2 ** 38 - 1, "5c491d41c7c8111506f82183"],
  ])("is the base nonce XOR i: %i gives %s", (index, nonce) => {
    const cipher = createCipheriv("aes-256-gcm", message.aead, Buffer.from(nonce, "hex"))
    const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    const size = sealChunk(message, index, plaintext, out, 0)
    expect(out.subarray(0, size).equals(expected)).toBe(true)
    const opened = Buffer.alloc(plaintext.length)
    expect(openChunk(message, index, expected, opened, 0)).toBe(plaintext.length)
    expect(opened.equals(plaintext)).toBe(true)
    for (const other of [index + 1, index + 2 ** 32].filter((far) => far < 2 ** 38)) {
      expect(() => openChunk(message, other, expected, opened, 0)).toThrow(undecryptable)
    }
  })

  it.each([2 ** 38, 2 ** 53, -1, Number.NaN, Number.POSITIVE_INFINITY])("does not exist for i = %d", (index) => {
    expect(() => sealChunk(message, index, plaintext, out, 0)).toThrow("that many chunks")
    expect(() => openChunk(message, index, Buffer.alloc(16), out, 0)).toThrow("that many chunks")
  })
})

describe("a chunk", () => {
  it("of more than 16,384 bytes is not sealed", () => {
    const sealTooMuch = () => sealChunk(message, 0, Buffer.alloc(16_385), Buffer.alloc(20_000), 0)
    expect(sealTooMuch).toThrow(plainError("longer than the format allows"))
  })

  it.each([0, 1, 4, 12, 15, 16_401])("of %i sealed bytes is undecryptable", (size) => {
    expect(() => openChunk(message, 0, Buffer.alloc(size), Buffer.alloc(20_000), 0)).toThrow(undecryptable)
  })

  it("that does not verify leaves zeros where its plaintext would be, and touches nothing else", () => {
    const sealed = Buffer.alloc(1_016)
    sealChunk(message, 0, patterned(1_000), sealed, 0)
    sealed[500] = (sealed[500] ?? 0) ^ 1
    const out = Buffer.alloc(1_200, 0xaa)
    expect(() => openChunk(message, 0, sealed, out, 100)).toThrow(undecryptable)
    const around = Buffer.alloc(100, 0xaa)
    expect(out.equals(Buffer.concat([around, Buffer.alloc(1_000), around]))).toBe(true)
  })
})

describe("any cutting of the input", () => {
  const size = fc.oneof(
    fc.nat(70_000),
    fc.tuple(fc.nat(18), fc.integer({ min: -2, max: 2 })).map(([chunks, off]) => Math.abs(chunks * CHUNK_SIZE + off)),
  )
  const length = fc.oneof(fc.nat(3), fc.nat(40_000), fc.constantFrom(16_384, 16_400))
  const cuts = fc.array(length, { minLength: 1, maxLength: 8 })
    .filter((lengths) => lengths.some((length) => length > 500)) // else one run is thousands of pieces

  /** Pieces of these lengths over and over, empty ones too, all in the same memory. */
  async function* cut(bytes: Uint8Array, lengths: readonly number[]) {
    const memory = Buffer.alloc(40_000)
    for (let from = 0, turn = 0; from < bytes.length; turn++) {
      const piece = bytes.subarray(from, from + (lengths[turn % lengths.length] ?? 1))
      memory.fill(0xee).set(piece)
      yield memory.subarray(0, piece.length)
      from += piece.length
    }
  }

  it("seals to the same bytes and opens to the same plaintext", async () => {
    const whole = patterned(18 * CHUNK_SIZE + 2)
    await fc.assert(fc.asyncProperty(size, cuts, cuts, fc.boolean(), async (length, sealCuts, openCuts, reopen) => {
      const plaintext = whole.subarray(0, length)
      const sealed = await drain(() => sealMessage(message, salt, cut(plaintext, sealCuts), { reopen }))
      expect(sealed.error).toBeUndefined()
      expect(sealed.bytes.equals(await seal(plaintext))).toBe(true)
      const opened = await drain(() => openMessage(dek, context, cut(sealed.bytes, openCuts)))
      expect([opened.error, opened.bytes.equals(plaintext)]).toEqual([undefined, true])
    }), { numRuns })
  })

  it("opens alone every chunk that the stream sealed, where chunkOffset says", async () => {
    const plaintext = patterned(2 * CHUNK_SIZE + 7)
    const sealed = await seal(plaintext)
    const key = openPrefix(dek, context, sealed)
    for (const index of [2, 0, 1]) {
      const out = Buffer.alloc(CHUNK_SIZE)
      const opened = openChunk(key, index, sealed.subarray(chunkOffset(index), chunkOffset(index + 1)), out, 0)
      const expected = plaintext.subarray(CHUNK_SIZE * index, CHUNK_SIZE * (index + 1))
      expect(out.subarray(0, opened).equals(expected)).toBe(true)
    }
  })
})

describe("re-opening each sealed chunk", () => {
  /** A machine with a fault: `fault` strikes at the second use of the AEAD key, after a chunk was sealed and before it
   *  is opened again (or, without re-opening, before the next one is sealed), and gives the key that is then used. */
  const faulty = (fault: () => MessageKey["aead"]): MessageKey => {
    let uses = 0
    return { ...message, get aead() { return ++uses === 2 ? fault() : message.aead } }
  }
  async function* one(bytes: Uint8Array) { yield bytes }

  async function sealWith(key: MessageKey, plaintext: Uint8Array, reopen: boolean) {
    const given: Buffer[] = []
    let error: unknown
    try {
      for await (const piece of sealMessage(key, salt, one(plaintext), { reopen })) given.push(Buffer.from(piece))
    } catch (thrown) {
      error = thrown
    }
    return { bytes: Buffer.concat(given), error }
  }

  it("stops at a chunk that does not open, with a plain error, and gives none of it out", async () => {
    const otherKey = deriveMessageKey(Buffer.alloc(32), salt, context).aead
    const { bytes, error } = await sealWith(faulty(() => otherKey), patterned(100), true)
    expect(bytes.length).toBe(0)
    expect(error).toEqual(plainError(""))
  })

  it("stops at a chunk that opens to other bytes than were handed over, and gives none of it out", async () => {
    const plaintext = patterned(CHUNK_SIZE)
    const flip = () => {
      plaintext[77] = (plaintext[77] ?? 0) ^ 1
      return message.aead
    }
    const { bytes, error } = await sealWith(faulty(flip), plaintext, true)
    expect(bytes.length).toBe(0)
    expect(error).toEqual(plainError("opened to other bytes"))
  })

  it("is what notices: without it the same fault makes an object that does not open", async () => {
    const otherKey = deriveMessageKey(Buffer.alloc(32), salt, context).aead
    const { bytes, error } = await sealWith(faulty(() => otherKey), patterned(CHUNK_SIZE + 1), false)
    expect([error, bytes.length]).toEqual([undefined, sealedSize(CHUNK_SIZE + 1)])
    expect((await drain(() => openMessage(dek, context, one(bytes)))).error).toEqual(undecryptable)
  })
})
