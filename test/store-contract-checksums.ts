import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { beforeAll, expect, it } from "vitest"
import { patterned, pieces } from "./bytes.ts"
import type { Part, StoredChecksum } from "../shared/ports.ts"
import type { Subject } from "./store-contract.ts"
import { failureOf, md5, randomName } from "./store-contract-reads.ts"

const PART = 5 * 1024 * 1024 // S3's least size of a part that is not the last
const first = patterned(PART)
const tail = Buffer.from("the last part")

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest()
const sha256Of = (bytes: Buffer): StoredChecksum =>
  ({ algorithm: "sha256", type: "full", value: sha256(bytes).toString("base64") })

function crc32Of(bytes: Buffer): StoredChecksum {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  return { algorithm: "crc32", type: "full", value: value.toString("base64") }
}

/** Checksums beside the ETag (S3 user guide, "Checking object integrity"). Those given here are right: stores may check. */
export function checksumSentences({ store, bucket, sentence }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const fresh = () => ({ bucket: home, key: randomName() })
  const told = async (ref: { bucket: string; key: string }) => {
    const object = await store().get(ref)
    object?.cancel()
    return [(await store().head(ref))?.checksum, object?.checksum]
  }

  const putWith = async () => {
    const ref = fresh()
    await store().put(ref, tail, { checksum: () => crc32Of(tail) })
    return told(ref)
  }
  sentence(
    "object-checksums",
    "head and get tell the checksum that a put gave",
    async () => expect(await putWith()).toEqual([crc32Of(tail), crc32Of(tail)]),
    async () => expect(await putWith()).toEqual([undefined, undefined]),
  )

  it("tells none of an object that was written without one, or where the writer had none", async () => {
    const [without, none] = [fresh(), fresh()]
    await store().put(without, tail)
    await store().put(none, tail, { checksum: () => undefined })
    expect([await told(without), await told(none)]).toEqual([[undefined, undefined], [undefined, undefined]])
  })

  /** How a put ends whose CRC-32 is that of other bytes, and what is there then. */
  const wrong = async (isStream: boolean) => {
    const ref = fresh()
    const body = isStream ? { length: first.length, stream: pieces(first, 65_536) } : tail
    const code = await failureOf(store().put(ref, body, { checksum: () => crc32Of(Buffer.from("other")) }))
    return [code, (await store().head(ref))?.size]
  }
  sentence(
    "wrong-checksum",
    "a CRC-32 that is wrong is refused, and nothing is stored: store-refused",
    async () => expect(await wrong(false)).toEqual(["store-refused", undefined]),
    async () => expect(await wrong(false)).toEqual(["no failure", tail.length]),
  )
  sentence(
    "wrong-stream-checksum",
    "so is that of a stream",
    async () => expect(await wrong(true)).toEqual(["store-refused", undefined]),
    async () => expect(await wrong(true)).toEqual(["no failure", first.length]),
  )

  it("asks for the checksum once at most, and of a stream not before it was read to its end", async () => {
    const ref = fresh()
    const bytes = patterned(100_000)
    const asked: string[] = []
    async function* stream() {
      yield* pieces(bytes, 10_000)
      asked.push("the end")
    }
    const checksum = () => {
      asked.push("the checksum")
      return sha256Of(bytes)
    }
    await store().put(ref, { length: bytes.length, stream: stream() }, { checksum })
    expect([["the end"], ["the end", "the checksum"]]).toContainEqual(asked)
    await store().put(ref, bytes, { checksum })
    expect(asked.filter((what) => what === "the checksum").length).toBeLessThanOrEqual(2)
    expect((await store().head(ref))?.etag).toBe(md5(bytes))
  })

  /** An upload whose parts carry SHA-256, as it is listed, and the object made of it. */
  const inParts = async () => {
    const ref = fresh()
    const kind = { algorithm: "sha256", type: "composite" } as const
    const id = await store().createUpload(ref, { checksum: kind })
    for (const [index, body] of [first, tail].entries()) {
      await store().putPart(ref, id, index + 1, body, { checksum: () => sha256Of(body) })
    }
    const listed = await store().listParts(ref, id)
    const [upload] = (await store().listUploads(home, { prefix: ref.key })).uploads
    const value = `${sha256(Buffer.concat([sha256(first), sha256(tail)])).toString("base64")}-2`
    await store().completeUpload(ref, id, listed.parts, { checksum: () => ({ ...kind, value }) })
    return { ref, listed, kinds: [listed.checksum, upload?.checksum], kind, value }
  }
  const checksums = (parts: readonly Part[]) => parts.map((part) => part.checksum)

  sentence(
    "checksums",
    "an upload tells the checksum that it was begun with, and each of its parts its own",
    async () => {
      const { listed, kinds, kind } = await inParts()
      expect(kinds).toEqual([kind, kind])
      expect(checksums(listed.parts)).toEqual([sha256Of(first), sha256Of(tail)])
    },
    async () => {
      const { listed, kinds } = await inParts()
      expect([...kinds, ...checksums(listed.parts)]).toEqual([undefined, undefined, undefined, undefined])
    },
  )

  sentence(
    "object-checksums",
    "an object made of parts tells the checksum that completing gave",
    async () => {
      const { ref, kind, value } = await inParts()
      expect(await told(ref)).toEqual([{ ...kind, value }, { ...kind, value }])
    },
    async () => expect(await told((await inParts()).ref)).toEqual([undefined, undefined]),
  )

  it("an upload begun without a checksum tells none", async () => {
    const ref = fresh()
    const id = await store().createUpload(ref)
    await store().putPart(ref, id, 1, tail)
    const { parts, checksum } = await store().listParts(ref, id)
    expect([checksum, ...checksums(parts)]).toEqual([undefined, undefined])
    expect(await failureOf(store().completeUpload(ref, id, parts))).toBe("no failure")
  })
}
