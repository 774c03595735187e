/** How the process ends: the exit codes, and which error means which. */
import { Failure, isFailure } from "../shared/errors.ts"

/** The exit codes, as `bucketseal --help` documents them. */
export const exits = { ok: 0, failed: 1, usage: 2, notAllowed: 3, partly: 4, interrupted: 130 } as const

/** The exit codes in words, for the help. */
export const exitCodesText = `
Exit codes:
  0    ok
  1    failed
  2    wrong command line or settings
  3    not allowed: a right or an authorization is missing
  4    partly done: some of several things
  130  interrupted`

/** The exit code for an error that ends a command. */
export function exitCodeOf(error: unknown): number {
  if (isFailure(error, "unauthorized", "forbidden")) return exits.notAllowed
  if (isFailure(error, "bad-field", "bad-query", "bad-body", "no-body")) return exits.usage
  return exits.failed
}

/** What to say of an error: its message where it was to be expected, the stack where it is a bug. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const expected = isFailure(error) || error.cause instanceof Error || "syscall" in error
  return expected ? error.message : error.stack ?? error.message
}

/** A wrong command line or setting, in a sentence that says what is right. */
export const usageFailure = (message: string): Failure => new Failure("bad-field", message)
