/** Jobs as data: JSON in, JSON out, run by an upload event, a schedule or a composition. */
import { $ZodError } from "zod/v4/core"
import type { FunctionContext } from "../context.ts"
import { Failure } from "../errors.ts"
import type { MissingAuthorization, Parser } from "../ports.ts"

/** What became of one object. */
export interface JobItem {
  readonly bucket: string
  readonly key: string
  readonly outcome: string
  readonly reason?: string
  /** The authorization to create, where that is what is missing. */
  readonly missing?: MissingAuthorization
  /** When it is worth another try, in ISO 8601, where that is known: not settled yet, or busy. */
  readonly due?: string
}

/** What a run answers. `done: false` comes with a cursor: whoever runs the job calls again with it. `items` holds what did
 *  not end well first, at most 100 and 64 KiB; `counts` is complete; `more` says that the rest is in the log. */
export interface JobResult {
  readonly done: boolean
  readonly cursor?: string
  readonly counts: Readonly<Record<string, number>>
  readonly items: readonly JobItem[]
  readonly more?: true
}

/** One job. It authorizes on its own inputs: a step before it is no security boundary. */
export interface Job<Input, Context extends FunctionContext> {
  readonly name: string
  readonly input: Parser<Input>
  readonly run: (input: Input, context: Context, signal: AbortSignal) => Promise<JobResult>
}

/** Declares a job: types are inferred, nothing else happens. */
export function job<Input, Context extends FunctionContext>(declared: Job<Input, Context>): Job<Input, Context> {
  return declared
}

/** An input of these members and no others. What is wrong with it is a `bad-field` that says so. */
export const jobInput = <T>(members: Parser<T>): Parser<T> => ({
  parse(value) {
    try {
      return members.parse(value)
    } catch (cause) {
      const issues = cause instanceof $ZodError ? cause.issues : []
      const mistakes = issues.map(({ path, message }) => [path.join("."), message].filter((part) => part !== "").join(": "))
      throw new Failure("bad-field", `the job can't be run with this: ${mistakes.join("; ")}`, cause)
    }
  },
})

const MOST_ITEMS = 100 // a composition's state holds 1 MB, and a key alone may have 1,024 bytes
const MOST_BYTES = 64 * 1024 // of all items, as JSON: a quarter of what a step may hand on (256 KiB, AWS Step Functions quotas)

/** Sums up what became of the objects of one run, bad ends first. */
export function summarize(items: readonly JobItem[], endsWell: (item: JobItem) => boolean): JobResult {
  const counts: Record<string, number> = {}
  for (const { outcome } of items) counts[outcome] = (counts[outcome] ?? 0) + 1
  const shown = fitting([...items.filter((item) => !endsWell(item)), ...items.filter(endsWell)].slice(0, MOST_ITEMS))
  return { done: true, counts, items: shown, ...(shown.length < items.length ? { more: true } : {}) }
}

/** As many of the first as fit. */
function fitting(items: readonly JobItem[]): readonly JobItem[] {
  let left = MOST_BYTES - "[]".length
  const firstTooMany = items.findIndex((item) => (left -= Buffer.byteLength(JSON.stringify(item)) + ",".length) < 0)
  return firstTooMany < 0 ? items : items.slice(0, firstTooMany)
}
