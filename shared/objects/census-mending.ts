/** A census mends by sealing, as an event would have it done: what is not sealed then is noted as parked. */
import type { ObjectRef } from "../ports.ts"
import { parkSettling, sealOrPark, type Tries } from "./attempt.ts"
import type { Mended } from "./census-tally.ts"
import type { SealHint } from "./seal.ts"

/** Seals the object. What has not settled yet is left to `retry-parked`. */
export async function mendBySealing(
  tries: Tries, ref: ObjectRef, hint: SealHint, signal: AbortSignal,
): Promise<Mended> {
  const tried = await sealOrPark(tries, ref, hint, signal)
  if (tried.outcome !== "not-settled" || tried.due === undefined) return tried
  return parkSettling(tries, ref, Date.parse(tried.due))
}

/** From when on `settle` counts: a put object's Last-Modified; of a multipart object that may be when its upload
 *  was begun  (S3 API reference), so for these it is now, the first time that it is seen. */
export const uploadedAt = (etag: string, lastModified: number, now: number): number =>
  (etag.includes("-") ? now : lastModified)
