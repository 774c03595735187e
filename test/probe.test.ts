import { createHash } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Failure } from "../shared/errors.ts"
import type { Body, ObjectStore, Store, WriteOptions } from "../shared/ports.ts"
import { PROBE_PREFIX, probe, unsafeBecause } from "../shared/store/probe.ts"
import { counted } from "./key-fixtures.ts"
import type { Harness } from "./store-contract.ts"
import { stores } from "./stores.ts"

/** A store with one lie about writes. */
const lying = (store: Store, lie: (options: WriteOptions | undefined) => WriteOptions | undefined): ObjectStore =>
  ({ ...store, put: (ref, body, options) => store.put(ref, body, lie(options)) })

const without = (options: WriteOptions | undefined): WriteOptions => {
  const { condition: _, ...rest } = options ?? {}
  return rest
}

const isCreate = (options?: WriteOptions) => options?.condition !== undefined && "ifNoneMatch" in options.condition
const isMatch = (options?: WriteOptions) => options?.condition !== undefined && "ifMatch" in options.condition

const lies: readonly [what: string, lie: (store: Store) => ObjectStore, says: string | undefined][] = [
  ["ignores every condition", (store) => lying(store, without), "If-None-Match"],
  ["ignores If-None-Match", (store) => lying(store, (options) => isCreate(options) ? without(options) : options), "If-None-Match"],
  ["ignores If-Match", (store) => lying(store, (options) => isMatch(options) ? without(options) : options), "stale ETag"],
  ["makes missing objects under If-Match", (store) => ({
    ...store,
    async put(ref, body, options) {
      const there = isMatch(options) ? await store.head(ref) : true
      return store.put(ref, body, there ? options : without(options))
    },
  }), "would undo deletes"],
  ["refuses every If-Match", (store) => ({
    ...store,
    put: (ref, body, options) => isMatch(options) ? Promise.reject(new Failure("precondition-failed", "no")) : store.put(ref, body, options),
  }), "refuses If-Match with the right ETag"],
  ["checks a condition, then acts", (store) => ({
    ...store,
    async put(ref, body, options) {
      const now = await store.head(ref)
      const { condition } = options ?? {}
      const holds = !condition || ("ifMatch" in condition ? now?.etag === condition.ifMatch : !now)
      if (!holds) throw new Failure("precondition-failed", "no")
      await new Promise((resolve) => setTimeout(resolve, 20))
      return store.put(ref, body, without(options))
    },
  }), "more than one succeeds"],
  ["says yes to a refused create, and writes nothing", (store) => ({
    ...store,
    async put(ref, body, options) {
      try {
        return await store.put(ref, body, options)
      } catch (error) {
        if (!isCreate(options)) throw error
        return { etag: createHash("md5").update(body instanceof Uint8Array ? body : "").digest("hex") }
      }
    },
  }), "If-None-Match"],
  ["shows old bytes to the next read", (store) => {
    const first = new Map<string, Uint8Array>()
    return {
      ...store,
      async put(ref, body: Body, options) {
        const result = await store.put(ref, body, options)
        if (body instanceof Uint8Array && !first.has(ref.key)) first.set(ref.key, Buffer.from("old"))
        return result
      },
      async get(ref, options) {
        const object = await store.get(ref, options)
        const old = first.get(ref.key)
        if (!object || !old || !ref.key.endsWith("plain")) return object
        object.cancel()
        return { ...object, body: (async function* () { yield old })() }
      },
    }
  }, "read after a write"],
  ["lists nothing new", (store) => ({ ...store, list: async () => ({ objects: [], prefixes: [] }) }), "listing after a write"],
  ["wants the ETag unquoted", (store) => ({
    ...store,
    put: (ref, body, options) => options?.condition && "ifMatch" in options.condition && options.condition.form !== "unquoted"
      ? Promise.reject(new Failure("precondition-failed", "no")) : store.put(ref, body, options),
  }), undefined],
]

describe.each(stores)("the store probe: %s", (name, open) => {
  let harness: Harness
  let bucket: string
  beforeAll(async () => {
    harness = await open()
    bucket = await harness.bucket()
  })
  afterAll(() => harness.close())

  it("calls the store safe, and finds out how it wants an ETag", async () => {
    const report = await probe(harness.store, bucket)
    expect(unsafeBecause(report)).toBeUndefined()
    expect(report).toEqual({
      createRefusesExisting: true, createHasOneWinner: true, staleMatchRefused: true, missingMatchRefused: true, replaceHasOneWinner: true,
      readAfterWrite: true, listAfterWrite: true, etagIsMd5: true, reportsTagCount: true, givesVersions: false,
      matchForm: name === "RGW" ? "unquoted" : "quoted",
    })
  })

  it("writes at most 40 objects of at most 1 KiB, under its own prefix, and leaves none behind", async () => {
    const keys = new Set<string>()
    const watched = counted<Store>({ ...harness.store, put: (ref, body, options) => {
      keys.add(ref.key)
      expect(body instanceof Uint8Array && body.length).toBeLessThanOrEqual(1_024)
      return harness.store.put(ref, body, options)
    } })
    await probe(watched, bucket)
    expect([...keys].every((key) => key.startsWith(PROBE_PREFIX))).toBe(true)
    expect(keys.size).toBeLessThanOrEqual(40)
    expect((await harness.store.list(bucket, { prefix: PROBE_PREFIX })).objects).toEqual([])
  })

  it.each(lies)("a store that %s is told apart", async (_, lie, says) => {
    const because = unsafeBecause(await probe(lie(harness.store), bucket))
    if (says === undefined) expect(because).toBeUndefined()
    else expect(because).toContain(says)
  })
})
