/** Job: an upload event → that object sealed, once. */
import * as z from "zod/mini"
import type { FunctionContext, Objects } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { isOver, parkUnfinished, sealOrPark, type Tried } from "../shared/objects/attempt.ts"
import { parseUploadEvents, type UploadEvent } from "../shared/objects/events.ts"
import { job, summarize } from "../shared/runtime/job.ts"
import { encodeCursor, parseCursor } from "../shared/runtime/cursor.ts"

/** What it could not do before its signal is parked `unfinished`, due at once, and stands in the cursor where it fits: whoever
 *  can, calls again; where nobody does, `retry-parked` goes on. */
export const encryptObject = job({
  name: "encrypt-object",
  input: { parse: demandUploads },
  async run({ uploads }, context: FunctionContext & Objects, signal) {
    const items: Tried[] = []
    const unfinished: Upload[] = []
    const errors: unknown[] = []
    for (const { bucket, key, size, time = context.clock() } of uploads) { // what has no time settles from our first sight
      const upload = { bucket, key, time, ...(size === undefined ? {} : { size }) }
      try {
        const item = signal.aborted ? await putOff(upload, context) : await sealUpload(upload, context, signal)
        items.push(item)
        if (item.outcome === "unfinished") unfinished.push(upload)
      } catch (error) { // of the state: this upload's event is needed again, and the others are no worse for it
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
    const cursor = unfinished.length === 0 ? undefined : encodeCursor(unfinished)
    return { ...summarize(items, isOver), ...(cursor === undefined ? {} : { done: false, cursor }) }
  },
})

const uploadOf = z.strictObject({ bucket: z.string(), key: z.string(), size: z.exactOptional(z.number()), time: z.number() })
const cursorOf = z.array(uploadOf)

/** What is needed of an upload to go on with it. */
type Upload = z.infer<typeof uploadOf>

/** A job that was given nothing it can read has failed; a delivery that also holds something else has not. A cursor stands for
 *  all of the delivery that it came with. */
function demandUploads(delivery: unknown): { readonly uploads: readonly UploadEvent[] } {
  const isNext = typeof delivery === "object" && delivery !== null && "cursor" in delivery && delivery.cursor !== undefined
  if (isNext) return { uploads: parseCursor(delivery.cursor, cursorOf) }
  const { uploads, rejected: [unreadable] } = parseUploadEvents(delivery)
  if (unreadable && uploads.length === 0) throw new Failure("bad-body", `this is no upload event: ${unreadable.reason}`)
  return { uploads }
}

async function sealUpload({ bucket, key, size, time }: Upload, context: FunctionContext & Objects, signal: AbortSignal): Promise<Tried> {
  const item = await sealOrPark(context, { bucket, key }, { size, uploaded: time }, signal)
  context.log.info("looked at an upload", { ...item })
  return item
}

async function putOff({ bucket, key }: Upload, context: FunctionContext & Objects): Promise<Tried> {
  await parkUnfinished(context, { bucket, key })
  return { bucket, key, outcome: "unfinished" }
}
