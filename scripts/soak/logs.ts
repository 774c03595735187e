/** What the hosts have written: what became of uploads, errors, and what must never be in a log. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { MARKER } from "./bodies.ts"
import type { World } from "./world.ts"

/** A line of a host's log, as far as it is looked at. */
interface Line {
  readonly level: string
  readonly time: string
  readonly msg: string
  readonly outcome?: string
  readonly reason?: string
}

/** Reads all logs of a world into its tally. `excused`: true for a time (milliseconds since the epoch) at which the store was down. */
export async function readLogs(world: World, excused: (time: number) => boolean): Promise<void> {
  const { tally, hosts } = world
  const secrets = await secretsOf(world)
  for (const { log } of hosts) {
    const text = await readFile(log, "utf8")
    if (text.includes(MARKER)) tally.problem("leak", `plaintext in ${log}`)
    for (const [name, secret] of secrets) if (text.includes(secret)) tally.problem("leak", `${name} in ${log}`)
    for (const line of text.split("\n")) look(line)
  }

  function look(text: string): void {
    const line = parse(text)
    if (!line) {
      if (/^(?:\w*Error\b|\s+at |node:)/.test(text)) tally.problem("error-logged", text)
      return
    }
    if (line.msg === "looked at an upload" || line.msg === "went back to a parked object") {
      tally.count(`looks.${line.outcome ?? ""}${line.reason === undefined ? "" : `.${line.reason}`}`)
    }
    if (line.level !== "error") return
    if (excused(Date.parse(line.time))) tally.count(`errors-while-store-was-down.${line.msg}`)
    else tally.problem("error-logged", text)
  }
}

function parse(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && "level" in value ? value as Line : undefined
  } catch {
    return undefined
  }
}

/** Secrets of the world, by where they stand. */
async function secretsOf({ folder, variables }: World): Promise<readonly (readonly [name: string, secret: string])[]> {
  const texts = await Promise.all(["master.key", "settings.json", "s3-credentials.json", "local.env"].map((name) =>
    readFile(join(folder, "data", name), "utf8").catch(() => ""))) // with a state elsewhere there is no key file
  const names = /"(eventsSecret|secretAccessKey)": "([^"]+)"|(API_KEY|SECRET_ACCESS_KEY)='([^']+)'|^([A-Za-z0-9+/]{43}=)$/gm
  const kept = texts.flatMap((text) => [...text.matchAll(names)].map((found) => [found[1] ?? found[3] ?? "master key", found[2] ?? found[4] ?? found[5] ?? ""] as const))
  const given = Object.entries(variables).filter(([name]) => /(?:MASTER_KEY|SECRET|SECRET_ACCESS_KEY)$/.test(name))
  return [...given, ...kept].filter(([, secret]) => secret.length >= 14)
}
