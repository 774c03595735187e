import { mkdtemp, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { collect } from "../shared/objects/reading.ts"
import type { ObjectStore, StateStore } from "../shared/ports.ts"
import { localStore } from "../shared/store/local.ts"
import { stateStore } from "../shared/store/state.ts"
import { apiClient, tokenFor } from "./api.ts"
import { start, type Program } from "./processes/start.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"
import { until } from "./inbox-fixtures.ts"

const BUCKET = "uploads"

/** Stores of a data folder, opened beside the hosts that work on it. */
interface Data {
  readonly folder: string
  readonly objects: ObjectStore
  readonly state: StateStore
}

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Opens the stores of a folder, and puts so many small objects into a bucket that nobody has registered yet. */
async function openData(folder: string, count: number): Promise<Data> {
  const [objects, state] = [await localStore(join(folder, "objects")), await localStore(join(folder, "state"))]
  cleanups.push(() => objects.close(), () => state.close())
  await objects.createBucket(BUCKET)
  await Promise.all(keys(count).map((key) => objects.put({ bucket: BUCKET, key }, Buffer.from(`plaintext of ${key}`))))
  return { folder, objects, state: stateStore(state, { bucket: "state", prefix: "" }) }
}

const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "bucketseal-inbox-"))
  cleanups.push(() => removeFolder(folder))
  return folder
}

const keys = (count: number) => Array.from({ length: count }, (_, n) => `object ${n}`)

async function register(env: Readonly<Record<string, string>>, settle: number): Promise<void> {
  const api = apiClient(env, await tokenFor(env["BUCKETSEAL_URL"] ?? "", env["BUCKETSEAL_API_KEY"] ?? ""))
  const rootKey = await api.createRootKey("uploads")
  await api.authorize()
  const registration = { rootKey: rootKey.crn, source: api.bucketCrn(BUCKET), settle, otherRegion: true }
  const { status, text } = await api.call("PUT", `/registrations/${BUCKET}`, registration)
  expect(text && status).toBe(201)
}

/** Sends a notification for each key, 250 in one delivery, and waits for their being accepted. */
async function notify(url: string | undefined, secret: string, names: readonly string[]): Promise<void> {
  for (let first = 0; first < names.length; first += 250) {
    const part = names.slice(first, first + 250)
    const Records = part.map((key) => ({ eventSource: "ceph:s3", eventName: "ObjectCreated:Put", s3: { bucket: { name: BUCKET }, object: { key } } }))
    const response = await fetch(`${url ?? ""}/events/${secret}`, { method: "POST", body: JSON.stringify({ Records }) })
    expect([response.status, await response.json()]).toEqual([202, { accepted: part.length, ignored: 0, rejected: 0 }])
  }
}

const waiting = async ({ state }: Data): Promise<number> => (await state.list("inbox/")).paths.length

async function plainOnes({ objects }: Data, count: number): Promise<string[]> {
  const plain: string[] = []
  for (const key of keys(count)) {
    const object = await objects.get({ bucket: BUCKET, key }, { range: { start: 0, end: 12 } })
    const start = Buffer.from(object ? await collect(object.body) : []).toString("latin1")
    if (start !== "bucketseal/1\n") plain.push(key)
  }
  return plain
}

/** How often each object was looked at, by the logs, and how it went. */
function looksIn(...outputs: readonly string[]): Map<string, string[]> {
  const looks = new Map<string, string[]>()
  for (const line of outputs.join("\n").split("\n").filter((one) => one.includes("looked at an upload"))) {
    const { key, outcome } = JSON.parse(line) as { key: string; outcome: string }
    looks.set(key, [...looks.get(key) ?? [], outcome])
  }
  return looks
}

async function secretOf(folder: string): Promise<string> {
  return (JSON.parse(await readFile(join(folder, "settings.json"), "utf8")) as { eventsSecret: string }).eventsSecret
}

/** A host that has answered for so many events and was then killed. `settle` in seconds. */
async function killedHost(count: number, settle: number): Promise<Data> {
  const folder = await newFolder()
  const stack = await startStackProcess({}, folder)
  const data = await openData(folder, count)
  await register(stack.env, settle)
  await notify(stack.env["BUCKETSEAL_URL"], await secretOf(folder), keys(count))
  process.kill(stack.pid, "SIGKILL")
  expect(await waiting(data)).toBeGreaterThan(0)
  return data
}

async function restarted({ folder }: Data): Promise<StackProcess> {
  const stack = await startStackProcess({}, folder)
  cleanups.push(() => stack.stop())
  return stack
}

describe("a host and its inbox, as processes", () => {
  it("1,000 events that were accepted before a kill -9 are all sealed after a restart, and none is left in the inbox", async () => {
    const data = await killedHost(1_000, 5)
    await restarted(data)
    await until(async () => await waiting(data) === 0)
    expect(await plainOnes(data, 1_000)).toEqual([])
  })

  it("two hosts that drain one inbox at the same time look at each of 500 objects once", async () => {
    const data = await killedHost(500, 12)
    expect(await waiting(data)).toBe(500) // the killed host has looked at none: the last lines of its log may be lost
    const stacks = await Promise.all([restarted(data), restarted(data)])
    await until(async () => await waiting(data) === 0)
    expect(await plainOnes(data, 500)).toEqual([])
    const looks = looksIn(...stacks.map((stack) => stack.output()))
    expect([...looks].filter(([, outcomes]) => outcomes.join() !== "sealed")).toEqual([])
    expect(looks.size).toBe(500)
  })

  it("a host that is paused beyond its leases and goes on loses no event, and seals nothing twice", async () => {
    const folder = await newFolder()
    const paused = await shortLeased(folder)
    const data = await openData(folder, 200)
    await register(paused.env, 1)
    const other = await shortLeased(folder) // started now: it must not remember that nothing was authorized
    await notify(paused.env["BUCKETSEAL_URL"], paused.secret, keys(200)) // they settle still: it holds no lock of the store
    process.kill(paused.pid, "SIGSTOP")
    await until(async () => await waiting(data) === 0)
    expect(await plainOnes(data, 200)).toEqual([])
    process.kill(paused.pid, "SIGCONT")
    const logs = [...await paused.idle(), ...await other.idle()]
    const looks = looksIn(...logs)
    expect([...looks].filter(([, outcomes]) => outcomes.join() !== "sealed")).toEqual([])
    expect(looks.size).toBe(200)
  })
})

interface ShortLeased {
  readonly pid: number
  readonly secret: string
  readonly env: Readonly<Record<string, string>>
  /** Waits until it has nothing to do, and gives what it has logged. */
  idle(): Promise<string[]>
}

async function shortLeased(folder: string): Promise<ShortLeased> {
  const program: Program = start("inbox-host", folder, "1000")
  const said = JSON.parse(await program.line()) as Omit<ShortLeased, "idle">
  cleanups.push(async () => {
    process.kill(said.pid, "SIGCONT")
    await program.finish()
  })
  return {
    ...said,
    async idle() {
      program.send("now")
      const lines: string[] = []
      for (let line = await program.line(); line !== "now: idle"; line = await program.line()) lines.push(line)
      return lines
    },
  }
}
