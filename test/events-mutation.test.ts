import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { parseUploadEvents, type UploadEvent } from "../shared/objects/events.ts"
import { parseSettings } from "../shared/settings.ts"
import { patterned } from "./bytes.ts"
import { eventsHost } from "./events-host.ts"
import { goldenEvents } from "./golden-events.ts"
import { instance } from "./key-fixtures.ts"
import { mutated, mutatedText, seeded } from "./mutations.ts"
import { networkGuard, type NetworkGuard } from "./network-guard.ts"
import { ACCOUNT, makeWorld, STORE_INSTANCE, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const RUNS = process.env.SLOW ? 100_000 : 10_000

/** The same bodies in every run: golden deliveries, most changed as JSON, a quarter also as text. */
function* mutatedBodies(count: number): Generator<string, void> {
  for (let seed = 0; seed < count; seed++) {
    const random = seeded(seed)
    let delivery = goldenEvents[seed % goldenEvents.length]?.[1].delivery
    for (let left = 1 + Math.floor(random() * 4); left > 0; left--) delivery = mutated(delivery, random)
    const body = JSON.stringify(delivery)
    yield random() < 0.25 ? mutatedText(body, random) : body
  }
}

function parseJson(body: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(body) }
  } catch {
    return undefined
  }
}

const reasons = new Set(goldenEvents.flatMap(([, { expected }]) => expected.rejected))

/** What is wrong with an upload that was read. */
function faults({ bucket, key, size = 0, etag = "x", versionId = "x", time = 0, ...others }: UploadEvent): string[] {
  const bytes = Buffer.byteLength(key)
  return Object.entries({
    bucket: /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$/.test(bucket), key: bytes > 0 && bytes <= 1_024 && Buffer.from(key).toString() === key,
    size: Number.isSafeInteger(size) && size >= 0, time: !Number.isNaN(new Date(time).getTime()),
    etag: etag !== "" && etag.length <= 1_024, versionId: versionId !== "" && versionId.length <= 1_024, others: Object.keys(others).length === 0,
  }).filter(([, right]) => !right).map(([name]) => name)
}

describe("mutated events", () => {
  it(`of ${RUNS}, none makes the parser throw, or gives more than it holds, or an upload that can't be`, () => {
    const untouched = Object.getOwnPropertyNames(Object.prototype)
    const counts = { json: 0, uploads: 0, ignored: 0, rejected: 0 }
    for (const body of mutatedBodies(RUNS)) {
      const json = parseJson(body)
      if (!json) continue
      const { uploads, ignored, rejected } = parseUploadEvents(json.value)
      const wrong = uploads.flatMap(faults)
      const unknown = rejected.filter(({ reason }) => !reasons.has(reason))
      const found = uploads.length + ignored + rejected.length
      const letters = uploads.reduce((sum, { key }) => sum + key.length, 0)
      if (wrong.length > 0 || unknown.length > 0 || found > Math.min(10_001, body.length) || letters > body.length) {
        expect.fail(`${JSON.stringify({ wrong, unknown, found, letters })} for ${body.slice(0, 2_000)}`)
      }
      counts.json++
      counts.uploads += uploads.length
      counts.ignored += ignored
      counts.rejected += rejected.length
    }
    process.stdout.write(`mutated events: ${JSON.stringify(counts)}\n`)
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(untouched)
    expect(counts.json).toBeGreaterThan(RUNS * 0.7)
    expect(Math.min(counts.uploads, counts.ignored, counts.rejected)).toBeGreaterThan(RUNS / 10)
  }, 300_000)
})

describe("mutated events through POST /events, and on to encrypt-object", () => {
  let harness: Awaited<ReturnType<typeof localHarness>>
  let world: World
  let guard: NetworkGuard

  beforeAll(async () => {
    harness = await localHarness()
    await harness.store.createBucket("photos")
    world = await makeWorld(harness.store, "photos")
    for (const key of ["k", "a", "b", "c", "d"]) await world.store.put(world.ref(key), patterned(100))
    guard = networkGuard()
  })
  afterAll(async () => {
    guard.release()
    await harness.close()
  })

  it("the guard sees a request that would leave this process", async () => {
    await expect(fetch("http://127.0.0.1:4242/")).rejects.toThrow()
    expect(guard.outgoing.splice(0)).toHaveLength(1)
  })

  it(`of ${RUNS / 10}, each is answered 202, 400 or 413, whatever addresses it holds, and no request leaves`, async () => {
    const outcomes: Record<string, number> = {}
    const count = (what: string | number) => (outcomes[what] = (outcomes[what] ?? 0) + 1)
    const { log, authority } = world.sealer
    const context = {
      settings: parseSettings({ account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE }), clock: world.clock, log,
      state: world.state, authority, authenticate: () => Promise.reject(new Error("jobs have no caller")),
      registrations: world.registrations, registrar: world.registrar, sealer: world.sealer, opener: world.opener,
    }
    const { post, state } = eventsHost({
      async acceptEvents(all) {
        const { items, counts } = await encryptObject.run({ uploads: all }, context, new AbortController().signal)
        for (const [outcome, number] of Object.entries(counts)) outcomes[outcome] = (outcomes[outcome] ?? 0) + number
        return items.filter(({ outcome }) => outcome !== "not-registered").length
      },
    })
    let at = 0
    for (const body of mutatedBodies(RUNS)) {
      if (at++ % 10 !== 0) continue
      const { status } = await post(body)
      if (![202, 400, 413].includes(status)) expect.fail(`${status} for ${body.slice(0, 2_000)}`)
      count(status)
    }
    process.stdout.write(`mutated events: ${JSON.stringify(outcomes)}\n`)
    expect(guard.outgoing).toEqual([])
    expect([outcomes["sealed"], Math.min(outcomes["202"] ?? 0, outcomes["400"] ?? 0) > 10]).toEqual([5, true])
    expect((await state.list("unreadable-events/", { limit: 10_000 })).paths.length).toBeLessThanOrEqual(1_000)
  }, 300_000)
})
