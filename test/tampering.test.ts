/** The tampering table: whatever is done to a sealed object, no byte of a bad chunk comes out, and the stream fails. */
import { describe, expect, it } from "vitest"
import {
  CHUNK_SIZE, chunkOffset, messageShape, openPrefix, PREFIX_SIZE, SALT_SIZE, SEALED_CHUNK_SIZE,
} from "../shared/crypto/chunked.ts"
import { encodeHeader, parseHeader } from "../shared/crypto/header.ts"
import { openChunks, openMessage } from "../shared/crypto/stream.ts"
import { drain, patterned, pieces } from "./bytes.ts"
import { openObject, sealObject, type Opened } from "./sealed.ts"

const dek = patterned(32)
const salt = patterned(SALT_SIZE + 100).subarray(100)
const header = { dek: "5f0c7d4e-0b5a-4c93-9a57-3d1f6f0e7a11", bucket: "photos", key: "A/b.txt" }
const start = encodeHeader(header).length
const undecryptable = expect.objectContaining({ code: "undecryptable" })

/** Opens an object without a stream from its beginning: the end first, as the format asks of random access, then one
 *  chunk after another, each on its own. */
async function openByChunks(key: Uint8Array, object: Uint8Array): Promise<Opened> {
  const parsed = parseHeader(object)
  if (parsed.kind !== "header") return { parsed, bytes: Buffer.alloc(0), error: undefined }
  const sealed = object.subarray(parsed.size)
  const given: Buffer[] = []
  try {
    const message = openPrefix(key, object.subarray(0, parsed.size), sealed)
    const { finalChunk } = messageShape(sealed.length)
    const open = async (first: number, final: boolean) => {
      const piece = sealed.subarray(chunkOffset(first), final ? undefined : chunkOffset(first + 1))
      const run = { first, count: final ? 0 : 1, final }
      const opened = await drain(() => openChunks(message, run, pieces(piece, 9_999)))
      if (opened.error) throw opened.error
      return opened.bytes
    }
    const end = await open(finalChunk, true)
    for (let index = 0; index < finalChunk; index++) given.push(await open(index, false))
    given.push(end)
    return { parsed, bytes: Buffer.concat(given), error: undefined }
  } catch (error) {
    return { parsed, bytes: Buffer.concat(given), error }
  }
}

const flip = (bytes: Uint8Array, at: number, mask: number) => {
  const flipped = Buffer.from(bytes)
  flipped[at] = (flipped[at] ?? 0) ^ mask
  return flipped
}
const bits = [1, 2, 4, 8, 16, 32, 64, 128]

describe.each([["as a stream", openObject], ["by random access", openByChunks]])("opened %s", (_, open) => {
  describe("a small object", async () => {
    const plaintext = Buffer.from("nothing of this may come out")
    const object = await sealObject(dek, salt, header, plaintext)
    const expectRefused = async (changed: Uint8Array, key = dek) => {
      const opened = await open(key, changed)
      expect(opened.error).toEqual(undecryptable)
      expect(opened.bytes.length).toBe(0)
    }

    it("opens as it is", async () => {
      const parsed = { kind: "header", header }
      expect(await open(dek, object)).toMatchObject({ parsed, bytes: plaintext, error: undefined })
    })

    it.each([
      ["salt", start, start + SALT_SIZE],
      ["commitment", start + SALT_SIZE, start + PREFIX_SIZE],
      ["first chunk", start + PREFIX_SIZE, start + PREFIX_SIZE + plaintext.length],
      ["tag", start + PREFIX_SIZE + plaintext.length, object.length],
    ])("is undecryptable with any bit of its %s flipped", async (_name, from, to) => {
      for (let at = from; at < to; at++) for (const bit of bits) await expectRefused(flip(object, at, bit))
    })

    it("with any bit of its header flipped is undecryptable, or has no header and so is not ours", async () => {
      const seen = { header: 0, none: 0, "unknown-format": 0 }
      for (let at = 0; at < start; at++) {
        for (const bit of bits) {
          const changed = flip(object, at, bit)
          const opened = await open(dek, changed)
          expect(opened.parsed.kind, `byte ${at}, bit ${bit}`).toBe(kindAfter(at, changed[at] ?? 0))
          expect(opened.bytes.length).toBe(0)
          if (opened.parsed.kind === "header") expect(opened.error).toEqual(undecryptable)
          seen[opened.parsed.kind]++
        }
      }
      expect(seen.header).toBeGreaterThan(100)
      expect(seen.none).toBeGreaterThan(100)
      expect(seen["unknown-format"]).toBe(4) // "1" with one bit flipped is "0", "3", "5" or "9"
    })
  })

  describe("an object of 21 chunks", async () => {
    const plaintext = patterned(20 * CHUNK_SIZE + 5)
    const object = await sealObject(dek, salt, header, plaintext)
    const head = object.subarray(0, start + PREFIX_SIZE)
    const chunks = split(object)
    const others = [...chunks.keys()]
    const edges = [0, 1, 15, 16, 17, 19, 20] // the stream gives out 16 chunks at a time

    /** Nothing is given out but a prefix of the plaintext that ends before the first bad chunk. */
    const expectRefusedAt = async (bad: number, changed: Uint8Array, what: string) => {
      const { bytes, error } = await open(dek, changed)
      expect(error, what).toEqual(undecryptable)
      expect(bytes.length, what).toBeLessThanOrEqual(bad * CHUNK_SIZE)
      expect(bytes.equals(plaintext.subarray(0, bytes.length)), what).toBe(true)
    }
    const joined = (pieces: readonly Uint8Array[]) => Buffer.concat([head, ...pieces])

    it("opens as it is", async () => {
      const { bytes, error } = await open(dek, joined(chunks))
      expect([error, bytes.equals(plaintext)]).toEqual([undefined, true])
    })

    it("is undecryptable with a bit flipped in any chunk, at its start, middle and end", async () => {
      for (const [index, chunk] of chunks.entries()) {
        for (const at of [0, chunk.length >> 1, chunk.length - 17, chunk.length - 1]) {
          await expectRefusedAt(index, joined(chunks.with(index, flip(chunk, at, 1))), `chunk ${index}, byte ${at}`)
        }
      }
    })

    it("is undecryptable with any two chunks swapped", async () => {
      for (const one of edges) {
        for (const two of edges.filter((index) => index > one)) {
          const swapped = chunks.with(one, chunks[two] ?? head).with(two, chunks[one] ?? head)
          await expectRefusedAt(one, joined(swapped), `${one} and ${two}`)
        }
      }
    })

    it("is undecryptable with any chunk dropped", async () => {
      for (const index of others) await expectRefusedAt(index, joined(chunks.toSpliced(index, 1)), `chunk ${index}`)
    })

    it("is undecryptable with any chunk there twice", async () => {
      for (const index of others) {
        await expectRefusedAt(index + 1, joined(chunks.toSpliced(index, 0, chunks[index] ?? head)), `chunk ${index}`)
      }
    })

    it("is undecryptable with any chunk of another sealing of the same object in it", async () => {
      const foreign = split(await sealObject(dek, flip(salt, 0, 1), header, plaintext))
      for (const index of others) {
        await expectRefusedAt(index, joined(chunks.with(index, foreign[index] ?? head)), `chunk ${index}`)
      }
    })

    it("is undecryptable cut at every chunk boundary, and a byte before and after it", async () => {
      for (const index of [...others, chunks.length]) {
        const boundary = start + Math.min(chunkOffset(index), object.length - start)
        for (const size of [boundary - 1, boundary, boundary + 1]) {
          const whole = Math.max(0, Math.floor((size - start - PREFIX_SIZE) / SEALED_CHUNK_SIZE))
          if (size < object.length) await expectRefusedAt(whole, object.subarray(0, size), `${size} bytes`)
        }
      }
    })

    it("is undecryptable cut anywhere in the first 100 bytes of its message", async () => {
      for (let size = 0; size < 100; size++) await expectRefusedAt(0, object.subarray(0, start + size), `${size} bytes`)
    })

    it("has no header, and so is not ours, cut anywhere in its header", async () => {
      for (let size = 0; size < start; size++) {
        const { parsed, bytes } = await open(dek, object.subarray(0, size))
        expect([parsed, bytes.length]).toEqual([{ kind: "none" }, 0])
      }
    })

    it("is undecryptable with anything appended", async () => {
      const zeros = [1, 16, SEALED_CHUNK_SIZE].map((size) => Buffer.alloc(size))
      for (const more of [...zeros, chunks[20] ?? head, object]) {
        await expectRefusedAt(20, Buffer.concat([object, more]), `${more.length} bytes more`)
      }
    })

    it("is undecryptable under any other header that parses", async () => {
      const changes = [
        { key: "A/c.txt" }, { bucket: "videos" }, { bucket: "photosA", key: "/b.txt" },
        { dek: header.dek.replace("5", "6") },
      ]
      for (const change of changes) {
        const other = encodeHeader({ ...header, ...change })
        await expectRefusedAt(0, Buffer.concat([other, object.subarray(start)]), JSON.stringify(change))
      }
    })

    it("is undecryptable with another data key", async () => {
      for (const key of [flip(dek, 0, 1), flip(dek, 31, 128), Buffer.alloc(32)]) {
        const { bytes, error } = await open(key, object)
        expect([error, bytes.length]).toEqual([undecryptable, 0])
      }
    })

    it("does not lend its header, salt and commitment to plaintext", async () => {
      for (const size of [0, 1, 15, 16, 17, 16_384, 16_399, 16_400, 16_416, 100_000]) {
        await expectRefusedAt(0, Buffer.concat([head, patterned(size)]), `${size} bytes of plaintext`)
      }
    })

    it("does not lend its first chunks to plaintext either", async () => {
      for (const size of [0, 16, 16_400, 100_000]) {
        await expectRefusedAt(17, joined([...chunks.slice(0, 17), patterned(size)]), `${size} bytes of plaintext`)
      }
    })
  })
})

/** The sealed chunks of an object with our header. */
function split(object: Buffer): Buffer[] {
  const { finalChunk } = messageShape(object.length - start)
  return Array.from({ length: finalChunk + 1 }, (_, index) => (
    object.subarray(start + chunkOffset(index), Math.min(start + chunkOffset(index + 1), object.length))
  ))
}

/** What an object's start is once byte `at` of its header reads `byte`: a header only where a character inside one of the
 *  three values became another one that stands for itself. */
function kindAfter(at: number, byte: number): Opened["parsed"]["kind"] {
  const isDigit = byte >= 0x30 && byte <= 0x39
  if (at === "bucketseal/".length && isDigit) return "unknown-format"
  const text = encodeHeader(header).toString("latin1")
  const inside = [header.dek, header.bucket, header.key].some((value) => {
    const from = text.indexOf(`:"${value}"`) + 2
    return at >= from && at < from + value.length
  })
  return inside && byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c ? "header" : "none"
}

describe("a stream that failed", () => {
  const context = encodeHeader(header)

  it("fails again each time it is asked, with the same error", async () => {
    const sealed = (await sealObject(dek, salt, header, patterned(20 * CHUNK_SIZE))).subarray(start)
    const stream = openMessage(dek, context, pieces(sealed.subarray(0, -1), 50_000))
    for (const chunks of [1, 16]) expect((await stream.next()).value?.length).toBe(chunks * CHUNK_SIZE)
    const errors: unknown[] = []
    for (let turn = 0; turn < 4; turn++) errors.push(await stream.next().catch((error: unknown) => error))
    expect(errors[0]).toEqual(undecryptable)
    expect(new Set(errors).size).toBe(1)
    const readOn = async () => {
      for await (const piece of stream) expect(piece).toBeUndefined()
    }
    await expect(readOn()).rejects.toBe(errors[0])
  })

  it("fails for every reader that asked before the error was known, and ends cleanly for none", async () => {
    const sealed = flip((await sealObject(dek, salt, header, patterned(10))).subarray(start), PREFIX_SIZE, 1)
    const stream = openMessage(dek, context, pieces(sealed, 50_000))
    const results = await Promise.allSettled([stream.next(), stream.next(), stream.next()])
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"])
  })

  it("passes on the source's own error, and never ends cleanly after it", async () => {
    const sealed = (await sealObject(dek, salt, header, patterned(20 * CHUNK_SIZE))).subarray(start)
    const broken = new Error("the connection broke")
    for (const size of [0, 30, PREFIX_SIZE, chunkOffset(3), chunkOffset(18) + 5, sealed.length]) {
      const source = async function* () {
        yield* pieces(sealed.subarray(0, size), 40_000)
        throw broken
      }
      const { bytes, error } = await drain(() => openMessage(dek, context, source()))
      expect(error).toBe(broken)
      expect(bytes.equals(patterned(20 * CHUNK_SIZE).subarray(0, bytes.length))).toBe(true)
    }
  })
})

describe("a run of chunks", async () => {
  const plaintext = patterned(5 * CHUNK_SIZE + 9)
  const sealed = (await sealObject(dek, salt, header, plaintext)).subarray(start)
  const message = openPrefix(dek, encodeHeader(header), sealed)
  const part = (from: number, to: number) => sealed.subarray(chunkOffset(from), chunkOffset(to))
  const open = (run: { first: number; count: number; final: boolean }, bytes: Uint8Array) => (
    drain(() => openChunks(message, run, pieces(bytes, 7_001)))
  )

  it("opens wherever it begins", async () => {
    for (const first of [0, 1, 4, 5]) {
      const { bytes, error } = await open({ first, count: 5 - first, final: true }, part(first, 6))
      expect([error, bytes.equals(plaintext.subarray(first * CHUNK_SIZE))]).toEqual([undefined, true])
    }
    const { bytes, error } = await open({ first: 1, count: 2, final: false }, part(1, 3))
    expect([error, bytes.equals(plaintext.subarray(CHUNK_SIZE, 3 * CHUNK_SIZE))]).toEqual([undefined, true])
  })

  it.each<[what: string, run: { first: number; count: number; final: boolean }, bytes: Uint8Array]>([
    ["of other chunks than were asked for", { first: 1, count: 2, final: false }, part(2, 4)],
    ["that is a chunk short", { first: 1, count: 3, final: false }, part(1, 3)],
    ["that is a byte short", { first: 1, count: 2, final: false }, part(1, 3).subarray(0, -1)],
    ["that is a byte long", { first: 1, count: 2, final: false }, sealed.subarray(chunkOffset(1), chunkOffset(3) + 1)],
    ["that is a chunk long", { first: 1, count: 2, final: false }, part(1, 4)],
    ["without the final chunk asked for", { first: 3, count: 2, final: true }, part(3, 5)],
    ["with a final chunk not asked for", { first: 3, count: 2, final: false }, part(3, 6)],
    ["whose final chunk has another number", { first: 3, count: 1, final: true }, part(4, 6)],
    ["that is empty", { first: 0, count: 1, final: false }, sealed.subarray(0, 0)],
  ])("%s is undecryptable", async (_, run, bytes) => {
    const opened = await open(run, bytes)
    expect(opened.error).toEqual(undecryptable)
    const from = run.first * CHUNK_SIZE
    expect(opened.bytes.equals(plaintext.subarray(from, from + opened.bytes.length))).toBe(true)
    expect(opened.bytes.length).toBeLessThanOrEqual(run.count * CHUNK_SIZE)
  })
})
