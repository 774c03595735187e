/**
 * A store in a folder: an LMDB index (`local-index.ts`) and a file for each large body (`local-bodies.ts`). Any number
 * of processes may open the folder at once. What was acknowledged survives the end of any of them at any moment, and a
 * power cut as far as the disk keeps what it was told to.
 */
import { mkdir } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import type { Clock, Store } from "../ports.ts"
import { openBodies, syncFolder, type Bodies } from "./local-bodies.ts"
import { localBuckets } from "./local-buckets.ts"
import { openIndex, type Index } from "./local-index.ts"
import { listObjects, listUploads, listVersions } from "./local-list.ts"
import { localObjects } from "./local-objects.ts"
import { localUploads } from "./local-uploads.ts"

/** What the parts of the local store share. */
export interface Local {
  readonly index: Index
  readonly bodies: Bodies
  readonly clock: Clock
  /** As `Index.read`, as a promise. */
  readonly look: <T>(look: () => T) => Promise<T>
  /** As `Index.write`; afterwards removes the files that `change` put into `freed`. */
  readonly commit: <T>(change: (freed: string[]) => T) => Promise<T>
}

/** Opens the store in a folder, or makes it, and removes what earlier processes left half written. `close` before the
 *  process ends is not needed for safety. */
export async function localStore(
  path: string,
  options: { readonly clock?: Clock } = {},
): Promise<Store & { close(): Promise<void> }> {
  const folder = resolve(path)
  await mkdir(folder, { recursive: true })
  const bodies = await openBodies(join(folder, "bodies"))
  const index = openIndex(join(folder, "index"))
  for (const made of [join(folder, "index"), folder, dirname(folder)]) await syncFolder(made)
  await bodies.sweep(index)
  const local: Local = {
    index,
    bodies,
    clock: options.clock ?? Date.now,
    look: (look) => Promise.resolve().then(() => index.read(look)),
    commit: async (change) => {
      const freed: string[] = []
      const value = await index.write(() => change(freed))
      await bodies.remove(freed)
      return value
    },
  }
  return {
    ...localObjects(local),
    list: (bucket, listing = {}) => local.look(() => listObjects(index, bucket, listing)),
    listVersions: (bucket, listing = {}) => local.look(() => listVersions(index, bucket, listing)),
    ...localUploads(local),
    listUploads: (bucket, listing = {}) => local.look(() => listUploads(index, bucket, listing)),
    ...localBuckets(local),
    close: async () => {
      await index.close()
      bodies.close()
    },
  }
}
