/** Running a job from here to its end, and saying what it did. */
import { setMaxListeners } from "node:events"
import { isOver } from "../shared/objects/attempt.ts"
import type { JobItem, JobResult } from "../shared/runtime/job.ts"
import { exits } from "./exit.ts"
import { interrupted } from "./interrupt.ts"
import { missingLines } from "./missing.ts"
import { placeText } from "./place.ts"

/** All runs of a job together: `items` has the first of what did not end well. */
export interface JobSum {
  readonly counts: Readonly<Record<string, number>>
  readonly items: readonly JobItem[]
}

setMaxListeners(100, interrupted) // a job's requests, some for each of its lanes; beyond 10 Node warns of a leak
const MOST_ITEMS = 100 // as many as one run names

/** Calls a job again and again until it is done. Throws where it was interrupted. */
export async function runToEnd(job: (cursor: { cursor?: string }) => Promise<JobResult>): Promise<JobSum> {
  const counts: Record<string, number> = {}
  const items: JobItem[] = []
  for (let cursor: string | undefined, done = false; !done; ) {
    const result = await job(cursor === undefined ? {} : { cursor })
    if (interrupted.aborted) throw new Error("interrupted")
    for (const [outcome, count] of Object.entries(result.counts)) counts[outcome] = (counts[outcome] ?? 0) + count
    items.push(...result.items.filter((item) => !isOver(item)).slice(0, MOST_ITEMS - items.length))
    ;({ cursor, done } = result)
  }
  return { counts, items }
}

/** The sum of several. */
export function addedUp(sums: readonly JobSum[]): JobSum {
  const counts: Record<string, number> = {}
  for (const [outcome, count] of sums.flatMap((sum) => Object.entries(sum.counts))) counts[outcome] = (counts[outcome] ?? 0) + count
  return { counts, items: sums.flatMap(({ items }) => items).slice(0, MOST_ITEMS) }
}

/** What became of how many, the objects that are not sealed now, and the authorizations that these lack. */
export function sumLines({ counts, items }: JobSum): string[] {
  const all = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`).join(", ")
  const left = Object.entries(counts).reduce((sum, [outcome, count]) => (isOver({ outcome }) ? sum : sum + count), 0)
  return [
    all === "" ? "nothing to do" : all,
    ...items.map(({ bucket, key, outcome, reason }) => `  ${outcome} ${placeText(bucket, key)}${reason === undefined ? "" : ` (${reason})`}`),
    ...(left > items.length ? [`  and ${left - items.length} more`] : []),
    ...missingLines(items),
  ]
}

/** 0 where nothing is left to be sealed, 4 where something is, 1 or 3 (an authorization is missing) where nothing ended well. */
export function exitCodeOfSum({ counts, items }: JobSum): number {
  if (Object.keys(counts).every((outcome) => isOver({ outcome }))) return exits.ok
  if (Object.keys(counts).some((outcome) => isOver({ outcome }))) return exits.partly
  return items.every(({ reason }) => reason === "not-authorized") ? exits.notAllowed : exits.failed
}
