/** `bucketseal sweep`: everything in a bucket that is not sealed, whether an event told of it or not. */
import { encryptBucket } from "../functions/encrypt-bucket.ts"
import type { LocalContext } from "../local/context.ts"
import { Failure } from "../shared/errors.ts"
import { command } from "./command.ts"
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
Exit codes: 0 all is sealed now (or need not be), 3 none is and an authorization is missing, 4 some is, 1 none is.`)
  .action(run)

async function run(text: string | undefined, options: SweepOptions): Promise<void> {
  const place = text === undefined ? undefined : parseBucketPlace(text)
  cleanUpOnSignals()
  const sum = await withServerContext(options, async (context) => {
    const sums: JobSum[] = []
    for (const one of await placesToSweep(context, place)) {
      sums.push(await runToEnd((cursor) => encryptBucket.run({ ...one, ...cursor }, context, interrupted)))
    }
    return addedUp(sums)
  })
  print(options, sum, sumLines(sum))
  process.exitCode = exitCodeOfSum(sum)
}

async function placesToSweep({ registrations }: LocalContext, place: Place | undefined): Promise<readonly Place[]> {
  const registered = (await registrations.list(place?.bucket)).filter(({ enabled }) => enabled)
  if (!place) return [...new Set(registered.map(({ bucket }) => bucket))].map((bucket) => ({ bucket }))
  if (registered.length > 0) return [place]
  throw new Failure("not-found", `nothing of that bucket is registered: bucketseal register ${placeText(place.bucket)} --key KEY`)
}
