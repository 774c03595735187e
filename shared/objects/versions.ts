/** The versions of one object: is ours directly above the source, and removing what has been sealed. */
import type { GetOptions, ListedVersion, ObjectRef, ObjectStore } from "../ports.ts"
import { isStored, type Message } from "./message.ts"
import type { Source } from "./protocol.ts"
import { readStart } from "./reading.ts"

type VersionedStore = Pick<ObjectStore, "get" | "listVersions" | "delete">

/** Where a sealing's own version and its source stand. */
export interface Standing {
  readonly ours?: string
  readonly source: "directly-below" | "elsewhere" | "gone"
}

/** Looks for the version that this sealing has written, which `known` names where the answer to the write has said so, and for
 *  its source. */
export async function findOurs(
  store: VersionedStore, ref: ObjectRef, source: Source, message: Message, known: string | undefined,
): Promise<Standing> {
  const versions = await versionsOf(store, ref)
  const ours = known === undefined
    ? await writtenVersion(store, ref, source, versions, message)
    : versions.find(({ versionId }) => versionId === known)
  const below = versions.find((version) => version !== ours && isSource(version, source))
  const standing = below === undefined ? "gone" : ours && versions[versions.indexOf(ours) + 1] === below ? "directly-below" : "elsewhere"
  return { ...(ours ? { ours: ours.versionId } : {}), source: standing }
}

/** Of the versions that are this message the one that the conditional write made: it lies directly on the pinned ETag, as no
 *  copy that somebody has made of it does. Where none does, its source is gone, and the oldest is the original. */
async function writtenVersion(
  store: VersionedStore, ref: ObjectRef, source: Source, versions: readonly ListedVersion[], message: Message,
): Promise<ListedVersion | undefined> {
  const equal: ListedVersion[] = []
  for (const version of versions) if (await isMessage(store, ref, version, message)) equal.push(version)
  const onSource = equal.find((version) => versions[versions.indexOf(version) + 1]?.etag === source.etag)
  return onSource ?? equal.at(-1)
}

/** Removes all versions from the oldest up to the source. One that is there no more: nothing. The newest alone would make an
 *  older one current again. */
export async function deleteThrough(store: VersionedStore, ref: ObjectRef, source: Source): Promise<void> {
  const versions = await versionsOf(store, ref)
  const newest = versions.findIndex((version) => isSource(version, source))
  if (newest === -1) return
  for (const version of versions.slice(newest).reverse()) await store.delete(ref, { versionId: version.versionId })
}

/** By its id and its bytes: in a bucket where versioning is suspended every write has the id `null`. */
const isSource = ({ versionId, etag, marker }: ListedVersion, source: Source): boolean =>
  !marker && versionId === (source.versionId ?? "null") && etag === source.etag

async function isMessage(store: VersionedStore, ref: ObjectRef, version: ListedVersion, message: Message): Promise<boolean> {
  const { versionId } = version
  if (version.marker || version.size !== message.size) return false
  const start = await readStart(store, ref, { versionId })
  const pinned = { get: (at: ObjectRef, options?: GetOptions) => store.get(at, { ...options, versionId }) }
  return start !== undefined && (await isStored(pinned, ref, start, message))
}

/** All versions and delete markers of exactly this key, the newest first. */
async function versionsOf(store: VersionedStore, { bucket, key }: ObjectRef): Promise<readonly ListedVersion[]> {
  const versions: ListedVersion[] = []
  for (let page = await store.listVersions(bucket, { prefix: key }); ; ) {
    const own = page.versions.filter((version) => version.key === key)
    versions.push(...own)
    if (!page.next || own.length < page.versions.length) return versions // a key comes before those that it begins
    page = await store.listVersions(bucket, { prefix: key, after: page.next })
  }
}
