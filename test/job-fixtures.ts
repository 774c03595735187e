/** What the tests of jobs share: the context of a world, and running a job to its end. */
import { setMaxListeners } from "node:events"
import { encryptObject } from "../functions/encrypt-object.ts"
import type { JobsContext } from "../shared/context.ts"
import type { Sealer } from "../shared/objects/seal.ts"
import type { JobResult } from "../shared/runtime/job.ts"
import { parseSettings } from "../shared/settings.ts"
import { door } from "./inbox-fixtures.ts"
import { instance } from "./key-fixtures.ts"
import { ACCOUNT, STORE_INSTANCE, type World } from "./object-fixtures.ts"

type Change = Partial<Pick<JobsContext, "store" | "clock" | "state" | "registrations"> & Pick<Sealer, "multipartBytes">>

/** The context of a function that works on a world; `store` and `clock` also replace those of its sealer. */
export function contextOf(world: World, change: Change = {}): JobsContext {
  const { store = world.store, clock = world.clock, registrations = world.registrations } = change
  const { multipartBytes = world.sealer.multipartBytes } = change
  return {
    settings: parseSettings({ account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE }),
    log: world.sealer.log, state: change.state ?? world.state, authority: world.sealer.authority,
    registrar: world.registrar, opener: world.opener, store, clock, registrations,
    sealer: { ...world.sealer, store, clock, registrations, multipartBytes },
  }
}

/** Has an object of 6 MiB sealed by somebody who stops at the first part until `finish` is called. */
export async function sealingSlowly(world: World, key: string) {
  await world.store.put(world.ref(key), Buffer.alloc(6 * 2 ** 20))
  const [begun, opened] = [door(), door()]
  const store = { ...world.store, putPart: async (...args: Parameters<World["store"]["putPart"]>) => {
    begun.open()
    await opened.opened
    return world.store.putPart(...args)
  } }
  const context = contextOf(world, { store, multipartBytes: 2 ** 20 })
  const sealing = encryptObject.run({ uploads: [{ ...world.ref(key), time: 0 }] }, context, never)
  return { sealing, started: begun.opened, finish: () => opened.open() }
}

export const never = new AbortController().signal
setMaxListeners(100, never) // each request of each lane listens

/** All runs of a job, each with the cursor of the one before. */
export async function runs(job: (cursor: { cursor?: string }) => Promise<JobResult>, most = 100): Promise<JobResult[]> {
  const results = [await job({})]
  for (let cursor = results[0]?.cursor; cursor !== undefined; cursor = results.at(-1)?.cursor) {
    if (results.length > most) throw new Error("a job does not come to its end")
    results.push(await job({ cursor }))
  }
  return results
}

/** The counts of several runs together. */
export function countsOf(results: readonly JobResult[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [outcome, count] of results.flatMap((one) => Object.entries(one.counts))) counts[outcome] = (counts[outcome] ?? 0) + count
  return counts
}

/** Whether what a key has is sealed. */
export async function isSealed(world: World, key: string): Promise<boolean> {
  return Buffer.from(await world.stored(key) ?? []).toString("latin1").startsWith("bucketseal/1\n")
}

/** Paths in a state, at most 1,000. */
export const pathsOf = async (world: World, prefix: string): Promise<readonly string[]> => (await world.state.list(prefix)).paths
