/** The benchmark's S3 store with a bucket of its own, by our client and by the AWS SDK's, and what programs with the SDK do. */
import { randomBytes } from "node:crypto"
import { CopyObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import type { ObjectRef, Store } from "../shared/ports.ts"
import { endpoint, ownStore } from "./sealing-world.ts"

/** Our client and how many requests it has sent, the SDK's, and a bucket, which `close` removes with all in it. */
export async function openStore() {
  const { credentials, ...where } = endpoint()
  const { store, requests } = ownStore()
  const sdk = new S3Client({
    ...where, credentials, forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED",
  })
  const bucket = `bucketseal-bench-${randomBytes(6).toString("hex")}`
  await store.createBucket(bucket)
  return { store, sdk, bucket, requests, close: () => removeBucket(store, bucket) }
}

async function removeBucket(store: Store, bucket: string): Promise<void> {
  for (let more = true; more; ) {
    const { objects, next } = await store.list(bucket)
    for (const { key } of objects) await store.delete({ bucket, key })
    more = next !== undefined
  }
  await store.deleteBucket(bucket)
}

/** What a program with the SDK does at least that rewrites an object: reads it, and writes the stream back. */
export async function copyBySdk(sdk: S3Client, { bucket: Bucket, key: Key }: ObjectRef): Promise<void> {
  const { Body, ContentLength } = await sdk.send(new GetObjectCommand({ Bucket, Key }))
  if (!Body) throw new Error("the object is gone")
  await sdk.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength }))
}

/** A copy made by the store itself, which costs next to nothing. */
export async function copyInStore(sdk: S3Client, bucket: string, from: string, to: string): Promise<void> {
  await sdk.send(new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource: `${bucket}/${from}` }))
}
