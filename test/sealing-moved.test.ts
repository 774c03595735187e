/** What becomes of copies of sealed objects where a registration says `moved: reseal` (storage rule S9). */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parseHeader } from "../shared/crypto/header.ts"
import { collect } from "../shared/objects/reading.ts"
import type { Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { stores } from "./stores.ts"

describe.each(stores)("S9: objects that were renamed by copying: %s", (_, open) => {
  let opened: Awaited<ReturnType<typeof open>>
  let world: World
  let store: Store
  let other: string

  beforeAll(async () => {
    opened = await open()
    store = opened.store
    world = await makeWorld(store, await opened.bucket(), { register: { moved: "reseal" } })
    other = await opened.bucket()
    await world.register(other, { moved: "reseal" })
  })
  afterAll(() => opened.close())

  const sealed = async (key: string, size: number) => {
    await store.put(world.ref(key), patterned(size))
    expect(await world.seal(key)).toMatchObject({ outcome: "sealed" })
    return await world.stored(key) ?? Buffer.alloc(0)
  }

  it.each([0, 10, 300_000])("S9: a copy of %i sealed bytes does not open under its new name until it is sealed again for it", async (size) => {
    const original = await sealed(`from-${size}`, size)
    await store.put(world.ref(`to-${size}`), original)
    await expect(world.plaintext(`to-${size}`)).rejects.toMatchObject({ code: "moved" })
    expect(await world.seal(`to-${size}`)).toMatchObject({ outcome: "sealed" })
    expect((await world.plaintext(`to-${size}`))?.equals(patterned(size))).toBe(true)
    expect((await store.head(world.ref(`to-${size}`)))?.metadata["bucketseal-length"]).toBe(String(size))
    expect((await world.stored(`from-${size}`))?.equals(original)).toBe(true)
    expect(await world.seal(`to-${size}`)).toEqual({ outcome: "already-sealed" })
  })

  it("S9: it is sealed under a fresh salt: no byte of the copy's message is used again", async () => {
    const original = await sealed("salt-from", 100)
    await store.put(world.ref("salt-to"), original)
    await world.seal("salt-to")
    const again = await world.stored("salt-to") ?? Buffer.alloc(0)
    expect(messageOf(again).subarray(0, 24).equals(messageOf(original).subarray(0, 24))).toBe(false)
  })

  it("S9: a copy in another bucket is sealed again only where that bucket's service may read at the place it came from", async () => {
    const original = await sealed("abroad", 1_000)
    const ref = { bucket: other, key: "came" }
    await store.put(ref, original)
    const sealThere = () => world.sealAt(ref)
    expect(await sealThere()).toEqual({ outcome: "parked", reason: "moved" })
    expect(await collect((await store.get(ref))?.body ?? nothing())).toEqual(original)
    const made = await world.policies.create("acc1", world.readAuthorization(), "IBMid-owner")
    expect(await sealThere()).toMatchObject({ outcome: "sealed" })
    await world.policies.delete("acc1", made.id)
  })

  it("S9: not where the other place is under another root key, or this identity may not unwrap", async () => {
    const original = await sealed("elsewhere/a", 1_000)
    await store.put(world.ref("stays"), original)
    const writeOnly = { ...world.sealer, dataKeys: world.makeKeyring(false) }
    expect(await world.seal("stays", {}, writeOnly)).toEqual({ outcome: "parked", reason: "moved" })
    const key = await world.rootKeys.create({ name: "other key", tags: [] }, "IBMid-owner")
    await world.register(world.bucket, { rootKey: key.crn }, "elsewhere/")
    expect(await world.seal("stays")).toEqual({ outcome: "parked", reason: "moved" })
  })

  it("S9: a copy whose bytes were changed is never sealed as if it were whole", async () => {
    const original = await sealed("spoiled-from", 40_000)
    const spoiled = Buffer.from(original)
    spoiled[20_000] = (spoiled[20_000] ?? 0) ^ 1
    await store.put(world.ref("spoiled-to"), spoiled)
    expect(await world.seal("spoiled-to")).toEqual({ outcome: "parked", reason: "damaged-or-forged" })
    expect((await world.stored("spoiled-to"))?.equals(spoiled)).toBe(true)
  })
})

function messageOf(object: Buffer): Buffer {
  const parsed = parseHeader(object)
  return object.subarray(parsed.kind === "header" ? parsed.size : 0)
}

async function* nothing(): AsyncGenerator<Uint8Array, void> {
  yield* []
}
