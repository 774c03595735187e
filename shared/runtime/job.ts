/** Jobs as data: JSON in, JSON out, run by an upload event, a schedule or a composition. */
import type { BaseContext } from "../context.ts"
import type { Parser } from "../ports.ts"

/** What became of one object. */
export interface JobItem {
  readonly bucket: string
  readonly key: string
  readonly outcome: string
  readonly reason?: string
}

/** What a run answers. `done: false` comes with a cursor: whoever runs the job calls again with it. `items` holds what did
 *  not end well first, at most 100; `counts` is complete; `more` says that the rest is in the log. */
export interface JobResult {
  readonly done: boolean
  readonly cursor?: string
  readonly counts: Readonly<Record<string, number>>
  readonly items: readonly JobItem[]
  readonly more?: true
}

/** One job. It authorizes on its own inputs: a step before it is no security boundary. */
export interface Job<Input, Context extends BaseContext> {
  readonly name: string
  readonly input: Parser<Input>
  readonly run: (input: Input, context: Context, signal: AbortSignal) => Promise<JobResult>
}

/** Declares a job: types are inferred, nothing else happens. */
export function job<Input, Context extends BaseContext>(declared: Job<Input, Context>): Job<Input, Context> {
  return declared
}

const MOST_ITEMS = 100 // a composition's state holds 1 MB, and a key alone may have 1,024 bytes

/** Sums up what became of the objects of one run, bad ends first. */
export function summarize(items: readonly JobItem[], endsWell: (item: JobItem) => boolean): JobResult {
  const counts: Record<string, number> = {}
  for (const { outcome } of items) counts[outcome] = (counts[outcome] ?? 0) + 1
  const sorted = [...items.filter((item) => !endsWell(item)), ...items.filter(endsWell)]
  return { done: true, counts, items: sorted.slice(0, MOST_ITEMS), ...(sorted.length > MOST_ITEMS ? { more: true } : {}) }
}
