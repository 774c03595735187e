/**
 * Versions in the local store, as Amazon S3 keeps them (user guide, "How S3 Versioning works"). Everything here runs
 * inside a transaction of the index. `freed` collects the body files that are named no longer, to be removed after it.
 */
import { randomBytes } from "node:crypto"
import { Failure } from "../errors.ts"
import type { DeleteResult, ObjectRef, Tag, Versioning } from "../ports.ts"
import type { BucketRecord, Index, Marker, Version } from "./local-index.ts"
import { entriesOf, entryKey, objectKey } from "./local-keys.ts"

const NULL_VERSION = "null"
const SEQUENCE_SIZE = 6 // bytes: 2^48 versions, a million a second for nine years
const LAST_SEQUENCE = 2 ** 48 - 1
const VERSION_ID = /^[0-9a-f]{32}$/

/** The bucket's record. Throws `bucket-not-found`. */
export function bucketRecord(index: Index, bucket: string): BucketRecord {
  const record = index.buckets.get(bucket)
  if (!record) throw new Failure("bucket-not-found", "there is no such bucket")
  return record
}

/** The current version, or the version named; a delete marker only where it is named. Throws `bucket-not-found`. */
export function findVersion(index: Index, ref: ObjectRef, versionId?: string): Version | Marker | undefined {
  bucketRecord(index, ref.bucket)
  const current = index.current.get(objectKey(ref))
  return versionId === undefined || current?.versionId === versionId ? current : findOlder(index, ref, versionId)
}

/** The delete marker that is the version named, or that hides the object. Throws `bucket-not-found`. */
export function findMarker(index: Index, ref: ObjectRef, versionId?: string): Marker | undefined {
  const named = findVersion(index, ref, versionId)
  const version = versionId === undefined && !named ? newestOlder(index, ref) : named
  return version?.kind === "marker" ? version : undefined
}

/** Makes a version current and moves the one before it aside, or drops it, as the bucket's versioning says. */
export function putVersion(
  index: Index,
  ref: ObjectRef,
  fields: Omit<Version, "kind" | "versionId" | "sequence">,
  freed: string[],
): Version {
  const { versioning } = bucketRecord(index, ref.bucket)
  supersede(index, ref, versioning, freed)
  const version: Version = { ...fields, kind: "object", ...nextId(index, versioning) }
  void index.current.put(objectKey(ref), version)
  return version
}

/** Deletes without naming a version: removes the object or, where the bucket has versions, hides it under a marker. */
export function hideObject(index: Index, ref: ObjectRef, lastModified: number, freed: string[]): DeleteResult {
  const { versioning } = bucketRecord(index, ref.bucket)
  supersede(index, ref, versioning, freed)
  void index.current.remove(objectKey(ref))
  if (versioning === "off") return { marker: false }
  const marker: Marker = { kind: "marker", lastModified, ...nextId(index, versioning) }
  putOlder(index, ref, marker)
  return { versionId: marker.versionId, marker: true }
}

/** Deletes exactly the version named, for good; the newest one left is then current. */
export function removeVersion(index: Index, ref: ObjectRef, versionId: string, freed: string[]): DeleteResult {
  const version = findVersion(index, ref, versionId)
  if (version) remove(index, ref, version, freed)
  const { versioning } = bucketRecord(index, ref.bucket)
  return { marker: version?.kind === "marker", ...(versioning !== "off" && { versionId }) }
}

/** Gives a version other tags, and nothing else. */
export function retagVersion(index: Index, ref: ObjectRef, version: Version, tags: readonly Tag[]): void {
  const current = index.current.get(objectKey(ref))
  const retagged = { ...version, tags }
  if (version.sequence === current?.sequence) void index.current.put(objectKey(ref), retagged)
  else void index.older.put(olderKey(ref, version.sequence), retagged)
}

/** Where the versions behind this one begin, whether it is there or not; only where the null version was, nobody can
 *  tell: then they begin anew. Throws `store-refused` for what is no version id. */
export function behindVersion(index: Index, ref: ObjectRef, versionId: string): Buffer {
  const sequence = versionId === NULL_VERSION ? findVersion(index, ref, versionId)?.sequence : sequenceIn(versionId)
  if (sequence === undefined) {
    if (versionId === NULL_VERSION) return objectKey(ref)
    throw new Failure("store-refused", "this is not the id of a version")
  }
  const current = index.current.get(objectKey(ref))
  const isBehind = current !== undefined && current.sequence < sequence // the newer ones were deleted meanwhile
  return isBehind ? objectKey(ref) : Buffer.concat([olderKey(ref, sequence), Buffer.of(0)])
}

function remove(index: Index, ref: ObjectRef, version: Version | Marker, freed: string[]): void {
  dropBody(index, version, freed)
  const current = index.current.get(objectKey(ref))
  if (version.sequence === current?.sequence) void index.current.remove(objectKey(ref))
  else removeOlder(index, ref, version)
  if (!current || version.sequence === current.sequence) promote(index, ref)
}

/** The key of a version that is not current: a later one comes first. */
function olderKey(ref: ObjectRef, sequence: number): Buffer {
  const order = Buffer.alloc(SEQUENCE_SIZE)
  order.writeUIntBE(LAST_SEQUENCE - sequence, 0, SEQUENCE_SIZE)
  return entryKey(ref, order)
}

function putOlder(index: Index, ref: ObjectRef, version: Version | Marker): void {
  void index.older.put(olderKey(ref, version.sequence), version)
  if (version.versionId === NULL_VERSION) void index.nulls.put(objectKey(ref), version.sequence)
}

function removeOlder(index: Index, ref: ObjectRef, version: Version | Marker): void {
  void index.older.remove(olderKey(ref, version.sequence))
  if (version.versionId === NULL_VERSION) void index.nulls.remove(objectKey(ref))
}

function newestOlder(index: Index, ref: ObjectRef): Version | Marker | undefined {
  for (const { value } of index.older.getRange({ ...entriesOf(ref), limit: 1 })) return value
  return undefined
}

function findOlder(index: Index, ref: ObjectRef, versionId: string): Version | Marker | undefined {
  const sequence = versionId === NULL_VERSION ? index.nulls.get(objectKey(ref)) : sequenceIn(versionId)
  const version = sequence === undefined ? undefined : index.older.get(olderKey(ref, sequence))
  return version?.versionId === versionId ? version : undefined
}

/** A version's place, from its id; `undefined` for what is no id that tells one. */
function sequenceIn(versionId: string): number | undefined {
  return VERSION_ID.test(versionId) ? parseInt(versionId.slice(0, 2 * SEQUENCE_SIZE), 16) : undefined
}

/** Moves the current version aside where it is to be kept; without versioning, or where the new one is the null version
 *  too, drops what was the null version, wherever it is. */
function supersede(index: Index, ref: ObjectRef, versioning: Versioning, freed: string[]): void {
  const current = index.current.get(objectKey(ref))
  const replaced = versioning === "enabled" ? undefined : findVersion(index, ref, NULL_VERSION)
  if (replaced) dropBody(index, replaced, freed)
  if (replaced && replaced.sequence !== current?.sequence) removeOlder(index, ref, replaced)
  if (current && replaced?.sequence !== current.sequence) putOlder(index, ref, current)
}

function promote(index: Index, ref: ObjectRef): void {
  const newest = newestOlder(index, ref)
  if (newest?.kind !== "object") return
  void index.current.put(objectKey(ref), newest)
  removeOlder(index, ref, newest)
}

function dropBody(index: Index, version: Version | Marker, freed: string[]): void {
  if (version.kind === "marker") return
  if ("inline" in version.body) return void index.bodies.remove(version.body.inline)
  void index.files.remove(version.body.file)
  freed.push(version.body.file)
}

/** The next place among all versions, and an id that begins with it so that it is found without searching. */
function nextId(index: Index, versioning: Versioning): { sequence: number; versionId: string } {
  const sequence = (index.counters.get("sequence") ?? 0) + 1
  void index.counters.put("sequence", sequence)
  if (versioning !== "enabled") return { sequence, versionId: NULL_VERSION }
  const place = sequence.toString(16).padStart(2 * SEQUENCE_SIZE, "0")
  return { sequence, versionId: place + randomBytes(16 - SEQUENCE_SIZE).toString("hex") }
}
