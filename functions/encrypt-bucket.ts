/** Job: one page of what is in a bucket → sealed, where it is not. Its cursor makes a sweep of it: events are an accelerator,
 *  the sweep is the guarantee. */
import * as z from "zod/mini"
import type { JobsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { isOver, type Tried } from "../shared/objects/attempt.ts"
import { noteSweep } from "../shared/objects/sweeps.ts"
import { finishBegun } from "../shared/objects/begun.ts"
import { sweepPage } from "../shared/objects/sweeping.ts"
import { encodeCursor, parseCursor } from "../shared/runtime/cursor.ts"
import { job, jobInput, summarize, type JobResult } from "../shared/runtime/job.ts"

/** Costs one or two LISTs a page, and one ranged GET for each object. Behind the last page a sweep that has no prefix
 *  also finishes what was begun in the bucket, page by page (a LIST of the state, and a GET for each sealing that is under way or
 *  kept anywhere), and is noted as finished, with the counts of all of its pages; not so where an object could neither be sealed
 *  nor noted as parked: only another sweep comes back to that. */
export const encryptBucket = job({
  name: "encrypt-bucket",
  input: jobInput(z.strictObject({
    bucket: z.string().check(z.minLength(3), z.maxLength(255)), prefix: z.exactOptional(z.string().check(z.maxLength(1_024))),
    cursor: z.exactOptional(z.string()),
    /** ISO 8601: only what the store says was modified then or later. What the cursor says of it wins. */
    modifiedSince: z.exactOptional(z.iso.datetime({ offset: true })),
  })),
  async run({ bucket, prefix = "", cursor, modifiedSince }, context: JobsContext, signal) {
    const from = cursor === undefined
      ? begin(context.clock(), [bucket, prefix], modifiedSince) : demandSame(parseCursor(cursor, position), [bucket, prefix], context.clock())
    if (from.begun !== undefined) return finish(context, from, from.begun, signal)
    const page = await sweepPage(context, { bucket, prefix, after: keyIn(from.after), modifiedSince: from.since }, signal)
    if (!page) return { done: false, cursor: encoded(from), counts: {}, items: [] }
    const result = summarize(page.items, isOver)
    const at = { ...from, objects: from.objects + page.items.length, counts: added(from.counts, result.counts) }
    if (page.next !== undefined) return { ...result, done: false, cursor: encoded({ ...at, after: base64url(page.next) }) }
    return prefix === "" ? finish(context, at, "", signal, page.items) : result
  },
})

/** One page of what was begun in the bucket, behind the pages of objects; behind the last one the sweep has ended. `met`: what
 *  this run has met before. */
async function finish(
  context: JobsContext, at: Position, begun: string, signal: AbortSignal, met: readonly Tried[] = [],
): Promise<JobResult> {
  const { place: [bucket], started, since, objects, counts } = at
  const page = await finishBegun(context, { bucket, after: begun, since: started }, signal)
  const result = summarize([...met, ...page?.items ?? []], isOver)
  const next = page ? page.next : begun
  if (next !== undefined) return { ...result, done: false, cursor: encoded({ ...at, begun: next }) }
  if (counts["failed"]) context.log.error("a sweep is not noted as finished: objects failed", { bucket, failed: counts["failed"] })
  else await noteSweep(context.state, bucket, { objects, counts, started, modifiedSince: since }, context.clock())
  return result
}

const position = z.strictObject({
  /** The key behind which to go on, in base64url: JSON would make six bytes of some. */
  after: z.exactOptional(z.string().check(z.maxLength(1_366))),
  /** All objects have been met: the path behind which to go on with what was begun, empty at first. */
  begun: z.exactOptional(z.string().check(z.maxLength(128))),
  /** What is swept, bucket and prefix, and since when modified; no page of a sweep may be of another one. */
  place: z.tuple([z.string(), z.string()]), since: z.exactOptional(z.number()),
  /** When it began, and what it has met so far. */
  started: z.number(), objects: z.number(), counts: z.record(z.string(), z.number()),
})

type Position = z.infer<typeof position>

function begin(started: number, place: Position["place"], since: string | undefined): Position {
  return { started, place, objects: 0, counts: {}, ...(since === undefined ? {} : { since: Date.parse(since) }) }
}

function demandSame(at: Position, place: Position["place"], now: number): Position {
  if (at.place.every((part, index) => part === place[index]) && at.started <= now) return at
  throw new Failure("bad-field", "the cursor is of a sweep of another place; begin without one")
}

const base64url = (key: string): string => Buffer.from(key).toString("base64url")
const keyIn = (text: string | undefined): string | undefined => text && Buffer.from(text, "base64url").toString()

/** Fits: a key has at most 1,024 bytes, and there are a dozen outcomes. */
function encoded(at: Position): string {
  const cursor = encodeCursor(at)
  if (cursor === undefined) throw new Error("the cursor of a sweep is longer than it can be")
  return cursor
}

function added(one: Position["counts"], other: Position["counts"]): Position["counts"] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return Object.fromEntries([...names].map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]))
}
