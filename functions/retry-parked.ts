/** Job: what is parked and due → tried again. Scheduled every minute by every deployment. */
import * as z from "zod/mini"
import type { JobsContext } from "../shared/context.ts"
import { isOver, type Tried } from "../shared/objects/attempt.ts"
import { inLanes } from "../shared/objects/lanes.ts"
import { dueEntries, type DueEntry } from "../shared/objects/parking.ts"
import { retryEntry } from "../shared/objects/retries.ts"
import { encodeCursor, parseCursor } from "../shared/runtime/cursor.ts"
import { job, jobInput, summarize } from "../shared/runtime/job.ts"

const AT_ONCE = 8 // small objects wait for the store most of the time; each large one in flight holds its buffers
const MOST = 1_000 // a page of the state's listing (S3 API reference, ListObjectsV2)

/** `limit`: at most so many objects in this run. `early`: also those whose time to be tried has not come. Where there is more
 *  to do, or the signal stopped it, the cursor goes on; nothing is tried twice by that. */
export const retryParked = job({
  name: "retry-parked",
  input: jobInput(z.strictObject({
    cursor: z.exactOptional(z.string()), limit: z.exactOptional(z.number().check(z.int(), z.gte(1), z.lte(MOST))),
    early: z.exactOptional(z.boolean()),
  })),
  async run({ cursor, limit = MOST, early = false }, context: JobsContext, signal) {
    const { began, after } = cursor === undefined ? { began: context.clock() } : parseCursor(cursor, position)
    const { entries, more } = await dueEntries(context.state, early ? Infinity : began, limit, after)
    const items: Tried[] = []
    await inLanes(entries, AT_ONCE, async (entry) => {
      const item = signal.aborted ? undefined : await retry(context, entry, began, signal)
      if (item) items.push(item)
    })
    const last = signal.aborted ? after : entries.at(-1)?.path
    const next = encodeCursor({ began, ...(last === undefined ? {} : { after: last }) })
    return { ...summarize(items, isOver), ...(next !== undefined && (more || signal.aborted) ? { done: false, cursor: next } : {}) }
  },
})

const position = z.strictObject({
  /** When the first of these runs began, in milliseconds since the epoch. */
  began: z.number(),
  /** The last entry of the run before. */
  after: z.exactOptional(z.string().check(z.maxLength(200))),
})

/** One note that can't be read or written must not be in the way of the others. */
async function retry(context: JobsContext, entry: DueEntry, began: number, signal: AbortSignal): Promise<Tried | undefined> {
  try {
    return await retryEntry(context, entry, began, signal)
  } catch (cause) {
    if (!signal.aborted) context.log.error("a parked object can't be looked at now", { path: entry.path, cause })
    return undefined
  }
}
