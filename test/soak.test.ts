import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import type { Report } from "../scripts/soak/report.ts"
import { problemKinds } from "../scripts/soak/tally.ts"
import { rgwFromEnvironment } from "./rgw.ts"

const MINUTES = 1
const program = fileURLToPath(new URL("../scripts/soak.ts", import.meta.url))

/** Runs it to its end, on the local store and on the RGW that the environment names. */
async function soaked(): Promise<{ readonly code: number | null; readonly report: Report; readonly said: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", program, "--minutes", String(MINUTES), "--json"], { stdio: ["ignore", "pipe", "pipe"] })
  let [output, said] = ["", ""]
  child.stdout.on("data", (chunk: Buffer) => void (output += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => void (said += chunk.toString()))
  const [code] = await once(child, "close") as [number | null]
  if (output === "") throw new Error(said)
  return { code, report: JSON.parse(output), said }
}

const worlds = ["local", ...(rgwFromEnvironment() ? ["rgw"] : [])] // without an RGW the run of the tests says so at its end
const nothing = Object.fromEntries(problemKinds.map((kind) => [kind, 0]))

describe(`a minute of uploads while hosts are killed and events are lost (${worlds.join(", ")})`, () => {
  it("loses nothing and leaves nothing behind: each last write is there, sealed, readable and equal, once the sweep has ended", async () => {
    const { code, report } = await soaked()
    expect(report.worlds.map(({ world }) => world)).toEqual(worlds)
    for (const { counts, mustBeZero, problems } of report.worlds) {
      expect(problems).toEqual([])
      expect(mustBeZero).toEqual(nothing)
      const happened = ["kills", "events.sent", "events.dropped", "events.duplicated", "writes.overwrite", "writes.delete", "writes.copy",
        "writes.multipart", "objects.sealed-readable-equal"]
      expect(happened.filter((name) => !(Number(counts[name]) > 0))).toEqual([])
    }
    expect(code).toBe(0)
  }, 480_000)
})
