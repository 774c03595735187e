/** The settings of a server, for the commands that are one or work on its stores. */
import { join } from "node:path"
import { exists, makeFolder, readFirstStart } from "../local/data-folder.ts"
import { parseSettings, settingsFrom, type Settings } from "../shared/settings.ts"
import { usageFailure } from "./exit.ts"

/** Flags that win over the environment. */
export interface ServerFlags {
  readonly data?: string
  readonly port?: string
  readonly s3Port?: string
}

/** The settings, with a data folder that is made where there is none. Throws `bad-field` with every mistake. */
export async function makeServerSettings(flags: ServerFlags): Promise<Settings> {
  const given = givenSettings(flags)
  await makeFolder(given.data)
  return parseSettings({ ...await readFirstStart(given.data), ...given })
}

/** The settings of a server that has been started before, here or, with everything in other stores, elsewhere: nothing is made. */
export async function readServerSettings(flags: ServerFlags): Promise<Settings> {
  const given = givenSettings(flags)
  if (await exists(join(given.data, "settings.json"))) return parseSettings({ ...await readFirstStart(given.data), ...given })
  const isElsewhere = [given["store"], given["state"]].every((place = "local") => place !== "local")
  if (isElsewhere) return parseSettings(given)
  throw usageFailure(`there is no server's data in ${given.data}; name its folder by --data (bucketseal serve makes one)`)
}

/** Flags win over the environment, the environment over the folder's own `settings.json`. */
function givenSettings({ data, port, s3Port }: ServerFlags): Record<string, unknown> & { readonly data: string } {
  const flags = Object.fromEntries(Object.entries({ data, port, s3Port }).filter(([, value]) => value !== undefined))
  const given: Record<string, unknown> = { ...settingsFrom(process.env), ...flags }
  return { ...given, data: typeof given["data"] === "string" ? given["data"] : "./data" }
}
