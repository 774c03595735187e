/** From upload events to `encrypt-object`, through the inbox. */
import { encryptObject } from "../functions/encrypt-object.ts"
import type { ObjectsContext } from "../shared/context.ts"
import type { UploadEvent } from "../shared/objects/events.ts"
import { inbox } from "../shared/objects/inbox.ts"
import { settledAt } from "../shared/objects/seal.ts"

/** Uploads being taken care of. */
export interface Uploads {
  /** Stores the events that are about registered places, and gives how many these are. */
  accept(events: readonly UploadEvent[]): Promise<number>
  /** Resolves when no accepted event is due or being handled. */
  idle(): Promise<void>
  close(): Promise<void>
}

const RETRY_MS = 30_000 // where store or key service did not answer: until then the object stays plaintext, and parked
const CONCURRENCY = 8 // small objects wait for the store most of the time; each large one in flight holds its buffers

/** Starts handling what is waiting, and accepts more. */
export async function uploads(context: ObjectsContext): Promise<Uploads> {
  const { state, clock, log, registrations } = context
  const stopped = new AbortController()

  async function dueOf({ bucket, key, time }: UploadEvent): Promise<number | undefined> {
    const registration = await registrations.find(bucket, key)
    return registration?.enabled ? settledAt(registration, time ?? clock(), clock()) : undefined
  }

  async function handle(event: UploadEvent) {
    const { items: [item] } = await encryptObject.run({ uploads: [event], ignored: 0, rejected: 0 }, context, stopped.signal)
    if (item?.outcome === "not-settled") return { again: (await dueOf(event)) ?? clock() }
    return item?.reason === "unavailable" ? { again: clock() + RETRY_MS } : {}
  }

  const events = await inbox({ state, clock, log, concurrency: CONCURRENCY, handle })
  return {
    async accept(all) {
      const due = await Promise.all(all.map(async (event) => ({ event, due: await dueOf(event) })))
      const registered = due.flatMap(({ event, due: at }) => (at === undefined ? [] : [{ event, due: at }]))
      await events.accept(registered)
      return registered.length
    },
    idle: () => events.idle(),
    async close() {
      const timer = setTimeout(() => stopped.abort(), GRACE_MS)
      await events.close()
      clearTimeout(timer)
    },
  }
}

const GRACE_MS = 5_000 // what is being sealed may end; a longer one is aborted, and its event stays in the inbox
