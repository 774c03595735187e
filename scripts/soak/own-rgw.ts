/** A Ceph RGW of the soak's own, which may be killed. Its data is in memory and outlives its gateway, not this run. */
import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { createServer, connect } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { pause } from "./pause.ts"
import type { Random } from "./random.ts"
import type { Tally } from "./tally.ts"

/** How an RGW is reached. */
export interface RgwAccess {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** One that was started here. */
export interface OwnRgw extends RgwAccess {
  /** True for a time (milliseconds since the epoch; default now) at which it was down, or had been a moment before. */
  wasDown(time?: number): boolean
  /** Kills the gateway now and then, until the signal aborts; then it runs. */
  killAtRandom(random: Random, tally: Tally, signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

const run = promisify(execFile)
const script = fileURLToPath(new URL("../../test/rgw.sh", import.meta.url))
const AFTER_MS = 10_000 // hosts may still find connections broken

/** The RGW that the environment names, or `undefined`. */
export function rgwFrom({ S3_TEST_ENDPOINT, S3_TEST_REGION, S3_TEST_ACCESS_KEY_ID, S3_TEST_SECRET_ACCESS_KEY }: NodeJS.ProcessEnv): RgwAccess | undefined {
  if (!S3_TEST_ENDPOINT) return undefined
  return {
    endpoint: S3_TEST_ENDPOINT, region: S3_TEST_REGION ?? "us-east-1",
    accessKeyId: S3_TEST_ACCESS_KEY_ID ?? "", secretAccessKey: S3_TEST_SECRET_ACCESS_KEY ?? "",
  }
}

/** True where one can be started: as root, with Ceph's programs. */
export const canStartRgw = async (): Promise<boolean> =>
  process.getuid?.() === 0 && await run("sh", ["-c", "command -v radosgw ceph-mon ceph-osd"]).then(() => true, () => false)

/** Starts one in this folder, on free ports. */
export async function startRgw(folder: string): Promise<OwnRgw> {
  const [port, monPort] = [await freePort(), await freePort()]
  const env = { ...process.env, RGW_PORT: String(port), MON_PORT: String(monPort) }
  const { stdout } = await run(script, ["start", folder], { env })
  const access = rgwFrom(Object.fromEntries([...stdout.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value])))
  if (!access) throw new Error("test/rgw.sh did not say how its RGW is reached")
  const outages: { readonly from: number; until: number }[] = []

  async function restart(random: Random): Promise<void> {
    const outage = { from: Date.now(), until: Infinity }
    outages.push(outage)
    process.kill(Number(await readFile(join(folder, "client.rgw.pid"), "utf8")), "SIGKILL")
    await pause(500 + random.below(3_000))
    await run("radosgw", ["-c", join(folder, "ceph.conf"), "-n", "client.rgw"], { cwd: "/" })
    for (let tries = 0; !await listens(port); tries++) {
      if (tries > 300) throw new Error("the RGW does not start again")
      await pause(100)
    }
    outage.until = Date.now() + AFTER_MS
  }

  return {
    ...access,
    wasDown: (time = Date.now()) => outages.some(({ from, until }) => from <= time && time <= until),
    async killAtRandom(random, tally, signal) {
      while (await pause(30_000 + random.below(60_000), signal)) {
        await restart(random)
        tally.count("store-restarts")
      }
    },
    async stop() {
      await run(script, ["stop", folder], { env })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === "string") throw new Error("there is no free port")
  return address.port
}

const listens = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true) })
  socket.on("error", () => resolve(false))
})
