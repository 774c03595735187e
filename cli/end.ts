/** The one place where an error ends the process. */
import { CommanderError } from "commander"
import { exitCodeOf, exits, textOf } from "./exit.ts"
import { interrupted } from "./interrupt.ts"
import { remark } from "./output.ts"

/** Says what went wrong and ends the process with the code for it. What commander throws it has said itself; help and
 *  version are such, and no error. */
export function end(error: unknown): never {
  if (interrupted.aborted) {
    remark("interrupted")
    process.exit(exits.interrupted)
  }
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? exits.ok : exits.usage)
  remark(textOf(error))
  process.exit(exitCodeOf(error))
}
