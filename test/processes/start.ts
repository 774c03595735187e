/** Starts the programs beside this file. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** A program that was started. */
export interface Program {
  /** The next line of its output. Throws where it ended without one. */
  line(): Promise<string>
  /** Writes a line to its input. */
  send(line: string): void
  /** Ends its input and waits for its end. */
  finish(): Promise<void>
  /** Kills it with SIGKILL, waits for its end, and gives the lines not read yet. */
  kill(): Promise<string[]>
}

/** Starts `name` (without `.ts`) with these arguments. */
export function start(name: string, ...args: string[]): Program {
  const child = spawn(process.execPath, command(name, args), { stdio: ["pipe", "pipe", "inherit"] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    line: async () => {
      const step = await lines.next()
      if (step.done) throw new Error(`${name} has ended`)
      return step.value
    },
    send: (line) => child.stdin.write(`${line}\n`),
    finish: async () => {
      child.stdin.end()
      await ended(child)
    },
    kill: async () => {
      child.kill("SIGKILL")
      await ended(child)
      const rest: string[] = []
      for (let step = await lines.next(); !step.done; step = await lines.next()) rest.push(step.value)
      return rest
    },
  }
}

/** Runs `name` to its end on this input and gives its output. Nothing else happens in this process meanwhile. */
export function runToEnd(name: string, args: readonly string[], input: string): string {
  return execFileSync(process.execPath, command(name, args), { input, encoding: "utf8" })
}

function command(name: string, args: readonly string[]): string[] {
  return ["--import", "tsx", fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), ...args]
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
}
