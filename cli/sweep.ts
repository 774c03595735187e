/** `bucketseal sweep`: everything in a bucket that is not sealed, whether an event told of it or not. */
import { encryptBucket } from "../functions/encrypt-bucket.ts"
import type { LocalContext } from "../local/context.ts"
import { Failure, isFailure } from "../shared/errors.ts"
import { command } from "./command.ts"
import { exits } from "./exit.ts"
import { cleanUpOnSignals, interrupted } from "./interrupt.ts"
import { addedUp, exitCodeOfSum, runToEnd, sumLines, type JobSum } from "./job-run.ts"
import { print, type OutputOptions } from "./output.ts"
import { parseBucketPlace, placeText } from "./place.ts"
import { withServerContext } from "./server-context.ts"

interface SweepOptions extends OutputOptions {
  readonly data?: string
}

interface Place {
  readonly bucket: string
  readonly prefix?: string
}

export const sweep = command("sweep", "seal what isn't sealed in a bucket, or in all registered ones")
  .argument("[place]", "s3://bucket or s3://bucket/prefix (default: every registered bucket)")
  .option("--data <folder>", "the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
  .addHelpText("after", `
It works on the server's stores itself, by its settings (BUCKETSEAL_*), and may run beside it, which sweeps every day.
Exit codes: 0 all is sealed now (or need not be), 3 none is and an authorization is missing, 4 some is, 1 none is.
Of all buckets one that can't be swept is named, and the others are swept all the same (4).`)
  .action(run)

async function run(text: string | undefined, options: SweepOptions): Promise<void> {
  const place = text === undefined ? undefined : parseBucketPlace(text)
  cleanUpOnSignals()
  const { swept, failed } = await withServerContext(options, (context) => sweepAll(context, place))
  const sum = addedUp([...failed, ...swept])
  print(options, sum, sumLines(sum))
  process.exitCode = failed.length > 0 && swept.length > 0 ? exits.partly : exitCodeOfSum(sum)
}

/** Where all buckets are swept, one that can't be is in no other's way. */
async function sweepAll(context: LocalContext, place: Place | undefined) {
  const swept: JobSum[] = []
  const failed: JobSum[] = []
  for (const one of await placesToSweep(context, place)) {
    try {
      swept.push(await runToEnd((cursor) => encryptBucket.run(encryptBucket.input.parse({ ...one, ...cursor }), context, interrupted)))
    } catch (error) {
      if (interrupted.aborted || place || !isFailure(error)) throw error
      failed.push({ counts: { failed: 1 }, items: [{ bucket: one.bucket, key: "", outcome: "failed", reason: error.code }] })
    }
  }
  return { swept, failed }
}

async function placesToSweep({ registrations }: LocalContext, place: Place | undefined): Promise<readonly Place[]> {
  const all = await registrations.list(place?.bucket)
  const enabled = all.filter((one) => one.enabled)
  if (!place) return [...new Set(enabled.map(({ bucket }) => bucket))].map((bucket) => ({ bucket }))
  if (enabled.length > 0) return [place]
  const [disabled] = all
  if (!disabled) throw new Failure("not-found", `nothing of that bucket is registered: bucketseal register ${placeText(place.bucket)} --key KEY`)
  const { bucket, prefix, rootKey } = disabled
  throw new Failure("not-found", `that bucket's registration is disabled; registering it again, with the options it had, enables it:
bucketseal register ${placeText(bucket, prefix)} --key ${rootKey}`)
}
