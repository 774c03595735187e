/** Canaries: small objects of bytes of their own under one prefix, which are all removed in the end. */
import { randomBytes } from "node:crypto"
import { isFailure } from "../errors.ts"
import type { GetOptions, ListedVersion, ObjectInfo, ObjectRef, WriteCondition, WriteOptions, WriteResult } from "../ports.ts"
import { removeCanaries, type ProbeableStore } from "./probe-removal.ts"

/** A write, and its bytes, which no other write has. */
export interface Canary extends WriteResult {
  readonly bytes: Buffer
}

/** An upload of one part that waits to be completed, once. */
export interface PendingUpload {
  readonly bytes: Buffer
  readonly partEtag: string
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
  /** Aborts what was not completed and removes the rest with all its versions, also where the signal has stopped all else;
   *  false where something may be left. */
  clear(): Promise<boolean>
}

const CANARY_SIZE = 64 // bytes; at most 1 KiB is promised

/** How a scratch place is used. */
export interface ScratchOptions {
  /** Whether the bucket may keep versions, so that these are looked for. */
  readonly keepsVersions: boolean
  /** Once it is aborted each further call throws its reason. */
  readonly signal?: AbortSignal | undefined
}

/** A scratch place under a prefix. */
export function scratchIn(bare: ProbeableStore, bucket: string, prefix: string, { keepsVersions, signal }: ScratchOptions): Scratch {
  let requests = 0
  let isClearing = false
  const store = counted(bare, () => {
    if (!isClearing) signal?.throwIfAborted()
    requests++
  })
  const tried = new Set<string>()
  const uploads = new Map<string, ObjectRef>()
  const made: { readonly key: string; readonly versionId: string }[] = []
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
        bytes, partEtag: etag,
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
      isClearing = true
      try {
        await Promise.all([...uploads].map(([id, place]) => store.abortUpload(place, id)))
        return await removeCanaries(store, { bucket, prefix }, { keys: tried, versions: made, keepsVersions })
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
