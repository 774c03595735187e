/** Runs invocations one after the other, as a host with a deadline and a habit of killing would. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import type { SealResult } from "../../shared/objects/outcome.ts"
import type { ObjectRef } from "../../shared/ports.ts"
import type { Credentials } from "../../shared/net/sigv4.ts"
import type { Giant } from "./giant.ts"

/** What an invocation is given. */
export interface Task {
  readonly s3: { readonly endpoint: string; readonly region: string; readonly credentials: Credentials }
  readonly stateBucket: string
  /** Base64. */
  readonly masterKey: string
  readonly ref: ObjectRef
  /** Milliseconds by which its clock is ahead: a lease that would have to be waited for is over at once. */
  readonly clockAhead: number
  /** Milliseconds after which it is told to stop. */
  readonly deadline: number
  /** Another value than the preset. */
  readonly partsMemory?: number
}

/** How an invocation ended, and the most memory it has had, in bytes. */
export interface Ended {
  readonly outcome: SealResult["outcome"] | "killed"
  readonly rss: number
}

/** The program of an invocation as one file in this folder, as functions are deployed. */
export async function bundleInto(folder: string): Promise<string> {
  const outfile = join(folder, "invocation.cjs")
  await build({
    entryPoints: [fileURLToPath(new URL("./invocation.ts", import.meta.url))], outfile,
    bundle: true, platform: "node", format: "cjs", target: "node20", external: ["lmdb", "@aws-sdk/credential-provider-node"],
    logLevel: "warning",
  })
  return outfile
}

/** A running invocation. */
interface Invocation {
  readonly ended: Promise<Ended>
  kill(): void
  /** Tells it that its time is up, as its deadline does. */
  stop(): void
}

const HEAP = 96 // MiB of JavaScript objects: what a function of 256 MiB has to spare beside buffers and code

/** Starts one. */
function invoke(program: string, task: Task): Invocation {
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP}`, program], {
    env: { TASK: JSON.stringify(task) }, stdio: ["pipe", "pipe", "inherit"],
  })
  let printed = ""
  child.stdout.on("data", (bytes: Buffer) => void (printed += bytes.toString()))
  let rss = 0
  return {
    ended: endOf(child, () => printed, () => rss),
    kill() {
      rss = peakMemory(child)
      child.kill("SIGKILL")
    },
    stop: () => child.stdin.end(),
  }
}

async function endOf(child: ChildProcess, printed: () => string, rss: () => number): Promise<Ended> {
  await once(child, "close")
  if (child.signalCode === "SIGKILL") return { outcome: "killed", rss: rss() }
  if (child.exitCode !== 0) throw new Error(`an invocation ended with ${String(child.exitCode ?? child.signalCode)}`)
  const { result, rss: own } = JSON.parse(printed()) as { result: SealResult; rss: number }
  return { outcome: result.outcome, rss: own }
}

/** The most memory a process has had, in bytes; 0 where it has just ended (proc(5), VmHWM). */
function peakMemory({ pid }: ChildProcess): number {
  try {
    const [, kib = "0"] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid ?? 0}/status`, "utf8")) ?? []
    return Number(kib) * 1024
  } catch {
    return 0
  }
}

/** When to end an invocation: `after` milliseconds after so many parts are stored, by a kill; or, once it has stored a part
 *  itself, by telling it to stop. */
export interface Moment {
  readonly how: "kill" | "stop"
  readonly stored: number
  /** Where so many are stored by then: from the start of an invocation. */
  readonly after: number
}

/** So many kills and stops spread at random over the first `parts` parts; the first kill is in the start of the first
 *  invocation. `longest` in milliseconds. */
export function momentsFor(
  kills: number, stops: number, parts: number, longest: number, random: () => number,
): Moment[] {
  const moments = Array.from({ length: kills + stops }, (_, index): Moment => ({
    how: index < kills ? "kill" : "stop",
    stored: index === 0 ? 0 : Math.floor(random() * parts),
    after: Math.floor(random() * longest),
  }))
  return moments.sort((one, other) => one.stored - other.stored)
}

const MOST = 1_000 // invocations, so that a protocol that does not get on is found out

/** Invokes until the object is sealed. What was killed leaves its lease behind; the next one starts when that is over. */
export async function invokeUntilSealed(
  program: string, task: Task, giant: Giant, moments: readonly Moment[], lease: number,
): Promise<Ended[]> {
  const all: Ended[] = []
  const left = [...moments]
  for (let clockAhead = task.clockAhead; all.length < MOST; ) {
    const moment = left[0]
    const { ended, over } = await endedBy(invoke(program, { ...task, clockAhead }), giant, moment)
    all.push(ended)
    if (over) left.shift()
    if (ended.outcome === "killed") {
      clockAhead += lease
      await idle(giant)
    } else if (ended.outcome !== "unfinished") {
      return all
    }
  }
  throw new Error("it is not sealed after a thousand invocations")
}

/** How it ended, and whether that moment had come. */
async function endedBy(invocation: Invocation, giant: Giant, moment: Moment | undefined) {
  let timer: NodeJS.Timeout | undefined
  let over = false
  let gone = false
  const come = () => {
    over = true
    if (moment?.how === "stop") invocation.stop()
    else invocation.kill()
  }
  if (moment) {
    const own = moment.how === "stop" ? giant.journal.stored + 1 : 0
    void giant.reached(Math.max(moment.stored, own)).then(() => { if (!gone) timer = setTimeout(come, moment.after) })
  }
  try {
    const ended = await invocation.ended
    return { ended, over }
  } finally {
    gone = true
    clearTimeout(timer)
  }
}

/** A moment that the store takes to see that a client is gone. */
async function idle({ journal }: Giant): Promise<void> {
  for (let tries = 0; journal.underWay > 0; tries++) {
    if (tries === 12_000) throw new Error("the store still waits for a part of a process that is dead")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
