/** What safety costs: sealing with the re-open check and the proof of what is stored, against the same without them. */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ObjectRef, Store } from "../../shared/ports.ts"
import { localStore } from "../../shared/store/local.ts"
import { pieces, plaintext } from "../pieces.ts"
import { interleaved, median, ratios, timed, type Sample } from "../rounds.ts"
import { openStore } from "../sdk-store.ts"
import { seal, sealingIn, unproven } from "../sealing-world.ts"
import { fixed, print, type Row } from "../table.ts"

const TIMES = 4 // times 64 MiB
const SMALL = 500
const AT_ONCE = 8

/** Sealing one object of 256 MiB, with all checks and with none. */
async function large(store: Store, bucket: string, what: string, most: number): Promise<Row> {
  const sealer = await sealingIn(store, bucket)
  const ref: ObjectRef = { bucket, key: "large" }
  const way = (by: typeof sealer) => async () => {
    await store.put(ref, { length: TIMES * plaintext.length, stream: pieces(plaintext, TIMES) })
    return timed(() => seal(by, ref))
  }
  const samples = await interleaved(7, { checked: way(sealer), bare: way(unproven({ ...sealer, reopen: false })) })
  await store.delete(ref)
  return row(what, samples, most, (sample) => sample.seconds, "s")
}

async function small(store: Store, bucket: string, requests: () => number): Promise<Row> {
  const sealer = await sealingIn(store, bucket)
  const refs = Array.from({ length: SMALL }, (_, number): ObjectRef => ({ bucket, key: `small/${number}` }))
  const forAll = async (job: (ref: ObjectRef) => Promise<unknown>) => {
    const waiting = refs.values()
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const ref of waiting) await job(ref) // the workers share one iterator
    }))
  }
  const way = (by: typeof sealer) => async () => {
    await forAll((ref) => store.put(ref, randomBytes(4096)))
    const before = requests()
    const sample = await timed(() => forAll((ref) => seal(by, ref)))
    return { ...sample, requests: (requests() - before) / SMALL }
  }
  const bare = unproven({ ...sealer, reopen: false }, true)
  const samples = await interleaved(7, { checked: way(sealer), bare: way(bare) })
  const counts = `${median(samples.checked.map((one) => one.requests))} / ${median(samples.bare.map((one) => one.requests))} requests an object`
  const made = row(`seal ${SMALL} × 4 KiB in place on RGW, 8 at a time, with re-open check and MD5: time`, samples, 1.1, (one) => one.seconds, "s")
  return { ...made, figures: `${made.figures}; ${counts}` }
}

function row(
  what: string, { checked, bare }: Record<"checked" | "bare", readonly Sample[]>, most: number, measure: (sample: Sample) => number, unit: string,
): Row {
  return {
    what, against: "the same without either", ratios: ratios(checked, bare, measure), bar: { relation: "≤", node20: most, node22: most },
    figures: `${fixed(median(checked.map(measure)))} / ${fixed(median(bare.map(measure)))} ${unit}, CPU ${fixed(median(checked.map(({ cpu }) => cpu)))} / ${fixed(median(bare.map(({ cpu }) => cpu)))} s`,
  }
}

const rgw = await openStore()
const folder = await mkdtemp(join(tmpdir(), "bucketseal-bench-"))
const local = await localStore(folder)
try {
  await local.createBucket("bench")
  print([
    await large(rgw.store, rgw.bucket, "seal 256 MiB in place on RGW, with re-open check and MD5: time", 1.4),
    await large(local, "bench", "seal 256 MiB in place on the local store, with re-open check and CRC-32: time", 1.2),
    await small(rgw.store, rgw.bucket, rgw.requests),
  ])
} finally {
  await local.close()
  await rm(folder, { recursive: true, force: true })
  await rgw.close()
  rgw.sdk.destroy()
}
