/** Endpoint: what waits, what could not be sealed and why, and what is registered. Its cost is bounded, not its
 *  truth: where there is more than was looked at, it says so. */
import * as z from "zod/mini"
import type { ObjectsContext } from "../shared/context.ts"
import { storeCrn } from "../shared/iam/crn.ts"
import { countPaths, parkedCounts, type Counted } from "../shared/objects/parked-counts.ts"
import { finishedSweep } from "../shared/objects/sweeps.ts"
import type { StateStore } from "../shared/ports.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"

const BUCKETS = 200 // of which the last sweep is looked at: two requests each
const AT_ONCE = 16 // of these requests

const show = endpoint({
  method: "GET", path: "/status", action: "bucketseal.registrations.read", maxBody: 0, errors: "own",
  resource: (_: Call<unknown>, { settings }: ObjectsContext) => storeCrn(settings.account, settings.storeInstance),
  async run(_, { state }: ObjectsContext) {
    const [inbox, parked, unreadable, registered] = await Promise.all([
      countPaths(state, "inbox/"), parkedCounts(state), countPaths(state, "unreadable-events/"),
      countPaths(state, "registrations/"),
    ])
    return json(200, {
      inbox: { waiting: inbox.paths.length, ...oldestOf(inbox.paths[0]), ...moreOf(inbox) },
      parked,
      unreadableEvents: { total: unreadable.paths.length, ...moreOf(unreadable) },
      registrations: { buckets: registered.paths.length, ...moreOf(registered) },
      ...await lastSweepOf(state, registered.paths),
    })
  },
})

/** `GET /status`. `lastSweep`: when the last sweep of that registered bucket was finished for which this is longest ago; `null`
 *  where one has had none, or nothing is registered. `lastSweepOf`: only of so many buckets. `more: true` beside a number: there are more than that. `registrations.buckets`: of how many buckets
 *  there are registrations, or were: a document stays, for its root keys, when its last registration is removed. */
export const status: readonly AnyRoute<ObjectsContext>[] = [show]

const moreOf = ({ more }: Counted) => (more ? { more } : {})

/** When the first of the inbox was or is due: its path begins with that, in milliseconds since the epoch. */
function oldestOf(path: string | undefined): { oldest?: string } {
  const due = Number(/^inbox\/(\d+)-/.exec(path ?? "")?.[1])
  return Number.isNaN(due) ? {} : { oldest: new Date(due).toISOString() }
}

interface LastSweep {
  readonly lastSweep: string | null
  readonly lastSweepOf?: number
}

/** Looks at the first buckets only, and no further than to one that was never swept. */
async function lastSweepOf(state: StateStore, registered: readonly string[]): Promise<LastSweep> {
  const buckets = registered.slice(0, BUCKETS).map((path) => path.slice("registrations/".length, -".json".length))
  const partly = registered.length > buckets.length ? { lastSweepOf: buckets.length } : {}
  let oldest: string | undefined
  for (let from = 0; from < buckets.length; from += AT_ONCE) {
    const sweeps = await Promise.all(buckets.slice(from, from + AT_ONCE).map((bucket) => sweepOf(state, bucket)))
    if (sweeps.includes("never")) return { lastSweep: null }
    for (const finished of sweeps) if (finished !== undefined && (oldest === undefined || finished < oldest)) oldest = finished
  }
  return { lastSweep: oldest ?? null, ...partly }
}

const registrationsIn = z.object({ registrations: z.array(z.object({ enabled: z.boolean() })) })

/** When the last sweep was finished, or `never`; `undefined` for a bucket of which nothing is to be sealed. */
async function sweepOf(state: StateStore, bucket: string): Promise<string | undefined> {
  const registered = await state.read(`registrations/${bucket}.json`, registrationsIn)
  if (!registered?.value.registrations.some(({ enabled }) => enabled)) return undefined
  return (await finishedSweep(state, bucket))?.finished ?? "never"
}
