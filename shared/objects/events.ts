/**
 * Upload events, from the stores' own shapes to one. An event is only a hint: bucket and key are looked at again, and no
 * address in it is ever contacted. Keys are decoded by who sent the event, never by guess: AWS (and our own server, which
 * writes AWS's shape) form-encodes them, Ceph RGW writes them raw.
 */
import { z } from "zod/mini"

/** An object was written, some store says. */
export interface UploadEvent {
  readonly bucket: string
  readonly key: string
  readonly size?: number
  readonly etag?: string
  readonly versionId?: string
  /** Milliseconds since the epoch, by the store's clock. */
  readonly time?: number
}

/** What a delivery holds: uploads, how many records were about something else, and how many could not be read. */
export interface ParsedEvents {
  readonly uploads: readonly UploadEvent[]
  readonly ignored: number
  readonly rejected: number
}

const record = z.object({
  eventSource: z.string(),
  eventName: z.string(),
  eventTime: z.optional(z.string()),
  s3: z.object({
    bucket: z.object({ name: z.string().check(z.minLength(1)) }),
    object: z.object({
      key: z.string().check(z.minLength(1)),
      size: z.optional(z.union([z.number(), z.string()])),
      eTag: z.optional(z.string()),
      versionId: z.optional(z.string()),
    }),
  }),
})

const notification = z.object({ Records: z.array(z.unknown()) })
const testEvent = z.object({ Event: z.literal("s3:TestEvent") })
const plain = z.strictObject({
  bucket: z.string().check(z.minLength(1)),
  key: z.string().check(z.minLength(1)),
  size: z.optional(z.number()),
  time: z.optional(z.number()),
})

/** Reads a delivery: an S3 notification (event structure 2.x of AWS, Ceph RGW), S3's test event, or plainly
 *  `{bucket, key, size?, time?}`. What can't be read is counted, and never keeps the rest of its delivery from being read. */
export function parseUploadEvents(delivery: unknown): ParsedEvents {
  const parsed = notification.safeParse(delivery)
  if (parsed.success) return fromRecords(parsed.data.Records)
  if (testEvent.safeParse(delivery).success) return { uploads: [], ignored: 1, rejected: 0 }
  const named = plain.safeParse(delivery)
  if (named.success && isBucketName(named.data.bucket)) return { uploads: [withoutUndefined(named.data)], ignored: 0, rejected: 0 }
  return { uploads: [], ignored: 0, rejected: 1 }
}

function fromRecords(records: readonly unknown[]): ParsedEvents {
  const read = records.map(fromRecord)
  const uploads = read.filter((event) => typeof event === "object")
  const rejected = read.filter((event) => event === "rejected").length
  return { uploads, ignored: records.length - uploads.length - rejected, rejected }
}

function fromRecord(value: unknown): UploadEvent | "ignored" | "rejected" {
  const parsed = record.safeParse(value)
  if (!parsed.success) return "rejected"
  const { eventSource, eventName, eventTime, s3: { bucket, object } } = parsed.data
  if (!eventName.replace(/^s3:/, "").startsWith("ObjectCreated:")) return "ignored"
  const key = decodeKey(eventSource, object.key)
  if (key === undefined || !isBucketName(bucket.name)) return "rejected"
  const { eTag, versionId } = object
  const size = Number(object.size ?? NaN)
  const time = Date.parse(eventTime ?? "")
  return withoutUndefined({
    bucket: bucket.name,
    key,
    size: object.size !== "" && Number.isSafeInteger(size) && size >= 0 ? size : undefined,
    etag: eTag?.replaceAll('"', "") || undefined,
    versionId: versionId === "null" ? undefined : versionId || undefined,
    time: Number.isNaN(time) ? undefined : time,
  })
}

const isBucketName = (name: string): boolean => /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$/.test(name) // S3's rules, and the older ones

/** The key as it is in the bucket; `undefined` for a source that is not known here, or a key that is not encoded right. */
function decodeKey(source: string, key: string): string | undefined {
  if (source === "ceph:s3") return key
  if (source !== "aws:s3") return undefined
  try {
    return decodeURIComponent(key.replaceAll("+", " "))
  } catch {
    return undefined
  }
}

function withoutUndefined(event: { [Name in keyof UploadEvent]: UploadEvent[Name] | undefined }): UploadEvent {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)) as unknown as UploadEvent // bucket and key are set
}
