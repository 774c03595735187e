/** An object far larger than memory and time, sealed by many small functions that are killed. `SLOW=1`: 100 GiB. */
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { CHUNK_SIZE, SALT_SIZE, SEALED_CHUNK_SIZE, sealedSize } from "../shared/crypto/chunked.ts"
import { MAX_HEADER_SIZE, parseHeader } from "../shared/crypto/header.ts"
import { openObject } from "../shared/objects/open.ts"
import { PART_MEMORY, partSizeFor } from "../shared/objects/parts.ts"
import { readStart } from "../shared/objects/reading.ts"
import { sealObject } from "../shared/objects/seal.ts"
import type { Store } from "../shared/ports.ts"
import { localStore } from "../shared/store/local.ts"
import { stateStore } from "../shared/store/state.ts"
import { generatedHash } from "./large/generated.ts"
import { giantIn } from "./large/giant.ts"
import { bundleInto, invokeUntilSealed, momentsFor, type Ended, type Task } from "./large/invocations.ts"
import { OWNER, registerWith, wired } from "./large/wiring.ts"
import { credentials, region, serveStore } from "./s3-endpoint.ts"

const MIB = 2 ** 20
const slow = process.env["SLOW"] !== undefined
const deadline = 60_000
const { size, kills, stops, longest } = slow
  ? { size: 100 * 1024 * MIB + 12_345, kills: 100, stops: 5, longest: 1_000 }
  : { size: 2 * 1024 * MIB + 12_345, kills: 20, stops: 3, longest: 200 }

const ref = { bucket: "uploads", key: "archive.tar" }
const sealed = sealedSize(size) + MAX_HEADER_SIZE
const partSize = partSizeFor(sealed) ?? 0
const parts = Math.ceil((sealedSize(size) + 300) / partSize)
const keeps = (number: number) => number === 1 || number === Math.ceil(parts / 2) || number >= parts - 1

let folder: string
let program: string
let rest: Awaited<ReturnType<typeof localStore>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bucketseal-large-"))
  program = await bundleInto(folder)
  rest = await localStore(join(folder, "store"))
})
afterAll(async () => {
  await rest.close()
  await rm(folder, { recursive: true, force: true })
})

/** A world of its own: a giant object in a store behind an S3 endpoint, the state beside it. */
async function open(bytes: number, keepsPart: (number: number) => boolean) {
  const stateBucket = `state-${randomBytes(6).toString("hex")}`
  await rest.createBucket(stateBucket)
  await rest.createBucket(ref.bucket)
  const giant = giantIn(rest, ref, bytes, keepsPart)
  const masterKey = randomBytes(32)
  const state = stateStore(rest, { bucket: stateBucket, prefix: "" })
  const wiredOn = (store: Store) => wired({ store, state, masterKey, clock: Date.now })
  const world = wiredOn(giant.store)
  await registerWith(world, ref.bucket)
  const endpoint = await serveStore(giant.store)
  const s3 = { endpoint: endpoint.server.url, region, credentials, allowHttp: true }
  const task: Task = { s3, stateBucket, masterKey: masterKey.toString("base64"), ref, clockAhead: 0, deadline }
  return { giant, state, world, wiredOn, endpoint, task }
}

/** Numbers from 0 to 1, the same in every run. */
function seeded(seed: number): () => number {
  let drawn = 0
  return () => createHash("sha256").update(`${seed}:${drawn++}`).digest().readUInt32BE() / 2 ** 32
}

const count = (all: readonly Ended[], outcome: Ended["outcome"]) => all.filter((one) => one.outcome === outcome).length

describe(`an object of ${Math.floor(size / 1024 / MIB)} GiB`, () => {
  it(`is sealed by invocations of which ${kills} are killed, to the bytes that one invocation would have made`, async () => {
    const { giant, state, world, wiredOn, endpoint, task } = await open(size, keeps)
    const moments = momentsFor(kills, stops, Math.floor(parts * 0.8), longest, seeded(1))
    const began = performance.now()
    const all = await invokeUntilSealed(program, task, giant, moments, world.sealer.lease)
    const seconds = (performance.now() - began) / 1_000
    const { journal } = giant
    const parallel = Math.floor(world.sealer.partsMemory / PART_MEMORY)
    const rss = Math.max(...all.map((one) => one.rss))
    console.log([
      `${(size / 1024 / MIB).toFixed(0)} GiB in ${parts} parts of ${partSize / MIB} MiB, ${parallel} in flight`,
      `${all.length} invocations: ${count(all, "killed")} killed, ${count(all, "unfinished")} stopped or at their deadline of ${deadline / 1_000} s`,
      `acknowledged parts sent again ${journal.sentAgain}, parts redone ${journal.broken} <= ${kills} kills x ${parallel}`,
      `${seconds.toFixed(0)} s, ${(size / MIB / seconds).toFixed(0)} MiB/s with all starts, RSS at most ${(rss / MIB).toFixed(0)} MiB`,
    ].join("\n"))

    expect(all.at(-1)?.outcome).toBe("sealed")
    expect(count(all, "killed")).toBe(kills)
    expect(count(all, "unfinished")).toBeGreaterThanOrEqual(stops)
    expect(all.length).toBe(kills + count(all, "unfinished") + 1)
    expect(journal).toMatchObject({ sentAgain: 0, stored: parts, completed: 1, underWay: 0 })
    expect(journal.broken).toBeLessThanOrEqual(kills * parallel)
    expect(journal.mostUnderWay).toBeLessThanOrEqual(parallel)
    expect(rss).toBeLessThanOrEqual(200 * MIB)
    expect((await state.list("progress/")).paths).toEqual([])
    await endpoint.close()

    const opened = await openObject(world.opener, ref, OWNER)
    expect(opened?.size).toBe(size)
    const middle = Math.floor((Math.ceil(parts / 2) - 0.5) * partSize * CHUNK_SIZE / SEALED_CHUNK_SIZE)
    for (const [from, end] of [[0, MIB], [middle, middle + MIB], [size - MIB, size]] as const) {
      const hash = createHash("sha256")
      for await (const piece of opened?.read(from, end - 1) ?? []) hash.update(piece)
      expect(hash.digest("hex"), `plaintext from ${from}`).toBe(await generatedHash(from, end))
    }

    const once = await sealedOnce()
    expect(once.size).toBe(parts)
    expect([...once].filter(([number, hash]) => journal.hashes.get(number) !== hash)).toEqual([])

    /** The parts of an uninterrupted run with the same data key and salt. */
    async function sealedOnce() {
      const { dek, salt } = await drawnBy(giant.store)
      const another = giantIn(rest, ref, size, keeps)
      const { sealer } = wiredOn(another.store)
      const rootKeys = (await sealer.registrations.find(ref.bucket, ref.key))?.rootKeys ?? []
      const forSealing = async () => {
        const found = await sealer.dataKeys.forOpening({ id: dek, bucket: ref.bucket, rootKeys })
        if (!found) throw new Error("the data key is gone")
        return { id: dek, dek: found }
      }
      const random = (length: number) => (length === SALT_SIZE ? salt : randomBytes(length))
      const result = await sealObject({ ...sealer, random, dataKeys: { ...sealer.dataKeys, forSealing } }, ref, { uploaded: 0 })
      expect(result).toMatchObject({ outcome: "sealed", dek })
      return another.journal.hashes
    }
  }, slow ? 6 * 3_600_000 : 600_000)
})

/** What was drawn for the object that is stored here. */
async function drawnBy(store: Store) {
  const start = await readStart(store, ref)
  const parsed = parseHeader(start?.bytes ?? Buffer.alloc(0))
  if (parsed.kind !== "header") throw new Error("it is not sealed")
  return { dek: parsed.header.dek, salt: start?.bytes.subarray(parsed.size, parsed.size + SALT_SIZE) ?? Buffer.alloc(0) }
}
