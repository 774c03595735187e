/** One store, two hosts on one state, and the buckets that are registered there. */
import { randomBytes } from "node:crypto"
import { mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { buildContext, type LocalContext } from "../../local/context.ts"
import { readFirstStart } from "../../local/data-folder.ts"
import { openStores } from "../../local/stores.ts"
import type { Store } from "../../shared/ports.ts"
import { jsonLog } from "../../shared/runtime/log.ts"
import { parseSettings, settingsFrom } from "../../shared/settings.ts"
import { s3Store } from "../../shared/store/s3.ts"
import { apiOf, type Api } from "./api.ts"
import { makeBuckets, removeBuckets, type SoakedBucket } from "./buckets.ts"
import { eventsTo, type Events } from "./events.ts"
import { hostOn, type Host } from "./hosts.ts"
import type { RgwAccess } from "./own-rgw.ts"
import { pause } from "./pause.ts"
import type { Random } from "./random.ts"
import { tally, type Tally } from "./tally.ts"

/** A world. */
export interface World {
  readonly name: "local" | "rgw"
  readonly tally: Tally
  readonly hosts: readonly Host[]
  readonly buckets: readonly SoakedBucket[]
  /** The stores, opened here beside the hosts. */
  readonly context: LocalContext
  readonly api: Api
  readonly events: Events
  /** A client of the store, any one. */
  client(): Store
  /** What a command of this world is started with. */
  readonly variables: Readonly<Record<string, string>>
  readonly folder: string
  /** Ends the hosts and removes the buckets. */
  close(): Promise<void>
}

/** What a world is made of. */
export interface WorldOptions {
  readonly folder: string
  readonly random: Random
  /** Without it the store is a local one. */
  readonly rgw?: RgwAccess | undefined
  /** True while the store is down, and hosts need not start. */
  readonly excused?: (() => boolean) | undefined
}

/** Starts a world, or leaves nothing behind. */
export async function openWorld({ folder, random, rgw, excused = () => false }: WorldOptions): Promise<World> {
  const closing: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step()
  }
  try {
    const data = join(folder, "data")
    await mkdir(data, { recursive: true, mode: 0o700 })
    const prefix = `soak-${randomBytes(4).toString("hex")}`
    if (rgw) closing.push(await makeStateBucket(rgw, prefix))
    const variables = { ...common, ...(rgw ? remote(rgw, prefix) : {}) }
    const counted = tally()
    const hosts = [1, 2].map((number) => hostOn({ folder: data, log: join(folder, `host-${number}.log`), variables, tally: counted, excused }))
    closing.push(async () => void await Promise.all(hosts.map((host) => host.end("SIGTERM"))))
    await hosts[0]?.start() // alone: it decides at its first start what all keep to
    const context = await openContext(data, variables, closing)
    const local = await localEnv(data)
    const anyHost = anyOf(hosts, random.named("host"))
    const api = apiOf(async () => (await soon(anyHost)).url, local)
    const buckets = await makeBuckets(prefix, context, api, rgw === undefined)
    await hosts[1]?.start() // now: it must not remember that nothing was authorized
    return {
      name: rgw ? "rgw" : "local", tally: counted, hosts, buckets, context, api, variables, folder, close,
      events: eventsTo(() => anyHost()?.url, context.settings.eventsSecret ?? "", random.named("events"), counted),
      client: clients(context.store, anyHost, local, random.named("client")),
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Small enough that a short run meets them: multipart uploads of ours, several data keys. */
const common = { BUCKETSEAL_MULTIPART_BYTES: String(5 * 2 ** 20), BUCKETSEAL_DEK_OBJECTS: "50" }

const remote = (rgw: RgwAccess, prefix: string) => ({
  BUCKETSEAL_STORE: "s3", BUCKETSEAL_STATE: `s3://${prefix}-state/of/soak`, BUCKETSEAL_S3_ENDPOINT: rgw.endpoint,
  BUCKETSEAL_S3_REGION: rgw.region, BUCKETSEAL_S3_ALLOW_HTTP: "true",
  BUCKETSEAL_MASTER_KEY: randomBytes(32).toString("base64"), BUCKETSEAL_EVENTS_SECRET: randomBytes(16).toString("hex"),
  AWS_ACCESS_KEY_ID: rgw.accessKeyId, AWS_SECRET_ACCESS_KEY: rgw.secretAccessKey,
})

const clientOf = ({ endpoint, region, accessKeyId, secretAccessKey }: RgwAccess): Store =>
  s3Store({ endpoint, region, addressing: "path", allowHttp: true, credentials: () => Promise.resolve({ accessKeyId, secretAccessKey }) })

/** Makes the state's bucket, and gives what removes all buckets of that prefix. */
async function makeStateBucket(rgw: RgwAccess, prefix: string): Promise<() => Promise<void>> {
  const store = clientOf(rgw)
  await store.createBucket(`${prefix}-state`)
  return () => removeBuckets(store, prefix)
}

async function openContext(data: string, variables: Record<string, string>, closing: (() => Promise<void> | void)[]): Promise<LocalContext> {
  const settings = parseSettings({ ...await readFirstStart(data), ...settingsFrom(variables), data })
  const stores = await openStores(settings, variables)
  closing.push(() => stores.close())
  const context = await buildContext(settings, stores, jsonLog(() => undefined, "silent", Date.now))
  closing.push(() => context.close())
  return context
}

function anyOf(hosts: readonly Host[], random: Random) {
  return (): NonNullable<Host["at"]> | undefined => {
    const running = hosts.flatMap(({ at }) => at ?? [])
    return running.length === 0 ? undefined : random.pick(running)
  }
}

/** Half of the requests go to the store itself, half to the S3 endpoint of a host, where it has one. */
function clients(store: Store, anyHost: () => Host["at"], local: Readonly<Record<string, string>>, random: Random): () => Store {
  const { AWS_REGION: region = "", AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = local
  const known = new Map<string, Store>()
  return () => {
    const endpoint = random.chance(0.5) ? anyHost()?.s3Url : undefined
    if (endpoint === undefined) return store
    const client = known.get(endpoint) ?? clientOf({ endpoint, region, accessKeyId, secretAccessKey })
    known.set(endpoint, client)
    return client
  }
}

async function localEnv(folder: string): Promise<Record<string, string>> {
  const text = await readFile(join(folder, "local.env"), "utf8")
  return Object.fromEntries([...text.matchAll(/^export (\w+)='([^']*)'$/gm)].map(([, name = "", value = ""]) => [name, value]))
}

const SOON_TRIES = 1_200 // of 50 ms: a host that was killed starts within a minute

/** Waits for what is there before long. */
async function soon<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < SOON_TRIES; tries++) {
    const found = look()
    if (found !== undefined) return found
    await pause(50)
  }
  throw new Error("no host runs")
}
