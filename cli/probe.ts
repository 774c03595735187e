/** `bucketseal probe`: what a bucket does with conditions, versions and reads, and what follows for sealing. */
import { probeAndKeep } from "../shared/contexts/objects.ts"
import { reportLines } from "../shared/store/probe-text.ts"
import { command } from "./command.ts"
import { usageFailure } from "./exit.ts"
import { cleanUpOnSignals, interrupted } from "./interrupt.ts"
import { print, remark, type OutputOptions } from "./output.ts"
import { parseBucketPlace, placeText } from "./place.ts"
import { withServerContext } from "./server-context.ts"

interface ProbeOptions extends OutputOptions {
  readonly data?: string
}

export const probe = command("probe", "find out what a bucket does with conditions and versions, by canaries")
  .argument("<place>", "s3://bucket")
  .option("--data <folder>", "the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
  .addHelpText("after", `
It works on the server's store itself, by its settings (BUCKETSEAL_*), and says before under which prefix it will write: at
most 40 objects of at most 1 KiB, which it removes, also on Ctrl-C, along with what a probe that was killed has left there an hour ago. No setting of the bucket is changed. Registering probes by itself.`)
  .action(run)

async function run(place: string, options: ProbeOptions): Promise<void> {
  const { bucket, prefix } = parseBucketPlace(place)
  if (prefix !== "") throw usageFailure(`what a store does holds for a whole bucket: write ${placeText(bucket)}`)
  cleanUpOnSignals()
  const announce = (under: string) => remark(`writing canaries under ${placeText(bucket, under)}`)
  const report = await withServerContext(options, (context) =>
    probeAndKeep(context, context.store, bucket, { announce, signal: interrupted }))
  print(options, report, reportLines(report))
}
