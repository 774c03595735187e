/** The local S3 endpoint against a Ceph RGW, by one and the same client: 4 KiB objects 8 at a time, and one of 256 MiB. */
import { randomBytes } from "node:crypto"
import type { ObjectRef, Store } from "../../shared/ports.ts"
import { startEndpoint } from "../endpoint-process.ts"
import { interleaved, median, ratios, timed, type Sample } from "../rounds.ts"
import { openStore } from "../sdk-store.ts"
import { fixed, print, type Row } from "../table.ts"

const OBJECTS = 1000
const AT_ONCE = 8
const LARGE = 256 * 2 ** 20
const PIECE = 256 * 1024

/** A store, and where in it the objects of this row are. */
interface Side {
  readonly store: Store
  readonly bucket: string
}

const small = randomBytes(4096)
const piece = randomBytes(PIECE)

async function* largeBody() {
  for (let at = 0; at < LARGE; at += PIECE) yield piece
}

/** Does it for every small object, so many at a time. */
async function forAll({ bucket }: Side, job: (ref: ObjectRef) => Promise<unknown>): Promise<void> {
  const waiting = Array.from({ length: OBJECTS }, (_, number): ObjectRef => ({ bucket, key: `small/${number}` })).values()
  const worker = async () => {
    for (const ref of waiting) await job(ref) // the workers share one iterator
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function read({ store }: Side, ref: ObjectRef, size: number): Promise<void> {
  const object = await store.get(ref)
  let length = 0
  for await (const bytes of object?.body ?? []) length += bytes.length
  if (length !== size) throw new Error(`read ${length} of ${size} bytes`)
}

const large = ({ bucket }: Side): ObjectRef => ({ bucket, key: "large" })

/** The four things that are done, on one side. */
const ways = (side: Side) => ({
  put: () => timed(() => forAll(side, (ref) => side.store.put(ref, small))),
  get: () => timed(() => forAll(side, (ref) => read(side, ref, small.length))),
  putLarge: () => timed(() => side.store.put(large(side), { length: LARGE, stream: largeBody() })),
  getLarge: () => timed(() => read(side, large(side), LARGE)),
})

const rgw = await openStore()
const endpoint = await startEndpoint()
try {
  const ours = ways(endpoint)
  const theirs = ways(rgw)
  const row = async (what: string, unit: string, amount: number, way: keyof typeof ours): Promise<Row> => {
    const samples = await interleaved(5, { ours: ours[way], theirs: theirs[way] })
    const rate = ({ seconds }: Sample) => amount / seconds
    const figures = [samples.ours, samples.theirs].map((side) => fixed(median(side.map(rate)))).join(" / ")
    return {
      what, against: "Ceph RGW 16, the same client", bar: { relation: "≥", node20: 1, node22: 1 },
      ratios: ratios(samples.ours, samples.theirs, rate), figures: `${figures} ${unit}`,
    }
  }
  print([
    await row("S3 endpoint: put 4 KiB, 8 at a time, requests per second", "requests/s", OBJECTS, "put"),
    await row("S3 endpoint: get 4 KiB, 8 at a time, requests per second", "requests/s", OBJECTS, "get"),
    await row("S3 endpoint: put 256 MiB, bytes per second", "MB/s", LARGE / 1e6, "putLarge"),
    await row("S3 endpoint: get 256 MiB, bytes per second", "MB/s", LARGE / 1e6, "getLarge"),
  ])
} finally {
  await endpoint.close()
  await rgw.close()
}
