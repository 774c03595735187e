/** The buckets of a world, one for each way in which objects are sealed. */
import type { LocalContext } from "../../local/context.ts"
import type { Store } from "../../shared/ports.ts"
import type { Api } from "./api.ts"
import { ledger } from "./ledger.ts"
import type { UsedBucket } from "./uploader.ts"

/** A bucket, and what must become of what is written to it. */
export interface SoakedBucket extends UsedBucket {
  /** What becomes of copies of sealed objects. */
  readonly moved: "refuse" | "reseal"
  /** Where it is sealed to: the bucket itself, or another. */
  readonly sealedIn: string
  readonly versioned: boolean
  /** What is sealed stays in the clear where it was uploaded, too: the store has no safe deletion. */
  readonly keepsSource: boolean
}

interface Wanted {
  readonly what: string
  readonly moved?: "refuse" | "reseal"
  readonly settle?: number
  readonly versioned?: boolean
  readonly destination?: string
}

/** Makes them and registers them. `versions`: conditions hold in this store's versioned buckets, too. */
export async function makeBuckets(prefix: string, context: LocalContext, api: Api, versions: boolean): Promise<readonly SoakedBucket[]> {
  const rootKey = await api.makeRootKey()
  const vault = `${prefix}-vault`
  await context.store.createBucket(vault)
  await api.register(vault, { rootKey, mode: "vault" })
  const wanted: readonly Wanted[] = [
    { what: "refuse", settle: 1 }, { what: "reseal", moved: "reseal" }, { what: "ingest", destination: vault },
    ...(versions ? [{ what: "versions", moved: "reseal", versioned: true } as const] : []),
  ]
  const made: SoakedBucket[] = []
  for (const one of wanted) made.push(await makeBucket(`${prefix}-${one.what}`, rootKey, one, context, api))
  return made
}

async function makeBucket(
  name: string, rootKey: string, { moved = "refuse", settle = 0, versioned = false, destination }: Wanted,
  { store, registrations }: LocalContext, api: Api,
): Promise<SoakedBucket> {
  await store.createBucket(name)
  if (versioned) await store.setVersioning(name, "enabled")
  await api.register(name, { rootKey, moved, settle, mode: destination === undefined ? "in-place" : { destination } })
  const registration = await registrations.get(name, "")
  if (!registration) throw new Error("a registration is not there")
  const { matchForm: form, removeSource } = registration.store
  return {
    name, moved, versioned, form, inPlace: destination === undefined, sealedIn: destination ?? name,
    keepsSource: destination !== undefined && removeSource === "keep",
    ledger: ledger(), leftUploads: new Set(), unknownUploads: new Map(),
  }
}

/** Removes every bucket whose name begins so, with all that is in it; of versions the current ones. */
export async function removeBuckets(store: Store, prefix: string): Promise<void> {
  for (const { name } of await store.listBuckets()) if (name.startsWith(prefix)) await removeBucket(store, name)
}

const PAGES = 10_000 // of a listing

async function removeBucket(store: Store, bucket: string): Promise<void> {
  for (let page = 0; page < PAGES; page++) {
    const { objects } = await store.list(bucket)
    if (objects.length === 0) break
    for (const { key } of objects) await store.delete({ bucket, key })
  }
  for (let page = 0; page < PAGES; page++) {
    const { uploads } = await store.listUploads(bucket)
    if (uploads.length === 0) break
    for (const { key, uploadId } of uploads) await store.abortUpload({ bucket, key }, uploadId)
  }
  await store.deleteBucket(bucket)
}
