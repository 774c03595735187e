/** Sealing 256 MiB by a multipart upload, 8 MiB × 4 at a time, against the AWS SDK's plain multipart copy; and the memory it takes. */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { GetObjectCommand } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import type { Readable } from "node:stream"
import type { ObjectRef } from "../../shared/ports.ts"
import { pieces, plaintext } from "../pieces.ts"
import { interleaved, median, ratios, timed } from "../rounds.ts"
import { openStore, seal, sealingIn, withFacts } from "../sealing-world.ts"
import { fixed, print } from "../table.ts"

const TIMES = 4 // times 64 MiB
const PART = 8 * 2 ** 20
const AT_ONCE = 4
const alone = process.env["BENCH_ALONE"] !== undefined // one sealing in a process of its own, for its peak memory

const { store, sdk, bucket, close } = await openStore()
const ref: ObjectRef = { bucket, key: "large" }

async function copy(): Promise<void> {
  const { Body } = await sdk.send(new GetObjectCommand({ Bucket: bucket, Key: ref.key }))
  const params = { Bucket: bucket, Key: ref.key, Body: Body as Readable }
  await new Upload({ client: sdk, params, partSize: PART, queueSize: AT_ONCE }).done()
}

const upload = () => store.put(ref, { length: TIMES * plaintext.length, stream: pieces(plaintext, TIMES) })

/** Peak memory of the process that seals once, in MB. */
function peakAlone(): number {
  const file = fileURLToPath(import.meta.url)
  const printed = execFileSync(process.execPath, [file], { env: { ...process.env, BENCH_ALONE: "1" }, encoding: "utf8" })
  return Number(printed) / 1_000
}

try {
  // RGW 16 ignores conditions on completion, so the product would refuse this there: it is told otherwise, to be measured.
  const sealer = { ...withFacts(await sealingIn(store, bucket), { conditionalComplete: true }), multipartBytes: PART, partsMemory: AT_ONCE * PART }
  if (alone) {
    await upload()
    await seal(sealer, ref)
    process.stdout.write(String(process.resourceUsage().maxRSS)) // KiB; with the 64 MiB that the upload is fed from
  } else {
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
    const seconds = (way: keyof typeof samples) => fixed(median(samples[way].map((sample) => sample.seconds)))
    const cpu = (way: keyof typeof samples) => fixed(median(samples[way].map((sample) => sample.cpu)))
    print([
      {
        what: "seal 256 MiB by a multipart upload, 8 MiB × 4 at a time: its time", against: "AWS SDK: GET → lib-storage Upload, 8 MiB × 4",
        ratios: ratios(samples.sealed, samples.sdk, (sample) => sample.seconds), bar: { relation: "≤", node20: 0.95, node22: 0.95 },
        figures: `${seconds("sealed")} / ${seconds("sdk")} s, CPU ${cpu("sealed")} / ${cpu("sdk")} s`,
      },
      {
        what: "peak RSS of a process that seals once", against: "140 MB", ratios: [peakAlone() * 1.024 / 140],
        bar: { relation: "≤", node20: 1, node22: 1 }, figures: "64 MiB of it are what the object was uploaded from",
      },
    ])
  }
} finally {
  await close()
  sdk.destroy()
}
