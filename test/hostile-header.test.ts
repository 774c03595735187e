/** Objects that begin like sealed ones, written by whoever may write the bucket; and Range headers over sealed ones. */
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encryptObject } from "../functions/encrypt-object.ts"
import { MAX_HEADER_SIZE, encodeHeader, parseHeader } from "../shared/crypto/header.ts"
import { Failure, isFailure } from "../shared/errors.ts"
import { openObject, type Opener } from "../shared/objects/open.ts"
import { collect } from "../shared/objects/reading.ts"
import { once } from "../shared/objects/sealed.ts"
import { checkPreconditions, spanOf } from "../shared/runtime/range.ts"
import { parseSettings } from "../shared/settings.ts"
import { patterned } from "./bytes.ts"
import { count, pick, property, randoms, report, tries } from "./hostile.ts"
import { instance } from "./key-fixtures.ts"
import { ACCOUNT, makeWorld, STORE_INSTANCE, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

let harness: Awaited<ReturnType<typeof localHarness>>
let world: World
let sealed: Buffer

const plaintext = patterned(40_000)

beforeAll(async () => {
  harness = await localHarness()
  await harness.store.createBucket("photos")
  world = await makeWorld(harness.store, "photos")
  await world.store.put(world.ref("sealed"), plaintext)
  await world.seal("sealed")
  sealed = await world.stored("sealed") ?? Buffer.alloc(0)
})
afterAll(() => harness.close())

/** What becomes of the bytes as the object of this name: what the sealer says, and what a reader gets. */
async function met(key: string, bytes: Uint8Array): Promise<readonly [sealer: string, reader: string]> {
  await world.store.put(world.ref(key), bytes)
  const reader = await world.plaintext(key).then(() => "opened", codeOf)
  const { outcome, ...rest } = await world.seal(key)
  return ["reason" in rest ? `${outcome} ${rest.reason}` : outcome, reader]
}

const codeOf = (error: unknown): string => isFailure(error) ? error.code : `no failure: ${String(error)}`

/** A copy with a few bytes changed, removed, repeated or added, mostly near its start. */
function mutatedBytes(bytes: Buffer, random: () => number): Buffer {
  let all = bytes
  for (let left = 1 + Math.floor(random() * 3); left > 0; left--) {
    const at = Math.floor(random() * (random() < 0.8 ? Math.min(all.length, 300) : all.length))
    const more = pick(random, [Buffer.alloc(0), Buffer.of(0), Buffer.from("\n"), Buffer.from('"'), Buffer.from("\\u0000"), Buffer.from("é"), Buffer.of(0xff), all.subarray(at, at + 50), Buffer.alloc(9_000, "x")])
    all = Buffer.concat([all.subarray(0, at), more, all.subarray(at + Math.floor(random() * 4))])
  }
  return random() < 0.1 ? all.subarray(0, Math.floor(random() * 300)) : all
}

describe("a mutated sealed object", () => {
  const RUNS = tries(1_000)

  it(`of ${RUNS}, each is taken for what it is: nothing of it comes out, and it costs no more requests than a good one`, async () => {
    const counts: Record<string, number> = {}
    const refusals = ["conflict", "moved", "undecryptable"]
    for (const random of randoms(RUNS)) {
      const bytes = mutatedBytes(sealed, random)
      const store = storeOf(bytes)
      const reader = await opened(store).then((all) => all.equals(plaintext) ? "the same" : "OTHER BYTES", codeOf)
      if (!refusals.includes(reader) && !(reader === "the same" && bytes.equals(sealed))) expect.fail(`${reader} of ${bytes.toString("latin1", 0, 400)}`)
      expect(store.gets()).toBeLessThanOrEqual(3)
      count(counts, reader)
    }
    report("mutated sealed objects", counts)
    expect(Math.min(counts["conflict"] ?? 0, counts["undecryptable"] ?? 0)).toBeGreaterThan(RUNS / 20)
    expect((await opened(storeOf(sealed))).equals(plaintext)).toBe(true)
  })

  async function opened(store: Opener["store"]): Promise<Buffer> {
    const object = await openObject({ ...world.opener, store }, world.ref("sealed"), { iamId: "IBMid-owner", account: ACCOUNT })
    return object ? collect(object.read(0, object.size - 1)) : Buffer.alloc(0)
  }

  /** A store that has these bytes for any object, and counts how often it was asked. */
  function storeOf(bytes: Buffer): Opener["store"] & { gets(): number } {
    let gets = 0
    return {
      gets: () => gets,
      get(_, { range } = {}) {
        gets++
        const start = range && "start" in range ? range.start : 0
        if (start > 0 && start >= bytes.length) throw new Failure("range-not-satisfiable", "behind the end")
        const end = Math.min(range && "start" in range ? range.end ?? Infinity : Infinity, bytes.length - 1)
        const info = { size: bytes.length, etag: "etag", lastModified: 0, metadata: {} }
        const delivered = range && bytes.length > 0 ? { range: { start, end } } : {}
        return Promise.resolve({ ...info, ...delivered, body: once(bytes.subarray(start, end + 1)), cancel: () => undefined })
      },
    }
  }

  it("parses to a header only if it is that header's one encoding, and never throws", () => {
    const header = encodeHeader({ dek: "5f0c7d4e-0b5a-4c93-9a57-3d1f6f0e7a11", bucket: "photos", key: "a\u0000é🪣" })
    let headers = 0
    for (const random of randoms(tries(20_000))) {
      const bytes = mutatedBytes(header, random)
      const parsed = parseHeader(bytes)
      if (parsed.kind !== "header") continue
      headers++
      expect(encodeHeader(parsed.header).equals(bytes.subarray(0, parsed.size))).toBe(true)
    }
    expect(headers).toBeGreaterThan(100)
  })
})

describe("a header that names", () => {
  const dek = "5f0c7d4e-0b5a-4c93-9a57-3d1f6f0e7a11"
  const ours = { dek, bucket: "photos" }
  const rows: readonly (readonly [what: string, header: { dek?: string; bucket?: string; key?: string }])[] = [
    ["a bucket that climbs", { bucket: "../policies/acct1" }],
    ["a bucket that is a dot", { bucket: "." }],
    ["a bucket with a slash", { bucket: "photos/x" }],
    ["a bucket with empty segments", { bucket: "a//b" }],
    ["no bucket", { bucket: "" }],
    ["a bucket with a NUL", { bucket: "a\u0000b" }],
    ["a bucket that is half a surrogate pair", { bucket: "\ud800" }],
    ["a bucket of 4,000 letters", { bucket: "b".repeat(4_000) }],
    ["a member of every object for a bucket", { bucket: "__proto__" }],
    ["an address for a bucket", { bucket: "http://192.0.2.66/" }],
    ["another bucket", { bucket: "videos" }],
    ["an empty key", { key: "" }],
    ["another key", { key: "other" }],
    ["a data key that climbs", { dek: "../identities/x" }],
    ["a data key of upper-case letters", { dek: dek.toUpperCase() }],
    ["no data key", { dek: "" }],
    ["an unknown data key", {}],
  ]

  it.each(rows)("%s is parked and refused, and makes no path", async (_, header) => {
    const bytes = Buffer.concat([encodeHeader({ ...ours, key: "forged", ...header }), sealed.subarray(parsedSize())])
    const [sealer, reader] = await met("forged", bytes)
    expect(sealer).toMatch(/^parked (moved|unknown-data-key)$/)
    expect(["moved", "undecryptable"]).toContain(reader)
    expect((await world.stored("forged"))?.equals(bytes)).toBe(true)
  })

  const parsedSize = () => {
    const parsed = parseHeader(sealed)
    return parsed.kind === "header" ? parsed.size : 0
  }

  it("what can be no bucket does not hold up the other uploads of its delivery", async () => {
    await world.store.put(world.ref("poison"), Buffer.concat([encodeHeader({ ...ours, key: "k", bucket: "../x" }), patterned(100)]))
    await world.store.put(world.ref("good"), patterned(100))
    const { log, authority } = world.sealer
    const context = {
      settings: parseSettings({ account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE }), clock: world.clock, log,
      state: world.state, authority, authenticate: () => Promise.reject(new Error("jobs have no caller")),
      registrations: world.registrations, registrar: world.registrar, sealer: world.sealer, opener: world.opener,
    }
    const uploads = ["poison", "good"].map((key) => ({ eventSource: "aws:s3", eventName: "ObjectCreated:Put", s3: { bucket: { name: "photos" }, object: { key } } }))
    const { items } = await encryptObject.run(encryptObject.input.parse({ Records: uploads }), context, new AbortController().signal)
    expect(items.map(({ outcome, reason }) => [outcome, reason])).toEqual([["parked", "moved"], ["sealed", undefined]])
  })
})

describe("a prefix of the most that is looked at", () => {
  const line = (filler: string) => Buffer.from(`bucketseal/1\n${filler.repeat(Math.ceil(MAX_HEADER_SIZE / filler.length))}`)

  it.each(["[", '{"a":', "{", '"', "\\", "\n", " ", "1", "é", "\u0000", '{"dek":"x",', "bucketseal/1\n"])("full of %j is no header, whatever follows", (filler) => {
    const bytes = Buffer.concat([line(filler), Buffer.alloc(1_000_000, "\n")])
    expect(parseHeader(bytes).kind).toBe("none")
  })
})

describe("a Range header", () => {
  const digits = fc.stringMatching(/^\d{0,17}$/)
  const hostile = fc.oneof(
    fc.string({ unit: "binary-ascii", maxLength: 60 }),
    fc.tuple(digits, digits).map(([from, to]) => `bytes=${from}-${to}`),
    fc.array(fc.tuple(digits, digits), { maxLength: 500 }).map((all) => `bytes=${all.map((pair) => pair.join("-")).join(",")}`),
    fc.constantFrom("bytes=-0", "bytes=0-0,0-0", "bytes=0--1", "bytes=-", "bytes=1e3-", "bytes=0x0-1", "Bytes=0-1", "bytes=٠-١", "octets=0-1", "bytes=0-18446744073709551615"),
  )

  it("asks for bytes that the object has, for all of it, or for none", () => {
    fc.assert(fc.property(hostile, fc.nat(100_000), (header, size) => {
      try {
        const span = spanOf(header, size)
        if (!span) return
        expect(0 <= span.start && span.start <= span.end && span.end < size).toBe(true)
      } catch (error) {
        expect(codeOf(error)).toBe("range-not-satisfiable")
      }
    }), property(5_000))
  })

  it("and preconditions of any text either hold or do not", () => {
    fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), fc.constantFrom("if-match", "if-none-match"), (text, name) => {
      const value = text.replace(/[^\x20-\x7e]/g, "")
      try {
        checkPreconditions(new Headers({ [name]: value }), "etag")
      } catch (error) {
        expect(["precondition-failed", "not-modified"]).toContain(codeOf(error))
      }
    }), property(2_000))
  })
})
