/** Sealing one object of 256 MiB in place, against the AWS SDK's plain GET and PUT of it. */
import { pieces, plaintext } from "../pieces.ts"
import { interleaved, median, ratios, timed, type Sample } from "../rounds.ts"
import { copyBySdk, copyInStore, openStore } from "../sdk-store.ts"
import { copyByUs, seal, sealingIn, withoutMd5 } from "../sealing-world.ts"
import { fixed, print } from "../table.ts"

const TIMES = 4 // times 64 MiB

const { store, sdk, bucket, close } = await openStore()
try {
  const sealer = await sealingIn(store, bucket)
  await store.put({ bucket, key: "original" }, { length: TIMES * plaintext.length, stream: pieces(plaintext, TIMES) })

  /** Rewrites a fresh copy of the original, and removes it: the store's memory is bounded. */
  const rewriting = (rewrite: (ref: { bucket: string; key: string }) => Promise<void>) => async () => {
    const ref = { bucket, key: "copy" }
    await copyInStore(sdk, bucket, "original", ref.key)
    const sample = await timed(() => rewrite(ref))
    await store.delete(ref)
    return sample
  }
  const unchecked = { ...sealer, reopen: false }
  const samples = await interleaved(7, {
    sdk: rewriting((ref) => copyBySdk(sdk, ref)),
    own: rewriting((ref) => copyByUs(store, ref)),
    plain: rewriting((ref) => seal(withoutMd5(unchecked), ref)),
    reopened: rewriting((ref) => seal(withoutMd5(sealer), ref)),
    md5: rewriting((ref) => seal(unchecked, ref)),
    both: rewriting((ref) => seal(sealer, ref)),
  })

  const middle = (way: keyof typeof samples, measure: (sample: Sample) => number) => fixed(median(samples[way].map(measure)))
  const compared = (way: keyof typeof samples, what: string) => ({
    what, against: "AWS SDK: GET → PUT",
    ratios: ratios(samples[way], samples.sdk, ({ seconds }) => seconds),
    figures: `${middle(way, ({ seconds }) => seconds)} / ${middle("sdk", ({ seconds }) => seconds)} s, ` +
      `client CPU ${middle(way, ({ cpu }) => cpu)} / ${middle("sdk", ({ cpu }) => cpu)} s`,
  })
  const atMost = (node20: number, node22: number) => ({ relation: "≤", node20, node22 }) as const
  print([
    { ...compared("plain", "seal 256 MiB in place, re-open off, without MD5: its time"), bar: atMost(1.25, 1.2) },
    { ...compared("reopened", "the same, re-open on, without MD5"), bar: atMost(1.4, 1.3) },
    { ...compared("md5", "the same, re-open off, ETag = MD5 checked"), bar: atMost(1.5, 1.45) },
    { ...compared("both", "the same, re-open on, ETag = MD5 checked (the preset)"), bar: atMost(1.7, 1.6) },
    compared("own", "for scale: plain GET → PUT by the product's client"),
  ])
} finally {
  await close()
  sdk.destroy()
}
