import { randomBytes } from "node:crypto"
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { isFailure } from "../shared/errors.ts"
import { masterKeyFile } from "../shared/keys/master-key-file.ts"
import { fieldSealer, masterKeyId, parseMasterKey, refuseForeignState } from "../shared/keys/master-key.ts"
import { allStored, counted, instance, makeRootKeys, newRootKey, setClock, unknownId } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"
import { keyServiceContract } from "./key-service-contract.ts"

const failing = (code: string): unknown => expect.objectContaining({ code })
const idOf = (crn: string) => crn.split(":").at(-1) ?? ""
const envelopeIn = (ciphertext: string) =>
  JSON.parse(Buffer.from(ciphertext, "base64").toString()) as {
    ciphertext: string; iv: string; version: string; handle: string,
  }

keyServiceContract("embedded", async () => {
  const rootKeys = makeRootKeys()
  return {
    keyService: rootKeys,
    newKey: () => newRootKey(rootKeys),
    unknownKey: () => instance.keyCrn(unknownId()),
    rotate: async (rootKey) => void (await rootKeys.rotate(idOf(rootKey))),
    disable: async (rootKey) => void (await rootKeys.disable(idOf(rootKey))),
    destroy: async (rootKey) => void (await rootKeys.delete(idOf(rootKey), "iam-test")),
  }
})

describe("root keys of the embedded service", () => {
  it("give wrapped keys in Key Protect's envelope, the first version's id being the key's", async () => {
    const rootKeys = makeRootKeys()
    const crn = await newRootKey(rootKeys)
    const { ciphertext } = await rootKeys.generate(crn, [])
    const envelope = envelopeIn(ciphertext)
    expect(Object.keys(envelope)).toEqual(["ciphertext", "iv", "version", "handle"])
    expect(envelope).toMatchObject({ version: "4.0.0", handle: idOf(crn) })
    expect(Buffer.from(envelope.ciphertext, "base64").length).toBe(32 + 16)
    expect(Buffer.from(envelope.iv, "base64").length).toBe(12)
  })

  it.each([0, 7_501])("wrap 1 to 7,500 bytes, not %i", async (size) => {
    const rootKeys = makeRootKeys()
    const crn = await newRootKey(rootKeys)
    await expect(rootKeys.wrap(crn, Buffer.alloc(size), [])).rejects.toEqual(failing("bad-field"))
    const { ciphertext } = await rootKeys.wrap(crn, Buffer.alloc(7_500, 9), [])
    expect((await rootKeys.unwrap(crn, ciphertext, [])).plaintext).toEqual(Buffer.alloc(7_500, 9))
  })

  it("refuse AAD strings of more than 255 characters", async () => {
    const rootKeys = makeRootKeys()
    const crn = await newRootKey(rootKeys)
    await expect(rootKeys.generate(crn, ["x".repeat(256)])).rejects.toEqual(failing("bad-field"))
  })

  it.each([
    ["another instance's", instance.keyCrn("").replace(instance.id, unknownId())],
    ["another account's", instance.keyCrn("").replace("acc1", "acc2")],
    ["another region's", instance.keyCrn("").replace("us-south", "eu-de")],
    ["another service's", instance.keyCrn("").replace(":kms:", ":hs-crypto:")],
    ["no CRN", ""],
    ["an address", "https://example.com/"],
  ])("are never reached by a name that is %s", async (_, prefix) => {
    const state = counted(memoryState())
    const rootKeys = makeRootKeys({ state })
    const id = idOf(await newRootKey(rootKeys))
    const before = { ...state.calls }
    await expect(rootKeys.generate(prefix + id, [])).rejects.toEqual(failing("bad-field"))
    expect(state.calls).toEqual(before)
  })

  it.each(["..", "../../x", "", "A".repeat(36), "%2e"])("never make a path of the id %j", async (id) => {
    const state = counted(memoryState())
    await expect(makeRootKeys({ state }).generate(instance.keyCrn(id), [])).rejects.toEqual(failing("key-not-found"))
    expect(state.calls).toEqual({})
  })

  it.each([16, 24, 32])("can be imported with %i bytes and rotated with more of them", async (size) => {
    const rootKeys = makeRootKeys()
    const { id, crn, imported } = await rootKeys.create({ name: "mine", tags: [], material: randomBytes(size) }, "me")
    expect(imported).toBe(true)
    const { ciphertext, plaintext } = await rootKeys.generate(crn, [])
    await expect(rootKeys.rotate(id)).rejects.toEqual(failing("payload-required"))
    await rootKeys.rotate(id, randomBytes(size))
    expect((await rootKeys.unwrap(crn, ciphertext, [])).plaintext).toEqual(plaintext)
  })

  it.each([0, 15, 33])("are not imported with %i bytes", async (size) => {
    await expect(makeRootKeys().create({ name: "mine", tags: [], material: randomBytes(size) }, "me"))
      .rejects.toEqual(failing("bad-field"))
  })

  it("of the same imported material open each other's wrapped keys; generated ones don't", async () => {
    const rootKeys = makeRootKeys()
    const material = randomBytes(32)
    const [one, two] = [
      await rootKeys.create({ name: "one", tags: [], material }, "me"),
      await rootKeys.create({ name: "two", tags: [], material }, "me"),
    ]
    const { ciphertext, plaintext } = await rootKeys.generate(one.crn, ["a"])
    await rootKeys.rotate(two.id, randomBytes(32))
    const opened = await rootKeys.unwrap(two.crn, ciphertext, ["a"])
    expect(opened.plaintext).toEqual(plaintext)
    expect(opened).toMatchObject({ keyVersion: two.id, rewrapped: {} })
    await expect(rootKeys.unwrap(await newRootKey(rootKeys), ciphertext, ["a"])).rejects.toEqual(failing("undecryptable"))
  })

  it("take a handle of another of their own versions for what it says: undecryptable", async () => {
    const rootKeys = makeRootKeys()
    const crn = await newRootKey(rootKeys)
    const { ciphertext } = await rootKeys.generate(crn, [])
    const handle = (await rootKeys.rotate(idOf(crn))).versions.at(-1)?.id
    const envelope = { ...envelopeIn(ciphertext), handle }
    const swapped = Buffer.from(JSON.stringify(envelope)).toString("base64")
    await expect(rootKeys.unwrap(crn, swapped, [])).rejects.toEqual(failing("undecryptable"))
  })

  it("rotate at first any time, then once an hour", async () => {
    const clock = setClock()
    const rootKeys = makeRootKeys({ clock, waits: { rotate: 3600, enable: 0 } })
    const id = idOf(await newRootKey(rootKeys))
    await rootKeys.rotate(id)
    clock.forward(3599)
    await expect(rootKeys.rotate(id)).rejects.toEqual(failing("key-rotation-too-early"))
    clock.forward(1)
    expect((await rootKeys.rotate(id)).versions.length).toBe(3)
  })

  it("are enabled again no sooner than the waiting time after they were disabled", async () => {
    const clock = setClock()
    const rootKeys = makeRootKeys({ clock, waits: { rotate: 0, enable: 30 } })
    const crn = await newRootKey(rootKeys)
    await rootKeys.disable(idOf(crn))
    await expect(rootKeys.enable(idOf(crn))).rejects.toEqual(failing("key-state"))
    clock.forward(30)
    await rootKeys.enable(idOf(crn))
    await rootKeys.generate(crn, [])
  })

  describe("allow in each state what Key Protect allows", () => {
    const ok = "ok"
    const table = [
      ["active", { wrap: ok, unwrap: ok, rewrap: ok, rotate: ok, disable: ok, enable: "key-state", delete: ok }],
      ["suspended", { wrap: "key-state", unwrap: "key-state", rewrap: "key-state", rotate: "key-state", disable: "key-state", enable: ok, delete: ok }],
      ["deactivated", { wrap: "key-state", unwrap: ok, rewrap: ok, rotate: ok, disable: "key-state", enable: "key-state", delete: ok }],
      ["destroyed", { wrap: "key-deleted", unwrap: "key-deleted", rewrap: "key-deleted", rotate: "key-deleted", disable: "key-deleted", enable: "key-deleted", delete: "key-deleted" }],
    ] as const

    it.each(table)("%s", async (state, expected) => {
      for (const [operation, outcome] of Object.entries(expected)) {
        const clock = setClock()
        const rootKeys = makeRootKeys({ clock })
        const expires = new Date(clock() + 60_000).toISOString()
        const { id, crn } = await rootKeys.create({ name: "key", tags: [], expires }, "me")
        const { ciphertext } = await rootKeys.generate(crn, [])
        if (state === "suspended") await rootKeys.disable(id)
        if (state === "deactivated") clock.forward(60)
        if (state === "destroyed") await rootKeys.delete(id, "me")
        expect((await rootKeys.get(id)).state).toBe(state)
        const run = {
          wrap: () => rootKeys.wrap(crn, Buffer.alloc(32), []), unwrap: () => rootKeys.unwrap(crn, ciphertext, []),
          rewrap: () => rootKeys.rewrap(crn, ciphertext, []), rotate: () => rootKeys.rotate(id),
          disable: () => rootKeys.disable(id), enable: () => rootKeys.enable(id), delete: () => rootKeys.delete(id, "me"),
        }[operation]
        const result = await run?.().then(() => ok, (error: unknown) => isFailure(error) && error.code)
        expect([operation, result]).toEqual([operation, outcome])
      }
    })
  })
})

describe("several instances on one state store", () => {
  function twoInstances(cacheSeconds = 300) {
    const clock = setClock()
    const state = counted(memoryState())
    const sealer = fieldSealer(randomBytes(32), [], randomBytes)
    const make = () => makeRootKeys({ clock, state, sealer, cacheSeconds })
    return { clock, state, sealer, make, one: make(), two: make() }
  }

  it("lose no version when sixteen rotate at once", async () => {
    const { one, make } = twoInstances()
    const crn = await newRootKey(one)
    const rotated = await Promise.all(Array.from({ length: 16 }, () => make().rotate(idOf(crn))))
    const { versions } = await make().get(idOf(crn))
    expect(versions.length).toBe(17)
    const newest = rotated.map((key) => key.versions.at(-1)?.id)
    expect(new Set(versions.map(({ id }) => id))).toEqual(new Set([idOf(crn), ...newest]))
  })

  it("lose no version when one rotates between another's look and its write", async () => {
    const { state, sealer, one, two } = twoInstances()
    const crn = await newRootKey(one)
    let calls = 0
    const interrupted = new Proxy(state, {
      get: (target, name) => async (...args: unknown[]) => {
        if (++calls === 2) await two.rotate(idOf(crn))
        return Reflect.apply(Reflect.get(target, name) as (...given: unknown[]) => unknown, target, args)
      },
    })
    const { versions } = await makeRootKeys({ state: interrupted, sealer }).rotate(idOf(crn))
    expect(versions.length).toBe(3)
    expect((await two.get(idOf(crn))).versions).toEqual(versions)
  })

  it("open at once what another wrapped under a version they have not seen", async () => {
    const { one, two } = twoInstances()
    const crn = await newRootKey(one)
    await two.generate(crn, [])
    await one.rotate(idOf(crn))
    const { ciphertext, plaintext } = await one.generate(crn, [])
    expect((await two.unwrap(crn, ciphertext, [])).plaintext).toEqual(plaintext)
  })

  it("see a key disabled elsewhere when the cache limit has passed, and enabled at once", async () => {
    const { clock, one, two } = twoInstances(300)
    const crn = await newRootKey(one)
    await two.generate(crn, [])
    await one.disable(idOf(crn))
    expect((await two.describe(crn)).state).toBe("suspended")
    await one.enable(idOf(crn))
    await two.generate(crn, [])
    await one.disable(idOf(crn))
    clock.forward(300)
    await expect(two.generate(crn, [])).rejects.toEqual(failing("key-state"))
    await one.enable(idOf(crn))
    await two.generate(crn, [])
  })

  it("read a key's document once per cache limit, however often it is used", async () => {
    const { clock, state, one, two } = twoInstances(300)
    const crn = await newRootKey(one)
    const reads = () => (state.calls["read"] ?? 0) + (state.calls["readIfChanged"] ?? 0)
    const before = reads()
    await Promise.all(Array.from({ length: 50 }, () => two.generate(crn, [])))
    for (let index = 0; index < 50; index++) await two.generate(crn, [])
    expect(reads() - before).toBe(1)
    clock.forward(300)
    for (let index = 0; index < 50; index++) await two.generate(crn, [])
    expect(reads() - before).toBe(2)
    expect(state.calls["readIfChanged"]).toBe(1)
  })
})

describe("the master key", () => {
  const path = "root-keys/i/k.json"

  it("seals no field that opens in another document or as another version", () => {
    const sealer = fieldSealer(randomBytes(32), [], randomBytes)
    const field = sealer.seal(Buffer.from("secret"), path, "v1")
    expect(sealer.open(field, path, "v1")).toEqual(Buffer.from("secret"))
    expect(() => sealer.open(field, "root-keys/i/other.json", "v1")).toThrow(failing("internal"))
    expect(() => sealer.open(field, path, "v2")).toThrow(failing("internal"))
    expect(() => sealer.open({ ...field, sealed: "" }, path, "v1")).toThrow(failing("internal"))
    expect(() => sealer.open({ ...field, sealed: "not base64" }, path, "v1")).toThrow(failing("internal"))
  })

  it("opens what a former one sealed, and seals under the present one", () => {
    const [former, present] = [randomBytes(32), randomBytes(32)]
    const old = fieldSealer(former, [], randomBytes).seal(Buffer.from("secret"), path, "v1")
    const sealer = fieldSealer(present, [former], randomBytes)
    expect(sealer.open(old, path, "v1")).toEqual(Buffer.from("secret"))
    expect(sealer.seal(Buffer.from("x"), path, "v1").masterKey).toBe(masterKeyId(present))
    expect(() => fieldSealer(present, [], randomBytes).open(old, path, "v1")).toThrow(failing("internal"))
  })

  it("has an id of 16 hex digits that always is the same", () => {
    expect(masterKeyId(Buffer.alloc(32, 1))).toBe("be7f80d86eb0d5e4")
  })

  it("makes the start fail, and nothing change, if it is the wrong one", async () => {
    const state = memoryState()
    const [right, wrong] = [randomBytes(32), randomBytes(32)]
    const rootKeys = makeRootKeys({ state, sealer: fieldSealer(right, [], randomBytes) })
    await newRootKey(rootKeys)
    const before = await allStored(state, "")
    await refuseForeignState(state, [right])
    await refuseForeignState(state, [wrong, right])
    const refused = refuseForeignState(state, [wrong])
    await expect(refused).rejects.toThrow(new RegExp(`${masterKeyId(right)}.*${masterKeyId(wrong)}.*MASTER_KEY_OLD`))
    expect(await allStored(state, "")).toEqual(before)
  })

  it("is looked for in signing keys too, and an empty state store takes any", async () => {
    const state = memoryState()
    await refuseForeignState(state, [randomBytes(32)])
    await state.create("signing-keys/k1.json", {
      kid: "k1", private: fieldSealer(randomBytes(32), [], randomBytes).seal(Buffer.from("x"), path, "k1"),
    })
    await expect(refuseForeignState(state, [randomBytes(32)])).rejects.toEqual(failing("bad-field"))
  })

  it("if wrong and not checked opens nothing and says so without a secret", async () => {
    const state = memoryState()
    const right = randomBytes(32)
    const crn = await newRootKey(makeRootKeys({ state, sealer: fieldSealer(right, [], randomBytes) }))
    await expect(makeRootKeys({ state }).generate(crn, [])).rejects.toEqual(failing("internal"))
  })

  it.each(["", "AAAA", randomBytes(31).toString("base64"), randomBytes(33).toString("base64"), randomBytes(32).toString("hex"), `${randomBytes(32).toString("base64")}x`])(
    "is not read from %j", (text) => {
      expect(() => parseMasterKey(text, "MASTER_KEY")).toThrow(expect.objectContaining({
        code: "bad-field", message: expect.stringContaining("MASTER_KEY must be base64") as unknown,
      }))
    })
})

describe("the master key file", () => {
  let folder: string
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "bucketseal-"))))
  afterAll(() => rm(folder, { recursive: true }))

  it("is made once, with mode 0600, and read from then on", async () => {
    const path = join(folder, "made.key")
    const made = await masterKeyFile(path, { create: true })
    expect(made.length).toBe(32)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, "utf8")).toBe(`${Buffer.from(made).toString("base64")}\n`)
    expect(await masterKeyFile(path, { create: true })).toEqual(made)
    expect(await masterKeyFile(path, { create: false })).toEqual(made)
  })

  it("is the same for all that start at once, and leaves nothing else behind", async () => {
    const path = join(folder, "raced.key")
    const keys = await Promise.all(Array.from({ length: 16 }, () => masterKeyFile(path, { create: true })))
    expect(new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size).toBe(1)
    expect((await readdir(folder)).filter((name) => name.startsWith("raced.key"))).toEqual(["raced.key"])
  })

  it("is not made where it is missing beside a state that is not empty", async () => {
    await expect(masterKeyFile(join(folder, "gone.key"), { create: false })).rejects.toThrow("backup")
    expect(await readdir(folder)).not.toContain("gone.key")
  })

  it.each([0o640, 0o604, 0o660])("is refused with mode %o", async (mode) => {
    const path = join(folder, `mode-${mode}.key`)
    await writeFile(path, `${randomBytes(32).toString("base64")}\n`)
    await chmod(path, mode)
    await expect(masterKeyFile(path, { create: false })).rejects.toThrow("chmod 600")
  })

  it("is refused, and kept, if it holds no master key", async () => {
    const path = join(folder, "empty.key")
    await writeFile(path, "", { mode: 0o600 })
    await expect(masterKeyFile(path, { create: true })).rejects.toEqual(failing("bad-field"))
    expect(await readFile(path, "utf8")).toBe("")
  })
})

describe("no secret of a root key", () => {
  it("is in memory for longer than one operation", async () => {
    const seen: Uint8Array[] = []
    const keep = (bytes: Uint8Array) => {
      if (bytes.length === 32) seen.push(bytes)
      return bytes
    }
    const sealer = fieldSealer(randomBytes(32), [], randomBytes)
    const open: typeof sealer.open = (...args) => keep(sealer.open(...args))
    const rootKeys = makeRootKeys({ sealer: { ...sealer, open }, random: (size) => keep(randomBytes(size)) })
    const crn = await newRootKey(rootKeys)
    const { ciphertext, plaintext } = await rootKeys.generate(crn, [])
    await rootKeys.rotate(idOf(crn))
    await rootKeys.rewrap(crn, ciphertext, [])
    await rootKeys.unwrap(crn, ciphertext, ["wrong"]).catch(() => undefined)
    const materials = seen.filter((bytes) => bytes !== plaintext)
    expect(materials.length).toBeGreaterThanOrEqual(6)
    expect(materials.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true)
  })

  it("stands in a stored document or comes out in an error", async () => {
    const state = memoryState()
    const masterKey = randomBytes(32)
    const secrets: Uint8Array[] = [masterKey]
    const random = (size: number) => {
      const bytes = randomBytes(size)
      if (size === 32) secrets.push(Buffer.from(bytes))
      return bytes
    }
    const rootKeys = makeRootKeys({ state, random, sealer: fieldSealer(masterKey, [], randomBytes) })
    const crn = await newRootKey(rootKeys)
    const { ciphertext } = await rootKeys.generate(crn, ["a"])
    await rootKeys.rotate(idOf(crn))
    const errors = await Promise.all([
      rootKeys.unwrap(crn, ciphertext, []), rootKeys.unwrap(crn, "x", []), rootKeys.rotate(idOf(crn), randomBytes(5)),
      makeRootKeys({ state }).generate(crn, []), rootKeys.wrap(crn, Buffer.alloc(0), []),
    ].map((attempt) => attempt.catch((error: unknown) => inspect(error, { depth: 10 }))))
    const seen = JSON.stringify([await allStored(state, ""), errors])
    expect(secrets.length).toBe(4)
    for (const secret of secrets) {
      expect(seen).not.toContain(Buffer.from(secret).toString("base64"))
      expect(seen).not.toContain(Buffer.from(secret).toString("hex"))
    }
  })
})
