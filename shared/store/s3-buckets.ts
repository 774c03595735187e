import type { BucketSettings, BucketStore } from "../ports.ts"
import { discard } from "../net/answer-body.ts"
import { documentOf, type SendCall } from "./s3-call.ts"
import { bucketSettings } from "./s3-bucket-settings.ts"
import { failureOf } from "./s3-refusal.ts"
import { childrenOf, escapeXml, textOf } from "./xml.ts"

/** Buckets of an S3 store, made in `region`. */
export function s3Buckets(send: SendCall, region: string): BucketStore {
  return {
    async createBucket(bucket) {
      const body = Buffer.from(placement(region))
      const answer = await send({ method: "PUT", bucket, ...(body.length > 0 ? { body } : {}), repeatable: true })
      if (!answer.refusal) return discard(answer.response.body)
      if (answer.refusal.code !== "BucketAlreadyOwnedByYou") throw failureOf(answer.refusal)
    },

    async deleteBucket(bucket) {
      const answer = await send({ method: "DELETE", bucket, repeatable: true })
      if (answer.refusal) throw failureOf(answer.refusal)
      discard(answer.response.body)
    },

    async listBuckets() {
      const answer = await send({ method: "GET", repeatable: true })
      if (answer.refusal) throw failureOf(answer.refusal)
      const result = await documentOf(answer.response, "ListAllMyBucketsResult")
      return childrenOf(result, "Buckets").flatMap((buckets) => childrenOf(buckets, "Bucket")).map((bucket) => ({
        name: textOf(bucket, "Name") ?? "",
        created: Date.parse(textOf(bucket, "CreationDate") ?? ""),
      }))
    },

    bucketSettings: (bucket): Promise<BucketSettings | undefined> => bucketSettings(send, bucket),

    async setVersioning(bucket, versioning) {
      const status = versioning === "enabled" ? "Enabled" : "Suspended"
      const body = Buffer.from(document("VersioningConfiguration", `<Status>${status}</Status>`))
      const answer = await send({ method: "PUT", bucket, query: "versioning=", body, repeatable: true })
      if (answer.refusal) throw failureOf(answer.refusal)
      discard(answer.response.body)
    },
  }
}

const document = (root: string, content: string): string =>
  `<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${root}>`

/** us-east-1 is what S3 takes when nothing is said, and the one region that must not be named (S3 reference,
 *  CreateBucket). */
function placement(region: string): string {
  if (region === "us-east-1") return ""
  return document("CreateBucketConfiguration", `<LocationConstraint>${escapeXml(region)}</LocationConstraint>`)
}
