/**
 * All settings, in one table, read by a fixed list of names and checked at once: every mistake is listed, none guessed.
 * Environment and OpenWhisk parameters use `BUCKETSEAL_` and the upper-case name, a settings file the camelCase one.
 */
import * as z from "zod/mini"
import en from "zod/v4/locales/en.js"
import { Failure } from "./errors.ts"

z.config(en()) // zod/mini brings no texts of its own: without this every mistake reads "Invalid input"

const whole = (least: number, most = Number.MAX_SAFE_INTEGER) => z.coerce.number().check(z.int(), z.gte(least), z.lte(most))
const flag = z.union([z.boolean(), z.pipe(z.enum(["true", "false", "1", "0"]), z.transform((text) => text === "true" || text === "1"))])
const uuid = z.string().check(z.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a lower-case UUID"))
const url = z.string().check(z.regex(/^https?:\/\/[^/?#\s]+$/, "must be http(s)://host[:port], without a path"))
const state = z.union([
  z.literal("local"),
  z.string().check(z.regex(/^s3:\/\/[a-z0-9.-]{3,63}(\/[^\s]*)?$/, "must be `local` or s3://bucket/prefix")),
])

const table = z.strictObject({
  data: z._default(z.string().check(z.minLength(1)), "./data"),
  port: z._default(whole(0, 65_535), 8080),
  s3Port: z._default(whole(0, 65_535), 9000),
  store: z._default(z.enum(["local", "s3"]), "local"),
  state: z._default(state, "local"),
  s3Endpoint: z.optional(url),
  s3Region: z._default(z.string().check(z.minLength(1)), "us-east-1"),
  s3Addressing: z._default(z.enum(["path", "virtual"]), "path"),
  s3AllowHttp: z._default(flag, false),
  keyService: z._default(z.enum(["embedded", "key-protect", "aws-kms"]), "embedded"),
  masterKey: z.optional(z.string()),
  masterKeyFile: z.optional(z.string().check(z.minLength(1))),
  masterKeyOld: z.optional(z.string()),
  kmsInstance: uuid,
  account: z.string().check(z.regex(/^[0-9a-zA-Z_-]{1,64}$/, "must be 1 to 64 letters, digits, _ or -")),
  storeInstance: uuid,
  region: z._default(z.string().check(z.regex(/^[a-z0-9-]{1,32}$/)), "us-south"),
  issuer: z.optional(z.string().check(z.minLength(1))),
  jwksUrl: z.optional(z.string().check(z.regex(/^https?:\/\//, "must be an http(s) URL"))),
  audience: z.optional(z.string().check(z.minLength(1))),
  eventsSecret: z.optional(z.string().check(z.minLength(16))),
  events: z._default(z.enum(["inbox", "inline"]), "inbox"),
  dekObjects: z._default(whole(1), 1024),
  dekBytes: z._default(whole(1), 2 ** 40),
  dekSeconds: z._default(whole(1), 3600),
  cacheSeconds: z._default(whole(0, 86_400), 300),
  reopen: z._default(flag, true),
  multipartBytes: z._default(whole(5 * 2 ** 20), 512 * 2 ** 20),
  partsMemory: z._default(whole(1), 16 * 2 ** 20),
  logLevel: z._default(z.enum(["debug", "info", "warn", "error", "silent"]), "info"),
})

/** The checked settings. Durations in seconds, sizes in bytes; README's table says what each is for. */
export type Settings = z.infer<typeof table>

/** The names a settings file may use, camelCase. */
const settingNames = Object.keys(table.shape) as readonly (keyof Settings)[]

/** `s3Endpoint` → `BUCKETSEAL_S3_ENDPOINT`. */
const variableOf = (name: string): string => `BUCKETSEAL_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

/** Checks settings given by camelCase names. Throws `bad-field` with every mistake on its own line. */
export function parseSettings(given: Readonly<Record<string, unknown>>): Settings {
  const result = table.safeParse(given)
  const mistakes = result.success ? [] : result.error.issues.map((issue) => explain(issue))
  if (given["store"] === "s3" && given["s3Endpoint"] === undefined) mistakes.push("s3Endpoint: is needed with store=s3")
  if (mistakes.length > 0 || !result.success) throw new Failure("bad-field", `settings are wrong:\n${mistakes.join("\n")}`)
  return result.data
}

function explain(issue: { path: readonly PropertyKey[]; message: string }): string {
  const name = issue.path.join(".")
  return name === "" ? issue.message : `${name} (${variableOf(name)}): ${issue.message}`
}

/** Picks settings out of an environment or action parameters: the known names, nothing else. Empty values count as unset. */
export function settingsFrom(variables: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = settingNames.map((name) => [name, variables[variableOf(name)]] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== ""))
}
