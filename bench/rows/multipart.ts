/** Sealing 256 MiB by a multipart upload, 8 MiB × 4 at a time, against the AWS SDK's plain multipart copy; and the memory it takes. */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { GetObjectCommand } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import type { Readable } from "node:stream"
import type { ObjectRef } from "../../shared/ports.ts"
import { pieces, plaintext } from "../pieces.ts"
import { interleaved, median, ratios, timed } from "../rounds.ts"
import { openStore } from "../sdk-store.ts"
import { multipartSealingIn, PART, PARTS_AT_ONCE, seal } from "../sealing-world.ts"
import { fixed, print } from "../table.ts"

const TIMES = 4 // times 64 MiB

const { store, sdk, bucket, close } = await openStore()
const ref: ObjectRef = { bucket, key: "large" }

async function copy(): Promise<void> {
  const { Body } = await sdk.send(new GetObjectCommand({ Bucket: bucket, Key: ref.key }))
  const params = { Bucket: bucket, Key: ref.key, Body: Body as Readable }
  await new Upload({ client: sdk, params, partSize: PART, queueSize: PARTS_AT_ONCE }).done()
}

const upload = () => store.put(ref, { length: TIMES * plaintext.length, stream: pieces(plaintext, TIMES) })

/** Peak memory of a process that seals once, in MB: another one than that which feeds the upload from memory. */
async function peakAlone(): Promise<number> {
  await upload()
  const file = fileURLToPath(new URL("seal-alone.mjs", import.meta.url))
  return (Number(execFileSync(process.execPath, [file, bucket, ref.key], { encoding: "utf8" })) * 1_024) / 1e6
}

try {
  const sealer = await multipartSealingIn(store, bucket)
  const samples = await interleaved(5, {
    sealed: async () => {
      await upload()
      return timed(() => seal(sealer, ref))
    },
    sdk: async () => {
      await upload()
      return timed(copy)
    },
  })
  const peaks = [await peakAlone(), await peakAlone(), await peakAlone()]
  const seconds = (way: keyof typeof samples) => fixed(median(samples[way].map((sample) => sample.seconds)))
  const cpu = (way: keyof typeof samples) => fixed(median(samples[way].map((sample) => sample.cpu)))
  print([
    {
      what: "seal 256 MiB by a multipart upload, 8 MiB × 4 at a time: its time", against: "AWS SDK: GET → lib-storage Upload, 8 MiB × 4",
      ratios: ratios(samples.sealed, samples.sdk, (sample) => sample.seconds), bar: { relation: "≤", node20: 0.95, node22: 0.95 },
      figures: `${seconds("sealed")} / ${seconds("sdk")} s, CPU ${cpu("sealed")} / ${cpu("sdk")} s`,
    },
    {
      what: "peak RSS of a process that does so once", against: "140 MB", ratios: peaks.map((peak) => peak / 140),
      bar: { relation: "≤", node20: 1, node22: 1 }, figures: `${fixed(median(peaks))} MB`,
    },
  ])
} finally {
  await close()
  sdk.destroy()
}
