/**
 * A host whose leases are short, for tests that stop it: `inbox-host <data folder> <milliseconds of a lease>`.
 * Settings come from the environment, as for the command line. It says first how it is used, then logs; a line on its input
 * is repeated, with `: idle`, when no event is due; it ends with its input.
 */
import { createInterface } from "node:readline"
import { makeFolder, readFirstStart } from "../../local/data-folder.ts"
import { startStack } from "../../local/stack.ts"
import { pinoLog } from "../../shared/runtime/node.ts"
import { parseSettings, settingsFrom } from "../../shared/settings.ts"

const [, , data = "", lease = ""] = process.argv
await makeFolder(data)
const settings = parseSettings({ ...await readFirstStart(data), ...settingsFrom(process.env), data, port: 0, s3Port: 0 })
const stack = await startStack(settings, { log: pinoLog("info"), version: "0", environment: process.env, inboxLease: Number(lease) })
const env = {
  BUCKETSEAL_URL: stack.url, BUCKETSEAL_API_KEY: await stack.ownerKey(), BUCKETSEAL_INSTANCE: settings.kmsInstance,
  BUCKETSEAL_ACCOUNT: settings.account, BUCKETSEAL_STORE_INSTANCE: settings.storeInstance,
}
process.stdout.write(`${JSON.stringify({ pid: process.pid, secret: settings.eventsSecret, env })}\n`)
for await (const question of createInterface({ input: process.stdin })) {
  await stack.idle()
  process.stdout.write(`${question}: idle\n`)
}
await stack.close()
process.exit(0)
