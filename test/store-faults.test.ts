/** The rules by which the store client repeats or does not (design: stores), on real stores behind a proxy that breaks things. */
import { randomBytes } from "node:crypto"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import * as z from "zod/mini"
import { httpClient } from "../shared/net/request.ts"
import type { Store } from "../shared/ports.ts"
import { collect } from "../shared/objects/reading.ts"
import { s3Store } from "../shared/store/s3.ts"
import { stateStore } from "../shared/store/state.ts"
import {
  close as closeIt, dropAnswer, faultProxy, internalError, pass, slowDown, type Fault, type FaultProxy,
} from "./fault-proxy.ts"
import { makeWorld, type World } from "./object-fixtures.ts"
import { rgwFromEnvironment, rgwHarness, withoutRgw } from "./rgw.ts"
import { credentials, openEndpoint, region } from "./s3-endpoint.ts"

/** A real store, and how a client of ours reaches it. */
interface Backend {
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** A bucket made for the test. */
  readonly bucket: string
  readonly matchForm: "quoted" | "unquoted"
  close(): Promise<void>
}

const rgw = rgwFromEnvironment()

async function localBackend(): Promise<Backend> {
  const { server, close } = await openEndpoint()
  const bucket = "faults"
  await client({ endpoint: server.url, region, credentials }, {}).createBucket(bucket)
  return { endpoint: server.url, region, credentials, bucket, matchForm: "quoted", close }
}

async function rgwBackend(): Promise<Backend> {
  if (!rgw) throw new Error("no RGW")
  const harness = rgwHarness(rgw)
  const { endpoint, region, ...keys } = rgw
  return {
    endpoint, region, credentials: keys, bucket: await harness.bucket(), matchForm: "unquoted", close: () => harness.close(),
  }
}

interface ClientOptions {
  readonly clock?: () => number
  readonly pauses?: number[]
}

const ATTEMPTS = 3

/** Our client, told apart from its default by short pauses, which are noted. */
function client(at: Pick<Backend, "endpoint" | "region" | "credentials">, { clock, pauses }: ClientOptions): Store {
  const random = () => {
    pauses?.push(pauses.length + 1)
    return 0.01
  }
  return s3Store({
    endpoint: at.endpoint, region: at.region, addressing: "path", allowHttp: true,
    credentials: () => Promise.resolve(at.credentials),
    http: httpClient({ allowHttp: true, attempts: ATTEMPTS, random }),
    ...(clock ? { clock } : {}),
  })
}

const backends = [["local", localBackend, true], ["rgw", rgwBackend, rgw !== undefined]] as const

describe.each(backends)("a store client behind a broken network: %s", (_, open, present) => {
  if (!present) return it.skip(withoutRgw, () => undefined)
  let backend: Backend
  let proxy: FaultProxy
  let pauses: number[]
  let store: Store
  const through = (options: ClientOptions = {}) => client({ ...backend, endpoint: proxy.url }, options)
  const key = () => `k-${randomBytes(6).toString("hex")}`
  const ref = () => ({ bucket: backend.bucket, key: key() })
  const direct = () => client(backend, {})
  const bytesAt = async (at: { bucket: string; key: string }) => {
    const object = await direct().get(at)
    return object && (await collect(object.body)).toString()
  }

  beforeAll(async () => {
    backend = await open()
    proxy = await faultProxy(backend.endpoint)
  })
  beforeEach(() => {
    proxy.plan([])
    pauses = []
    store = through({ pauses })
  })
  afterAll(async () => {
    await proxy.close()
    await backend.close()
  })

  const passing: readonly (readonly [string, Fault])[] = [
    ["no answer comes", dropAnswer],
    ["the connection closes", closeIt],
    ["the store says 503 SlowDown", slowDown(false)],
    ["the store says 500", internalError(false)],
  ]

  describe.each(passing)("where %s", (_, fault) => {
    it("a read is repeated, after a pause", async () => {
      const at = ref()
      await direct().put(at, Buffer.from("text"))
      proxy.plan(["GET"], fault, fault)
      const object = await store.get(at)
      expect(object && (await collect(object.body)).toString()).toBe("text")
      expect(proxy.seen.filter(({ method }) => method === "GET")).toHaveLength(3)
      expect(pauses.length).toBeGreaterThan(0)
    })

    it("a read is repeated only so often, and then fails as a passing fault", async () => {
      const at = ref()
      await direct().put(at, Buffer.from("text"))
      proxy.plan(["GET"], ...Array.from({ length: 10 }, () => fault))
      await expect(store.get(at)).rejects.toMatchObject({ code: expect.stringMatching(/^(unavailable|throttled)$/) as string })
      expect(proxy.seen.length).toBeLessThanOrEqual(ATTEMPTS + 1) // one more for a kept-alive connection found dead
    })

    it("a write without a condition is repeated", async () => {
      const at = ref()
      proxy.plan(["PUT"], fault)
      await store.put(at, Buffer.from("text"))
      expect(proxy.seen.filter(({ method }) => method === "PUT")).toHaveLength(2)
      expect(await bytesAt(at)).toBe("text")
    })

    it("a stream that was begun is not sent again, and the write fails", async () => {
      const at = ref()
      let begun = 0
      async function* once() {
        begun += 1
        yield Buffer.from("text")
      }
      proxy.plan(["PUT"], fault)
      await expect(store.put(at, { length: 4, stream: once() })).rejects.toMatchObject({ name: "Failure" })
      expect(begun).toBe(1)
    })

    it("the caller's signal ends the repetitions", async () => {
      const aborted = new AbortController()
      const hurried = client({ ...backend, endpoint: proxy.url }, {})
      proxy.plan(["GET"], fault, fault, fault)
      aborted.abort()
      await expect(hurried.get(ref(), { signal: aborted.signal })).rejects.toMatchObject({ name: "Failure" })
      expect(proxy.seen.length).toBeLessThanOrEqual(1)
    })
  })

  // All of these took effect, or may have: a client that repeats them loses sight of who won.
  const effective: readonly (readonly [string, Fault])[] = [
    ["whose answer is lost", dropAnswer],
    ["that is answered 500 though it took effect", internalError(true)],
    ["that is answered 503 SlowDown though it took effect", slowDown(true)],
  ]

  describe.each(effective)("a conditional write %s", (_, fault) => {
    it("is not repeated: its effect is unknown", async () => {
      const at = ref()
      proxy.plan(["PUT"], fault)
      const condition = { ifNoneMatch: "*" } as const
      await expect(store.put(at, Buffer.from("mine"), { condition }))
        .rejects.toMatchObject({ code: expect.stringMatching(/^(unavailable|throttled)$/) as string })
      expect(proxy.seen).toHaveLength(1)
      expect(await bytesAt(at)).toBe("mine")
    })

    it("is known as one's own by looking: a state document counts as created", async () => {
      const state = stateStore(store, { bucket: backend.bucket, prefix: `${key()}/`, form: backend.matchForm })
      proxy.plan(["PUT"], fault)
      const etag = await state.create("a.json", { owner: "me" })
      expect(etag).toBeDefined()
      expect((await state.read("a.json", owned))?.etag).toBe(etag)
      expect(proxy.seen.filter(({ method }) => method === "PUT")).toHaveLength(1)
    })

    it("a state document counts as replaced", async () => {
      const state = stateStore(store, { bucket: backend.bucket, prefix: `${key()}/`, form: backend.matchForm })
      const first = await state.create("a.json", { owner: "me" }) ?? ""
      proxy.plan(["PUT"], fault)
      const second = await state.replace("a.json", { owner: "you" }, first)
      expect(second).toBeDefined()
      expect(await state.read("a.json", owned)).toEqual({ value: { owner: "you" }, etag: second })
      expect(await state.replace("a.json", { owner: "late" }, first)).toBeUndefined()
    })

    it("an object counts as sealed, and is sealed once", async () => {
      const world = await sealingWorld()
      const at = key()
      await direct().put({ bucket: backend.bucket, key: at }, Buffer.from("plaintext"))
      proxy.plan(["PUT"], fault)
      expect(await world.seal(at)).toMatchObject({ outcome: "sealed" })
      expect(proxy.seen.filter(({ method }) => method === "PUT")).toHaveLength(1)
      expect((await world.plaintext(at))?.toString()).toBe("plaintext")
    })
  })

  it("a conditional write that the store never got counts neither as done nor as lost", async () => {
    const at = ref()
    proxy.plan(["PUT"], slowDown(false))
    await expect(store.put(at, Buffer.from("mine"), { condition: { ifNoneMatch: "*" } })).rejects.toMatchObject({ name: "Failure" })
    expect(proxy.seen).toHaveLength(1)
    expect(await direct().head(at)).toBeUndefined()
    const world = await sealingWorld()
    await direct().put(at, Buffer.from("plaintext"))
    proxy.plan(["PUT"], slowDown(false))
    expect(await world.seal(at.key)).toEqual({ outcome: "parked", reason: "unavailable" })
    expect(await bytesAt(at)).toBe("plaintext")
  })

  it.each(effective)("completing an upload %s is not repeated", async (_, fault) => {
    const at = ref()
    const upload = await store.createUpload(at)
    const { etag } = await store.putPart(at, upload, 1, Buffer.from("part"))
    proxy.plan(["POST"], fault)
    await expect(store.completeUpload(at, upload, [{ number: 1, etag, size: 4 }])).rejects.toMatchObject({ name: "Failure" })
    expect(proxy.seen.filter(({ method }) => method === "POST")).toHaveLength(1)
    expect(await bytesAt(at)).toBe("part")
  })

  it.each([["an hour ahead", 3_600_000], ["an hour behind", -3_600_000]])("a clock that is %s is corrected by the store's, for one more request", async (_, off) => {
    const skewed = through({ clock: () => Date.now() + off })
    const at = ref()
    proxy.plan([])
    await skewed.put(at, Buffer.from("text"), { condition: { ifNoneMatch: "*" } })
    expect(proxy.seen).toHaveLength(2)
    await skewed.head(at)
    expect(proxy.seen).toHaveLength(3)
  })

  it.each([0, 1, 70_000, 299_999])("a body cut behind %i bytes fails; it never ends early", async (bytes) => {
    const at = ref()
    await direct().put(at, Buffer.alloc(300_000, 7))
    proxy.plan(["GET"], { kind: "cut-body", bytes })
    const read = async () => {
      const object = await store.get(at)
      return object && collect(object.body)
    }
    await expect(read()).rejects.toMatchObject({ name: "Failure", code: "unavailable" })
  })

  it("sealing an object whose read breaks off changes nothing, and the next try seals it", async () => {
    const world = await sealingWorld()
    const at = key()
    const plaintext = randomBytes(300_000)
    await direct().put({ bucket: backend.bucket, key: at }, plaintext)
    proxy.plan(["GET"], pass, { kind: "cut-body", bytes: 100_000 })
    expect(await world.seal(at)).toEqual({ outcome: "parked", reason: "unavailable" })
    expect(await world.stored(at)).toEqual(plaintext)
    expect(await world.seal(at)).toMatchObject({ outcome: "sealed" })
    expect(await world.plaintext(at)).toEqual(plaintext)
  })

  it("a connection that was closed while it was kept alive costs a read nothing but a repetition", async () => {
    const at = ref()
    await store.put(at, Buffer.from("text"))
    await new Promise((resolve) => setTimeout(resolve, 20)) // the connection goes back to the pool in a later turn
    proxy.plan(["GET"], closeIt)
    const object = await store.get(at)
    expect(object && (await collect(object.body)).toString()).toBe("text")
    expect(pauses).toEqual([]) // at once: a dead connection says nothing about the store
  })

  it("a conditional write on a connection that dies under it is not repeated", async () => {
    const at = ref()
    await store.head(at)
    await new Promise((resolve) => setTimeout(resolve, 20))
    proxy.plan(["PUT"], closeIt)
    await expect(store.put(at, Buffer.from("mine"), { condition: { ifNoneMatch: "*" } })).rejects.toMatchObject({ code: "unavailable" })
    expect(proxy.seen).toHaveLength(1)
  })

  it("bytes changed on their way are refused by the store, and nothing is stored", async () => {
    const at = ref()
    proxy.plan(["PUT"], { kind: "corrupt" })
    await expect(store.put(at, Buffer.from("text"))).rejects.toMatchObject({ name: "Failure" })
    expect(await direct().head(at)).toBeUndefined()
  })

  const owned = z.object({ owner: z.string() })

  async function sealingWorld(): Promise<World> {
    proxy.plan([])
    return makeWorld(store, backend.bucket, { register: { replicated: true } }) // our own endpoint doesn't say whether it is
  }
})
