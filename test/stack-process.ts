/** The stack as its users start it: a process of plain Node on the built file, told apart by its data folder. */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A running stack. */
export interface StackProcess {
  readonly folder: string
  readonly pid: number
  /** The variables of `local.env`. */
  readonly env: Readonly<Record<string, string>>
  /** Everything it has written so far, standard error included. */
  output(): string
  /** The most memory it has had, in MiB (`VmHWM`). */
  peakMemory(): Promise<number>
  /** Ends it by SIGTERM and gives its exit code. Throws if it has written any of its own secrets. */
  stop(): Promise<number | null>
}

/** The built command line. */
export const program = new URL("../dist/bucketseal.cjs", import.meta.url).pathname

/** Starts it on free ports, in `folder` or a new one, and waits until it says how to be used. */
export async function startStackProcess(variables: Record<string, string> = {}, folder?: string): Promise<StackProcess> {
  const data = folder ?? await mkdtemp(join(tmpdir(), "bucketseal-stack-"))
  const child = spawn(process.execPath, [program, "serve", "--data", data, "--port", "0", "--s3-port", "0"], {
    env: { PATH: process.env["PATH"], ...variables }, stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  child.stdout.on("data", (chunk: Buffer) => void (output += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => void (output += chunk.toString()))
  const exited = once(child, "exit") as Promise<[number | null]>
  for (let tries = 0; !output.includes("Stop:"); tries++) {
    if (child.exitCode !== null || tries > 1_200) throw new Error(`the stack did not start: ${output}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  const pid = child.pid ?? 0
  return {
    folder: data, pid, output: () => output,
    env: parseEnv(await readFile(join(data, "local.env"), "utf8")),
    peakMemory: async () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024,
    async stop() {
      child.kill("SIGTERM")
      const [code] = await exited
      const leaked = (await secretsIn(data, variables)).filter((secret) => output.includes(secret))
      if (leaked.length > 0) throw new Error(`the log holds ${leaked.length} of the stack's own secrets`)
      return code
    },
  }
}

/** Every secret in a data folder and in the variables that a stack was started with. */
async function secretsIn(folder: string, variables: Record<string, string>): Promise<string[]> {
  const texts = await Promise.all(["master.key", "settings.json", "s3-credentials.json", "local.env"].map((name) =>
    readFile(join(folder, name), "utf8").catch(() => ""))) // with a state elsewhere there is no key file
  const given = Object.entries(variables).filter(([name]) => /KEY$|SECRET$|SECRET_ACCESS_KEY$/.test(name)).map(([, value]) => value)
  const names = /"(?:eventsSecret|secretAccessKey)": "([^"]+)"|(?:API_KEY|SECRET_ACCESS_KEY)='([^']+)'|^([A-Za-z0-9+/]{43}=)$/gm
  const found = texts.flatMap((text) => [...text.matchAll(names)].map(([, json, env, line]) => json ?? env ?? line ?? ""))
  return [...given, ...found].filter((secret) => secret.length >= 16)
}

/** Removes a stack's folder. */
export const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true })

function parseEnv(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/^export ([A-Z0-9_]+)='([^']*)'$/gm)].map(([, name = "", value = ""]) => [name, value]))
}

/** What curl got: the status, and length and SHA-256 of the body. */
export interface Fetched {
  readonly exit: number | null
  readonly status: number
  readonly length: number
  readonly sha256: string
}

/** Gets a URL by the `curl` program. */
export async function curl(url: string, headers: Record<string, string>): Promise<Fetched> {
  const flags = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`])
  const child = spawn("curl", ["-sS", "--path-as-is", "-w", "%{stderr}%{http_code}", ...flags, url], { stdio: ["ignore", "pipe", "pipe"] })
  const hash = createHash("sha256")
  let length = 0
  let words = ""
  child.stderr.on("data", (chunk: Buffer) => void (words += chunk.toString()))
  const closed = once(child, "close") as Promise<[number | null]>
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    hash.update(chunk)
    length += chunk.length
  }
  const [exit] = await closed
  return { exit, status: Number(/(\d{3})$/.exec(words)?.[1]), length, sha256: hash.digest("hex") }
}
