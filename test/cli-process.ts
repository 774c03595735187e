/** The command line as its users start it: a process of plain Node on the built file. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { program } from "./stack-process.ts"

/** What a run has given. */
export interface Ran {
  readonly code: number | null
  readonly bytes: Buffer
  readonly out: string
  readonly err: string
}

/** Where and with which variables a command runs: no others are there. */
export interface Around {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Gets the process once it runs. */
  readonly meanwhile?: (child: ChildProcess) => Promise<void>
}

/** Runs one command to its end. Throws where it shows a stack trace: no expected failure may. */
export async function bucketseal(args: readonly string[], { cwd, env = {}, meanwhile }: Around): Promise<Ran> {
  const child = spawn(process.execPath, [program, ...args], {
    cwd, env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "pipe"],
  })
  const out: Buffer[] = []
  let err = ""
  child.stdout.on("data", (chunk: Buffer) => void out.push(chunk))
  child.stderr.on("data", (chunk: Buffer) => void (err += chunk.toString()))
  const closed = once(child, "close") as Promise<[number | null]>
  await meanwhile?.(child)
  const [code] = await closed
  if (/^\s+at .*:\d+:\d+/m.test(err)) throw new Error(`bucketseal ${args.join(" ")} showed a stack trace: ${err}`)
  const bytes = Buffer.concat(out)
  return { code, bytes, out: bytes.toString(), err }
}
