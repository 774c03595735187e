/** Reading and writing a bucket's notification configuration, with refusals in words that say what to do. */
import { Failure } from "../errors.ts"
import { discard, readBody } from "../net/answer-body.ts"
import { percentEncode } from "../net/sigv4-canonical.ts"
import { maxXml, type SendCall } from "./s3-call.ts"
import { formatNotifications, parseNotifications, type NotificationDocument } from "./s3-notification-document.ts"
import { failureOf, type Refusal } from "./s3-refusal.ts"

/** What is set on a bucket. Throws `store-refused` where the store answers something else: it does not know notifications. */
export async function readNotifications(send: SendCall, bucket: string): Promise<NotificationDocument> {
  const answer = await send({ method: "GET", bucket, query: "notification=", repeatable: true })
  if (answer.refusal) throw refused(answer.refusal, bucket)
  const document = parseNotifications((await readBody(answer.response.body, maxXml)).toString())
  if (document) return document
  throw new Failure("store-refused", "this store does not know bucket notifications; post its events to /events by another way")
}

/** Writes a configuration: instead of the present one, or, on Ceph, added to it. `readNotifications` must have worked
 *  before: to a store without notifications this would be CreateBucket. */
export async function writeNotifications(send: SendCall, bucket: string, document: NotificationDocument): Promise<void> {
  const body = Buffer.from(formatNotifications(document))
  const answer = await send({ method: "PUT", bucket, query: "notification=", body, repeatable: true })
  if (answer.refusal) throw refused(answer.refusal, bucket)
  discard(answer.response.body)
}

/** Ceph's DeleteNotification: one entry of that id, or with `undefined` all. Only for a store that `servesTopics`. */
export async function deleteNotification(send: SendCall, bucket: string, id: string | undefined): Promise<void> {
  if (id === "") throw new Error("an empty id would mean all of them")
  const answer = await send({ method: "DELETE", bucket, query: `notification=${percentEncode(id ?? "")}`, repeatable: true })
  if (answer.refusal) throw refused(answer.refusal, bucket)
  discard(answer.response.body)
}

function refused(refusal: Refusal, bucket: string): Failure {
  const failure = failureOf(refusal)
  const words = wordsFor(failure.code, refusal, bucket)
  return words === undefined ? failure : new Failure(failure.code, words, failure.cause)
}

function wordsFor(code: Failure["code"], refusal: Refusal, bucket: string): string | undefined {
  if (code === "bucket-not-found") return `there is no bucket ${bucket} in this store; check its name and BUCKETSEAL_S3_ENDPOINT`
  if (code === "forbidden") {
    return `the store does not let these credentials read and set the notifications of ${bucket}; they need `
      + "s3:GetBucketNotification and s3:PutBucketNotification"
  }
  if (code === "not-found") return "there is no such topic in this store; check its ARN, or leave it out where the store is Ceph"
  if (refusal.status === 400) {
    // S3 reference, PutBucketNotificationConfiguration: S3 tries the destination when it is set.
    return `the store can't send this bucket's events there (${refusal.code}); check that the destination exists in the `
      + "bucket's region and lets the store send to it, and that no other entry has the same events and keys"
  }
  return undefined
}
