import { beforeAll, expect, it } from "vitest"
import { patterned, pieces } from "./bytes.ts"
import type { Part, PartListOptions, WriteCondition } from "../shared/ports.ts"
import type { Subject } from "./store-contract.ts"
import { bytesOf, failureOf, md5, randomName, textOf } from "./store-contract-reads.ts"

const PART = 5 * 1024 * 1024 // S3's least size of a part that is not the last
const first = patterned(PART)
const second = Buffer.from(patterned(PART + 7)).fill(0x5a, 0, 100)
const tail = Buffer.from("the last part")
const DAY = 24 * 3600 * 1000 // milliseconds that clocks may differ by

/** Uploads in parts. */
export function uploadSentences({ store, bucket, etagForm, sentence }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const fresh = () => ({ bucket: home, key: randomName() })

  /** An upload with these parts, numbered from 1. */
  const upload = async (bodies: readonly Buffer[], ref = fresh()) => {
    const id = await store().createUpload(ref)
    const parts: Part[] = []
    for (const [index, body] of bodies.entries()) {
      const { etag } = await store().putPart(ref, id, index + 1, body)
      parts.push({ number: index + 1, etag, size: body.length })
    }
    return { ref, id, parts }
  }

  it("makes one object of the parts, in the order of their numbers, sent in any order, as streams too", async () => {
    const ref = fresh()
    const id = await store().createUpload(ref)
    const last = await store().putPart(ref, id, 3, tail)
    const [one, two] = await Promise.all([
      store().putPart(ref, id, 1, { length: first.length, stream: pieces(first, 65_536) }),
      store().putPart(ref, id, 2, { length: second.length, stream: pieces(second, 100_003) }),
    ])
    expect([one.etag, two.etag, last.etag]).toEqual([md5(first), md5(second), md5(tail)])
    await store().completeUpload(ref, id, [
      { number: 1, etag: one.etag, size: first.length },
      { number: 2, etag: two.etag, size: second.length },
      { number: 3, etag: last.etag, size: tail.length },
    ])
    const whole = Buffer.concat([first, second, tail])
    expect((await bytesOf(store(), ref))?.equals(whole)).toBe(true)
    const range = { start: first.length - 10, end: first.length + second.length + 4 }
    expect((await bytesOf(store(), ref, { range }))?.equals(whole.subarray(range.start, range.end + 1))).toBe(true)
  })

  it("the ETag of the object is the MD5 of its parts' MD5s, and their number", async () => {
    const { ref, id, parts } = await upload([first, tail])
    await store().completeUpload(ref, id, parts)
    const digests = Buffer.concat(parts.map((part) => Buffer.from(part.etag, "hex")))
    expect((await store().head(ref))?.etag).toBe(`${md5(digests)}-2`)
  })

  it("completing answers the object's ETag", async () => {
    const { ref, id, parts } = await upload([tail])
    const { etag } = await store().completeUpload(ref, id, parts)
    expect(etag).toBe((await store().head(ref))?.etag)
  })

  const attributes = { contentType: "text/plain", cacheControl: "no-store", metadata: { a: "1" } }
  const described = async () => {
    const ref = fresh()
    const id = await store().createUpload(ref, { attributes, tags: [["t", "v"]] })
    const { etag } = await store().putPart(ref, id, 1, tail)
    await store().completeUpload(ref, id, [{ number: 1, etag, size: tail.length }])
    return ref
  }
  it("keeps attributes given when the upload was made", async () => {
    expect(await store().head(await described())).toMatchObject(attributes)
  })
  sentence(
    "upload-tags",
    "keeps tags given when the upload was made",
    async () => expect(await store().getTags(await described())).toEqual([["t", "v"]]),
    async () => expect(await store().getTags(await described())).toEqual([]),
  )

  it("nothing is visible before it is completed, and an object already there stays", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("before"))
    const { id, parts } = await upload([tail], ref)
    expect(await textOf(store(), ref)).toBe("before")
    await store().completeUpload(ref, id, parts)
    expect(await textOf(store(), ref)).toBe(tail.toString())
  })

  it("lists the parts stored so far by number, whatever order they came in", async () => {
    const ref = fresh()
    const id = await store().createUpload(ref)
    expect(await store().listParts(ref, id)).toEqual({ parts: [] })
    for (const number of [3, 10_000, 1]) await store().putPart(ref, id, number, Buffer.from(`part ${number}`))
    const { parts } = await store().listParts(ref, id)
    expect(parts).toMatchObject(
      [1, 3, 10_000].map((number) => ({ number, etag: md5(`part ${number}`), size: `part ${number}`.length })),
    )
    for (const { lastModified = 0 } of parts) expect(Math.abs(lastModified - Date.now())).toBeLessThan(DAY)
    await store().abortUpload(ref, id)
  })

  it("lists all parts where there are more than one page of them", async () => {
    const ref = fresh()
    const id = await store().createUpload(ref)
    const numbers = Array.from({ length: 1010 }, (_, index) => index + 1)
    for (let from = 0; from < numbers.length; from += 101) {
      const some = numbers.slice(from, from + 101)
      await Promise.all(some.map((number) => store().putPart(ref, id, number, Buffer.from("p"))))
    }
    expect((await store().listParts(ref, id)).parts.map((part) => part.number)).toEqual(numbers)
    await store().abortUpload(ref, id)
  })

  it("lists the parts behind a number, and no more than are asked for", async () => {
    const ref = fresh()
    const id = await store().createUpload(ref)
    for (const number of [1, 3, 10_000]) await store().putPart(ref, id, number, tail)
    const numbers = async (options: PartListOptions) =>
      (await store().listParts(ref, id, options)).parts.map((part) => part.number)
    expect([await numbers({ limit: 1 }), await numbers({ limit: 3 })]).toEqual([[1], [1, 3, 10_000]])
    expect([await numbers({ after: 1 }), await numbers({ after: 2, limit: 1 })]).toEqual([[3, 10_000], [3]])
    expect(await numbers({ after: 10_000 })).toEqual([])
    await store().abortUpload(ref, id)
  })

  it("a part stored again under its number replaces it; the old ETag no longer completes", async () => {
    const { ref, id, parts } = await upload([Buffer.from("first try")])
    const { etag } = await store().putPart(ref, id, 1, tail)
    expect((await store().listParts(ref, id)).parts).toMatchObject([{ number: 1, etag, size: tail.length }])
    expect(await failureOf(store().completeUpload(ref, id, parts))).toBe("store-refused")
    await store().completeUpload(ref, id, [{ number: 1, etag, size: tail.length }])
    expect(await textOf(store(), ref)).toBe(tail.toString())
  })

  sentence(
    "left-out-parts",
    "parts that completing does not name are left out",
    async () => {
      const { ref, id, parts } = await upload([first, second, tail])
      await store().completeUpload(ref, id, parts.filter((part) => part.number !== 2))
      expect((await bytesOf(store(), ref))?.equals(Buffer.concat([first, tail]))).toBe(true)
    },
    async () => {
      const { ref, id, parts } = await upload([first, tail])
      expect(await failureOf(store().completeUpload(ref, id, parts.slice(0, 1)))).toBe("store-refused")
      await store().abortUpload(ref, id)
    },
  )

  it("a part that breaks off stores nothing, and the upload goes on", async () => {
    const { ref, id } = await upload([])
    const short = { length: 100_000, stream: pieces(patterned(99_999), 10_000) }
    await expect(store().putPart(ref, id, 1, short)).rejects.toThrow()
    expect(await store().listParts(ref, id)).toEqual({ parts: [] })
    const { etag } = await store().putPart(ref, id, 1, tail)
    await store().completeUpload(ref, id, [{ number: 1, etag, size: tail.length }])
    expect(await textOf(store(), ref)).toBe(tail.toString())
  })

  it("refuses an earlier part under 5 MiB, a wrong ETag, a missing part, parts out of order, no parts", async () => {
    const { ref, id, parts } = await upload([tail, tail])
    const [one, two] = parts
    if (!one || !two) throw new Error("no parts")
    const refused = [[one, two], [{ ...one, etag: md5("other") }], [{ ...one, number: 7 }], [two, one], []]
    for (const list of refused) expect(await failureOf(store().completeUpload(ref, id, list))).toBe("store-refused")
    expect(await store().head(ref)).toBeUndefined()
    expect((await store().listParts(ref, id)).parts.length).toBe(2)
    await store().abortUpload(ref, id)
  })

  it.each([0, 10_001])("refuses part number %i: store-refused", async (number) => {
    const { ref, id } = await upload([])
    expect(await failureOf(store().putPart(ref, id, number, tail))).toBe("store-refused")
    await store().abortUpload(ref, id)
  })

  it("an aborted upload is gone: not-found; aborting it again succeeds", async () => {
    const { ref, id, parts } = await upload([tail])
    await store().abortUpload(ref, id)
    expect(await failureOf(store().listParts(ref, id))).toBe("not-found")
    expect(await failureOf(store().putPart(ref, id, 1, tail))).toBe("not-found")
    expect(await failureOf(store().completeUpload(ref, id, parts))).not.toBe("no failure")
    expect(await store().head(ref)).toBeUndefined()
    await store().abortUpload(ref, id)
    expect(await failureOf(store().abortUpload({ ...ref, bucket: `absent-${randomName()}` }, id))).toBe("bucket-not-found")
  })

  it("an upload belongs to its key: under another one there is no such upload", async () => {
    const { ref, id, parts } = await upload([tail])
    const other = { ...ref, key: `${ref.key}-other` }
    expect(await failureOf(store().listParts(other, id))).toBe("not-found")
    expect(await failureOf(store().completeUpload(other, id, parts))).not.toBe("no failure")
    expect(await store().head(other)).toBeUndefined()
    await store().completeUpload(ref, id, parts)
    expect(await textOf(store(), ref)).toBe(tail.toString())
  })

  const unknown = async () => {
    const { ref, id, parts } = await upload([tail])
    await store().abortUpload(ref, id)
    return failureOf(store().completeUpload(ref, id, parts))
  }
  sentence(
    "complete-unknown",
    "completing an upload that is not there fails: not-found",
    async () => expect(await unknown()).toBe("not-found"),
    async () => expect(await unknown()).toBe("unavailable"),
  )

  const again = async () => {
    const { ref, id, parts } = await upload([tail])
    await store().completeUpload(ref, id, parts)
    return failureOf(store().completeUpload(ref, id, parts))
  }
  sentence(
    "complete-twice",
    "completing an upload again fails: not-found",
    async () => expect(await again()).toBe("not-found"),
    async () => expect(await again()).toBe("no failure"),
  )

  it("two uploads of one key do not disturb each other; the one completed last is the object", async () => {
    const one = await upload([Buffer.from("one")])
    const two = await upload([Buffer.from("two")], one.ref)
    await store().completeUpload(two.ref, two.id, two.parts)
    await store().completeUpload(one.ref, one.id, one.parts)
    expect(await textOf(store(), one.ref)).toBe("one")
  })

  /** Completes over an object "old" under a condition; gives the failure and what is there afterwards. */
  const completeOver = async (condition: (etag: string) => WriteCondition) => {
    const ref = fresh()
    const { etag } = await store().put(ref, Buffer.from("old"))
    const { id, parts } = await upload([tail], ref)
    const code = await failureOf(store().completeUpload(ref, id, parts, { condition: condition(etag) }))
    if (code !== "no failure") await store().abortUpload(ref, id)
    return [code, await textOf(store(), ref)]
  }
  const right = (etag: string) => ({ ifMatch: etag, form: etagForm })
  const stale = () => ({ ifMatch: md5("stale"), form: etagForm })
  const absent = () => ({ ifNoneMatch: "*" }) as const

  it("completing under ifMatch with the current ETag replaces the object", async () => {
    expect(await completeOver(right)).toEqual(["no failure", tail.toString()])
  })

  sentence(
    "complete-conditions",
    "completing under a stale ifMatch, or ifNoneMatch * over an object, is refused: precondition-failed",
    async () => {
      expect(await completeOver(stale)).toEqual(["precondition-failed", "old"])
      expect(await completeOver(absent)).toEqual(["precondition-failed", "old"])
    },
    async () => {
      expect(await completeOver(stale)).toEqual(["no failure", tail.toString()])
      expect(await completeOver(absent)).toEqual(["no failure", tail.toString()])
    },
  )

  it("completing under ifNoneMatch * makes an object that was not there", async () => {
    const { ref, id, parts } = await upload([tail])
    await store().completeUpload(ref, id, parts, { condition: { ifNoneMatch: "*" } })
    expect(await textOf(store(), ref)).toBe(tail.toString())
  })
}
