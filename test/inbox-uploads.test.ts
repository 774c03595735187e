import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { inboxHolder } from "../local/inbox-holder.ts"
import { uploads } from "../local/uploads.ts"
import { Failure } from "../shared/errors.ts"
import type { UploadEvent } from "../shared/objects/events.ts"
import { entries } from "../shared/objects/inbox-entries.ts"
import { parkedAt } from "../shared/objects/parking.ts"
import { registrations } from "../shared/objects/registrations.ts"
import type { StateStore } from "../shared/ports.ts"
import { parseSettings } from "../shared/settings.ts"
import { documentAt, keptLog, until } from "./inbox-fixtures.ts"
import { instance } from "./key-fixtures.ts"
import { ACCOUNT, makeWorld, STORE_INSTANCE, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const given = { account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE }

describe("uploads", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  beforeAll(async () => void (harness = await localHarness()))
  afterAll(() => harness.close())
  beforeEach(async () => void (world = await makeWorld(harness.store, await harness.bucket())))

  /** A host that runs by the real clock. */
  const open = (
    events: "inbox" | "inline" = "inbox", store = world.store, registered = world.registrations, lease = 60_000,
    state: StateStore = world.state, registrar = world.registrar,
  ) => uploads({
    settings: parseSettings({ ...given, events }), clock: Date.now, log: keptLog(), state, authority: world.sealer.authority,
    authenticate: () => Promise.reject(new Error("events have no caller")), registrations: registered,
    registrar, sealer: { ...world.sealer, store, clock: Date.now, registrations: registered }, opener: world.opener,
  }, { lease })

  const event = (key: string, more: object = {}): UploadEvent => ({ bucket: world.bucket, key, ...more })
  const waiting = async () => (await world.state.list("inbox/")).paths
  const dueOf = (path: string | undefined) => Number(path?.slice(6, 20))

  async function isSealed(key: string): Promise<boolean> {
    return Buffer.from(await world.stored(key) ?? []).toString("latin1").startsWith("bucketseal/1\n")
  }

  it("are sealed behind the answer, and counted where their place is not registered", async () => {
    const box = await open()
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    expect(await box.accept([event("a"), { bucket: "another", key: "a" }])).toBe(1)
    await box.idle()
    expect([await isSealed("a"), await waiting()]).toEqual([true, []])
    await box.close()
  })

  it("that a store contradicts have its bucket probed, and closing stops that probe and waits for its end", async () => {
    await world.registrations.put(world.bucket, "", (present) => {
      if (!present) throw new Error("not registered")
      return { ...present, store: { ...present.store, unsafe: "it lies" } }
    })
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    const told: string[] = []
    const probe: typeof world.registrar.probe = async (_, signal) => {
      told.push("begun")
      await until(async () => signal?.aborted === true)
      told.push("cleaned up")
      throw signal?.reason
    }
    const box = await open("inbox", world.store, world.registrations, 60_000, world.state, { ...world.registrar, probe })
    await box.accept([event("a")])
    await until(async () => told.length > 0)
    await box.close()
    expect(told).toEqual(["begun", "cleaned up"])
  })

  it("of a place that another host has registered 2 seconds ago are sealed, though there was none when this one looked", async () => {
    await world.registrations.remove(world.bucket, "")
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    let ahead = 0
    const here = registrations(world.state, () => Date.now() + ahead, 300)
    const box = await open("inbox", world.store, here)
    expect([await here.find(world.bucket, "a"), await box.accept([event("a")])]).toEqual([undefined, 0])
    await world.register(world.bucket)
    ahead = 2_000
    expect(await box.accept([event("a")])).toBe(1)
    await box.idle()
    expect([await isSealed("a"), await waiting()]).toEqual([true, []])
    await box.close()
  })

  it("that a lost host had accepted are sealed, though there was no registration when this one looked", async () => {
    await world.registrations.remove(world.bucket, "")
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    let ahead = 0
    const here = registrations(world.state, () => Date.now() + ahead, 300)
    expect(await here.find(world.bucket, "a")).toBeUndefined()
    await world.register(world.bucket)
    ahead = 2_000
    const gone = entries({ state: world.state, clock: Date.now, log: keptLog(), holder: "gone.1", isDead: () => false, lease: 50 })
    await gone.create(gone.pathFor(Date.now()), event("a"), 0)
    const box = await open("inbox", world.store, here, 50)
    await until(async () => (await waiting()).length === 0)
    expect(await isSealed("a")).toBe(true)
    await box.close()
  })

  it("that were accepted while the clock was a year ahead settle from now, once", async () => {
    await world.register(world.bucket, { settle: 0.3 })
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    const wrong = Date.now() + 365 * 86_400_000
    const gone = entries({ state: world.state, clock: () => wrong, log: keptLog(), holder: "gone.1", isDead: () => false, lease: 50 })
    await gone.create(gone.pathFor(wrong), event("a", { time: wrong }), 0)
    const box = await open("inbox", world.store, world.registrations, 50)
    await until(() => isSealed("a"))
    await box.idle()
    expect(await waiting()).toEqual([])
    await box.close()
  })

  it("settle from the event's time", async () => {
    await world.register(world.bucket, { settle: 3_600 })
    const box = await open()
    const time = Date.now() - 1_000_000
    await box.accept([event("a", { time })])
    expect(dueOf((await waiting())[0])).toBe(time + 3_600_000)
    await box.close()
  })

  it.each([["without a time", () => ({})], ["of a clock that is a day ahead", () => ({ time: Date.now() + 86_400_000 })]])("%s settle from our first sight of them, once", async (_, more) => {
    await world.register(world.bucket, { settle: 0.3 })
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    const box = await open()
    const before = Date.now()
    await box.accept([event("a", more())])
    const [path = ""] = await waiting()
    const { event: { time } } = await documentAt(world.state, path) as { event: { time: number } }
    expect(time).toBeGreaterThanOrEqual(before)
    expect(dueOf(path)).toBe(time + 300)
    await until(() => isSealed("a"))
    await box.close()
  })

  it("that turn out not to have settled are put off until they have", async () => {
    const box = await open()
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    const registered = await world.register(world.bucket, { settle: 0.5 })
    const time = Date.now()
    await box.store([event("a", { time })])
    await world.registrations.put(world.bucket, "", (present) => ({ ...present ?? registered, settle: 3_600 }))
    await until(async () => dueOf((await waiting())[0]) === time + 3_600_000)
    expect(await isSealed("a")).toBe(false)
    await box.close()
  })

  it("that meet a store which does not answer are parked, and leave the inbox: retry-parked goes back to them", async () => {
    const box = await open("inbox", { ...world.store, get: () => Promise.reject(new Failure("unavailable", "no answer")) })
    await box.accept([event("a")])
    await box.idle()
    expect(await waiting()).toEqual([])
    expect(await parkedAt(world.state, world.ref("a"))).toMatchObject({ reason: "unavailable", attempts: 1 })
    await box.close()
  })

  it("that can't even be parked stay in the inbox, for a later try", async () => {
    const noNotes = (path: string, value: unknown) =>
      (path.startsWith("parked") ? Promise.reject(new Failure("unavailable", "no answer")) : world.state.create(path, value))
    const box = await open("inbox", { ...world.store, get: () => Promise.reject(new TypeError("a bug")) }, world.registrations, 60_000, { ...world.state, create: noNotes })
    await box.accept([event("a")])
    await box.idle()
    expect(await documentAt(world.state, (await waiting())[0] ?? "")).toMatchObject({ event: { key: "a" }, tries: 1 })
    await box.close()
  })

  it("EVENTS=inline: are sealed before the answer, after settling if that takes at most 5 seconds", async () => {
    await world.register(world.bucket, { settle: 0.5 })
    for (const key of ["a", "b"]) await world.store.put(world.ref(key), Buffer.from("plaintext"))
    const box = await open("inline")
    expect(await box.accept([event("a"), event("b", { time: 0 })])).toBe(2)
    expect([await isSealed("a"), await isSealed("b"), await waiting()]).toEqual([true, true, []])
    await box.close()
  })

  it("EVENTS=inline: the inbox keeps what has to wait longer; what failed is parked", async () => {
    await world.register(world.bucket, { settle: 3_600 }, "slow/")
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    const box = await open("inline", { ...world.store, get: (ref, options) =>
      (ref.key === "fails" ? Promise.reject(new Failure("unavailable", "no answer")) : world.store.get(ref, options)) })
    expect(await box.accept([event("a"), event("fails"), event("slow/b")])).toBe(3)
    const kept = await Promise.all((await waiting()).map((path) => documentAt(world.state, path)))
    expect(kept).toMatchObject([{ event: { key: "slow/b" }, tries: 0 }])
    expect(await parkedAt(world.state, world.ref("fails"))).toMatchObject({ reason: "unavailable" })
    await box.close()
  })

  it("EVENTS=inline: what the local S3 endpoint has stored is sealed behind its answer all the same", async () => {
    await world.register(world.bucket, { settle: 3 })
    await world.store.put(world.ref("a"), Buffer.from("plaintext"))
    const box = await open("inline")
    await box.store([event("a")])
    expect([await isSealed("a"), (await waiting()).length]).toEqual([false, 1])
    await box.close()
  })
})

describe("the holder of a process", () => {
  it("is another one for each inbox, and alive while its process is", async () => {
    const [first, second] = [await inboxHolder(), await inboxHolder()]
    expect(first.holder).not.toBe(second.holder)
    expect(first.holder).toMatch(/^\w+\.[0-9a-f]{8}\.\d+\.[0-9a-f]{8}$/)
    expect([first.isDead(second.holder), first.isDead(first.holder)]).toEqual([false, false])
  })

  it("is known to be dead only where process ids mean the same", async () => {
    const { holder, isDead } = await inboxHolder()
    const [host = "", space = "", , nonce = ""] = holder.split(".")
    const unused = 2 ** 22 + 1 // above the largest process id of Linux (proc(5), pid_max)
    expect(isDead([host, space, unused, nonce].join("."))).toBe(true)
    expect(isDead([host, space, 1, nonce].join("."))).toBe(false)
    expect(isDead([`${host}x`, space, unused, nonce].join("."))).toBe(false)
    expect(isDead([host, "00000000", unused, nonce].join("."))).toBe(false)
    for (const odd of ["", "gone.1", `${host}.${space}.`, `${host}.${space}.x.y`]) expect(isDead(odd)).toBe(false)
  })
})
