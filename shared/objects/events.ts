/**
 * Upload events, from the stores' own shapes to one. An event is only a hint: bucket and key are looked at again, and no
 * address in it is ever contacted. Keys are decoded by who sent the event, never by guess: AWS (and our own server, which
 * writes AWS's shape) form-encodes them, Ceph RGW writes them raw.
 */
import { z } from "zod/mini"
import { Failure } from "../errors.ts"

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

/** What a delivery holds: uploads, and how many records were about something else. */
export interface ParsedEvents {
  readonly uploads: readonly UploadEvent[]
  readonly ignored: number
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
 *  `{bucket, key, size?, time?}`. Throws `bad-body` for any other shape. */
export function parseUploadEvents(delivery: unknown): ParsedEvents {
  const parsed = notification.safeParse(delivery)
  if (parsed.success) return fromRecords(parsed.data.Records)
  if (testEvent.safeParse(delivery).success) return { uploads: [], ignored: 1 }
  const named = plain.safeParse(delivery)
  if (named.success) return { uploads: [withoutUndefined(named.data)], ignored: 0 }
  throw new Failure("bad-body", "this is no upload event that is known here")
}

function fromRecords(records: readonly unknown[]): ParsedEvents {
  const uploads = records.map(fromRecord).filter((event) => event !== undefined)
  return { uploads, ignored: records.length - uploads.length }
}

function fromRecord(value: unknown): UploadEvent | undefined {
  const parsed = record.safeParse(value)
  if (!parsed.success) throw new Failure("bad-body", "a record isn't an S3 notification record", parsed.error)
  const { eventSource, eventName, eventTime, s3: { bucket, object } } = parsed.data
  if (!eventName.replace(/^s3:/, "").startsWith("ObjectCreated:")) return undefined
  const { size, eTag, versionId } = object
  const time = Date.parse(eventTime ?? "")
  return withoutUndefined({
    bucket: bucket.name,
    key: decodeKey(eventSource, object.key),
    size: size === undefined || size === "" ? undefined : Number(size),
    etag: eTag?.replaceAll('"', "") || undefined,
    versionId: versionId === "null" ? undefined : versionId || undefined,
    time: Number.isNaN(time) ? undefined : time,
  })
}

function decodeKey(source: string, key: string): string {
  if (source === "ceph:s3") return key
  if (source !== "aws:s3") throw new Failure("bad-body", "the event's source isn't known here, so its key can't be decoded")
  try {
    return decodeURIComponent(key.replaceAll("+", " "))
  } catch (cause) {
    throw new Failure("bad-body", "the event's key isn't form-encoded", cause)
  }
}

function withoutUndefined(event: { [Name in keyof UploadEvent]: UploadEvent[Name] | undefined }): UploadEvent {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)) as unknown as UploadEvent // bucket and key are set
}
