/** `bucketseal serve`: the stack on this machine, until it is told to stop. */
import { join } from "node:path"
import { Command } from "commander"
import { writeLocalEnv } from "../local/local-env.ts"
import type { Stack } from "../local/stack.ts"
import { version } from "../local/version.ts"
import type { Settings } from "../shared/settings.ts"
import { end } from "./end.ts"
import { exits } from "./exit.ts"
import { makeServerSettings, type ServerFlags } from "./server-settings.ts"

export const serve = new Command("serve")
  .description("run API, inbox and S3 endpoint on this machine, until Ctrl-C")
  .option("--data <folder>", "where everything is kept (default: ./data)")
  .option("--port <port>", "of the API, on 127.0.0.1 (default: 8080; 0 = any)")
  .option("--s3-port <port>", "of the S3 endpoint, on 127.0.0.1 (default: 9000; 0 = any)")
  .addHelpText("after", "\nAll settings are in the README.")
  .action(run)

async function run(flags: ServerFlags): Promise<void> {
  const settings = await makeServerSettings(flags)
  const { startStack } = await import("../local/stack.ts") // here: no other command is to wait for all this
  const { pinoLog } = await import("../shared/runtime/node.ts")
  const stack = await startStack(settings, { log: pinoLog(settings.logLevel), version, environment: process.env })
  stopOnSignals(stack)
  const envFile = await writeLocalEnv(settings, stack)
  process.stdout.write(`${greeting(settings, stack, envFile)}\n`)
}

function greeting(settings: Settings, stack: Stack, envFile: string): string {
  const s3 = stack.s3Url ? [`  S3        ${stack.s3Url}`] : []
  return [
    `bucketseal ${version} is running.`,
    `  API       ${stack.url}`,
    ...s3,
    `  objects   ${stack.where.objects}`,
    `  state     ${stack.where.state}`,
    `Use it:     . ${envFile}`,
    `Back up:    ${join(settings.data, "master.key")} and the state; without them nothing sealed can be read again.`,
    "Stop:       Ctrl-C",
  ].join("\n")
}

function stopOnSignals(stack: Stack): void {
  let stopping = false
  const stop = () => {
    if (stopping) process.exit(exits.interrupted) // asked twice: at once
    stopping = true
    stack.close().then(() => process.exit(exits.ok), end)
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
}
