/**
 * A census looks at multipart uploads. Those of the bucket's users are in the same listing as ours, and may well take a
 * week: only an upload whose id stands in a progress document is ours, and these are ended with their documents only.
 */
import { isFailure } from "../errors.ts"
import type { ListedUpload, ObjectRef, Part } from "../ports.ts"
import type { CensusPage, CensusScope, CensusTaker, Entries, Found } from "./census-page.ts"
import type { Mended } from "./census-tally.ts"
import { progressParser, progressPath, type Progress } from "./progress.ts"

/** A page of the uploads under way. */
export async function uploadPage(taker: CensusTaker, scope: CensusScope, page: CensusPage): Promise<Entries> {
  const { uploads, next } = await taker.store.listUploads(scope.bucket, { prefix: scope.prefix, ...page })
  const sources = uploads.length === 0 ? [] : await sourcesOf(taker, scope.bucket)
  const entries = uploads.map((upload) =>
    ({ at: { key: upload.key, id: upload.uploadId }, look: () => lookAtUpload(taker, scope, sources, upload) }))
  return { entries, more: next !== undefined }
}

/** The buckets whose objects are sealed into this one: itself, and those which name it as their destination. */
async function sourcesOf({ registrations }: CensusTaker, bucket: string): Promise<readonly string[]> {
  const all = await registrations.list()
  const into = all.filter(({ mode }) => typeof mode === "object" && mode.destination === bucket)
  return [...new Set([bucket, ...into.map((one) => one.bucket)])]
}

async function lookAtUpload(
  taker: CensusTaker, scope: CensusScope, sources: readonly string[], upload: ListedUpload,
): Promise<Found | undefined> {
  const { key, uploadId, initiated: since } = upload
  if (key.startsWith(taker.sealer.scratchPrefix)) return { finding: { kind: "scratch", key, bytes: 0, uploadId, since } }
  const ref = { bucket: scope.bucket, key }
  const parts = await partsOf(taker, ref, uploadId)
  if (parts === "gone") return undefined
  const told = parts === "untold" ? { bytes: 0, reason: "parts-untold" } : { bytes: sizeOf(parts) }
  const seen = { key, uploadId, since, ...told }
  const owner = await ownerOf(taker, sources, ref, uploadId)
  if (owner === "unreadable") return { finding: { ...seen, kind: "upload-stale", reason: "progress-unreadable" } }
  if (owner) return { finding: { ...seen, kind: taker.clock() < owner.until ? "upload-live" : "upload-stale" } }
  const finding = { ...seen, kind: "upload-other" as const }
  if (parts === "untold" || !isAbandoned(taker, scope, since, parts)) return { finding }
  return { finding, fix: () => abort(taker, ref, uploadId) }
}

const sizeOf = (parts: readonly Part[]): number => parts.reduce((sum, { size }) => sum + size, 0)

/** The document in which the upload's id stands. `unreadable`: it may stand in one that can't be read. */
async function ownerOf(taker: CensusTaker, sources: readonly string[], { bucket, key }: ObjectRef, uploadId: string) {
  for (const source of sources) {
    const document = await readProgress(taker, progressPath({ bucket: source, key }))
    if (document === "unreadable") return document
    if (document?.uploadId === uploadId && document.target.bucket === bucket && document.key === key) return document
  }
  return undefined
}

/** Age counts from the last sign of life: an upload begun a week ago may have got a part a minute ago. A store
 *  that gives  no date gives no age. */
function isAbandoned(
  { clock }: CensusTaker, { abortUploadsOlderThan: seconds }: CensusScope, initiated: number, parts: readonly Part[],
): boolean {
  const lastSeen = Math.max(initiated, ...parts.map(({ lastModified }) => lastModified ?? initiated))
  return seconds !== undefined && clock() - lastSeen >= seconds * 1_000
}

async function abort({ store, log }: CensusTaker, ref: ObjectRef, uploadId: string): Promise<Mended> {
  try {
    await store.abortUpload(ref, uploadId)
  } catch (error) {
    if (!isFailure(error)) throw error
    return { outcome: "failed", reason: error.code }
  }
  log.warn("an abandoned upload of somebody else was aborted, as approved", { ...ref, uploadId })
  return { outcome: "aborted" }
}

/** The parts stored so far. `gone`: there is no such upload (any longer); `untold`: the store refuses to say. */
export async function partsOf(
  { store }: CensusTaker, ref: ObjectRef, uploadId: string,
): Promise<readonly Part[] | "gone" | "untold"> {
  try {
    return (await store.listParts(ref, uploadId)).parts
  } catch (error) {
    if (!isFailure(error)) throw error
    return error.code === "not-found" ? "gone" : "untold"
  }
}

/** A progress document; `unreadable` for what stands there and is none. */
export async function readProgress(
  { state }: CensusTaker, path: string,
): Promise<Progress | "unreadable" | undefined> {
  try {
    return (await state.read(path, progressParser))?.value
  } catch (error) {
    if (isFailure(error, "internal")) return "unreadable"
    throw error
  }
}
