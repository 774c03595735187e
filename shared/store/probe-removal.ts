/** Removing canaries: a probe's own at its end, and what an earlier one has left that was killed. */
import { isFailure } from "../errors.ts"
import type { BucketStore, MultipartStore, ObjectStore } from "../ports.ts"

/** What the probe needs of a store. */
export type ProbeableStore = ObjectStore & MultipartStore & Pick<BucketStore, "bucketSettings">

/** Where canaries are. */
export interface CanaryPlace {
  readonly bucket: string
  readonly prefix: string
}

/** What is known of the canaries that are there, or may be. */
export interface KnownCanaries {
  readonly keys: Iterable<string>
  /** Of which the store gave version ids. */
  readonly versions: readonly VersionRef[]
  /** Whether the bucket may keep versions, so that these are looked for. */
  readonly keepsVersions: boolean
}

interface VersionRef {
  readonly key: string
  readonly versionId: string
}

/** Removes one probe's canaries with all their versions; false where something may be left. A store that can't list versions,
 *  and gave none, has none: there canaries are removed by their keys. Throws what the store throws. */
export async function removeCanaries(store: ProbeableStore, place: CanaryPlace, known: KnownCanaries): Promise<boolean> {
  if (!known.keepsVersions && known.versions.length === 0) return removeKeys(store, place, known.keys)
  try {
    return await removeVersions(store, place, known.versions)
  } catch (error) {
    if (known.versions.length > 0 || !isFailure(error, ...UNLISTED)) throw error
    const isEmpty = await removeKeys(store, place, known.keys)
    return isEmpty && error.code !== "forbidden" // delete markers may be left that we may not see
  }
}

const UNLISTED = ["not-implemented", "store-refused", "forbidden"] as const

async function removeKeys(store: ProbeableStore, { bucket, prefix }: CanaryPlace, keys: Iterable<string>): Promise<boolean> {
  await Promise.all([...keys].map((key) => store.delete({ bucket, key })))
  return (await store.list(bucket, { prefix, limit: 1 })).objects.length === 0
}

const MOST_ROUNDS = 5 // a page has 1,000 versions, far more than a probe makes: one round does it, another one sees that

async function removeVersions(
  store: ProbeableStore, { bucket, prefix }: CanaryPlace, made: readonly VersionRef[],
): Promise<boolean> {
  for (let round = 0, known = made; round < MOST_ROUNDS; round++, known = []) {
    const { versions } = await store.listVersions(bucket, { prefix })
    const listed = versions.map(({ key, versionId }) => ({ key, versionId }))
    if (listed.length === 0 && known.length === 0) return true
    const left = new Map([...known, ...listed].map((one) => [`${one.key} ${one.versionId}`, one]))
    await Promise.all([...left.values()].map(({ key, versionId }) => store.delete({ bucket, key }, { versionId })))
  }
  return false
}

/** Removes what probes that were killed have left under the prefix of all probes, if it is older than `before`, in milliseconds
 *  since the epoch: at most 1,000 versions, or objects, and as many uploads; the next probe goes on. What the store refuses
 *  stays: it hinders no probe. */
export async function removeLeftovers(store: ProbeableStore, place: CanaryPlace, before: number): Promise<void> {
  const isOld = (time: number, { key }: { readonly key: string }) =>
    time < before && CANARY.test(key.slice(place.prefix.length))
  await Promise.all([abortUploads(store, place, isOld), removeOld(store, place, isOld)].map(ifAllowed))
}

const CANARY = /^[0-9a-f]{16}\/./ // as a probe names its own prefix; what else is there is somebody else's
const MOST = 1_000 // one page
const AT_ONCE = 20

type IsOld = (time: number, entry: { readonly key: string }) => boolean

async function abortUploads(store: ProbeableStore, { bucket, prefix }: CanaryPlace, isOld: IsOld): Promise<void> {
  const { uploads } = await store.listUploads(bucket, { prefix, limit: MOST })
  await inGroups(uploads.filter((one) => isOld(one.initiated, one)), ({ key, uploadId }) => store.abortUpload({ bucket, key }, uploadId))
}

async function removeOld(store: ProbeableStore, place: CanaryPlace, isOld: IsOld): Promise<void> {
  const { bucket } = place
  const old = (await entriesOf(store, place)).filter((one) => isOld(one.lastModified, one))
  await inGroups(old, ({ key, versionId }) => store.delete({ bucket, key }, versionId === undefined ? {} : { versionId }))
}

/** Versions, and objects only where a store can't list these. */
async function entriesOf(store: ProbeableStore, { bucket, prefix }: CanaryPlace) {
  try {
    const { versions } = await store.listVersions(bucket, { prefix, limit: MOST })
    return versions
  } catch (error) {
    if (!isFailure(error, ...UNLISTED)) throw error
    const { objects } = await store.list(bucket, { prefix, limit: MOST })
    return objects.map((object) => ({ ...object, versionId: undefined }))
  }
}

async function inGroups<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) await Promise.all(all.slice(from, from + AT_ONCE).map(work))
}

async function ifAllowed(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isFailure(error)) throw error
  }
}
