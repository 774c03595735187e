/**
 * Settings of buckets and objects that cannot be made here. Clients ask for them before they go on (s3cmd for `info`,
 * our own store client), so they are told what S3 tells where nothing was set.
 */
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { S3Error, type S3Code } from "./errors.ts"
import { ownerElements } from "./owner.ts"
import { refuseAbsent, versionOf } from "./versions.ts"
import type { Element } from "./xml.ts"

/** By query parameter: the error that says that there is none, or the default as a document. */
const unset: Readonly<Record<string, S3Code | Element>> = {
  acl: accessControl(),
  cors: "NoSuchCORSConfiguration",
  lifecycle: "NoSuchLifecycleConfiguration",
  notification: ["NotificationConfiguration", []],
  "object-lock": "ObjectLockConfigurationNotFoundError",
  policy: "NoSuchBucketPolicy",
  replication: "ReplicationConfigurationNotFoundError",
  requestPayment: ["RequestPaymentConfiguration", [["Payer", "BucketOwner"]]],
}

/** The parameters of a bucket that are answered so. */
export const unsetParameters: readonly string[] = Object.keys(unset)

/** GetBucketPolicy and the like. */
export async function getUnset(call: Call, { store }: Endpoint): Promise<Answer> {
  const settings = await store.bucketSettings(call.bucket)
  if (!settings) throw new S3Error("NoSuchBucket", undefined, [["BucketName", call.bucket]])
  const setting = unset[unsetParameters.find((parameter) => call.query.has(parameter)) ?? ""]
  if (typeof setting === "string") throw new S3Error(setting, undefined, [["BucketName", call.bucket]])
  if (!setting) throw new Error("a route without a setting")
  return xmlAnswer(setting)
}

/** GetObjectAcl. */
export async function getObjectAcl(call: Call, { store }: Endpoint): Promise<Answer> {
  if (!await store.head(call, versionOf(call))) await refuseAbsent(call, store)
  return xmlAnswer(accessControl())
}

/** All is the owner's alone. */
function accessControl(): Element {
  const type = { "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:type": "CanonicalUser" }
  const grant: Element = ["Grant", [["Grantee", ownerElements, type], ["Permission", "FULL_CONTROL"]]]
  return ["AccessControlPolicy", [["Owner", ownerElements], ["AccessControlList", [grant]]]]
}
