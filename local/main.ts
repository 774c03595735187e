/** `npm start`: the stack on this machine, until it is told to stop. */
import { join } from "node:path"
import { parseArgs } from "node:util"
import { isFailure } from "../shared/errors.ts"
import { pinoLog } from "../shared/runtime/node.ts"
import { parseSettings, settingsFrom, type Settings } from "../shared/settings.ts"
import { makeFolder, readFirstStart } from "./data-folder.ts"
import { writeLocalEnv } from "./local-env.ts"
import { startStack, type Stack } from "./stack.ts"
import { version } from "./version.ts"

const usage = `usage: npm start -- [--data FOLDER] [--port PORT] [--s3-port PORT]
  --data     where everything is kept           (default ./data)
  --port     of the API, on 127.0.0.1           (default 8080; 0 = any)
  --s3-port  of the S3 endpoint, on 127.0.0.1   (default 9000; 0 = any)
All settings are in the README.`

async function main(): Promise<void> {
  const settings = await readSettings(readFlags())
  const log = pinoLog(settings.logLevel)
  const stack = await startStack(settings, { log, version, environment: process.env })
  stopOnSignals(stack)
  const envFile = await writeLocalEnv(settings, stack)
  process.stdout.write(`${greeting(settings, stack, envFile)}\n`)
}

function readFlags(): Record<string, string> {
  const text = { type: "string" } as const
  const { values } = parseArgs({ options: { data: text, port: text, "s3-port": text, help: { type: "boolean", short: "h" } } })
  if (values.help) {
    process.stdout.write(`${usage}\n`)
    process.exit(0)
  }
  const flags = { data: values.data, port: values.port, s3Port: values["s3-port"] }
  return Object.fromEntries(Object.entries(flags).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** Flags win over the environment, the environment over the folder's own `settings.json`. */
async function readSettings(flags: Record<string, string>): Promise<Settings> {
  const given = { ...settingsFrom(process.env), ...flags }
  const folder = typeof given["data"] === "string" ? given["data"] : "./data"
  await makeFolder(folder)
  return parseSettings({ ...await readFirstStart(folder), ...given, data: folder })
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
    if (stopping) process.exit(130) // asked twice: at once
    stopping = true
    stack.close().then(() => process.exit(0), fail)
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
}

function fail(error: unknown): never {
  const expected = isFailure(error) || (error instanceof Error && error.cause instanceof Error) || isUsage(error)
  process.stderr.write(`${expected && error instanceof Error ? error.message : describe(error)}\n`)
  if (isUsage(error)) process.stderr.write(`${usage}\n`)
  process.exit(isUsage(error) || isFailure(error, "bad-field") ? 2 : 1)
}

const isUsage = (error: unknown): boolean =>
  error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS")

const describe = (error: unknown): string => (error instanceof Error ? error.stack ?? error.message : String(error))

main().catch(fail)
