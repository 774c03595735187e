/** What is revoked is refused within the cache limit: by a clock that the test sets, and once measured on a real host. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateBucketCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readS3Credentials } from "../local/data-folder.ts"
import { startStack, type Stack } from "../local/stack.ts"
import { isFailure } from "../shared/errors.ts"
import { policies } from "../shared/iam/policies.ts"
import { parseSettings } from "../shared/settings.ts"
import { localStore } from "../shared/store/local.ts"
import { stateStore } from "../shared/store/state.ts"
import { apiClient, s3ClientOf, tokenFor, type Api } from "./api.ts"
import { patterned } from "./bytes.ts"
import { ACCOUNT, EVENTS_SECRET, KMS, STORE } from "./host-world.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { localHarness } from "./stores.ts"

const LIMIT = 2 // seconds

let harness: Awaited<ReturnType<typeof localHarness>>
beforeAll(async () => void (harness = await localHarness()))
afterAll(() => harness.close())

/** A world whose caches are warm: an object is sealed and was read. */
async function warmWorld(): Promise<World> {
  const world = await makeWorld(harness.store, await harness.bucket(), { cacheSeconds: LIMIT })
  await world.store.put(world.ref("old"), patterned(100))
  expect(await world.seal("old")).toMatchObject({ outcome: "sealed" })
  await world.plaintext("old")
  return world
}

/** What takes the right away, as another host does: this one's caches are not told. */
const revocations: readonly (readonly [what: string, revoke: (world: World) => Promise<unknown>])[] = [
  ["an authorization", ({ state, clock, grant }) => policies(state, 0, clock).delete("acc1", grant.id)],
  ["an authorization, narrowed to another instance", async ({ state, clock, grant, authorization }) => {
    const other = policies(state, 0, clock)
    await other.delete("acc1", grant.id)
    const draft = authorization()
    await other.create("acc1", { ...draft, resources: [{ attributes: draft.resources[0]?.attributes.map((one) =>
      one.name === "serviceInstance" ? { ...one, value: "another" } : one) ?? [] }] }, "test")
  }],
]

describe.each(revocations)("%s that another host revokes", (_, revoke) => {
  /** Asks every 100 ms of a clock that stands still in between, and gives the seconds after which it was refused. */
  async function secondsUntilRefused(world: World, isRefused: () => Promise<boolean>): Promise<number> {
    await revoke(world)
    for (let tenths = 0; tenths <= 10 * LIMIT; tenths++) {
      if (await isRefused()) return tenths / 10
      world.clock.forward(0.1)
    }
    return Infinity
  }

  it("stops reads at the cache limit at the latest", async () => {
    const world = await warmWorld()
    const isRefused = () => world.plaintext("old").then(() => false, (error: unknown) => isFailure(error, "forbidden"))
    expect(await secondsUntilRefused(world, isRefused)).toBeLessThanOrEqual(LIMIT)
  })

  it("stops seals at the cache limit at the latest, and leaves what came later as it was", async () => {
    const world = await warmWorld()
    let tries = 0
    const isRefused = async () => {
      await world.store.put(world.ref(`new ${++tries}`), patterned(100))
      return (await world.seal(`new ${tries}`)).outcome === "parked"
    }
    expect(await secondsUntilRefused(world, isRefused)).toBeLessThanOrEqual(LIMIT)
    expect((await world.stored(`new ${tries}`))?.equals(patterned(100))).toBe(true)
  })
})

describe("on a running host", () => {
  let folder: string
  let stack: Stack
  let api: Api
  let s3: S3Client
  let grant: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bucketseal-revocation-"))
    const none = () => undefined
    const settings = parseSettings({
      account: ACCOUNT, kmsInstance: KMS, storeInstance: STORE, eventsSecret: EVENTS_SECRET,
      data: folder, port: 0, s3Port: 0, cacheSeconds: LIMIT,
    })
    stack = await startStack(settings, { log: { info: none, warn: none, error: none }, version: "test", environment: {} })
    api = apiClient({
      BUCKETSEAL_URL: stack.url, BUCKETSEAL_INSTANCE: KMS, BUCKETSEAL_ACCOUNT: ACCOUNT, BUCKETSEAL_STORE_INSTANCE: STORE,
    }, await tokenFor(stack.url, await stack.ownerKey()))
    const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = await readS3Credentials(folder)
    s3 = s3ClientOf({ AWS_ENDPOINT_URL_S3: stack.s3Url ?? "", AWS_REGION: settings.s3Region, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY })
    await s3.send(new CreateBucketCommand({ Bucket: "photos" }))
    grant = await api.authorize()
    const { crn } = await api.createRootKey("revoked later")
    const request = { rootKey: crn, source: api.bucketCrn("photos"), settle: 0, otherRegion: true }
    const { status, text } = await api.call("PUT", "/registrations/photos", request)
    expect([status, text]).toEqual([201, expect.any(String)])
  })
  afterAll(async () => {
    s3.destroy()
    await stack.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** The status of a read: 409 of what is not sealed. */
  const read = async (key: string) => (await api.call("GET", `/objects/photos?key=${key}`)).status

  async function upload(Key: string): Promise<void> {
    await s3.send(new PutObjectCommand({ Bucket: "photos", Key, Body: "plaintext" }))
    await stack.idle()
  }

  /** As another host on the same state does it. */
  async function revokeElsewhere(): Promise<void> {
    const store = await localStore(join(folder, "state"))
    await policies(stateStore(store, { bucket: "state", prefix: "" }), 0, Date.now).delete(ACCOUNT, grant)
    await store.close()
  }

  it("reads and seals end; how long both went on is printed", async () => {
    await upload("old")
    expect(await read("old")).toBe(200)
    await revokeElsewhere()
    const revoked = performance.now()
    const lastSeconds = { read: 0, seal: 0 }
    const seconds = () => (performance.now() - revoked) / 1_000
    let isGoingOn = true
    for (let tries = 0; tries < 400 && isGoingOn; tries++) {
      const began = seconds()
      await upload(`new-${tries}`)
      const [old, fresh] = [await read("old"), await read(`new-${tries}`)]
      if (old === 200) lastSeconds.read = began
      if (fresh !== 409) lastSeconds.seal = began
      isGoingOn = old === 200 || fresh !== 409
      expect([200, 403]).toContain(old)
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    process.stdout.write(`revoked authorization, cache limit ${LIMIT} s: last read begun after ${lastSeconds.read.toFixed(2)} s, last seal after ${lastSeconds.seal.toFixed(2)} s\n`)
    expect(isGoingOn).toBe(false)
  })
})
