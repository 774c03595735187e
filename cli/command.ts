/** How a command is made: each file of this folder exports one, made here, and `main.ts` puts them together. An
 *  action prints by `print`, throws a `Failure` that says what to do next, and sets `process.exitCode` where some of
 *  it was done. */
import { Command, InvalidArgumentError } from "commander"

/** A command with the options that all have. */
export function command(name: string, description: string): Command {
  return new Command(name).description(description).option("--json", "one JSON document instead of text")
}

/** The same, for a command that asks a running server. */
export function apiCommand(name: string, description: string): Command {
  return command(name, description)
    .option("--env <file>", "where the server's variables are (default: the environment, else ./data/local.env)")
    .option("--allow-http", "let the API key go over http to another machine")
}

/** Parses an option that is a whole number. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError("It must be a whole number.")
  return value
}
