/** What a store does with parts, and with conditions on the completion of an upload. One part may be small where it is the last. */
import { createHash } from "node:crypto"
import type { EtagForm, WriteCondition } from "../ports.ts"
import { allOf } from "./probe-groups.ts"
import { oneCompletionWins } from "./probe-race.ts"
import type { Finding, Findings } from "./probe-report.ts"
import { attempt, type Canary, type Scratch } from "./scratch.ts"

/** What shows of a part. Its upload is never completed. */
export async function parts(scratch: Scratch) {
  const { bytes, partEtag } = await scratch.upload("part")
  return { partEtagIsMd5: partEtag === createHash("md5").update(bytes).digest("hex") }
}

/** Both conditions on completions, one after another and at once. */
export async function completions(scratch: Scratch, form: EtagForm): Promise<Partial<Findings>> {
  const [completeRefusesExisting, staleCompleteRefused, missingCompleteRefused, rightCompleteAccepted] =
    await allOf([refusesExisting(scratch), refusesStale(scratch), refusesMissing(scratch), acceptsRight(scratch, form)])
  const found = { completeRefusesExisting, staleCompleteRefused, missingCompleteRefused, rightCompleteAccepted }
  const isWorthRacing = Object.values(found).every((good) => good)
  return { ...found, completeHasOneWinner: isWorthRacing ? await races(scratch, form) : "unknown" }
}

/** Whether completing is refused under `If-Match`, in either form. */
export async function completionRefused(scratch: Scratch, name: string, etag: string): Promise<boolean> {
  const quoted = await completed(scratch, name, { ifMatch: etag, form: "quoted" })
  return quoted === undefined && (await completed(scratch, name, { ifMatch: etag, form: "unquoted" })) === undefined
}

async function completed(scratch: Scratch, name: string, condition: WriteCondition): Promise<Canary | undefined> {
  const upload = await scratch.upload(name)
  return attempt(upload.complete(condition))
}

async function refusesExisting(scratch: Scratch): Promise<boolean> {
  const name = "complete-existing"
  const canary = await scratch.put(name)
  return (await completed(scratch, name, { ifNoneMatch: "*" })) === undefined && scratch.holds(name, canary)
}

async function refusesStale(scratch: Scratch): Promise<boolean> {
  const name = "complete-stale"
  const { etag: stale } = await scratch.put(name)
  const canary = await scratch.put(name)
  return (await completionRefused(scratch, name, stale)) && scratch.holds(name, canary)
}

async function refusesMissing(scratch: Scratch): Promise<boolean> {
  const name = "complete-missing"
  const { etag } = await scratch.put("complete-other")
  return (await completionRefused(scratch, name, etag)) && (await scratch.read(name)) === undefined
}

async function acceptsRight(scratch: Scratch, form: EtagForm): Promise<boolean> {
  const name = "complete-right"
  const { etag } = await scratch.put(name)
  const written = await completed(scratch, name, { ifMatch: etag, form })
  return written !== undefined && scratch.holds(name, written)
}

async function races(scratch: Scratch, form: EtagForm): Promise<Finding> {
  const { etag } = await scratch.put("complete-race")
  const [creates, replaces] = await allOf([
    oneCompletionWins(scratch, "complete-create-race", { ifNoneMatch: "*" }),
    oneCompletionWins(scratch, "complete-race", { ifMatch: etag, form }),
  ])
  return creates && replaces
}
