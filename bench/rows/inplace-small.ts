/** Sealing 1,000 objects of 4 KiB in place, 8 at a time on a warm instance, against the AWS SDK's plain GET and PUT. */
import { randomBytes } from "node:crypto"
import type { ObjectRef } from "../../shared/ports.ts"
import { interleaved, median, ratios, timed } from "../rounds.ts"
import { copyBySdk, openStore } from "../sdk-store.ts"
import { copyByUs, seal, sealingIn } from "../sealing-world.ts"
import { fixed, print } from "../table.ts"

const OBJECTS = 1000
const AT_ONCE = 8

const { store, sdk, bucket, requests, close } = await openStore()
const refs = Array.from({ length: OBJECTS }, (_, number): ObjectRef => ({ bucket, key: `small/${number}` }))

/** Does it for every object, so many at a time. */
async function forAll(job: (ref: ObjectRef) => Promise<unknown>): Promise<void> {
  const waiting = refs.values()
  const worker = async () => {
    for (const ref of waiting) await job(ref) // the workers share one iterator
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Uploads all objects anew, then rewrites each of them; counted are the requests of our client. */
const rewriting = (rewrite: (ref: ObjectRef) => Promise<void>) => async () => {
  await forAll((ref) => store.put(ref, randomBytes(4096)))
  const before = requests()
  const sample = await timed(() => forAll(rewrite))
  return { ...sample, requests: (requests() - before) / OBJECTS }
}

try {
  const sealer = await sealingIn(store, bucket)
  const samples = await interleaved(5, {
    sdk: rewriting((ref) => copyBySdk(sdk, ref)),
    own: rewriting((ref) => copyByUs(store, ref)),
    sealed: rewriting((ref) => seal(sealer, ref)),
  })
  const rate = ({ seconds }: { seconds: number }) => OBJECTS / seconds
  const cpu = (sample: { cpu: number }) => (sample.cpu / OBJECTS) * 1e3
  const rates = (way: keyof typeof samples) => `${fixed(median(samples[way].map(rate)))} / ${fixed(median(samples.sdk.map(rate)))} objects/s`
  const cpus = (way: keyof typeof samples) => `${fixed(median(samples[way].map(cpu)))} / ${fixed(median(samples.sdk.map(cpu)))} ms of CPU an object`
  const perObject = fixed(median(samples.sealed.map((sample) => sample.requests)))
  const against = "AWS SDK: GET → PUT, 8 at a time"
  print([
    {
      what: "seal 1,000 × 4 KiB in place, 8 at a time: objects per second", against, bar: { relation: "≥", node20: 1.5, node22: 1.5 },
      ratios: ratios(samples.sealed, samples.sdk, rate), figures: `${rates("sealed")}; ${perObject} requests an object`,
    },
    {
      what: "the same: client CPU", against, bar: { relation: "≤", node20: 0.4, node22: 0.4 },
      ratios: ratios(samples.sealed, samples.sdk, cpu), figures: cpus("sealed"),
    },
    {
      what: "for scale: plain GET → PUT by the product's client, objects per second", against,
      ratios: ratios(samples.own, samples.sdk, rate), figures: `${rates("own")}; ${cpus("own")}`,
    },
  ])
} finally {
  await close()
  sdk.destroy()
}
