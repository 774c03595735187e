/** `bucketseal retry`: what is parked, now. */
import { retryParked } from "../functions/retry-parked.ts"
import { parkedCounts, type ParkedCounts } from "../shared/objects/parked-counts.ts"
import { command } from "./command.ts"
import { exits } from "./exit.ts"
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
more, 3 an authorization is missing for all of it, 4 some is still parked, be it that it was left, 1 all is.`)
  .action(async (options: RetryOptions) => {
    cleanUpOnSignals()
    const { sum, parked } = await withServerContext(options, async (context) => ({
      sum: await runToEnd((cursor) => retryParked.run(retryParked.input.parse({ early: true, ...cursor }), context, interrupted)),
      parked: await parkedCounts(context.state),
    }))
    const hasTried = Object.keys(sum.counts).length > 0
    print(options, { ...sum, parked }, [...(hasTried || parked.total === 0 ? sumLines(sum) : []), ...parkedLines(parked)])
    const code = exitCodeOfSum(sum)
    process.exitCode = code === exits.ok && parked.total > 0 ? exits.partly : code
  })

/** How much is parked now, and why: what was tried in vain, and what was left alone. */
function parkedLines({ total, reasons, more }: ParkedCounts): string[] {
  if (total === 0) return []
  const known = Object.values(reasons).reduce((sum, count) => sum + count, 0)
  const of = known < total ? ` of the first ${known}` : ""
  const why = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`).join(", ")
  return [`still parked: ${total}${more ? "+" : ""} (${why}${of}); what no time cures waits for the object's next event`]
}
