/** Job: an upload event → that object sealed, once. */
import type { ObjectsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { parseUploadEvents, type UploadEvent } from "../shared/objects/events.ts"
import { park } from "../shared/objects/parking.ts"
import { sealObject } from "../shared/objects/seal.ts"
import { job, summarize, type JobItem } from "../shared/runtime/job.ts"

export const encryptObject = job({
  name: "encrypt-object",
  input: { parse: demandUploads },
  async run({ uploads }, context: ObjectsContext, signal) {
    const items: JobItem[] = []
    for (const upload of uploads) items.push(await sealUpload(upload, context, signal))
    return summarize(items, ({ outcome }) => outcome !== "parked" && outcome !== "not-settled")
  },
})

/** A job that was given nothing it can read has failed; a delivery that also holds something else has not. */
function demandUploads(delivery: unknown): { readonly uploads: readonly UploadEvent[] } {
  const { uploads, rejected: [unreadable] } = parseUploadEvents(delivery)
  if (unreadable && uploads.length === 0) throw new Failure("bad-body", `this is no upload event: ${unreadable.reason}`)
  return { uploads }
}

async function sealUpload(upload: UploadEvent, context: ObjectsContext, signal: AbortSignal): Promise<JobItem> {
  const ref = { bucket: upload.bucket, key: upload.key }
  const uploaded = upload.time ?? context.clock()
  const result = await sealObject(context.sealer, ref, { size: upload.size, uploaded }, signal)
  if (result.outcome === "parked") await park(context.state, ref, result, context.clock())
  context.log.info("looked at an upload", { ...ref, ...result })
  const reason = "reason" in result ? { reason: result.reason } : {}
  return { ...ref, outcome: result.outcome, ...reason }
}
