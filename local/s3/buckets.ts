/** The operations on buckets. */
import type { BucketSettings } from "../../shared/ports.ts"
import { isBucketName } from "../../shared/store/s3-limits.ts"
import { countOf, xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"
import { ownerElements } from "./owner.ts"
import { readText } from "./payload.ts"
import { parseDocument, textOf, type Element } from "./xml.ts"

// What these operations send is a few hundred bytes.
const maxConfigurationBytes = 1024 ** 2

// S3 reference, ListBuckets.
const maxBuckets = 10_000

/** The parameters of ListBuckets. */
export const listParameters: readonly string[] = ["max-buckets", "continuation-token", "prefix", "bucket-region"]

/** ListBuckets. All buckets are in the endpoint's region; the token of a page is the last name of the one before. */
export async function listBuckets(call: Call, { store, region }: Endpoint): Promise<Answer> {
  const prefix = call.query.get("prefix") ?? ""
  const limit = countOf(call, "max-buckets", maxBuckets)
  if (limit < 1 || limit > maxBuckets) throw new S3Error("InvalidArgument", "max-buckets must be 1 to 10,000.")
  const after = nameIn(call.query.get("continuation-token"))
  const here = (call.query.get("bucket-region") || region) === region
  const listed = (await store.listBuckets())
    .filter(({ name }) => here && name.startsWith(prefix) && name > after)
    .sort((a, b) => (a.name < b.name ? -1 : 1)) // of ASCII alone
  const page = listed.slice(0, limit)
  const asks = listParameters.some((name) => call.query.has(name)) // else the answer is that of before there were any
  const buckets = page.map(({ name, created }): Element => ["Bucket", [
    ["Name", name], ["CreationDate", new Date(created).toISOString()],
    ["BucketRegion", asks ? region : undefined],
  ]])
  const last = listed.length > limit ? page.at(-1) : undefined
  return xmlAnswer(["ListAllMyBucketsResult", [
    ["Owner", ownerElements],
    ["Buckets", buckets],
    ["ContinuationToken", last && Buffer.from(last.name).toString("base64url")],
    ["Prefix", prefix === "" ? undefined : prefix],
  ]])
}

function nameIn(token: string | undefined): string {
  const name = Buffer.from(token ?? "", "base64url").toString()
  const isOurs = token === undefined || (isBucketName(name) && Buffer.from(name).toString("base64url") === token)
  if (!isOurs) throw new S3Error("InvalidArgument", "The continuation token provided is incorrect")
  return name
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
