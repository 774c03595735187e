/** What a client needs to know of the server: the variables of its `local.env`. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { usageFailure } from "./exit.ts"

/** Options of commands that ask a running server. */
export interface ClientFlags {
  readonly env?: string
  readonly allowHttp?: true
}

/** The variables, and in words where they are from. */
export interface ClientSettings {
  readonly url: URL
  readonly apiKey: string
  readonly from: string
  /** A further variable. Throws `bad-field`, saying what to do, where it is not set. */
  needed(name: ClientVariable): string
}

/** Further variables, which name things in CRNs. */
export type ClientVariable = "BUCKETSEAL_INSTANCE" | "BUCKETSEAL_ACCOUNT" | "BUCKETSEAL_STORE_INSTANCE"

/**
 * Reads them: from the file that is named, else from the environment, else from `local.env` in the data folder. Never
 * from two of these: an API key must not go to another server than its own. Throws `bad-field` where something is
 * missing, and for a URL that would carry the API key in clear to another machine.
 */
export async function clientSettings({ env, allowHttp }: ClientFlags): Promise<ClientSettings> {
  const { variables, from } = await read(env)
  const needed = (name: string): string => {
    const value = variables[name]
    if (value) return value
    throw usageFailure(`${name} isn't set in ${from}: run \`. ./data/local.env\`, or name that file by --env`)
  }
  const url = checkedUrl(needed("BUCKETSEAL_URL"), allowHttp ?? false)
  return { url, apiKey: needed("BUCKETSEAL_API_KEY"), from, needed }
}

interface Source {
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly from: string
}

async function read(file: string | undefined): Promise<Source> {
  if (file !== undefined) {
    const variables = await readEnvFile(file)
    if (variables) return { variables, from: file }
    throw usageFailure(`there is no file ${file}; a server writes it as local.env into its data folder`)
  }
  const inEnvironment = { variables: process.env, from: "the environment" }
  if (process.env["BUCKETSEAL_URL"] || process.env["BUCKETSEAL_API_KEY"]) return inEnvironment
  const found = join(process.env["BUCKETSEAL_DATA"] || "./data", "local.env")
  const variables = await readEnvFile(found)
  return variables ? { variables, from: found } : inEnvironment
}

/** The lines `export NAME='value'` of a file, or `undefined` if there is none. */
async function readEnvFile(path: string): Promise<Record<string, string> | undefined> {
  try {
    const lines = (await readFile(path, "utf8")).matchAll(/^(?:export )?([A-Z0-9_]+)='?([^'\n]*)'?$/gm)
    return Object.fromEntries([...lines].map(([, name = "", value = ""]) => [name, value]))
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}

function checkedUrl(text: string, allowHttp: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isOrigin = url && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href // no path, no user
  if (!isOrigin) {
    throw usageFailure("BUCKETSEAL_URL must be http(s)://host[:port], without a path")
  }
  const isLoopback = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(url.hostname)
  if (url.protocol === "https:" || isLoopback || allowHttp) return url
  throw usageFailure(`${url.origin} would get the API key in clear: use https, or --allow-http on a network of yours`)
}
