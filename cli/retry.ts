/** `bucketseal retry`: what is parked, now. */
import { retryParked } from "../functions/retry-parked.ts"
import { command } from "./command.ts"
import { cleanUpOnSignals, interrupted } from "./interrupt.ts"
import { exitCodeOfSum, runToEnd, sumLines } from "./job-run.ts"
import { print, type OutputOptions } from "./output.ts"
import { withServerContext } from "./server-context.ts"

interface RetryOptions extends OutputOptions {
  readonly data?: string
}

export const retry = command("retry", "try what is parked again now, not when its time comes")
  .option("--data <folder>", "the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
  .addHelpText("after", `
It works on the server's stores itself, by its settings (BUCKETSEAL_*), and may run beside it. What only a change of the
object cures (bucketseal status shows the reasons) is left to its next event. Exit codes: 0 nothing of it is parked any
more, 3 an authorization is missing for all of it, 4 some is still parked, 1 all is.`)
  .action(async (options: RetryOptions) => {
    cleanUpOnSignals()
    const sum = await withServerContext(options, (context) =>
      runToEnd((cursor) => retryParked.run({ early: true, ...cursor }, context, interrupted)))
    print(options, sum, sumLines(sum))
    process.exitCode = exitCodeOfSum(sum)
  })
