/**
 * A census looks at progress documents: sealings that somebody works on, that can go on, and what is left of those
 * whose source or upload is gone. Sealing the object again goes on with them or ends them; what that does not meet,
 * as the object is another one by now, the census ends itself, once the source is gone and the lease long over.
 */
import { isFailure } from "../errors.ts"
import type { ObjectRef } from "../ports.ts"
import type { CensusPage, CensusScope, CensusTaker, Entries, Found } from "./census-page.ts"
import { sealOrParkSettling } from "./attempt.ts"
import type { Mended } from "./census-tally.ts"
import { partsOf, readProgress } from "./census-uploads.ts"
import { isAuthentic, PROGRESS, progressPath, type Pin, type Progress } from "./progress.ts"
import type { SealHint } from "./seal.ts"

const LONG_OVER = 86_400_000 // ms, a day: longer than functions run and clocks differ; a lease given back ended at 0

/** A page of all progress documents; those of other places give nothing. */
export async function progressPage(taker: CensusTaker, scope: CensusScope, page: CensusPage): Promise<Entries> {
  const { after, limit } = page
  const { paths, more } = await taker.state.list(PROGRESS, { ...(after ? { startAfter: after.key } : {}), limit })
  return { entries: paths.map((path) => ({ at: { key: path }, look: () => lookAtProgress(taker, scope, path) })), more }
}

async function lookAtProgress(taker: CensusTaker, scope: CensusScope, path: string): Promise<Found | undefined> {
  const document = await readProgress(taker, path)
  if (!document) return undefined
  if (document === "unreadable") return { finding: { kind: "progress-unreadable", key: path, bytes: 0 } }
  const { bucket, key, until, uploadId } = document
  const ref = { bucket, key }
  if (bucket !== scope.bucket || !key.startsWith(scope.prefix)) return undefined
  const upload = uploadId === undefined ? {} : { uploadId }
  const seen = { key, bytes: 0, ...(until > 0 ? { since: until } : {}), ...upload }
  if (path !== progressPath(ref)) {
    return { finding: { ...seen, kind: "progress-unreadable", reason: "at another object's path" } }
  }
  if (taker.clock() < until) return { finding: { ...seen, kind: "progress-live" } }
  const left = await leftOf(taker, scope, document)
  if (document.kept && left.source) return { finding: { ...seen, kind: "progress-kept" } }
  return {
    finding: { ...seen, kind: left.source && left.upload ? "progress-resumable" : "progress-leftover" },
    fix: (signal) => finish(taker, scope, document, { uploaded: left.source ? 0 : taker.clock() }, signal),
  }
}

/** Is what it is about still there? What the store refuses to tell counts as there. */
async function leftOf(taker: CensusTaker, scope: CensusScope, { bucket, key, source, target, uploadId }: Progress) {
  const parts = uploadId === undefined ? [] : await partsOf(taker, { bucket: target.bucket, key }, uploadId)
  return { source: await sourceIsThere(taker, scope, { bucket, key }, source), upload: parts !== "gone" }
}

/** A pinned version by its id and ETag. Versioning may have been switched on since: what had no id then is now the null
 *  version. */
async function sourceIsThere(
  { store }: CensusTaker, { versioned }: CensusScope, ref: ObjectRef, pin: Pin,
): Promise<boolean> {
  const ids = pin.versionId === undefined ? [undefined, ...(versioned ? ["null"] : [])] : [pin.versionId]
  for (const id of ids) {
    try {
      const info = await store.head(ref, id === undefined ? {} : { versionId: id })
      if (info?.etag === pin.etag) return true
    } catch (error) {
      if (!isFailure(error)) throw error
      return true
    }
  }
  return false
}

/** Seals the object again: the pinned source settled long ago, another one may not have. A document that even so
 *  stays as  it was, long after its lease and without its source, is of no use to anybody: its upload is aborted,
 *  and it is removed. */
async function finish(
  taker: CensusTaker, scope: CensusScope, document: Progress, hint: SealHint, signal: AbortSignal,
): Promise<Mended> {
  const { bucket, key, until, mac } = document
  const result = await sealOrParkSettling(taker, { bucket, key }, hint, signal)
  const path = progressPath({ bucket, key })
  const now = await readProgress(taker, path)
  if (now === undefined) return result.outcome === "gone" ? { outcome: "removed" } : result
  if (now === "unreadable" || now.mac !== mac || now.until !== until) return result
  const left = await leftOf(taker, scope, document)
  if (left.source || taker.clock() - until < LONG_OVER) return result
  if (left.upload && !(await abortOurs(taker, document))) return result
  await taker.state.remove(path)
  return { outcome: "removed" }
}

/** Aborts the upload of an authentic document; false for any other, in which the id of a user's upload may stand. */
async function abortOurs(taker: CensusTaker, document: Progress): Promise<boolean> {
  const { bucket, key, target, uploadId } = document
  if (uploadId === undefined) return true
  try {
    const rootKeys = (await taker.registrations.find(target.bucket, key))?.rootKeys ?? []
    const dek = await taker.sealer.dataKeys.forOpening({ id: document.dek, bucket: target.bucket, rootKeys })
    const isOurs = dek !== undefined && isAuthentic(document, dek, { bucket, key })
    dek?.fill(0)
    if (isOurs) await taker.store.abortUpload({ bucket: target.bucket, key }, uploadId)
    return isOurs
  } catch (error) {
    if (!isFailure(error)) throw error
    return false // its data key can't be had now, or the store refuses
  }
}
