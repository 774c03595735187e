/**
 * `npm run soak -- [--minutes N] [--seed TEXT] [--json]`: users write and delete in a local store and, where one is given by
 * S3_TEST_ENDPOINT or can be started, in Ceph RGW, while hosts are killed and events are lost, repeated and reordered; then
 * the sweep, and every object is checked. Exits with 1 if anything was lost or left behind. The seed repeats what is done, not
 * when.
 */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { check } from "./soak/checks.ts"
import { converge } from "./soak/converge.ts"
import { killAtRandom } from "./soak/hosts.ts"
import { readLogs } from "./soak/logs.ts"
import { canStartRgw, rgwFrom, startRgw, type OwnRgw } from "./soak/own-rgw.ts"
import { pause } from "./soak/pause.ts"
import { seeded, type Random } from "./soak/random.ts"
import { reportOf, textOf } from "./soak/report.ts"
import { upload } from "./soak/uploader.ts"
import { openWorld, type World } from "./soak/world.ts"

const WRITERS = 2 // of each bucket
const LONG_MINUTES = 5 // from here on a run has an RGW of its own, and kills it too
const CALM_MS = 20_000 // at the end nobody is killed: what the killed had held is the sooner free again
const MINUTE = 60_000

const { values } = parseArgs({ options: { minutes: { type: "string", default: "1" }, seed: { type: "string" }, json: { type: "boolean", default: false }, keep: { type: "boolean", default: false } } })
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new Error("--minutes takes a number above 0")
const seed = values.seed ?? randomBytes(4).toString("hex")
const random = seeded(seed)
const interrupt = new AbortController()
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => interrupt.abort())

const began = performance.now()
const folder = await mkdtemp(join(tmpdir(), "bucketseal-soak-"))
const worlds: World[] = []
const say = (text: string) => void process.stderr.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}\n`)
let own: OwnRgw | undefined
try {
  own = minutes >= LONG_MINUTES && await canStartRgw() ? await startRgw(join(folder, "rgw")) : undefined
  const rgw = own ?? rgwFrom(process.env)
  say(`seed ${seed}, in ${folder}; ${own ? "an RGW of its own" : rgw ? "the RGW that is given" : "no RGW: none is given by S3_TEST_ENDPOINT"}`)
  worlds.push(await openWorld({ folder: join(folder, "local"), random: random.named("local") }))
  if (rgw) worlds.push(await openWorld({ folder: join(folder, "remote"), random: random.named("rgw"), rgw, excused: own?.wasDown }))
  await Promise.all(worlds.map((world) => soak(world, random.named(world.name))))
} finally {
  for (const world of worlds) await world.close().catch((error: unknown) => say(`left behind: ${String(error)}`))
  await own?.stop()
  if (!values.keep) await rm(folder, { recursive: true, force: true })
}
if (interrupt.signal.aborted) process.exit(130) // 128 + SIGINT, as shells have it
const report = reportOf(seed, minutes, (performance.now() - began) / 1000, worlds)
process.stdout.write(`${values.json ? JSON.stringify(report, null, 2) : textOf(report)}\n`)
process.exit(report.passed ? 0 : 1)

/** All of one world, unless it is interrupted. */
async function soak(world: World, chance: Random): Promise<void> {
  const { signal } = interrupt
  const steps: readonly (readonly [what: string, step: () => Promise<void>])[] = [
    [`${minutes} minutes of uploads`, () => writeAndKill(world, chance)],
    ["the sweep", async () => world.tally.count("converge-ms", await converge(world, signal))],
    ["checking every object", () => check(world)],
    ["reading the logs", () => readLogs(world, (time) => own?.wasDown(time) ?? false)],
  ]
  for (const [what, step] of steps) {
    if (signal.aborted) return
    say(`${world.name}: ${what}`)
    await step()
  }
}

/** Uploads, kills and events until the time is over; what was begun is ended, and the hosts run. */
async function writeAndKill(world: World, chance: Random): Promise<void> {
  const { buckets, hosts, api, events, tally, client } = world
  const stop = new AbortController()
  const calm = AbortSignal.any([stop.signal, AbortSignal.timeout(Math.max(0, minutes * MINUTE - CALM_MS))])
  let write = 0
  const nextWrite = () => ++write
  const users = buckets.flatMap((bucket) => Array.from({ length: WRITERS }, (_, writer) =>
    upload(writer, { bucket, store: client, api, events, tally, nextWrite, random: chance.named(`${bucket.moved} ${buckets.indexOf(bucket)} ${writer}`) }, stop.signal)))
  const killers = hosts.map((host, index) => killAtRandom(host, chance.named(`host ${index}`), tally, calm))
  const storeKiller = world.name === "rgw" && own ? [own.killAtRandom(chance.named("store"), tally, calm)] : []
  const all = Promise.all([...users, ...killers, ...storeKiller, events.deliver(stop.signal)])
  try {
    await Promise.race([all, pause(minutes * MINUTE, interrupt.signal)])
  } finally {
    stop.abort()
  }
  await all
}
