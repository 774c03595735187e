/** The operations on buckets. */
import type { BucketSettings } from "../../shared/ports.ts"
import { textOf } from "../../shared/store/xml.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"
import { ownerElements } from "./owner.ts"
import { readText } from "./payload.ts"
import { parseDocument } from "./xml.ts"

// What these operations send is a few hundred bytes.
const maxConfigurationBytes = 1024 ** 2

/** ListBuckets. */
export async function listBuckets(_: Call, { store }: Endpoint): Promise<Answer> {
  const buckets = (await store.listBuckets()).map(({ name, created }) =>
    ["Bucket", [["Name", name], ["CreationDate", new Date(created).toISOString()]]] as const)
  return xmlAnswer(["ListAllMyBucketsResult", [["Owner", ownerElements], ["Buckets", buckets]]])
}

/** CreateBucket. A bucket that is there already is no error, as in us-east-1. */
export async function createBucket(call: Call, { store, region }: Endpoint): Promise<Answer> {
  const empty = (call.header("content-length") ?? "0") === "0"
  const body = empty ? "<CreateBucketConfiguration/>" : await readText(call.openPayload(), maxConfigurationBytes)
  const location = textOf(parseDocument(body, "CreateBucketConfiguration"), "LocationConstraint") ?? region
  if (location !== region) throw new S3Error("IllegalLocationConstraintException")
  await store.createBucket(call.bucket)
  return { status: 200, headers: { location: `/${call.bucket}` } }
}

/** HeadBucket. */
export async function headBucket(call: Call, endpoint: Endpoint): Promise<Answer> {
  const { location = endpoint.region } = await settingsOf(call, endpoint)
  return { status: 200, headers: { "x-amz-bucket-region": location } }
}

/** DeleteBucket. */
export async function deleteBucket(call: Call, { store }: Endpoint): Promise<Answer> {
  await store.deleteBucket(call.bucket)
  return { status: 204 }
}

/** GetBucketLocation. The location of us-east-1 is empty (S3 reference). */
export async function getBucketLocation(call: Call, endpoint: Endpoint): Promise<Answer> {
  const { location = endpoint.region } = await settingsOf(call, endpoint)
  return xmlAnswer(["LocationConstraint", location === "us-east-1" ? "" : location])
}

/** GetBucketVersioning. */
export async function getBucketVersioning(call: Call, endpoint: Endpoint): Promise<Answer> {
  const { versioning } = await settingsOf(call, endpoint)
  if (versioning === "unknown") throw new S3Error("AccessDenied")
  const status = { off: undefined, enabled: "Enabled", suspended: "Suspended" }[versioning]
  return xmlAnswer(["VersioningConfiguration", [["Status", status]]])
}

/** PutBucketVersioning. */
export async function putBucketVersioning(call: Call, { store }: Endpoint): Promise<Answer> {
  const body = await readText(call.openPayload(), maxConfigurationBytes)
  const configuration = parseDocument(body, "VersioningConfiguration")
  const status = textOf(configuration, "Status")
  if (textOf(configuration, "MfaDelete") === "Enabled") throw new S3Error("NotImplemented")
  if (status !== "Enabled" && status !== "Suspended") throw new S3Error("MalformedXML")
  await store.setVersioning(call.bucket, status === "Enabled" ? "enabled" : "suspended")
  return { status: 200 }
}

async function settingsOf(call: Call, { store }: Endpoint): Promise<BucketSettings> {
  const settings = await store.bucketSettings(call.bucket)
  if (!settings) throw new S3Error("NoSuchBucket", undefined, [["BucketName", call.bucket]])
  return settings
}
