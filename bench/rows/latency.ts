/**
 * From the answer to an upload to its sealed form, through notification, inbox and sealing: 100 uploads of 4 KiB a second into
 * a bucket registered with `settle` 0, after the first event has come (that of a new topic of Ceph takes up to 30 seconds).
 */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { readS3Credentials } from "../../local/data-folder.ts"
import { startStack } from "../../local/stack.ts"
import type { Log, Store } from "../../shared/ports.ts"
import { parseSettings } from "../../shared/settings.ts"
import { notifications } from "../../shared/store/s3-notifications.ts"
import { s3Store } from "../../shared/store/s3.ts"
import { apiClient, tokenFor } from "../../test/api.ts"
import { openStore } from "../sdk-store.ts"
import { endpoint } from "../sealing-world.ts"
import { fixed, print, type Row } from "../table.ts"

const RATE = 100 // uploads a second
const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 15)
const FIRST_EVENT_MS = 90_000
const ids = { account: "bench", storeInstance: "5a0b6c1e-0000-4000-8000-000000000001", kmsInstance: "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11" }
const secret = randomBytes(16).toString("hex")

/** When each key was sealed, as the log says it. */
function sealingTimes() {
  const times = new Map<string, number>()
  const ignore = () => undefined
  const log: Log = {
    info(_, fields = {}) {
      if (fields["outcome"] === "sealed") times.set(String(fields["key"]), performance.now())
    },
    warn: ignore, error: console.error,
  }
  return { times, log }
}

/** A stack over this store, a bucket of it registered, and how its uploads are told of. */
async function measure(settings: Record<string, unknown>, store: Store | undefined, name: string, most: { p50: number; p99: number }): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "bucketseal-bench-"))
  const { times, log } = sealingTimes()
  const stack = await startStack(parseSettings({ data: folder, port: 0, s3Port: 0, eventsSecret: secret, ...ids, ...settings }), {
    log, version: "bench", environment: { AWS_ACCESS_KEY_ID: endpoint().credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: endpoint().credentials.secretAccessKey },
  })
  try {
    const client = store ?? await localClient(folder, stack.s3Url ?? "")
    const bucket = `latency-${randomBytes(4).toString("hex")}`
    await client.createBucket(bucket)
    const clear = await register(stack, bucket, store !== undefined)
    await warmUp(client, bucket, times)
    const waits = await upload(client, bucket, times)
    await clear()
    return [["p50", 0.5], ["p99", 0.99]].map(([what, part]) => {
      const wait = waits[Math.min(waits.length - 1, Math.floor(waits.length * Number(part)))] ?? Infinity
      const bar = most[what as "p50" | "p99"]
      return {
        what: `${name}: upload to sealed, ${what}`, against: `${bar} ms`, ratios: [wait / bar], bar: { relation: "≤", node20: 1, node22: 1 },
        figures: `${fixed(wait)} ms; ${waits.length} uploads in ${SECONDS} s`,
      } as const
    })
  } finally {
    await stack.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function localClient(folder: string, url: string): Promise<Store> {
  const credentials = await readS3Credentials(folder)
  return s3Store({ endpoint: url, region: "us-east-1", addressing: "path", allowHttp: true, credentials: () => Promise.resolve(credentials) })
}

async function register(stack: Awaited<ReturnType<typeof startStack>>, bucket: string, remote: boolean): Promise<() => Promise<unknown>> {
  const env = { BUCKETSEAL_URL: stack.url, BUCKETSEAL_INSTANCE: ids.kmsInstance, BUCKETSEAL_ACCOUNT: ids.account, BUCKETSEAL_STORE_INSTANCE: ids.storeInstance }
  const api = apiClient(env, await tokenFor(stack.url, await stack.ownerKey()))
  const rootKey = await api.createRootKey("bench")
  await api.authorize()
  const { status, text } = await api.call("PUT", `/registrations/${bucket}`, { rootKey: rootKey.crn, source: api.bucketCrn(bucket), settle: 0, otherRegion: true })
  if (status !== 201) throw new Error(text)
  if (!remote) return () => Promise.resolve()
  const { credentials, ...where } = endpoint()
  const told = notifications({ ...where, addressing: "path", allowHttp: true, credentials: () => Promise.resolve(credentials) })
  const arn = await told.makeTopic(bucket, `${stack.url}/events/${secret}`)
  await told.set(bucket, { kind: "TopicConfiguration", id: "bench", arn, events: ["s3:ObjectCreated:*"], prefix: "" })
  return async () => {
    await told.clear(bucket, "bench")
    await told.removeTopic(arn)
  }
}

async function warmUp(client: Store, bucket: string, times: ReadonlyMap<string, number>): Promise<void> {
  await client.put({ bucket, key: "warm" }, randomBytes(4096))
  for (const end = performance.now() + FIRST_EVENT_MS; !times.has("warm"); await pause(50)) {
    if (performance.now() > end) throw new Error("the first upload was not sealed")
  }
}

/** Uploads at the rate, waits for all, and gives the waits in milliseconds, the shortest first. */
async function upload(client: Store, bucket: string, times: ReadonlyMap<string, number>): Promise<readonly number[]> {
  const stored = new Map<string, number>()
  const under: Promise<unknown>[] = []
  const began = performance.now()
  for (let number = 0; number < RATE * SECONDS; number++) {
    await pause(Math.max(0, began + (number * 1_000) / RATE - performance.now()))
    const key = `upload-${number}`
    under.push(client.put({ bucket, key }, randomBytes(4096)).then(() => stored.set(key, performance.now())))
  }
  await Promise.all(under)
  for (const end = performance.now() + 60_000; [...stored.keys()].some((key) => !times.has(key)); await pause(50)) {
    if (performance.now() > end) throw new Error("not every upload was sealed")
  }
  return [...stored].map(([key, at]) => Math.max(0, (times.get(key) ?? Infinity) - at)).sort((one, other) => one - other)
}

const rgw = await openStore()
try {
  const where = endpoint()
  const remote = { store: "s3", s3Endpoint: where.endpoint, s3Region: where.region, s3AllowHttp: true }
  print([
    ...await measure({}, undefined, "local store, 100 × 4 KiB a second", { p50: 30, p99: 200 }),
    ...await measure(remote, rgw.store, "RGW, 100 × 4 KiB a second", { p50: 150, p99: 1_000 }),
  ])
} finally {
  await rgw.close()
  rgw.sdk.destroy()
}
