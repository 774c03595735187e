/**
 * The shapes in which stores tell of one object, each by its own documentation. Keys are decoded by who sent the event,
 * never by guess: AWS and MinIO form-encode them in S3 records, everybody else writes them raw, EventBridge included.
 */
import { readUpload, type Reading, type UploadMembers } from "./upload-event.ts"

/** The members of a JSON object; none for any other value. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
  return isObject ? value as Readonly<Record<string, unknown>> : {}
}

/** How each sender of S3 records writes its keys. Our own server writes AWS's records. */
const s3Encodings: ReadonlyMap<unknown, UploadMembers["encoding"]> = new Map([
  ["aws:s3", "form"], ["minio:s3", "form"], ["ceph:s3", "raw"],
])

/** A record of an S3 notification: AWS's (S3 user guide, "Event message structure", any 2.x), MinIO's, Ceph RGW's.
 *  MinIO's form encoding also covers the slashes, and its event names begin with `s3:`; Ceph has empty versions, and
 *  newer Ceph sizes as text. */
export function readS3Record(value: unknown): Reading {
  const { eventSource, eventName, eventTime: time, s3 } = membersOf(value)
  const encoding = s3Encodings.get(eventSource)
  if (!encoding) return { rejected: typeof eventSource === "string" ? "unknown event source" : "unknown shape" }
  if (typeof eventName !== "string") return { rejected: "event type is missing" }
  if (!/^(s3:)?ObjectCreated:/.test(eventName)) return "ignored"
  const { bucket, object } = membersOf(s3)
  const { key, size, eTag: etag, versionId } = membersOf(object)
  const isVersion = eventSource === "aws:s3" || versionId !== "null" // at AWS `null` is a version of a suspended bucket
  return readUpload({
    bucket: membersOf(bucket)["name"], key, encoding, size, etag, versionId: isVersion ? versionId : undefined, time,
  })
}

/** An event about a single object, outside S3's records; `undefined` for what is none of these shapes. */
export function readSingleEvent(value: unknown): Reading | undefined {
  for (const read of [readEventBridge, readCosActivation, readR2Message, readPlain]) {
    const reading = read(value)
    if (reading) return reading
  }
  return undefined
}

/** AWS S3 through EventBridge (EventBridge reference, "Amazon S3 events"). */
function readEventBridge(value: unknown): Reading | undefined {
  const { source, "detail-type": type, time, detail } = membersOf(value)
  if (source !== "aws.s3") return undefined
  if (typeof type !== "string") return { rejected: "event type is missing" }
  if (type !== "Object Created") return "ignored"
  const { bucket, object } = membersOf(detail)
  const { key, size, etag, "version-id": versionId } = membersOf(object)
  return readUpload({ bucket: membersOf(bucket)["name"], key, encoding: "raw", size, etag, versionId, time })
}

/** The parameters of a Cloud Functions trigger for IBM COS, beside which an action's other parameters may stand. */
function readCosActivation(value: unknown): Reading | undefined {
  const { format, event_type: type } = membersOf(membersOf(value)["notification"])
  if (format !== "2.0") return undefined
  if (typeof type !== "string") return { rejected: "event type is missing" }
  return readCosChange(value, type === "Object:Write")
}

/** A change in IBM COS: the data of Code Engine's CloudEvent has the same members as the parameters of a trigger. */
export function readCosChange(value: unknown, wrote: boolean): Reading {
  if (!wrote) return "ignored"
  const { bucket, key, notification } = membersOf(value)
  const { object_length: size, object_etag: etag, request_time: time } = membersOf(notification)
  return readUpload({ bucket, key, encoding: "raw", size, etag, time })
}

/** Cloudflare R2's queue message (R2 documentation, "Event notifications"). */
function readR2Message(value: unknown): Reading | undefined {
  const { account, action, bucket, object, eventTime: time } = membersOf(value)
  if (typeof account !== "string" || typeof action !== "string") return undefined
  if (!["PutObject", "CopyObject", "CompleteMultipartUpload"].includes(action)) return "ignored"
  const { key, size, eTag: etag } = membersOf(object)
  return readUpload({ bucket, key, encoding: "raw", size, etag, time })
}

/** A place named plainly: `{bucket, key, size?, time?}`, the key raw, the time in milliseconds since the epoch. */
function readPlain(value: unknown): Reading | undefined {
  const { bucket, key, size, time, ...others } = membersOf(value)
  if (key === undefined || Object.keys(others).length > 0) return undefined
  return readUpload({ bucket, key, encoding: "raw", size, time })
}

/** One event of Backblaze B2's webhook ("Event Notifications Reference Guide"). It has no ETag. */
export function readB2Event(value: unknown): Reading {
  const { eventType: type, bucketName: bucket, objectName: key, objectSize: size, ...rest } = membersOf(value)
  if (typeof type !== "string") return { rejected: "event type is missing" }
  if (!type.startsWith("b2:")) return { rejected: "unknown event source" }
  if (!type.startsWith("b2:ObjectCreated:")) return "ignored"
  const { objectVersionId: versionId, eventTimestamp: time } = rest
  return readUpload({ bucket, key, encoding: "raw", size, versionId, time })
}
