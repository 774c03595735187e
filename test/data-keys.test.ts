import { randomBytes } from "node:crypto"
import { afterEach, describe, expect, it, vi } from "vitest"
import { Failure } from "../shared/errors.ts"
import { dataKeys, type DataKeys, type DataKeysOptions } from "../shared/keys/data-keys.ts"
import type { EmbeddedOptions } from "../shared/keys/embedded.ts"
import { fieldSealer } from "../shared/keys/master-key.ts"
import type { KeyService, StateStore } from "../shared/ports.ts"
import {
  allStored, counted, makeRootKeys, newRootKey, overwrite, recordingPlaintexts, setClock, stored, unknownId,
} from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const failing = (code: string): unknown => expect.objectContaining({ code })
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex")
const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0)

async function setUp(given: Partial<DataKeysOptions> = {}, ofRootKeys: Partial<EmbeddedOptions> = { cacheSeconds: 0 }) {
  const clock = setClock()
  const memory = memoryState()
  const state = counted(memory)
  const shared = { clock, state: memoryState(), sealer: fieldSealer(randomBytes(32), [], randomBytes) }
  const rootKeys = { ...makeRootKeys({ ...shared, ...ofRootKeys }), elsewhere: makeRootKeys(shared) }
  const recording = recordingPlaintexts(rootKeys)
  const keyService = counted(recording)
  const rootKey = await newRootKey(rootKeys)
  const owner = { bucket: "photos", prefix: "", rootKey }
  const make = (more: Partial<DataKeysOptions> = {}): DataKeys => dataKeys({
    state, keyService, clock, cacheSeconds: 300, canUnwrap: true,
    limits: { objects: 1024, bytes: 2 ** 40, seconds: 3600 }, ...given, ...more,
  })
  const wanted = (id: string) => ({ id, bucket: "photos", rootKeys: [rootKey] })
  const keyId = rootKey.split(":").at(-1) ?? ""
  return { clock, memory, state, rootKeys, keyService, given: recording.given, rootKey, keyId, owner, make, wanted }
}

const pathOf = (id: string) => `data-keys/${id}.json`
const paths = async (memory: StateStore) => Object.keys(await allStored(memory, "data-keys/"))

describe("a data key for sealing", () => {
  it("seals 1,024 objects for one wrap, one checking unwrap, one write and one read of state", async () => {
    const { make, owner, keyService, state, memory } = await setUp()
    const keys = make()
    const ids = new Set<string>()
    for (let index = 0; index < 1024; index++) ids.add((await keys.forSealing(owner, 4096)).id)
    expect(ids.size).toBe(1)
    expect(keyService.calls).toEqual({ generate: 1, unwrap: 1 })
    expect(state.calls).toEqual({ create: 1, read: 1 })
    ids.add((await keys.forSealing(owner, 4096)).id)
    expect(ids.size).toBe(2)
    expect((await paths(memory)).length).toBe(2)
  })

  it("is stored, read back, unwrapped and compared before anybody gets it", async () => {
    const order: string[] = []
    const { make, owner, state, keyService } = await setUp()
    const traced = <T extends object>(target: T): T => new Proxy(target, {
      get: (object, name) => (...args: unknown[]) => {
        order.push(String(name))
        return (Reflect.get(object, name) as (...given: unknown[]) => unknown)(...args)
      },
    })
    await make({ state: traced<StateStore>(state), keyService: traced<KeyService>(keyService) }).forSealing(owner, 1)
    expect(order).toEqual(["generate", "create", "read", "unwrap"])
  })

  it("has a document that holds its names, its wrapping and nothing secret", async () => {
    const { make, owner, memory, keyId } = await setUp()
    const { id, dek } = await make().forSealing({ ...owner, prefix: "in/" }, 1)
    const document = await stored(memory, pathOf(id))
    expect(document).toEqual({
      id, bucket: "photos", prefix: "in/", rootKey: owner.rootKey, keyVersion: keyId,
      ciphertext: expect.any(String) as unknown, created: "2025-06-01T12:00:00.000Z",
    })
    expect(JSON.stringify(document)).not.toContain(Buffer.from(dek).toString("base64"))
  })

  it("is wrapped with AAD of the format, its id and its bucket", async () => {
    const { make, owner, memory, rootKeys, rootKey } = await setUp()
    const { id, dek } = await make().forSealing(owner, 1)
    const { ciphertext = "" } = await stored(memory, pathOf(id))
    expect(hex((await rootKeys.unwrap(rootKey, ciphertext, ["bucketseal/1", id, "photos"])).plaintext)).toBe(hex(dek))
    await expect(rootKeys.unwrap(rootKey, ciphertext, ["bucketseal/1", id, "other"])).rejects.toEqual(failing("undecryptable"))
  })

  it("is one for a hundred callers at once", async () => {
    const { make, owner, keyService, memory } = await setUp()
    const keys = make()
    const taken = await Promise.all(Array.from({ length: 100 }, () => keys.forSealing(owner, 1)))
    expect(new Set(taken.map(({ id }) => id)).size).toBe(1)
    expect(new Set(taken.map(({ dek }) => hex(dek))).size).toBe(1)
    expect(keyService.calls["generate"]).toBe(1)
    expect((await paths(memory)).length).toBe(1)
  })

  it("is given in memory of the caller's own: overwriting it spoils nobody else's", async () => {
    const { make, owner } = await setUp()
    const keys = make()
    const first = await keys.forSealing(owner, 1)
    const original = hex(first.dek)
    first.dek.fill(0)
    expect(hex((await keys.forSealing(owner, 1)).dek)).toBe(original)
  })

  it("is another one in another instance, and neither disturbs the other", async () => {
    const { make, owner, wanted, memory } = await setUp()
    const [one, two] = [make(), make()]
    const [a, b] = await Promise.all([one.forSealing(owner, 1), two.forSealing(owner, 1)])
    expect(a.id).not.toBe(b.id)
    expect((await paths(memory)).length).toBe(2)
    expect(hex(await one.forOpening(wanted(b.id)))).toBe(hex(b.dek))
    expect(hex(await two.forOpening(wanted(a.id)))).toBe(hex(a.dek))
    expect((await one.forSealing(owner, 1)).id).toBe(a.id)
  })

  it("is one for each bucket, prefix and root key", async () => {
    const { make, owner, rootKeys } = await setUp()
    const keys = make()
    const owners = [
      owner, { ...owner, prefix: "a/" }, { ...owner, bucket: "b" }, { ...owner, rootKey: await newRootKey(rootKeys) },
    ]
    const ids = await Promise.all(owners.map(async (each) => (await keys.forSealing(each, 1)).id))
    expect(new Set(ids).size).toBe(4)
  })
})

describe("the limits of a data key", () => {
  it.each([1, 3])("let it seal %i objects, also for concurrent callers", async (objects) => {
    const { make, owner } = await setUp({ limits: { objects, bytes: 1e9, seconds: 3600 } })
    const keys = make()
    const taken = await Promise.all(Array.from({ length: 30 }, () => keys.forSealing(owner, 1)))
    const uses = new Map<string, number>()
    for (const { id } of taken) uses.set(id, (uses.get(id) ?? 0) + 1)
    expect([...uses.values()]).toEqual(Array.from({ length: 30 / objects }, () => objects))
    for (const { dek } of taken) expect(isZero(dek)).toBe(false)
  })

  it("let it seal so many bytes in all, and a single larger object", async () => {
    const { make, owner } = await setUp({ limits: { objects: 100, bytes: 1000, seconds: 3600 } })
    const keys = make()
    const take = async (bytes: number) => (await keys.forSealing(owner, bytes)).id
    const first = await take(600)
    expect(await take(400)).toBe(first)
    const second = await take(1)
    expect(second).not.toBe(first)
    const third = await take(5000)
    expect(third).not.toBe(second)
    expect(await take(1)).not.toBe(third)
  })

  it("let it be used for so many seconds", async () => {
    const { make, owner, clock } = await setUp({ limits: { objects: 100, bytes: 1e9, seconds: 60 } })
    const keys = make()
    const { id } = await keys.forSealing(owner, 1)
    clock.forward(59)
    expect((await keys.forSealing(owner, 1)).id).toBe(id)
    clock.forward(1)
    expect((await keys.forSealing(owner, 1)).id).not.toBe(id)
  })

  it("are those of the registration where it has its own", async () => {
    const { make, owner } = await setUp()
    const keys = make()
    const own = { ...owner, limits: { objects: 1 } }
    expect((await keys.forSealing(own, 1)).id).not.toBe((await keys.forSealing(own, 1)).id)
  })
})

describe("a data key in use past the cache limit", () => {
  it("is used on after one look at the root key, which a hundred callers share", async () => {
    const { make, owner, clock, keyService } = await setUp()
    const keys = make()
    const { id } = await keys.forSealing(owner, 1)
    clock.forward(299)
    await keys.forSealing(owner, 1)
    expect(keyService.calls["describe"]).toBeUndefined()
    clock.forward(1)
    const taken = await Promise.all(Array.from({ length: 100 }, () => keys.forSealing(owner, 1)))
    expect(new Set(taken.map((each) => each.id))).toEqual(new Set([id]))
    expect(keyService.calls).toEqual({ generate: 1, unwrap: 1, describe: 1 })
  })

  it.each(["disable", "delete"] as const)("seals no more once its root key met %s", async (operation) => {
    const { make, owner, clock, rootKeys, keyId } = await setUp()
    const keys = make()
    await keys.forSealing(owner, 1)
    await rootKeys[operation](keyId, "me")
    clock.forward(300)
    await expect(keys.forSealing(owner, 1)).rejects.toEqual(failing(operation === "delete" ? "key-deleted" : "key-state"))
    await expect(keys.forSealing(owner, 1)).rejects.toEqual(failing(operation === "delete" ? "key-deleted" : "key-state"))
  })

  it("is replaced by one under the newest version once the root key was rotated", async () => {
    const { make, owner, clock, rootKeys, keyId, memory } = await setUp()
    const keys = make()
    const old = await keys.forSealing(owner, 1)
    const newest = (await rootKeys.rotate(keyId)).versions.at(-1)?.id
    clock.forward(300)
    const { id } = await keys.forSealing(owner, 1)
    expect(id).not.toBe(old.id)
    expect(await stored(memory, pathOf(id))).toMatchObject({ keyVersion: newest })
  })

  it("is replaced, if that is possible, where the key service does not say", async () => {
    const { make, owner, clock, rootKeys } = await setUp()
    const silent: KeyService = { ...rootKeys, describe: () => Promise.reject(new Failure("forbidden", "no metadata")) }
    const keys = make({ keyService: silent })
    const { id } = await keys.forSealing(owner, 1)
    clock.forward(300)
    expect((await keys.forSealing(owner, 1)).id).not.toBe(id)
  })

  it("is looked after for each object where the cache limit is 0", async () => {
    const { make, owner, keyService, rootKeys, keyId } = await setUp({ cacheSeconds: 0 })
    const keys = make()
    const { id } = await keys.forSealing(owner, 1)
    expect((await keys.forSealing(owner, 1)).id).toBe(id)
    expect(keyService.calls["describe"]).toBe(1)
    await rootKeys.disable(keyId)
    await expect(keys.forSealing(owner, 1)).rejects.toEqual(failing("key-state"))
  })
})

describe("a failure while a data key is made", () => {
  it("reaches all who waited, and the next caller tries anew", async () => {
    const { make, owner, state } = await setUp()
    let failures = 1
    const unavailable = new Failure("unavailable", "try later")
    const create: StateStore["create"] = (path, value) =>
      failures-- > 0 ? Promise.reject(unavailable) : state.create(path, value)
    const flaky: StateStore = { ...spread(state), create }
    const keys = make({ state: flaky })
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => keys.forSealing(owner, 1)))
    expect(results.every(({ status }) => status === "rejected")).toBe(true)
    await keys.forSealing(owner, 1)
  })

  it.each(["create", "read"] as const)("at the %s leaves nothing but an unused document, and its key zeroed", async (operation) => {
    const { make, owner, state, memory, given } = await setUp()
    const dying: StateStore = {
      ...spread(state),
      [operation]: async (...args: unknown[]) => {
        await (state[operation] as (...given: unknown[]) => Promise<unknown>)(...args)
        throw new Failure("unavailable", "the answer was lost")
      },
    }
    await expect(make({ state: dying }).forSealing(owner, 1)).rejects.toEqual(failing("unavailable"))
    expect((await paths(memory)).length).toBe(1)
    expect(given.map(isZero)).toEqual([true])
    const next = await make().forSealing(owner, 1)
    expect(await paths(memory)).toContain(pathOf(next.id))
  })

  it.each([
    ["nothing", () => undefined],
    ["another wrapping", (document: object) => ({ ...document, ciphertext: "x" })],
    ["another bucket", (document: object) => ({ ...document, bucket: "other" })],
    ["a document without its key version", ({ keyVersion: _, ...rest }: { keyVersion?: string }) => rest],
  ])("refuses a state store that gives back %s", async (_, alter) => {
    const { make, owner, state, given } = await setUp()
    const lying: StateStore = {
      ...spread(state),
      async read(path, parser) {
        const stored = await state.read(path, parser)
        const value = stored && alter(stored.value as object)
        return value === undefined || !stored ? undefined : { ...stored, value: parser.parse(value) }
      },
    }
    await expect(make({ state: lying }).forSealing(owner, 1)).rejects.toEqual(failing("unsafe-store"))
    expect(given.every(isZero)).toBe(true)
  })

  it("refuses a key service that unwraps to other bytes", async () => {
    const { make, owner, rootKeys } = await setUp()
    const wrong: KeyService = {
      ...rootKeys,
      unwrap: async (...args) => ({ ...(await rootKeys.unwrap(...args)), plaintext: randomBytes(32) }),
    }
    await expect(make({ keyService: wrong }).forSealing(owner, 1)).rejects.toEqual(failing("internal"))
  })
})

describe("a data key for opening", () => {
  it("is unwrapped once per cache limit, also for a hundred callers at once", async () => {
    const { make, owner, wanted, clock, keyService, state } = await setUp()
    const { id, dek } = await make().forSealing(owner, 1)
    const before = { unwrap: keyService.calls["unwrap"] ?? 0, read: state.calls["read"] ?? 0 }
    const reader = make()
    await reader.forOpening(wanted(id))
    const opened = await Promise.all(Array.from({ length: 100 }, () => reader.forOpening(wanted(id))))
    expect(new Set(opened.map(hex))).toEqual(new Set([hex(dek)]))
    expect(keyService.calls["unwrap"]).toBe(before.unwrap + 1)
    expect(state.calls["read"]).toBe(before.read + 1)
    clock.forward(300)
    await Promise.all(Array.from({ length: 100 }, () => reader.forOpening(wanted(id))))
    expect(keyService.calls["unwrap"]).toBe(before.unwrap + 2)
  })

  it("costs the instance that made it nothing", async () => {
    const { make, owner, wanted, keyService, state } = await setUp()
    const keys = make()
    const { id, dek } = await keys.forSealing(owner, 1)
    const before = [{ ...keyService.calls }, { ...state.calls }]
    expect(hex(await keys.forOpening(wanted(id)))).toBe(hex(dek))
    expect(await keys.rootKeyOf(wanted(id))).toBeDefined()
    expect([keyService.calls, state.calls]).toEqual(before)
  })

  it.each(["disable", "delete"] as const)("is refused when the cache limit has passed since its root key met %s", async (operation) => {
    const { make, owner, wanted, clock, rootKeys, keyId } = await setUp()
    const { id } = await make().forSealing(owner, 1)
    const reader = make()
    await reader.forOpening(wanted(id))
    await rootKeys[operation](keyId, "me")
    clock.forward(300)
    await expect(reader.forOpening(wanted(id))).rejects.toEqual(failing(operation === "delete" ? "key-deleted" : "key-state"))
  })

  it("is refused in time also where the key service keeps its own documents: the two limits add up", async () => {
    const { make, owner, wanted, clock, rootKeys, keyId } = await setUp({ cacheSeconds: 299 }, { cacheSeconds: 1 })
    const { id } = await make().forSealing(owner, 1)
    await rootKeys.elsewhere.disable(keyId)
    const reader = make()
    await reader.forOpening(wanted(id)) // the document that this instance keeps still says active
    clock.forward(300)
    await expect(reader.forOpening(wanted(id))).rejects.toEqual(failing("key-state"))
    await expect(reader.forSealing(owner, 1)).rejects.toEqual(failing("key-state"))
  })

  it("is asked for anew after the key service failed", async () => {
    const { make, owner, wanted, rootKeys } = await setUp()
    const { id, dek } = await make().forSealing(owner, 1)
    let failures = 1
    const unavailable = new Failure("unavailable", "try later")
    const unwrap: KeyService["unwrap"] = (...args) => failures-- > 0 ? Promise.reject(unavailable) : rootKeys.unwrap(...args)
    const reader = make({ keyService: { ...rootKeys, unwrap } })
    await expect(reader.forOpening(wanted(id))).rejects.toEqual(failing("unavailable"))
    expect(hex(await reader.forOpening(wanted(id)))).toBe(hex(dek))
  })

  it("is known without unwrapping", async () => {
    const { make, owner, wanted, keyService } = await setUp()
    const { id } = await make().forSealing(owner, 1)
    const before = { ...keyService.calls }
    const reader = make()
    expect(await reader.rootKeyOf(wanted(id))).toBeDefined()
    expect(await reader.rootKeyOf(wanted(unknownId()))).toBeUndefined()
    expect(keyService.calls).toEqual(before)
  })

  it.each([
    ["upper case", (id: string) => id.toUpperCase()],
    ["a path", (id: string) => `../data-keys/${id}`],
    ["a suffix", (id: string) => `${id}.json`],
    ["no hyphens", (id: string) => id.replaceAll("-", "")],
    ["a line end", (id: string) => `${id}\n`],
    ["nothing", () => ""],
  ])("is not looked for under an id with %s", async (_, alter) => {
    const { make, owner, wanted, state } = await setUp()
    const { id } = await make().forSealing(owner, 1)
    const before = { ...state.calls }
    const reader = make()
    expect(await reader.rootKeyOf(wanted(alter(id)))).toBeUndefined()
    expect(await reader.forOpening(wanted(alter(id)))).toBeUndefined()
    expect(state.calls).toEqual(before)
  })

  it("is found for the bucket and a root key of the registration only", async () => {
    const { make, owner, wanted, rootKey, keyService } = await setUp()
    const { id, dek } = await make().forSealing(owner, 1)
    const before = { ...keyService.calls }
    const reader = make()
    for (const other of [{ bucket: "other" }, { rootKeys: [] }, { rootKeys: [`${rootKey}x`] }]) {
      expect(await reader.rootKeyOf({ ...wanted(id), ...other })).toBeUndefined()
      expect(await reader.forOpening({ ...wanted(id), ...other })).toBeUndefined()
    }
    expect(keyService.calls).toEqual(before)
    expect(hex(await reader.forOpening({ ...wanted(id), rootKeys: ["former", rootKey] }))).toBe(hex(dek))
  })

  describe("of a tampered document", () => {
    it.each([
      ["its id", { id: unknownId() }, "unknown"],
      ["its bucket", { bucket: "other" }, "unknown"],
      ["its root key", { rootKey: "crn:v1:bluemix:public:kms:us-south:a/acc2:i::key:k" }, "unknown"],
      ["its wrapping broken", { ciphertext: "e30=" }, "undecryptable"],
      ["its wrapping missing", { ciphertext: undefined }, "broken"],
      ["a list", [], "broken"],
    ])("is refused: %s changed", async (_, change, outcome) => {
      const { make, owner, wanted, memory } = await setUp()
      const { id } = await make().forSealing(owner, 1)
      const changed = Array.isArray(change) ? change : { ...(await stored(memory, pathOf(id))), ...change }
      await overwrite(memory, pathOf(id), changed)
      const opening = make().forOpening(wanted(id))
      if (outcome === "unknown") expect(await opening).toBeUndefined()
      else if (outcome === "undecryptable") await expect(opening).rejects.toEqual(failing("undecryptable"))
      else await expect(opening).rejects.toThrow()
    })

    it("is refused: another data key's wrapping, or another bucket's document under this name", async () => {
      const { make, owner, wanted, memory, rootKey } = await setUp()
      const [one, two] = [await make().forSealing(owner, 1), await make().forSealing({ ...owner, bucket: "other" }, 1)]
      const [ours, theirs] = [await stored(memory, pathOf(one.id)), await stored(memory, pathOf(two.id))]
      await overwrite(memory, pathOf(one.id), { ...ours, ciphertext: theirs["ciphertext"] })
      await expect(make().forOpening(wanted(one.id))).rejects.toEqual(failing("undecryptable"))
      await overwrite(memory, pathOf(two.id), { ...theirs, bucket: "photos" })
      await expect(make().forOpening({
        id: two.id, bucket: "photos", rootKeys: [rootKey],
      })).rejects.toEqual(failing("undecryptable"))
    })

    it("is refused though the key is in memory: it was unwrapped for another bucket", async () => {
      const { make, owner, wanted, memory, clock } = await setUp()
      const keys = make()
      const { id } = await keys.forSealing(owner, 1)
      clock.forward(300)
      await keys.forSealing(owner, 1) // the root key is active: the key stays in memory, its document is read again
      await overwrite(memory, pathOf(id), { ...(await stored(memory, pathOf(id))), bucket: "other" })
      await expect(keys.forOpening({ ...wanted(id), bucket: "other" })).rejects.toEqual(failing("undecryptable"))
    })
  })
})

describe("an identity that may wrap only", () => {
  it("makes data keys without a checking unwrap, knows others', and opens only what it has in memory", async () => {
    const { make, owner, wanted, keyService } = await setUp()
    const writer = make({ canUnwrap: false })
    const { id, dek } = await writer.forSealing(owner, 1)
    expect(keyService.calls).toEqual({ generate: 1 })
    expect(hex(await writer.forOpening(wanted(id)))).toBe(hex(dek))
    const other = await make({ canUnwrap: false }).forSealing(owner, 1)
    expect(await writer.rootKeyOf(wanted(other.id))).toBeDefined()
    await expect(writer.forOpening(wanted(other.id))).rejects.toEqual(failing("forbidden"))
    expect(keyService.calls).toEqual({ generate: 2 })
  })
})

describe("unwrapped keys in memory", () => {
  afterEach(() => void vi.useRealTimers())

  it("are zeroed on close, but not under those who were promised one", async () => {
    const { make, owner, given } = await setUp()
    const keys = make()
    await keys.forSealing(owner, 1)
    const pending = keys.forSealing({ ...owner, bucket: "b" }, 1)
    await Promise.resolve()
    keys.close()
    expect(isZero((await pending).dek)).toBe(false)
    await new Promise((resolve) => setImmediate(resolve))
    expect(given.map(isZero)).toEqual([true, true, true, true])
  })

  it("are zeroed if they arrive after close, once who asked before has a copy", async () => {
    const { make, owner, wanted, given } = await setUp()
    const { id, dek } = await make().forSealing(owner, 1)
    const reader = make()
    const pending = reader.forOpening(wanted(id)) // still reads the document
    reader.close()
    expect(hex(await pending)).toBe(hex(dek))
    await new Promise((resolve) => setImmediate(resolve))
    expect(isZero(given.at(-1) ?? dek)).toBe(true)
  })

  it("are zeroed when their time is over, though nobody asks", async () => {
    const { make, owner, wanted, given } = await setUp()
    const { id } = await make().forSealing(owner, 1)
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })
    const reader = make({ clock: Date.now })
    await reader.forOpening(wanted(id))
    const opened = given.at(-1) ?? new Uint8Array()
    vi.advanceTimersByTime(299_999)
    expect(isZero(opened)).toBe(false)
    vi.advanceTimersByTime(1)
    expect(isZero(opened)).toBe(true)
  })

  it("are zeroed when a data key's use for sealing ends", async () => {
    const { make, owner, given } = await setUp({ limits: { objects: 1, bytes: 1e9, seconds: 3600 } })
    const keys = make()
    await keys.forSealing(owner, 1)
    const [made] = given
    expect(made && isZero(made)).toBe(false)
    await keys.forSealing(owner, 1)
    expect(made && isZero(made)).toBe(true)
  })

  it("are at most 1,000; the one unused for longest makes room", async () => {
    const { make, owner, wanted, given, keyService } = await setUp({
      limits: { objects: 1, bytes: 1e9, seconds: 3600 },
    })
    const writer = make()
    const ids: string[] = []
    for (let index = 0; index < 1001; index++) ids.push((await writer.forSealing(owner, 1)).id)
    const reader = make()
    given.length = 0
    for (const id of ids.slice(0, 1000)) await reader.forOpening(wanted(id))
    await reader.forOpening(wanted(ids[0] ?? ""))
    await reader.forOpening(wanted(ids[1000] ?? ""))
    expect(given.map(isZero).indexOf(true)).toBe(1)
    expect(given.filter(isZero).length).toBe(1)
    const before = keyService.calls["unwrap"]
    await reader.forOpening(wanted(ids[0] ?? ""))
    expect(keyService.calls["unwrap"]).toBe(before)
  })
})

/** A counting proxy's methods, bound, as a plain object to replace some of. */
function spread(state: StateStore): StateStore {
  return {
    read: (...args) => state.read(...args), readIfChanged: (...args) => state.readIfChanged(...args),
    create: (...args) => state.create(...args), replace: (...args) => state.replace(...args),
    remove: (...args) => state.remove(...args), list: (...args) => state.list(...args),
  }
}
