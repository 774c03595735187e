/** `bucketseal`: the command line, one file a command. */
import { Command } from "commander"
import { version } from "../local/version.ts"
import { approve } from "./approve.ts"
import { authorize } from "./authorize.ts"
import { census } from "./census.ts"
import { end } from "./end.ts"
import { exitCodesText } from "./exit.ts"
import { keys } from "./keys.ts"
import { notify } from "./notify.ts"
import { open } from "./open.ts"
import { remark } from "./output.ts"
import { probe } from "./probe.ts"
import { register } from "./register.ts"
import { retry } from "./retry.ts"
import { seal } from "./seal.ts"
import { serve } from "./serve.ts"
import { status } from "./status.ts"
import { sweep } from "./sweep.ts"

const program = new Command("bucketseal")
  .description("Envelope encryption for the buckets you already have.")
  .version(version)
  .addHelpText("after", exitCodesText)

for (const command of [serve, status, keys, authorize, register, notify, seal, open]) program.addCommand(command)
for (const command of [probe, sweep, retry]) program.addCommand(command)
for (const command of [census, approve]) program.addCommand(command)

/** Commander would end the process with its own codes, print what was typed as it is, and take an option behind a
 *  command's name for one of the command around it. */
function prepare(command: Command): void {
  command.exitOverride().enablePositionalOptions().configureOutput({
    outputError: (text) =>
      remark(`${text.replace(/^error: /, "").trimEnd()}${tooMany(command, text)}\nSee ${pathOf(command)} --help`),
  })
  for (const inner of command.commands) prepare(inner)
}

/** Which arguments are too many: commander only counts them. */
function tooMany({ args, registeredArguments }: Command, text: string): string {
  return text.includes("too many arguments") ? ` Not expected: ${args.slice(registeredArguments.length).join(" ")}` : ""
}

const pathOf = (command: Command): string =>
  (command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name())

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") end(error)
  process.exit() // quietly: the reader has had enough, `| head`. The code is 0, but for an object that was cut
})

prepare(program)
program.parseAsync().catch(end)
