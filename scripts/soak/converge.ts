/** What makes "sealed in the end" true although events are lost: the sweep, and going back to what is parked. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { program } from "./hosts.ts"
import { pause } from "./pause.ts"
import type { World } from "./world.ts"

/** What a run of a command came to, by outcome. */
export type Outcomes = Readonly<Record<string, number>>

const MOST_MS = 240_000 // a killed sealing holds its object for a minute
const EVERY_MS = 3_000

/** Runs `bucketseal sweep` and `bucketseal retry` until they find nothing to be done; gives how long that took, in milliseconds. */
export async function converge(world: World, signal: AbortSignal): Promise<number> {
  const began = Date.now()
  let last = ""
  while (!signal.aborted && Date.now() - began < MOST_MS) {
    const sweepBegan = Date.now()
    const swept = await outcomesOf(world, "sweep")
    const retried = await outcomesOf(world, "retry")
    const { sealed = 0 } = swept
    world.tally.count("sealed.by-sweep", sealed)
    const waiting = (await world.context.state.list("inbox/")).paths.length
    last = JSON.stringify({ swept, retried, waiting })
    if (isAtRest(swept) && isAtRest(retried) && waiting === 0 && await isFree(world, sweepBegan)) return Date.now() - began
    await pause(EVERY_MS, signal)
  }
  if (!signal.aborted) world.tally.problem("not-converged", last)
  return Date.now() - began
}

/** What stays parked is looked at object by object later. */
const atRest: ReadonlySet<string> = new Set(["already-sealed", "parked", "gone", "ignored", "not-registered"])

const isAtRest = (outcomes: Outcomes): boolean => Object.keys(outcomes).every((outcome) => atRest.has(outcome))

/** True where no host held a sealing when the sweep began: what one that is gone had begun was gone on with, or is left. */
async function isFree({ context: { state } }: World, began: number): Promise<boolean> {
  for (const path of (await state.list("progress/")).paths) {
    const document = await state.read(path, { parse: (value) => value as { until: number } })
    if (document && document.value.until > began) return false
  }
  return true
}

/** Runs a command of the built program on the world's stores to its end. */
export async function outcomesOf({ folder, variables, tally }: World, command: "sweep" | "retry"): Promise<Outcomes> {
  const args = [program, command, "--json", "--data", join(folder, "data")]
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, args, { env: { PATH: process.env["PATH"], ...variables }, maxBuffer: 2 ** 26 }, (_, stdout, stderr) => resolve({ stdout, stderr }))
  })
  try {
    return (JSON.parse(stdout) as { counts: Outcomes }).counts
  } catch {
    tally.problem("not-converged", `bucketseal ${command} said: ${stdout}${stderr}`)
    return { failed: 1 }
  }
}
