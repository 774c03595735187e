/** One event about one object: what is kept of it, what it must have, and why it may be refused. */

/** An object was written, some store says. Only a hint: bucket and key are looked at again. */
export interface UploadEvent {
  readonly bucket: string
  /** As it is in the bucket, not encoded: 1 to 1,024 bytes of UTF-8. */
  readonly key: string
  readonly size?: number
  /** Opaque, without quotes. */
  readonly etag?: string
  readonly versionId?: string
  /** Milliseconds since the epoch, by the store's clock. */
  readonly time?: number
}

/** Why an event can't be read. Holds nothing of the event, so it may be logged. */
export type RejectReason =
  | "unknown shape"
  | "unknown event source"
  | "event type is missing"
  | "bucket is missing or not a bucket name"
  | "key is missing or empty"
  | "key is not form-encoded"
  | "key is longer than 1,024 bytes"
  | "key is not Unicode text"
  | "what is wrapped is not JSON"
  | "wrapped too deeply"
  | "an SNS subscription waits to be confirmed by hand: the kept event has its SubscribeURL"
  | "an SNS subscription was ended"

/** What one event is: an upload, something else that a store tells of, or nothing that can be read. */
export type Reading = { readonly upload: UploadEvent } | { readonly rejected: RejectReason } | "ignored"

/** The members of an event that name an upload, as they came. */
export interface UploadMembers {
  readonly bucket: unknown
  readonly key: unknown
  /** How the key is written; it is the source that decides, never the key's looks. */
  readonly encoding: "raw" | "form"
  readonly size?: unknown
  readonly etag?: unknown
  readonly versionId?: unknown
  /** ISO 8601 with a zone, or milliseconds since the epoch. */
  readonly time?: unknown
}

/** The upload that an event names. A bucket or key that can't be right refuses it. Size, ETag, version and time are
 *  hints, left out where they can't be right: looking at an object for nothing costs less than forgetting it. */
export function readUpload({ bucket, key, encoding, size, etag, versionId, time }: UploadMembers): Reading {
  if (!isBucketName(bucket)) return { rejected: "bucket is missing or not a bucket name" }
  if (typeof key !== "string" || key === "") return { rejected: "key is missing or empty" }
  const decoded = encoding === "form" ? formDecoded(key) : key
  if (decoded === undefined) return { rejected: "key is not form-encoded" }
  if (/\p{Surrogate}/u.test(decoded)) return { rejected: "key is not Unicode text" } // a lone half: no UTF-8 has one
  if (Buffer.byteLength(decoded) > MOST_KEY_BYTES) return { rejected: "key is longer than 1,024 bytes" }
  const hints = { size: wholeNumber(size), etag: opaque(etag), versionId: opaque(versionId), time: instant(time) }
  return { upload: { bucket, key: decoded, ...present(hints) } }
}

const MOST_KEY_BYTES = 1_024 // S3 user guide, "Naming Amazon S3 objects"
const MOST_OPAQUE = 1_024 // characters: the longest version id (S3 user guide, "How S3 Versioning works")
const MOST_TIME = 8.64e15 // milliseconds; the end of time in ECMAScript (section 21.4.1.1)

/** Whether it may name a bucket: by S3's rules for bucket names, or the older, looser ones. */
export const isBucketName = (name: unknown): name is string =>
  typeof name === "string" && /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$/.test(name)

/** `+` is a space and %XX a byte of UTF-8. What no form encoder leaves as it is shows that nothing was encoded. */
function formDecoded(key: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(key)) return undefined
  try {
    return decodeURIComponent(key.replaceAll("+", " "))
  } catch {
    return undefined
  }
}

/** Sizes come as numbers or, from newer Ceph and IBM COS, as decimal digits. */
function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

function opaque(value: unknown): string | undefined {
  const text = typeof value === "string" ? value.replaceAll('"', "") : ""
  return text === "" || text.length > MOST_OPAQUE ? undefined : text
}

function instant(value: unknown): number | undefined {
  const time = typeof value === "string" && isoTime.test(value) ? Date.parse(value) : value
  return typeof time === "number" && time >= 0 && time <= MOST_TIME ? Math.floor(time) : undefined
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/ // Date.parse alone also takes "x 5"

type Hints = Pick<UploadEvent, "size" | "etag" | "versionId" | "time">

function present(hints: { readonly [Name in keyof Hints]: Hints[Name] | undefined }): Hints {
  return Object.fromEntries(Object.entries(hints).filter(([, value]) => value !== undefined))
}
