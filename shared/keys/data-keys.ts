/**
 * The keyring. A data key is made by wrapping, stored, read back and checked, and only then seals objects; it is found
 * again by the id in an object's header and opened by the root key that its document names.
 */
import { randomUUID, timingSafeEqual } from "node:crypto"
import { Failure } from "../errors.ts"
import type { Clock, KeyService, StateStore } from "../ports.ts"
import {
  dataKeyAad, dataKeyDocument, dataKeyPath, isWanted, sameDocument, type DataKeyDocument, type WantedDataKey,
} from "./data-key-document.ts"
import { keyCache } from "./key-cache.ts"
import { sealingKeys, type DataKeyLimits, type DataKeyOwner, type MadeDataKey } from "./sealing-keys.ts"

export type { WantedDataKey } from "./data-key-document.ts"

/** Data keys for sealing and opening. A `dek` is 32 bytes in memory of the caller's own, which zeroes it after use. */
export interface DataKeys {
  /** False for an identity that may only wrap: it can't check what it stored, nor open what others sealed. */
  readonly canUnwrap: boolean
  /** A data key for one object of so many bytes: one in use, or a new one, which is durable before this answers. Throws
   *  what the key service throws, and `unsafe-store` where the state store does not give back what it took. */
  forSealing(owner: DataKeyOwner, bytes: number): Promise<{ readonly id: string; readonly dek: Uint8Array }>
  /** The data key that a header names, or `undefined` if there is none (`rootKeyOf`). Throws `undecryptable` if its wrapping
   *  does not open, `forbidden` if this identity may not unwrap and does not have it in memory. */
  forOpening(wanted: WantedDataKey): Promise<Uint8Array | undefined>
  /** The root key that wraps this data key, if the keyring has it for this bucket and under one of these root keys: whoever
   *  is to use it must be authorized on that one. Unwraps nothing. */
  rootKeyOf(wanted: WantedDataKey): Promise<string | undefined>
  /** Zeroes all keys in memory; use nothing of this afterwards. */
  close(): void
}

/** What the keyring works with. */
export interface DataKeysOptions {
  readonly state: StateStore
  readonly keyService: KeyService
  readonly clock: Clock
  readonly limits: DataKeyLimits
  /** How long an unwrapped key stays in memory and a document counts as current. Until a disabled root key is refused
   *  here, the key service's own cache limit may come on top. */
  readonly cacheSeconds: number
  readonly canUnwrap: boolean
}

const DEK_SIZE = 32 // bytes: the message's input key
const CACHED = 1_000 // unwrapped keys, and as many documents: together less than 1 MiB

/** The keyring in this state store. */
export function dataKeys(options: DataKeysOptions): DataKeys {
  const { state, keyService, clock, cacheSeconds, canUnwrap } = options
  const unwrapped = keyCache(cacheSeconds, CACHED, clock)
  const documents = documentCache(cacheSeconds, clock)
  const sealing = sealingKeys({
    ...options,
    make,
    confirmed: (document, dek, since) => void unwrapped.put(cacheName(document), dek, since),
  })

  async function make(owner: DataKeyOwner): Promise<MadeDataKey> {
    const { bucket, prefix, rootKey } = owner
    const id = randomUUID()
    const since = clock()
    const { plaintext: dek, ciphertext, keyVersion } = await keyService.generate(rootKey, dataKeyAad(id, bucket))
    try {
      if (dek.length !== DEK_SIZE) throw new Failure("internal", "the key service made a key of another size")
      const version = keyVersion === undefined ? {} : { keyVersion }
      const document = { id, bucket, prefix, rootKey, ...version, ciphertext, created: new Date(since).toISOString() }
      await storeAndCheck(document, dek)
      documents.put(document, since)
      unwrapped.put(cacheName(document), Promise.resolve(Uint8Array.from(dek)), since)
      return { document, dek }
    } catch (error) {
      dek.fill(0)
      throw error
    }
  }

  /** What the store gives back decides, whatever it answered to the write. */
  async function storeAndCheck(document: DataKeyDocument, dek: Uint8Array): Promise<void> {
    const path = `data-keys/${document.id}.json`
    await state.create(path, document)
    const stored = await state.read(path, dataKeyDocument)
    if (!stored || !sameDocument(stored.value, document)) {
      throw new Failure("unsafe-store", "the state store doesn't give back what it was given", { path })
    }
    if (!canUnwrap) return
    const opened = await unwrap(stored.value)
    const same = timingSafeEqual(opened, dek)
    opened.fill(0)
    if (!same) throw new Failure("internal", "a wrapped data key opens to other bytes", { path })
  }

  async function unwrap(document: DataKeyDocument): Promise<Uint8Array> {
    const { id, bucket, rootKey, ciphertext } = document
    const { plaintext } = await keyService.unwrap(rootKey, ciphertext, dataKeyAad(id, bucket))
    if (plaintext.length === DEK_SIZE) return plaintext
    plaintext.fill(0)
    throw new Failure("undecryptable", "the data key can't be decrypted", new Error("a data key of another size"))
  }

  async function find(wanted: WantedDataKey): Promise<DataKeyDocument | undefined> {
    const path = dataKeyPath(wanted.id)
    if (!path) return undefined
    const since = clock()
    const cached = documents.get(wanted.id)
    const document = cached ?? (await state.read(path, dataKeyDocument))?.value
    if (!document || !isWanted(document, wanted)) return undefined
    if (!cached) documents.put(document, since)
    return document
  }

  return {
    canUnwrap,
    forSealing: sealing.take,
    async forOpening(wanted) {
      const document = await find(wanted)
      if (!document) return undefined
      const known = unwrapped.get(cacheName(document))
      if (known) return known.copy()
      if (!canUnwrap) throw new Failure("forbidden", "this function may not unwrap data keys")
      const since = clock()
      return unwrapped.put(cacheName(document), unwrap(document), since).copy()
    },
    rootKeyOf: async (wanted) => (await find(wanted))?.rootKey,
    close() {
      sealing.close()
      unwrapped.close()
    },
  }
}

/** All that the unwrapping was bound to: a document that comes to name another bucket or root key does not find it. */
const cacheName = ({ id, bucket, rootKey }: DataKeyDocument) => JSON.stringify([id, bucket, rootKey])

/** Documents change by rewrapping only, and an older wrapping opens as well: a time limit is enough. */
function documentCache(seconds: number, clock: Clock) {
  const entries = new Map<string, { readonly document: DataKeyDocument; readonly until: number }>()
  return {
    get(id: string): DataKeyDocument | undefined {
      const entry = entries.get(id)
      return entry && clock() < entry.until ? entry.document : undefined
    },
    put(document: DataKeyDocument, since: number): void {
      entries.delete(document.id)
      entries.set(document.id, { document, until: since + seconds * 1000 })
      const [oldest] = entries.keys()
      if (oldest !== undefined && entries.size > CACHED) entries.delete(oldest)
    },
  }
}
