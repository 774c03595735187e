/** Job: what is in a bucket: sealed, unsealed, left behind; with `fix` and an approval what is safe to mend is
 *  mended. */
import * as z from "zod/mini"
import type { JobsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { bucketCrn } from "../shared/iam/crn.ts"
import { identities } from "../shared/iam/identities.ts"
import { approvalAdvice, approvals, type Approval } from "../shared/objects/approvals.ts"
import { takeCensus } from "../shared/objects/census.ts"
import { positionIn, positionValue, type Position } from "../shared/objects/census-position.ts"
import type { CensusSums } from "../shared/objects/census-tally.ts"
import { registrableBucket } from "../shared/objects/registrations.ts"
import { encodeCursor, parseCursor } from "../shared/runtime/cursor.ts"
import { jobInput, type Job } from "../shared/runtime/job.ts"

const members = z.strictObject({
  bucket: z.string().check(z.regex(registrableBucket, "this is no bucket name")),
  prefix: z._default(z.string().check(z.maxLength(1_024)), ""), // as long as a key
  cursor: z.optional(z.string()),
  /** Mend: takes the id of an approval. */
  fix: z._default(z.boolean(), false),
  approval: z.optional(z.string()),
  /** Seconds: uploads of others without a sign of life for so long are aborted. Goes with `fix`, where it was
   *  approved. */
  abortUploadsOlderThan: z.optional(z.number().check(z.int(), z.gte(86_400))), // a day, as the approval
  /** Entries of listings that one run looks at: S3's limit for a page. */
  limit: z._default(z.number().check(z.int(), z.gte(1), z.lte(1_000)), 1_000),
})

type Input = z.infer<typeof members>

/** A job's result, and besides the bytes of each kind, and what was mended, by outcome. */
export type CensusResult = CensusSums & { readonly done: boolean; readonly cursor?: string }

export const census = {
  name: "census",
  input: jobInput(members),
  async run(wanted: Input, context: JobsContext, signal: AbortSignal): Promise<CensusResult> {
    const { bucket, prefix, cursor, limit, abortUploadsOlderThan } = wanted
    const scope = { bucket, prefix, abortUploadsOlderThan }
    const from = cursor === undefined ? undefined : parseCursor(cursor, positionIn(prefix))
    const fixUntil = await approvedUntil(wanted, context)
    const { next, ...sums } = await takeCensus(context, scope, { from, limit, fixUntil }, signal)
    return { ...sums, done: next === undefined, ...(next ? { cursor: cursorOf(next) } : {}) }
  },
} satisfies Job<Input, JobsContext>

function cursorOf(next: Position): string {
  const cursor = encodeCursor(positionValue(next))
  if (cursor === undefined) throw new Error("the cursor of a census is longer than it can be")
  return cursor
}

/** The end of the approval, which is read and judged anew in each run: it may have been withdrawn, and its maker's rights. */
async function approvedUntil(wanted: Input, context: JobsContext): Promise<number | undefined> {
  const { bucket, prefix, fix, approval: id, abortUploadsOlderThan } = wanted
  if (!fix) {
    if (abortUploadsOlderThan === undefined) return undefined
    throw new Failure("bad-field", "abortUploadsOlderThan goes with fix")
  }
  const wish = { operation: "fix", bucket, prefix, abortUploadsOlderThan } as const
  if (id === undefined) throw new Failure("forbidden", `fix needs the id of an approval; ${approvalAdvice(wish)}`)
  const { expires } = await approvals(context.state, context.clock).demand(id, wish, (found) => mayApprove(found, context))
  return Date.parse(expires)
}

/** Whether an approval's maker may do now what it is about. An identity of ours that was deleted may nothing: its policies stay
 *  behind. */
async function mayApprove({ by, isOurs, operation, scope }: Approval, context: JobsContext): Promise<boolean> {
  const { settings: { account, storeInstance }, state, clock, authority } = context
  if (isOurs && await identities(state, 0, clock).get(by) === undefined) return false
  const crn = /^crn-(.*)$/.exec(by)?.[1] // of a service
  const subject = { iamId: by, account, ...(crn === undefined ? {} : { crn }) }
  return (await authority.decide(subject, `bucketseal.objects.${operation}`, bucketCrn(account, storeInstance, scope.bucket))).allowed
}
