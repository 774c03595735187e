/** Node hosts as processes of the built program, which are killed and started again. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { open, readFile, stat } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { pause } from "./pause.ts"
import type { Random } from "./random.ts"
import type { Tally } from "./tally.ts"

/** A host that may or may not be running. */
export interface Host {
  /** Of the API and of the S3 endpoint, while it runs. */
  readonly at: { readonly url: string; readonly s3Url?: string } | undefined
  /** The file in which everything is that it has ever written. */
  readonly log: string
  /** Starts it and waits until it says how it is used. Throws where it does not start within a minute. */
  start(): Promise<void>
  /** Ends it: by SIGKILL at once, by SIGTERM in its own time. Harmless where it does not run. */
  end(how: "SIGKILL" | "SIGTERM"): Promise<void>
}

/** How a host is started. */
export interface HostOptions {
  readonly folder: string
  readonly log: string
  readonly variables: Readonly<Record<string, string>>
  readonly tally: Tally
  /** True while it need not start: its store is down. */
  readonly excused: () => boolean
}

/** The built program. */
export const program = fileURLToPath(new URL("../../dist/bucketseal.cjs", import.meta.url))

const STARTING_MS = 60_000

/** A host on a data folder; several may share one. */
export function hostOn({ folder, log, variables, tally, excused }: HostOptions): Host {
  let child: ChildProcess | undefined
  let at: Host["at"]
  let ending = false

  async function launch(): Promise<ChildProcess> {
    const file = await open(log, "a")
    try {
      const args = [program, "serve", "--data", folder, "--port", "0", "--s3-port", "0"]
      return spawn(process.execPath, args, { env: { PATH: process.env["PATH"], ...variables }, stdio: ["ignore", file.fd, file.fd] })
    } finally {
      await file.close()
    }
  }

  /** What it has said of its use since the byte `from` of the log. */
  async function greeting(from: number): Promise<Host["at"]> {
    const text = (await readFile(log)).subarray(from).toString()
    const [, url] = /^ {2}API +(\S+)$/m.exec(text) ?? []
    const [, s3Url] = /^ {2}S3 +(\S+)$/m.exec(text) ?? []
    return url === undefined || !text.includes("Stop:") ? undefined : { url, ...(s3Url === undefined ? {} : { s3Url }) }
  }

  /** One try; false where it ended instead. */
  async function tryStart(): Promise<boolean> {
    const from = await stat(log).then(({ size }) => size, () => 0)
    ending = false
    const started = child = await launch()
    started.once("exit", (code) => {
      at = undefined
      if (!ending && !excused()) tally.problem("host-crash", `a host ended on its own, with ${String(code)}: ${log}`)
    })
    const until = Date.now() + STARTING_MS
    while (started.exitCode === null && started.signalCode === null && Date.now() < until) {
      at = await greeting(from)
      if (at) return true
      await pause(25)
    }
    return false
  }

  return {
    log,
    get at() { return at },
    async start() {
      const until = Date.now() + STARTING_MS
      while (!await tryStart()) {
        if (ending) return
        if (Date.now() > until) throw new Error(`a host does not start: ${log}`)
        await pause(500)
      }
    },
    async end(how) {
      ending = true
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, "exit")
      child.kill(how)
      await exited
    },
  }
}

/** Kills a host at random and starts it again, until the signal aborts; then it runs. */
export async function killAtRandom(host: Host, random: Random, tally: Tally, signal: AbortSignal): Promise<void> {
  while (await pause(1_500 + random.below(6_000), signal)) { // it takes half a second to start
    await host.end("SIGKILL")
    tally.count("kills")
    await pause(random.below(1_500), signal)
    await host.start()
    tally.count("restarts")
  }
}
