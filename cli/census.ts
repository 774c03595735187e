/** `bucketseal census`: what is in a bucket: sealed, unsealed, left behind; and have mended what is safe to mend. */
import { census as job } from "../functions/census.ts"
import type { CensusItem } from "../shared/objects/census-tally.ts"
import { censusSum, restLines, type AllSums } from "./census-sum.ts"
import { command, wholeNumber } from "./command.ts"
import { exits, usageFailure } from "./exit.ts"
import { cleanUpOnSignals, interrupted } from "./interrupt.ts"
import { missingLines } from "./missing.ts"
import { columns, print, type OutputOptions } from "./output.ts"
import { parseBucketPlace, placeText } from "./place.ts"
import { withServerContext } from "./server-context.ts"

interface CensusOptions extends OutputOptions {
  readonly data?: string
  readonly fix?: true
  readonly approval?: string
  readonly abortUploadsOlderThan?: number
}

export const census = command("census", "count what is sealed and what is not, and name what is not well")
  .argument("<place>", "s3://bucket or s3://bucket/prefix")
  .option("--data <folder>", "the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
  .option("--fix", "seal what is unsealed, finish what was begun; needs --approval")
  .option("--approval <id>", "what `bucketseal approve fix` printed")
  .option("--abort-uploads-older-than <seconds>", "with --fix: abort others' uploads at rest for so long", wholeNumber)
  .addHelpText("after", `
It works on the server's stores itself, by its settings (BUCKETSEAL_*), and may run beside it: one ranged GET for each
object. Plaintext in noncurrent versions is counted and never removed: a lifecycle rule NoncurrentVersionExpiration on
the bucket does that. Exit codes: 0 all is well, 4 not all is.`)
  .action(run)

async function run(text: string, options: CensusOptions): Promise<void> {
  const { fix = false, approval, abortUploadsOlderThan } = options
  if (fix && approval === undefined) {
    throw usageFailure(`--fix needs --approval ID: bucketseal approve fix ${text} makes one`)
  }
  if (!fix && (approval ?? abortUploadsOlderThan) !== undefined) {
    throw usageFailure("--approval and --abort-uploads-older-than go with --fix")
  }
  const input = job.input.parse({ ...parseBucketPlace(text), fix, approval, abortUploadsOlderThan })
  cleanUpOnSignals()
  const sum = await withServerContext(options, (context) => censusSum(async (cursor) => {
    const result = await job.run({ ...input, cursor }, context, interrupted)
    interrupted.throwIfAborted()
    return result
  }))
  print(options, sum, linesOf(sum))
  process.exitCode = sum.left === 0 && sum.ended === undefined ? exits.ok : exits.partly
}

function linesOf(sum: AllSums): string[] {
  const { counts, bytes, fixed, items, ended } = sum
  const rows = Object.entries(counts).sort().map(([kind, count]) => [kind, String(count), `${bytes[kind] ?? 0} bytes`])
  const done = Object.entries(fixed).map(([outcome, count]) => `${count} ${outcome}`).join(", ")
  const history = counts["noncurrent-plain"] ?? 0
  const advice = "stays: a lifecycle rule NoncurrentVersionExpiration removes it."
  return [
    ...(rows.length === 0 ? ["nothing is there"] : columns(rows)),
    ...(done === "" ? [] : [`mended: ${done}`]),
    ...items.map((item) => `  ${itemText(item)}`),
    ...restLines(sum),
    ...missingLines(items),
    ...(history === 0 ? [] : [`Plaintext in ${history} noncurrent versions ${advice}`]),
    ...(ended === undefined ? [] : [`It ended before all was counted: ${ended}`]),
  ]
}

function itemText({ outcome, bucket, key, versionId, uploadId, since, reason, fix }: CensusItem): string {
  const place = outcome === "progress-unreadable" ? `the document ${key}` : placeText(bucket, key)
  const version = versionId === undefined ? [] : [`version ${versionId}`]
  const upload = uploadId === undefined ? [] : [`upload ${uploadId}, since ${since ?? "unknown"}`]
  const more = [...version, ...upload, ...(fix === undefined ? [] : [fix]), ...(reason === undefined ? [] : [reason])]
  return `${outcome} ${place}${more.length === 0 ? "" : ` (${more.join("; ")})`}`
}
