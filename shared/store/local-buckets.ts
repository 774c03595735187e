/** Buckets of the local store. */
import { Failure } from "../errors.ts"
import type { BucketSettings, BucketStore } from "../ports.ts"
import { hasKeys } from "./local-index.ts"
import { keysUnder } from "./local-keys.ts"
import { checkBucketName } from "./local-names.ts"
import { abortUploads } from "./local-uploads.ts"
import { bucketRecord } from "./local-versions.ts"
import type { Local } from "./local.ts"

/** What no bucket here can be set to. */
const UNSETTABLE = {
  mfaDelete: false, objectLock: false, defaultRetention: false, replicated: false, notifies: false, policy: false, lifecycle: [],
} as const satisfies Omit<BucketSettings, "versioning">

/** The bucket part of the store. */
export function localBuckets({ index, clock, look, commit }: Local): BucketStore {
  return {
    createBucket: async (bucket) => {
      checkBucketName(bucket)
      await commit(() => {
        if (!index.buckets.doesExist(bucket)) void index.buckets.put(bucket, { created: clock(), versioning: "off" })
      })
    },
    deleteBucket: (bucket) =>
      commit((freed) => {
        bucketRecord(index, bucket)
        const all = keysUnder(bucket, "")
        const filled = hasKeys(index.current, all) || hasKeys(index.older, all)
        if (filled) throw new Failure("conflict", "the bucket is not empty")
        abortUploads(index, bucket, freed)
        void index.buckets.remove(bucket)
      }),
    listBuckets: () =>
      look(() => [...index.buckets.getRange().map(({ key, value }) => ({ name: key, created: value.created }))]),
    bucketSettings: (bucket) =>
      look(() => {
        const record = index.buckets.get(bucket)
        return record && { ...UNSETTABLE, versioning: record.versioning }
      }),
    setVersioning: (bucket, versioning) =>
      commit(() => void index.buckets.put(bucket, { ...bucketRecord(index, bucket), versioning })),
  }
}
