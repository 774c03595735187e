import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Failure } from "../shared/errors.ts"
import type { EtagForm, ObjectStore, Store } from "../shared/ports.ts"
import { stateStore } from "../shared/store/state.ts"
import { rgwFromEnvironment, rgwHarness, withoutRgw } from "./rgw.ts"
import { stateContract } from "./state-contract.ts"
import type { Harness } from "./store-contract.ts"
import { failureOf, randomName, textOf } from "./store-contract-reads.ts"
import { localHarness } from "./stores.ts"

const anything = { parse: (value: unknown) => value }
const lost = () => new Failure("unavailable", "no answer")
type Put = ObjectStore["put"]

/** The store, with another way to put. */
const withPut = (store: ObjectStore, put: Put): ObjectStore => ({ ...store, put })

/** Does to `store` what it does, but the answer to the first write is lost. */
function losingAnswer(store: ObjectStore, effect: "after" | "before", error = lost()): ObjectStore {
  let first = true
  return withPut(store, async (ref, body, options) => {
    if (!first) return store.put(ref, body, options)
    first = false
    if (effect === "after") await store.put(ref, body, options).catch(() => undefined)
    throw error
  })
}

async function stateIn({ store, bucket, close }: Harness, form: EtagForm) {
  const place = { bucket: await bucket(), prefix: "state/", form }
  return { states: [stateStore(store, place), stateStore(store, place)] as const, close }
}

stateContract("objects in the local store", async () => stateIn(await localHarness(), "quoted"))

const rgw = rgwFromEnvironment()
if (rgw) stateContract("objects in Ceph RGW", () => stateIn(rgwHarness(rgw), "unquoted"))
else describe("StateStore: objects in Ceph RGW", () => it.skip(withoutRgw, () => {}))

describe("state in objects", () => {
  let harness: Harness | undefined
  let bucket = ""
  beforeAll(async () => {
    harness = await localHarness()
    bucket = await harness.bucket()
  })
  afterAll(() => harness?.close())
  const store = (): Store => {
    if (!harness) throw new Error("the store was not made")
    return harness.store
  }
  const over = (objects: ObjectStore) => stateStore(objects, { bucket, prefix: "p/" })
  const plain = () => over(store())
  const fresh = () => `${randomName()}.json`
  const raw = (path: string) => ({ bucket, key: `p/${path}` })

  it("is JSON that people can read: the value, and the write it came by", async () => {
    const path = fresh()
    await plain().create(path, { name: "x" })
    const text = (await textOf(store(), raw(path))) ?? ""
    expect(text).toMatch(/^\{\n {2}"write": "[0-9a-f-]{36}",\n {2}"value": \{\n {4}"name": "x"\n {2}\}\n\}\n$/)
    expect((await store().head(raw(path)))?.contentType).toBe("application/json")
  })

  it("a document over 1 MiB is refused: too-large", async () => {
    expect(await failureOf(plain().create(fresh(), "x".repeat(1024 * 1024)))).toBe("too-large")
  })

  it.each(["", "{", "[]", "7", '{"value":1}', '{"write":"w"}', " ".repeat(1024 * 1024 + 1)])(
    "an object that is no document throws internal (%#)",
    async (text) => {
      const path = fresh()
      await store().put(raw(path), Buffer.from(text))
      expect(await failureOf(plain().read(path, anything))).toBe("internal")
    },
  )

  it("an error about a document does not quote it", async () => {
    const path = fresh()
    await store().put(raw(path), Buffer.from('{"hidden": s3cret'))
    const error: unknown = await plain().read(path, anything).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(Failure)
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("s3cret")
  })

  const wrongAnswers = ["unavailable", "conflict", "precondition-failed"] as const
  describe.each(wrongAnswers)("where a write that took effect is answered by %s", (code) => {
    const losing = () => over(losingAnswer(store(), "after", new Failure(code, "not what happened")))

    it("create finds its own bytes and gives their tag", async () => {
      const path = fresh()
      const etag = await losing().create(path, { a: 1 })
      expect(await plain().read(path, anything)).toEqual({ value: { a: 1 }, etag })
    })

    it("replace finds its own bytes and gives their tag", async () => {
      const path = fresh()
      const etag = (await plain().create(path, 1)) ?? ""
      const replaced = await losing().replace(path, 2, etag)
      expect(await plain().read(path, anything)).toEqual({ value: 2, etag: replaced })
    })

    it("create does not take an equal document of somebody else for its own", async () => {
      const path = fresh()
      await plain().create(path, { a: 1 })
      expect(await losing().create(path, { a: 1 })).toBeUndefined()
    })

    it("replace does not take an equal document of somebody else for its own", async () => {
      const path = fresh()
      const etag = (await plain().create(path, 1)) ?? ""
      await plain().replace(path, 2, etag)
      expect(await losing().replace(path, 2, etag)).toBeUndefined()
    })
  })

  describe("where a write that had no effect is answered by unavailable", () => {
    const losing = () => over(losingAnswer(store(), "before"))

    it("create throws, as it may still happen", async () => {
      expect(await failureOf(losing().create(fresh(), 1))).toBe("unavailable")
    })

    it("replace throws where the old document is still there", async () => {
      const path = fresh()
      const etag = (await plain().create(path, 1)) ?? ""
      expect(await failureOf(losing().replace(path, 2, etag))).toBe("unavailable")
      expect(await plain().read(path, anything)).toEqual({ value: 1, etag })
    })

    it("create and replace give undefined where somebody else's document is there", async () => {
      const path = fresh()
      const etag = (await plain().create(path, 1)) ?? ""
      expect(await losing().create(path, 1)).toBeUndefined()
      await plain().replace(path, 2, etag)
      expect(await losing().replace(path, 3, etag)).toBeUndefined()
    })

    it("replace gives undefined where the document is gone", async () => {
      const path = fresh()
      const etag = (await plain().create(path, 1)) ?? ""
      await plain().remove(path)
      expect(await losing().replace(path, 2, etag)).toBeUndefined()
    })
  })

  it("a store that refuses a condition that holds is called unsafe-store, never a lost race", async () => {
    const path = fresh()
    const etag = (await plain().create(path, 1)) ?? ""
    const refusing = over(losingAnswer(store(), "before", new Failure("precondition-failed", "no")))
    expect(await failureOf(refusing.replace(path, 2, etag))).toBe("unsafe-store")
  })

  it.each(["forbidden", "store-refused", "bucket-not-found"] as const)("%s is thrown as it is", async (code) => {
    const refusing = over(losingAnswer(store(), "before", new Failure(code, "no")))
    expect(await failureOf(refusing.create(fresh(), 1))).toBe(code)
  })

  it("sends If-Match in the form the store wants", async () => {
    const path = fresh()
    const etag = (await plain().create(path, 1)) ?? ""
    const seen: unknown[] = []
    const watching = withPut(store(), (ref, body, options) => {
      seen.push(options?.condition)
      return store().put(ref, body, options)
    })
    await stateStore(watching, { bucket, prefix: "p/", form: "unquoted" }).replace(path, 2, etag)
    expect(seen).toEqual([{ ifMatch: etag, form: "unquoted" }])
  })
})
