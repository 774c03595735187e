/**
 * Sweeps: going over a bucket page by page, so that what no event told of is sealed all the same. The last one that was finished
 * is noted in `sweeps/<bucket>.json`; what is to be swept next follows from that.
 */
import * as z from "zod/mini"
import type { StateStore } from "../ports.ts"

const whole = z.object({ started: z.string(), finished: z.string() })

const sweep = z.object({
  ...whole.shape,
  /** Whether it went over everything, and the last one that did. */
  full: z.boolean(),
  lastFull: z.optional(whole),
  /** How many objects were looked at, and what became of them. */
  objects: z.number(),
  counts: z.record(z.string(), z.number()),
})

/** The last finished sweep of a bucket. Dates in ISO 8601. */
export type FinishedSweep = z.infer<typeof sweep>

/** A sweep that has come to its end; times in milliseconds since the epoch. */
export interface EndedSweep extends Pick<FinishedSweep, "objects" | "counts"> {
  readonly started: number
  /** It went over what was modified since then; absent: over everything. */
  readonly modifiedSince?: number | undefined
}

/** A sweep to be made. */
export interface PlannedSweep {
  readonly bucket: string
  /** ISO 8601; absent: everything. */
  readonly modifiedSince?: string
}

const DAY = 86_400_000
const MONTH = 30 * DAY

/** The last finished sweep, or `undefined` if there is none. */
export async function finishedSweep(state: StateStore, bucket: string): Promise<FinishedSweep | undefined> {
  return (await state.read(sweepPath(bucket), sweep))?.value
}

/** The sweep that is due, or `undefined` where the last one is less than a day old. Every day what LIST shows modified since a
 *  day before the last finished one began; every 30 days everything, as a store may date an object earlier than it came: AWS
 *  gives a multipart upload the time at which it was begun. */
export function plannedSweep(bucket: string, noted: FinishedSweep | undefined, now: number): PlannedSweep | undefined {
  const last = believed(noted, now)
  if (!last?.lastFull || Date.parse(last.lastFull.started) <= now - MONTH) return { bucket }
  const started = Date.parse(last.started)
  return started > now - DAY ? undefined : { bucket, modifiedSince: new Date(started - DAY).toISOString() }
}

/** Notes a sweep of a whole bucket. One that leaves a gap behind the last finished one does not count, nor one that began
 *  before it. Of several that end at once one is noted. */
export async function noteSweep(state: StateStore, bucket: string, ended: EndedSweep, now: number): Promise<void> {
  const { started, modifiedSince, objects, counts } = ended
  const present = await state.read(sweepPath(bucket), sweep)
  const before = believed(present?.value, now)
  const isFull = modifiedSince === undefined
  const hasGap = !isFull && (!before || modifiedSince > Date.parse(before.started))
  if (hasGap || (before && Date.parse(before.started) > started)) return
  const times = { started: new Date(started).toISOString(), finished: new Date(now).toISOString() }
  const lastFull = isFull ? times : before?.lastFull
  const note: FinishedSweep = { ...times, full: isFull, ...(lastFull ? { lastFull } : {}), objects, counts }
  await (present ? state.replace(sweepPath(bucket), note, present.etag) : state.create(sweepPath(bucket), note))
}

/** A note of a sweep that is to begin yet was written by a clock that was wrong, and is none. */
const believed = (note: FinishedSweep | undefined, now: number): FinishedSweep | undefined =>
  (note && Date.parse(note.started) <= now ? note : undefined)

const sweepPath = (bucket: string): string => `sweeps/${bucket}.json`
