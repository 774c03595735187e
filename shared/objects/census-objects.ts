/** A census looks at objects: each current one, and each version under it, by one ranged GET. */
import { parseHeader } from "../crypto/header.ts"
import { isFailure, type Failure } from "../errors.ts"
import type { ListedObject, ListedVersion, ObjectRef } from "../ports.ts"
import type { CensusPage, CensusScope, CensusTaker, Entries, Found } from "./census-page.ts"
import { sealOrParkSettling } from "./attempt.ts"
import type { CensusKind, Finding, ObjectKind } from "./census-tally.ts"
import { lacksCustomerKey, readStart, type ObjectStart } from "./reading.ts"
import { examine } from "./sealed.ts"

/** A page of the current objects. */
export async function objectPage(taker: CensusTaker, scope: CensusScope, page: CensusPage): Promise<Entries> {
  const { after, ...rest } = page
  const from = { prefix: scope.prefix, ...(after ? { startAfter: after.key } : {}), ...rest }
  const { objects, next } = await taker.store.list(scope.bucket, from)
  const entries = objects.map((listed) =>
    ({ at: { key: listed.key }, look: () => lookAtCurrent(taker, scope, listed) }))
  return { entries, more: next !== undefined }
}

/** A page of all versions and delete markers. */
export async function versionPage(taker: CensusTaker, scope: CensusScope, page: CensusPage): Promise<Entries> {
  const { versions, next } = await taker.store.listVersions(scope.bucket, { prefix: scope.prefix, ...page })
  const entries = versions.map((listed) =>
    ({ at: { key: listed.key, id: listed.versionId }, look: () => lookAtVersion(taker, scope, listed) }))
  return { entries, more: next !== undefined }
}

async function lookAtVersion(
  taker: CensusTaker, scope: CensusScope, listed: ListedVersion,
): Promise<Found | undefined> {
  const { key, marker, latest, versionId } = listed
  if (marker) return { finding: { kind: "delete-marker", key, bytes: 0, versionId } }
  if (latest) return lookAtCurrent(taker, scope, listed)
  const seen = await lookAt(taker, { bucket: scope.bucket, key }, listed, versionId)
  return seen && { finding: { ...seen, kind: isUnseen(seen.kind) ? seen.kind : `noncurrent-${seen.kind}`, versionId } }
}

/** What is found here as plaintext is sealed, where that is asked for. */
async function lookAtCurrent(
  taker: CensusTaker, { bucket }: CensusScope, listed: ListedObject,
): Promise<Found | undefined> {
  const ref = { bucket, key: listed.key }
  const seen = await lookAt(taker, ref, listed)
  if (seen?.kind !== "plain") return seen && { finding: seen }
  const hint = { size: seen.bytes, uploaded: uploadedAt(listed.etag, seen.since, taker.clock()) }
  return { finding: seen, fix: (signal) => sealOrParkSettling(taker, ref, hint, signal) }
}

/** From when on `settle` counts: a put object's Last-Modified; of a multipart object that may be when its upload
 *  was begun (S3 API reference), so for these it is now, the first time that it is seen. */
const uploadedAt = (etag: string, lastModified: number, now: number): number =>
  (etag.includes("-") ? now : lastModified)

type Seen = Omit<Finding, "kind"> & { readonly kind: ObjectKind | Unseen; readonly since: number }
type Unseen = "not-registered" | "scratch"
const isUnseen = (kind: CensusKind): kind is Unseen => kind === "not-registered" || kind === "scratch"

const ATTEMPTS = 3 // what is written that often while it is read is looked at when it rests

/** `undefined` for what is gone by now. What the listing says is not believed, but where nothing is read. */
async function lookAt(
  taker: CensusTaker, ref: ObjectRef, listed: ListedObject, versionId?: string,
): Promise<Seen | undefined> {
  const { key, size, lastModified: since } = listed
  if (key.startsWith(taker.sealer.scratchPrefix)) return { kind: "scratch", key, bytes: size, since }
  if (!(await taker.registrations.find(ref.bucket, key))) return { kind: "not-registered", key, bytes: size, since }
  if (size === 0 && key.endsWith("/")) return { kind: "directory-marker", key, bytes: 0, since }
  for (let attempt = 1; ; attempt++) {
    try {
      return await look(taker, ref, versionId)
    } catch (error) {
      if (!isFailure(error)) throw error
      if (error.code === "precondition-failed" && attempt < ATTEMPTS) continue
      const kind = error.code === "archived" ? "archived" : "unreadable"
      return { kind, key, bytes: size, since, reason: reasonOf(error) }
    }
  }
}

const reasonOf = (failure: Failure): string => (lacksCustomerKey(failure) ? "sse-c" : failure.code)

async function look(taker: CensusTaker, ref: ObjectRef, versionId?: string): Promise<Seen | undefined> {
  const version = versionId === undefined ? {} : { versionId }
  const start = await readStart(taker.store, ref, version)
  if (!start) return undefined
  const pinned = { ...start, info: { ...start.info, ...version } }
  const { size: bytes, lastModified: since } = start.info
  return { kind: await kindOf(taker, ref, pinned), key: ref.key, bytes, since }
}

async function kindOf(taker: CensusTaker, ref: ObjectRef, start: ObjectStart): Promise<ObjectKind> {
  const kind = await examine(taker.sealer, ref, start)
  return kind === "damaged-or-forged" && !(await dataKeyOpens(taker, start)) ? "data-key-broken" : kind
}

/** An identity that may only wrap could not try whether what it stored opens again: this is where that is found out. */
async function dataKeyOpens({ sealer, registrations }: CensusTaker, { bytes }: ObjectStart): Promise<boolean> {
  const parsed = parseHeader(bytes)
  if (parsed.kind !== "header") return true
  const { dek: id, bucket } = parsed.header
  const rootKeys = (await registrations.find(bucket, parsed.header.key))?.rootKeys ?? []
  try {
    (await sealer.dataKeys.forOpening({ id, bucket, rootKeys }))?.fill(0)
    return true
  } catch (error) {
    if (!isFailure(error, "undecryptable")) throw error
    return false
  }
}
