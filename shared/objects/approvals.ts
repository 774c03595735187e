/**
 * Approvals: a job has no caller, so what it may destroy or change by hand is approved before, by somebody who holds
 * that right. One document each, `approvals/<id>.json`; it is never changed, only withdrawn, and stays when it has
 * expired.
 */
import { randomUUID } from "node:crypto"
import * as z from "zod/mini"
import { Failure } from "../errors.ts"
import type { StateStore } from "../ports.ts"
import { registrableBucket } from "./registrations.ts"

const DAY = 86_400 // seconds

const options = z.strictObject({
  /** Uploads of others without a sign of life for so many seconds may be aborted. A day at least: a client may
   *  well take  hours for a part, and what is aborted it has to send again. */
  abortUploadsOlderThan: z.optional(z.number().check(z.int(), z.gte(DAY))),
})

const scope = z.strictObject({
  bucket: z.string().check(z.regex(registrableBucket, "this is no bucket name")),
  prefix: z._default(z.string().check(z.maxLength(1_024)), ""), // as long as a key
})

/** What a caller asks for. Only operations that a job asks approval for are taken. */
export const approvalRequest = z.strictObject({
  operation: z.literal("fix"),
  scope,
  options: z._default(options, {}),
  /** Seconds from now, at most a week (design: root keys, IAM, authorizations). */
  expiresIn: z._default(z.number().check(z.int(), z.gte(1), z.lte(7 * DAY)), DAY),
})

/** The request, checked. */
export type ApprovalRequest = z.infer<typeof approvalRequest>

const approval = z.object({
  id: z.string(),
  operation: z.string(),
  scope,
  options,
  /** ISO 8601, as all dates here. */
  expires: z.string(),
  /** Who approved it. */
  by: z.string(),
  /** He is an identity of this deployment, so that it is known here whether he still is; not so another issuer's, nor a service. */
  isOurs: z._default(z.boolean(), true),
  created: z.string(),
})

/** An approval as it is stored. */
export type Approval = z.infer<typeof approval>

/** What a job is about to do. */
export interface ApprovalWish {
  readonly operation: ApprovalRequest["operation"]
  readonly bucket: string
  readonly prefix: string
  readonly abortUploadsOlderThan?: number | undefined
}

/** Approvals in a state store. */
export function approvals(state: StateStore, clock: () => number) {
  const read = async (id: string): Promise<Approval | undefined> => {
    const path = pathOf(id)
    const found = path === undefined ? undefined : (await state.read(path, approval))?.value
    return found?.id === id ? found : undefined
  }
  return {
    /** The approval with this id, expired or not; `undefined` if there is none. */
    read,
    /** Writes one, by somebody who may do what it is about: that is for the caller of this to have decided. */
    async create(request: ApprovalRequest, { by, isOurs }: Pick<Approval, "by" | "isOurs">): Promise<Approval> {
      const { expiresIn, ...wanted } = request
      const now = clock()
      const made: Approval = {
        id: randomUUID(), ...wanted, by, isOurs,
        created: new Date(now).toISOString(), expires: new Date(now + expiresIn * 1_000).toISOString(),
      }
      const done = await state.create(`approvals/${made.id}.json`, made)
      if (done === undefined) throw new Failure("conflict", "that id is taken; try again")
      return made
    },
    /** Withdraws it: whoever demands it from now on is refused. */
    async withdraw({ id }: Approval): Promise<void> {
      await state.remove(`approvals/${id}.json`)
    },
    /** The approval, read now, if it covers all of the wish, and `mayApprove` says that whoever made it could do so now. Throws
     *  `forbidden`, saying what it does not cover, or that its maker may not approve it any more. */
    async demand(id: string, wish: ApprovalWish, mayApprove: (found: Approval) => Promise<boolean>): Promise<Approval> {
      const found = await read(id)
      if (!found) throw refused("there is no approval with this id, or it was withdrawn", wish)
      const lacking = lackOf(found, wish, clock()) ?? (await mayApprove(found) ? undefined : `is void: ${found.by}, who made it, may not do that any more`)
      if (lacking === undefined) return found
      throw refused(`the approval ${id} ${lacking}`, wish)
    },
  }
}

/** How an approval for this comes about. */
export function approvalAdvice({ bucket, prefix, operation }: ApprovalWish): string {
  return `bucketseal approve ${operation} s3://${bucket}${prefix === "" ? "" : `/${prefix}`} makes one`
}

const refused = (why: string, wish: ApprovalWish) => new Failure("forbidden", `${why}; ${approvalAdvice(wish)}`)

/** What the approval does not cover, in words. */
function lackOf(approved: Approval, wish: ApprovalWish, now: number): string | undefined {
  const { operation, scope: where, options: allowed, expires } = approved
  if (!(now < Date.parse(expires))) return `has expired on ${expires}`
  if (operation !== wish.operation) return `is for ${operation}, not for ${wish.operation}`
  if (where.bucket !== wish.bucket) return "is for another bucket"
  if (!wish.prefix.startsWith(where.prefix)) return `covers only what begins with ${JSON.stringify(where.prefix)}`
  if (wish.abortUploadsOlderThan === undefined) return undefined
  if (allowed.abortUploadsOlderThan === undefined) return "does not say abortUploadsOlderThan"
  if (wish.abortUploadsOlderThan >= allowed.abortUploadsOlderThan) return undefined
  return `lets no upload be aborted that is younger than ${allowed.abortUploadsOlderThan} seconds`
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** `undefined` for an id that was never given out: no path is made of it. */
const pathOf = (id: string): string | undefined => (UUID.test(id) ? `approvals/${id}.json` : undefined)
