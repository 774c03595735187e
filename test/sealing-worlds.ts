/** Worlds to seal in, one for each way of sealing, registered as the probe of their buckets allows. */
import { dataKeys } from "../shared/keys/data-keys.ts"
import type { ListedVersion, ObjectRef, StateStore, Store } from "../shared/ports.ts"
import { openObject } from "../shared/objects/open.ts"
import { progressParser, progressPath, type Progress } from "../shared/objects/progress.ts"
import { collect } from "../shared/objects/reading.ts"
import { sealObject, type Sealer } from "../shared/objects/seal.ts"
import { ACCOUNT, makeWorld, type World } from "./object-fixtures.ts"
import type { Harness } from "./store-contract.ts"

/** The ways of sealing. */
export const strategies = [
  "conditional put", "conditional complete", "versions enabled", "versions suspended", "versions enabled, complete",
  "destination, by version", "destination, if-match", "destination, keep", "destination, complete",
] as const

export type Strategy = (typeof strategies)[number]

export const LEASE = 60_000
/** Larger objects are written in parts, where that is safe. */
export const MULTIPART_BYTES = 100_000

export interface SealingWorld {
  readonly world: World
  readonly store: Store
  readonly strategy: Strategy
  readonly isDestination: boolean
  readonly isVersioned: boolean
  /** Where users put objects. */
  source(key: string): ObjectRef
  /** Where sealed ones stand. */
  target(key: string): ObjectRef
  /** A sealer of its own, as another process has one, over the world's store and state or those given. */
  sealer(over?: Partial<Sealer> & { readonly state?: StateStore }): Sealer
  seal(key: string, by?: Sealer, signal?: AbortSignal): ReturnType<typeof sealObject>
  /** What is there in the clear; `undefined` where there is nothing. */
  raw(ref: ObjectRef): Promise<Buffer | undefined>
  /** What opens at the target; throws where it is not sealed. */
  opened(key: string): Promise<Buffer | undefined>
  isSealed(ref: ObjectRef): Promise<boolean>
  versions(ref: ObjectRef): Promise<readonly ListedVersion[]>
  /** The progress document of this key. */
  progressOf(key: string): Promise<Progress | undefined>
}

/** A world for one way of sealing. */
export async function sealingWorld(harness: Harness, strategy: Strategy): Promise<SealingWorld> {
  const isDestination = strategy.startsWith("destination")
  const isVersioned = strategy.startsWith("versions") || strategy === "destination, by version"
  const store = strategy === "destination, keep" ? carelessDeletes(harness.store) : harness.store
  const target = await harness.bucket()
  const source = isDestination ? await harness.bucket() : target
  if (isVersioned) await store.setVersioning(source, strategy === "versions suspended" ? "suspended" : "enabled")
  const world = await makeWorld(store, target, isDestination ? { register: { mode: "vault" } } : {})
  if (isDestination) await world.register(source, { mode: { destination: target } })
  return around(world, store, strategy, { source, target })
}

function around(world: World, store: Store, strategy: Strategy, buckets: { source: string; target: string }): SealingWorld {
  const multipartBytes = strategy.endsWith("complete") ? MULTIPART_BYTES : 2 ** 40
  const limits = { objects: 1024, bytes: 2 ** 40, seconds: 3600 }

  function sealer(over: Partial<Sealer> = {}): Sealer {
    const { state = world.state } = over
    const { keyService, clock } = world
    const keyring = dataKeys({ state, keyService, clock, limits, cacheSeconds: 300, canUnwrap: true })
    return { ...world.sealer, store, state, lease: LEASE, multipartBytes, partsMemory: 8 * 2 ** 20, dataKeys: keyring, ...over }
  }

  async function raw(ref: ObjectRef): Promise<Buffer | undefined> {
    const object = await store.get(ref)
    return object && collect(object.body)
  }

  return {
    world, store, strategy, sealer, raw,
    isDestination: buckets.source !== buckets.target,
    isVersioned: strategy.startsWith("versions") || strategy === "destination, by version",
    source: (key) => ({ bucket: buckets.source, key }),
    target: (key) => ({ bucket: buckets.target, key }),
    seal: (key, by = sealer(), signal) => sealObject(by, { bucket: buckets.source, key }, { uploaded: 0 }, signal),
    async opened(key) {
      const opened = await openObject(world.opener, { bucket: buckets.target, key }, { iamId: "IBMid-owner", account: ACCOUNT })
      return opened && collect(opened.read(0, opened.size - 1))
    },
    isSealed: async (ref) => (await raw(ref))?.subarray(0, MAGIC.length).equals(MAGIC) ?? false,
    versions: async ({ bucket, key }) => (await store.listVersions(bucket, { prefix: key })).versions.filter((one) => one.key === key),
    progressOf: async (key) => (await world.state.read(progressPath({ bucket: buckets.source, key }), progressParser))?.value,
  }
}

const MAGIC = Buffer.from("bucketseal/1\n")

/** A store that deletes whatever the condition says, as RGW 16 does. */
function carelessDeletes(store: Store): Store {
  return { ...store, delete: (ref, { condition: _, ...options } = {}) => store.delete(ref, options) }
}
