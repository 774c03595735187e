/** The stores that suites run on: the local one, and a real S3 server where one is given. */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { localStore } from "../shared/store/local.ts"
import { rgwFromEnvironment, rgwHarness } from "./rgw.ts"
import type { Harness } from "./store-contract.ts"

/** A local store in a folder of its own, removed at the end. */
export async function localHarness(): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), "bucketseal-test-"))
  const store = await localStore(folder)
  return {
    store,
    async bucket() {
      const name = `test-${randomBytes(6).toString("hex")}`
      await store.createBucket(name)
      return name
    },
    async close() {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const rgw = rgwFromEnvironment()

/** Name and maker of each store; `npm test` says in one line where RGW is left out. */
export const stores: readonly (readonly [name: string, open: () => Promise<Harness>])[] = [
  ["local", localHarness],
  ...(rgw ? [["RGW", () => Promise.resolve(rgwHarness(rgw))] as const] : []),
]
