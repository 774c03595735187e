import { beforeAll, describe, expect, it } from "vitest"
import type { WriteResult } from "../shared/ports.ts"
import { patterned, pieces } from "./bytes.ts"
import type { Subject } from "./store-contract.ts"
import { failureOf, md5, randomName, textOf } from "./store-contract-reads.ts"

const STALE = md5("what nobody ever stored")
const RACERS = 16

/** Conditional reads and writes, one after another and at once. */
export function conditionSentences({ store, bucket, etagForm }: Subject): void {
  let home = ""
  beforeAll(async () => void (home = await bucket()))
  const fresh = () => ({ bucket: home, key: randomName() })
  const ifMatch = (etag: string) => ({ ifMatch: etag, form: etagForm })
  const existing = async () => {
    const ref = fresh()
    return { ref, etag: (await store().put(ref, Buffer.from("old"))).etag }
  }

  describe.each(["get", "head"] as const)("%s", (read) => {
    it("answers where ifMatch names the current ETag, and fails where not: precondition-failed", async () => {
      const { ref, etag } = await existing()
      expect((await store()[read](ref, { ifMatch: etag }))?.size).toBe(3)
      expect(await failureOf(store()[read](ref, { ifMatch: STALE }))).toBe("precondition-failed")
    })

    it("fails where ifNoneMatch names the current ETag: not-modified, and answers where not", async () => {
      const { ref, etag } = await existing()
      expect(await failureOf(store()[read](ref, { ifNoneMatch: etag }))).toBe("not-modified")
      expect((await store()[read](ref, { ifNoneMatch: STALE }))?.size).toBe(3)
    })

    it("gives undefined for what is not there under ifNoneMatch", async () => {
      expect(await store()[read](fresh(), { ifNoneMatch: STALE })).toBeUndefined()
    })
  })

  it("a ranged get under ifMatch is refused once the object was replaced", async () => {
    const { ref, etag } = await existing()
    await store().put(ref, Buffer.from("new"))
    expect(await failureOf(store().get(ref, { ifMatch: etag, range: { start: 1 } }))).toBe("precondition-failed")
  })

  it("ifNoneMatch * writes where there is no object", async () => {
    const ref = fresh()
    const { etag } = await store().put(ref, Buffer.from("new"), { condition: { ifNoneMatch: "*" } })
    expect([etag, await textOf(store(), ref)]).toEqual([md5("new"), "new"])
  })

  it("ifNoneMatch * is refused where there is one, which stays: precondition-failed", async () => {
    const { ref } = await existing()
    const put = store().put(ref, Buffer.from("new"), { condition: { ifNoneMatch: "*" } })
    expect([await failureOf(put), await textOf(store(), ref)]).toEqual(["precondition-failed", "old"])
  })

  it("ifNoneMatch * writes again after a delete", async () => {
    const { ref } = await existing()
    await store().delete(ref)
    await store().put(ref, Buffer.from("new"), { condition: { ifNoneMatch: "*" } })
    expect(await textOf(store(), ref)).toBe("new")
  })

  it("ifMatch with the current ETag replaces the object", async () => {
    const { ref, etag } = await existing()
    const written = await store().put(ref, Buffer.from("new"), { condition: ifMatch(etag) })
    expect([written.etag, await textOf(store(), ref)]).toEqual([md5("new"), "new"])
  })

  it("ifMatch with a stale ETag is refused, and the object stays: precondition-failed", async () => {
    const { ref, etag } = await existing()
    await store().put(ref, Buffer.from("newer"))
    for (const stale of [etag, STALE]) {
      const put = store().put(ref, Buffer.from("new"), { condition: ifMatch(stale) })
      expect([await failureOf(put), await textOf(store(), ref)]).toEqual(["precondition-failed", "newer"])
    }
  })

  it("ifMatch on a deleted object is refused, and it stays deleted: precondition-failed", async () => {
    const { ref, etag } = await existing()
    await store().delete(ref)
    const put = store().put(ref, Buffer.from("new"), { condition: ifMatch(etag) })
    expect([await failureOf(put), await textOf(store(), ref)]).toEqual(["precondition-failed", undefined])
  })

  it("a refused put of 1 MiB leaves the store fit for the next", async () => {
    const { ref } = await existing()
    const bytes = patterned(1024 * 1024)
    const body = { length: bytes.length, stream: pieces(bytes, 65_536) }
    expect(await failureOf(store().put(ref, bytes, { condition: ifMatch(STALE) }))).toBe("precondition-failed")
    expect(await failureOf(store().put(ref, body, { condition: { ifNoneMatch: "*" } }))).toBe("precondition-failed")
    expect(await textOf(store(), ref)).toBe("old")
  })

  /** Runs the writers at once; gives the winner, after checking that all others lost in a permitted way. */
  const race = async (write: (racer: number) => Promise<WriteResult>): Promise<number> => {
    const codes = await Promise.all(Array.from({ length: RACERS }, (_, racer) => failureOf(write(racer))))
    const winners = codes.flatMap((code, racer) => (code === "no failure" ? [racer] : []))
    const lost = codes.filter((code) => code !== "no failure")
    for (const code of lost) expect(["precondition-failed", "conflict", "unavailable"]).toContain(code)
    expect(winners.length).toBe(1)
    return winners[0] ?? -1
  }

  it.each([10, 100_000])("of 16 creates at once of %i bytes exactly one wins and is there", async (size) => {
    const ref = fresh()
    const bytes = (racer: number) => Buffer.alloc(size, racer)
    const winner = await race((racer) => store().put(ref, bytes(racer), { condition: { ifNoneMatch: "*" } }))
    expect((await store().head(ref))?.etag).toBe(md5(bytes(winner)))
  })

  it.each([10, 100_000])("of 16 replacements of one ETag at once, of %i bytes, one wins and is there", async (size) => {
    const { ref, etag } = await existing()
    const bytes = (racer: number) => Buffer.alloc(size, racer)
    const winner = await race((racer) => store().put(ref, bytes(racer), { condition: ifMatch(etag) }))
    expect((await store().head(ref))?.etag).toBe(md5(bytes(winner)))
  })

  it("counting by compare-and-swap from 4 at once loses no step", async () => {
    const ref = fresh()
    await store().put(ref, Buffer.from("0"))
    const step = async (): Promise<boolean> => {
      const object = await store().head(ref)
      const etag = object?.etag ?? ""
      const text = await textOf(store(), ref, { ifMatch: etag }).catch(() => undefined)
      if (text === undefined) return false
      const put = store().put(ref, Buffer.from(String(Number(text) + 1)), { condition: ifMatch(etag) })
      return (await failureOf(put)) === "no failure"
    }
    const count = async () => {
      let done = 0
      for (let attempt = 0; attempt < 200 && done < 5; attempt++) if (await step()) done++
      return done
    }
    const done = await Promise.all([count(), count(), count(), count()])
    expect(done).toEqual([5, 5, 5, 5])
    expect(await textOf(store(), ref)).toBe("20")
  })
}
