/** Canaries: small objects of bytes of their own under one prefix, which are all removed in the end. */
import { randomBytes } from "node:crypto"
import { isFailure } from "../errors.ts"
import type {
  BucketStore, GetOptions, ListedVersion, MultipartStore, ObjectInfo, ObjectRef, ObjectStore, WriteCondition, WriteOptions,
  WriteResult,
} from "../ports.ts"

/** What the probe needs of a store. */
export type ProbeableStore = ObjectStore & MultipartStore & Pick<BucketStore, "bucketSettings">

/** A write, and its bytes, which no other write has. */
export interface Canary extends WriteResult {
  readonly bytes: Buffer
}

/** An upload of one part that waits to be completed, once. */
export interface PendingUpload {
  /** Aborts the upload where the store refuses. */
  complete(condition?: WriteCondition): Promise<Canary>
}

/** The canaries of one probe. */
export interface Scratch {
  readonly bucket: string
  readonly prefix: string
  /** The store, each call of which is counted. */
  readonly store: ProbeableStore
  /** Where a canary is, or will be: whatever is there in the end is removed. */
  ref(name: string): ObjectRef
  put(name: string, options?: WriteOptions): Promise<Canary>
  upload(name: string): Promise<PendingUpload>
  read(name: string, options?: GetOptions): Promise<{ readonly bytes: Buffer; readonly info: ObjectInfo } | undefined>
  /** Whether exactly these bytes are what a read gives now. */
  holds(name: string, canary: Pick<Canary, "bytes">): Promise<boolean>
  /** All versions of one canary, the newest first. */
  versions(name: string): Promise<readonly ListedVersion[]>
  requests(): number
  /** Aborts what was not completed and removes the rest with all its versions; false where something may be left. */
  clear(): Promise<boolean>
}

const CANARY_SIZE = 64 // bytes; at most 1 KiB is promised

/** A scratch place under a prefix. `keepsVersions`: whether the bucket may keep versions, so that these are looked for. */
export function scratchIn(bare: ProbeableStore, bucket: string, prefix: string, keepsVersions: boolean): Scratch {
  let requests = 0
  const store = counted(bare, () => void requests++)
  const tried = new Set<string>()
  const uploads = new Map<string, ObjectRef>()
  const made: VersionRef[] = []
  const ref = (name: string): ObjectRef => {
    tried.add(`${prefix}${name}`)
    return { bucket, key: `${prefix}${name}` }
  }
  const noted = (name: string, bytes: Buffer, result: WriteResult): Canary => {
    if (result.versionId !== undefined) made.push({ key: ref(name).key, versionId: result.versionId })
    return { ...result, bytes }
  }
  async function read(name: string, options?: GetOptions) {
    const object = await store.get(ref(name), options)
    return object && { bytes: await whole(object.body), info: object }
  }
  return {
    bucket, prefix, store, ref, read,
    async put(name, options) {
      const bytes = randomBytes(CANARY_SIZE)
      return noted(name, bytes, await store.put(ref(name), bytes, options))
    },
    async upload(name) {
      const bytes = randomBytes(CANARY_SIZE)
      const place = ref(name)
      const id = await store.createUpload(place)
      uploads.set(id, place)
      const { etag } = await store.putPart(place, id, 1, bytes)
      return {
        async complete(condition) {
          const part = { number: 1, etag, size: bytes.length }
          try {
            const result = await store.completeUpload(place, id, [part], condition ? { condition } : {})
            uploads.delete(id)
            return noted(name, bytes, result)
          } catch (error) {
            if (await attempt(store.abortUpload(place, id).then(() => true))) uploads.delete(id)
            throw error
          }
        },
      }
    },
    holds: async (name, { bytes }) => (await read(name))?.bytes.equals(bytes) ?? false,
    async versions(name) {
      const { key } = ref(name)
      const { versions } = await store.listVersions(bucket, { prefix: key })
      return versions.filter((version) => version.key === key)
    },
    requests: () => requests,
    async clear() {
      try {
        await Promise.all([...uploads].map(([id, place]) => store.abortUpload(place, id)))
        if (keepsVersions || made.length > 0) return await removeVersions(store, bucket, prefix, made)
        await Promise.all([...tried].map((key) => store.delete({ bucket, key })))
        return (await store.list(bucket, { prefix, limit: 1 })).objects.length === 0
      } catch (error) {
        if (isFailure(error)) return false
        throw error
      }
    },
  }
}

/** What the store made of a request; `undefined` where it refused it. Throws where it failed, or forbids it: that says
 *  nothing about the property. */
export async function attempt<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request
  } catch (error) {
    if (isFailure(error, ...REFUSALS)) return undefined
    throw error
  }
}

const REFUSALS = ["precondition-failed", "conflict", "not-found", "store-refused", "not-implemented", "range-not-satisfiable"] as const

interface VersionRef {
  readonly key: string
  readonly versionId: string
}

const MOST_ROUNDS = 5 // a page has 1,000 versions, far more than a probe makes: one round does it, another one sees that

async function removeVersions(
  store: ProbeableStore, bucket: string, prefix: string, made: readonly VersionRef[],
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

/** The same store, of which each call is told. */
function counted(store: ProbeableStore, tell: () => void): ProbeableStore {
  return new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== "function") return member
      return (...given: unknown[]): unknown => {
        tell()
        return Reflect.apply(member, target, given)
      }
    },
  })
}

async function whole(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
