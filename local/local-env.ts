/** `<data>/local.env`: what clients on this machine need, for `. local.env` and for `node --env-file`. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import type { Settings } from "../shared/settings.ts"
import { exists, readS3Credentials, writePrivate } from "./data-folder.ts"
import type { Stack } from "./stack.ts"

/** Writes the file (mode 0600) and gives its path. The API key in it is kept while it holds: only its hash is
 *  stored elsewhere, so a lost file means a new key. */
export async function writeLocalEnv(settings: Settings, stack: Stack): Promise<string> {
  const path = join(settings.data, "local.env")
  const apiKey = await stack.ownerKey(await keptApiKey(path))
  const lines = { ...apiVariables(settings, stack, apiKey), ...await s3Variables(settings, stack) }
  await writePrivate(path, Object.entries(lines).map(([name, value]) => `export ${name}='${value}'\n`).join(""))
  return path
}

function apiVariables(settings: Settings, { url }: Stack, apiKey: string): Record<string, string> {
  return {
    BUCKETSEAL_URL: url,
    BUCKETSEAL_API_KEY: apiKey,
    BUCKETSEAL_INSTANCE: settings.kmsInstance,
    BUCKETSEAL_ACCOUNT: settings.account,
    BUCKETSEAL_STORE_INSTANCE: settings.storeInstance,
  }
}

/** Only for the local endpoint: with another store its users have their own credentials. */
async function s3Variables(settings: Settings, { s3Url }: Stack): Promise<Record<string, string>> {
  if (s3Url === undefined) return {}
  const { accessKeyId, secretAccessKey } = await readS3Credentials(settings.data)
  return {
    AWS_ENDPOINT_URL_S3: s3Url, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: settings.s3Region, AWS_DEFAULT_REGION: settings.s3Region,
  }
}

async function keptApiKey(path: string): Promise<string | undefined> {
  if (!await exists(path)) return undefined
  return /^export BUCKETSEAL_API_KEY='([^']+)'$/m.exec(await readFile(path, "utf8"))?.[1]
}
