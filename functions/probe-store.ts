/** Job: a registered bucket, or one page of all → probed anew, the report kept, the registrations' facts renewed. A probe holds
 *  for what it saw: this is to be run each day, and where an answer of the store contradicts it. */
import * as z from "zod/mini"
import type { FunctionContext, Objects } from "../shared/context.ts"
import { Failure, isFailure } from "../shared/errors.ts"
import { useOf, type Judgement, type StoreUse } from "../shared/objects/register.ts"
import type { Registration, StoredRegistration } from "../shared/objects/registrations.ts"
import { encodeCursor, parseCursor } from "../shared/runtime/cursor.ts"
import { job, jobInput, summarize, type JobItem } from "../shared/runtime/job.ts"

const MOST_BUCKETS = 10 // of one run: each costs some 300 requests, a second or two

/** Items are registrations: `key` is the prefix. `safe`; `unsafe`, with the reason, which stops sealing there until a later probe
 *  finds it safe again; `unmeasured`, where the store could not be asked, and `failed`, where it did not answer: then what was
 *  known holds on. */
export const probeStore = job({
  name: "probe-store",
  input: jobInput(z.strictObject({
    bucket: z.exactOptional(z.string().check(z.minLength(3), z.maxLength(63))), cursor: z.exactOptional(z.string()),
  })),
  async run({ bucket, cursor }, context: FunctionContext & Objects, signal) {
    if (bucket !== undefined) return summarize(await probeBucket(bucket, context, signal), isSafe)
    const after = cursor === undefined ? "" : parseCursor(cursor, z.string())
    const all = new Set((await context.registrations.list()).map((one) => one.bucket))
    const left = [...all].filter((one) => one > after).sort()
    const items: JobItem[] = []
    let done = 0
    for (; done < Math.min(left.length, MOST_BUCKETS) && !signal.aborted; done++) {
      items.push(...await probeBucket(left[done] ?? "", context, signal))
    }
    const next = done < left.length ? encodeCursor(left[done - 1] ?? after) : undefined
    return { ...summarize(items, isSafe), ...(next === undefined ? {} : { done: false, cursor: next }) }
  },
})

const isSafe = ({ outcome }: JobItem): boolean => outcome === "safe"

async function probeBucket(bucket: string, context: FunctionContext & Objects, signal: AbortSignal): Promise<readonly JobItem[]> {
  const registered = await context.registrations.list(bucket)
  if (registered.length === 0) return [{ bucket, key: "", outcome: "not-registered" }] // nobody has allowed canaries there
  try {
    const judge = await context.registrar.probe(bucket, signal)
    const items: JobItem[] = []
    for (const one of registered) items.push(await renew(one, judge, context))
    return items
  } catch (error) {
    if (!isFailure(error)) throw error
    context.log.warn("a bucket could not be probed", { bucket, cause: error })
    return registered.map(({ prefix }) => ({ bucket, key: prefix, outcome: "failed", reason: error.code }))
  }
}

async function renew(
  { bucket, prefix, mode }: Registration, judge: (use: StoreUse) => Judgement, { registrations, clock, log }: FunctionContext & Objects,
): Promise<JobItem> {
  const use = useOf({ mode })
  const judgement = judge(use)
  const item = { bucket, key: prefix, ...outcomeOf(judgement) }
  if (item.outcome === "unmeasured") return item
  if (item.outcome === "unsafe") log.error("a bucket has become unsafe: nothing is sealed there", { ...item })
  const probed = new Date(clock()).toISOString()
  try {
    await registrations.put(bucket, prefix, (present) => {
      if (!present || useOf(present) !== use) throw new Failure("conflict", "the registration was changed while its bucket was probed")
      return { ...present, store: factsAfter(present, judgement, probed) }
    })
    return item
  } catch (error) {
    if (isFailure(error, "conflict")) return { bucket, key: prefix, outcome: "superseded" } // whoever changed it has probed, too
    throw error
  }
}

function outcomeOf(judgement: Judgement): Pick<JobItem, "outcome" | "reason"> {
  if (judgement.refused === undefined) return { outcome: "safe" }
  return { outcome: judgement.measured ? "unsafe" : "unmeasured", reason: judgement.refused }
}

const factsAfter = ({ store }: StoredRegistration, judgement: Judgement, probed: string): StoredRegistration["store"] =>
  judgement.refused === undefined ? { ...judgement.facts, probed } : { ...store, unsafe: judgement.refused, probed }
