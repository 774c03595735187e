/** Being told to stop, for commands that have something to clean up. */
import { exits } from "./exit.ts"

const controller = new AbortController()

/** Aborted by Ctrl-C, Ctrl-\, SIGTERM or a lost terminal. */
export const interrupted: AbortSignal = controller.signal

const GRACE_MS = 3_000 // removing a file takes milliseconds; what hangs must not hold the process

/** From now on these signals abort, and no longer end the process at once: also the second one of those that a
 *  wrapper such as npx passes on beside the terminal's own. */
export function cleanUpOnSignals(): void {
  const stop = () => {
    controller.abort()
    setTimeout(() => process.exit(exits.interrupted), GRACE_MS).unref()
  }
  for (const name of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop)
}
