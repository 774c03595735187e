/** What S3 tells about a write (S3 reference, "Event message structure", version 2.1). */
import { percentEncode } from "../../shared/net/sigv4-canonical.ts"
import type { WriteResult } from "../../shared/ports.ts"
import type { Call, Endpoint } from "./call.ts"
import { owner } from "./owner.ts"

/** One record of an S3 event notification, as AWS sends it. */
export interface S3EventRecord {
  readonly eventVersion: "2.1"
  readonly eventSource: "aws:s3"
  readonly awsRegion: string
  /** ISO 8601 with milliseconds. */
  readonly eventTime: string
  readonly eventName: `ObjectCreated:${"Put" | "Copy" | "CompleteMultipartUpload"}`
  readonly userIdentity: { readonly principalId: string }
  readonly requestParameters: { readonly sourceIPAddress: string }
  readonly responseElements: { readonly "x-amz-request-id": string }
  readonly s3: {
    readonly s3SchemaVersion: "1.0"
    readonly configurationId: string
    readonly bucket: {
      readonly name: string
      readonly ownerIdentity: { readonly principalId: string }
      readonly arn: string
    }
    readonly object: {
      /** Form-encoded: `+` is a space, the rest percent-encoded but for `/`. */
      readonly key: string
      readonly size: number
      /** Without quotes. */
      readonly eTag: string
      readonly versionId?: string
      /** Hexadecimal of fixed length; later records of one process compare as greater. */
      readonly sequencer: string
    }
  }
}

/** The record of a write that succeeded. */
export function recordOf(
  call: Call,
  endpoint: Endpoint,
  written: WriteResult & { readonly size: number; readonly eventName: S3EventRecord["eventName"] },
): S3EventRecord {
  const now = endpoint.clock()
  const { etag, size, eventName, versionId } = written
  return {
    eventVersion: "2.1",
    eventSource: "aws:s3",
    awsRegion: endpoint.region,
    eventTime: new Date(now).toISOString(),
    eventName,
    userIdentity: { principalId: call.accessKeyId },
    requestParameters: { sourceIPAddress: call.sourceAddress },
    responseElements: { "x-amz-request-id": call.id },
    s3: {
      s3SchemaVersion: "1.0",
      configurationId: owner,
      bucket: { name: call.bucket, ownerIdentity: { principalId: owner }, arn: `arn:aws:s3:::${call.bucket}` },
      object: {
        key: percentEncode(call.key).replaceAll("%2F", "/").replaceAll("%20", "+"),
        size,
        eTag: etag,
        ...(versionId === undefined ? {} : { versionId }),
        sequencer: nextSequencer(now),
      },
    },
  }
}

let lastSequence = 0

// 4,096 to the millisecond: below 2^53 until the year 2039, and always growing within a process. AWS pads to 18 digits.
function nextSequencer(now: number): string {
  lastSequence = Math.max(lastSequence + 1, now * 4096)
  return lastSequence.toString(16).toUpperCase().padStart(18, "0")
}
