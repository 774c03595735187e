/** The Ceph RGW that tests run against, where one is given. */
import { randomBytes } from "node:crypto"
import {
  AbortMultipartUploadCommand, DeleteObjectCommand, ListMultipartUploadsCommand, ListObjectVersionsCommand, S3Client,
} from "@aws-sdk/client-s3"
import type { Store } from "../shared/ports.ts"
import { s3Store, type S3StoreOptions } from "../shared/store/s3.ts"
import type { Harness } from "./store-contract.ts"

/** How to reach it. */
export interface Rgw {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The RGW that the environment names, or `undefined`. */
export function rgwFromEnvironment(): Rgw | undefined {
  const { S3_TEST_ENDPOINT: endpoint, S3_TEST_REGION: region = "us-east-1" } = process.env
  const { S3_TEST_ACCESS_KEY_ID: accessKeyId = "", S3_TEST_SECRET_ACCESS_KEY: secretAccessKey = "" } = process.env
  return endpoint === undefined ? undefined : { endpoint, region, accessKeyId, secretAccessKey }
}

/** Why a test is left out, and how to have it run. */
export const withoutRgw = "left out: start one by `eval \"$(test/rgw.sh start FOLDER)\"` (as root, with radosgw, ceph-mon, ceph-osd)"

/** Our client on it. */
export function rgwStore({ endpoint, region, accessKeyId, secretAccessKey }: Rgw, more: Partial<S3StoreOptions> = {}) {
  const credentials = () => Promise.resolve({ accessKeyId, secretAccessKey })
  return s3Store({ endpoint, region, addressing: "path", allowHttp: true, credentials, ...more })
}

/** AWS's client on it, with what RGW 16 needs. */
export function rgwSdk({ endpoint, region, accessKeyId, secretAccessKey }: Rgw): S3Client {
  return new S3Client({
    endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED",
  })
}

/** Our client, with buckets that are emptied and removed at the end. */
export function rgwHarness(rgw: Rgw): Harness {
  const store = rgwStore(rgw)
  const sdk = rgwSdk(rgw)
  const made: string[] = []
  return {
    store,
    async bucket() {
      const name = `bucketseal-test-${randomBytes(6).toString("hex")}`
      await store.createBucket(name)
      made.push(name)
      return name
    },
    async close() {
      for (const name of made) await removeBucket(store, sdk, name)
      sdk.destroy()
    },
  }
}

/** Empties and removes a bucket, versions and uploads included; one that is gone is fine. */
async function removeBucket(store: Store, sdk: S3Client, Bucket: string): Promise<void> {
  if (!(await store.bucketSettings(Bucket))) return
  await removeObjects(store, Bucket)
  for (let page = 0; page < 1000; page++) if (!(await removeVersions(sdk, Bucket))) break
  const { Uploads = [] } = await sdk.send(new ListMultipartUploadsCommand({ Bucket }))
  for (const { Key, UploadId } of Uploads) await sdk.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
  await store.deleteBucket(Bucket)
}

/** Removes the current objects. By our client, as AWS's reads a carriage return in a key as a newline. */
async function removeObjects(store: Store, bucket: string): Promise<void> {
  for (let page = 0; page < 1000; page++) {
    const { objects, next } = await store.list(bucket)
    for (let from = 0; from < objects.length; from += 50) {
      await Promise.all(objects.slice(from, from + 50).map(({ key }) => store.delete({ bucket, key })))
    }
    if (next === undefined) return
  }
}

/** Removes up to 1,000 versions; gives whether there were any. */
async function removeVersions(sdk: S3Client, Bucket: string): Promise<boolean> {
  const { Versions = [], DeleteMarkers = [] } = await sdk.send(new ListObjectVersionsCommand({ Bucket }))
  const found = [...Versions, ...DeleteMarkers]
  for (const { Key, VersionId } of found) await sdk.send(new DeleteObjectCommand({ Bucket, Key, VersionId }))
  return found.length > 0
}
