/** The limits and rules of Amazon S3 that both sides of it know: who asks a store, and who is one. */
import { createHash } from "node:crypto"

/** The most bytes that a key has (S3 user guide, "Naming Amazon S3 objects"). LMDB takes no key of over 1,978. */
export const KEY_LIMIT = 1024

/** The most bytes of all names and values of user metadata (S3 user guide, "Working with object metadata"). */
export const METADATA_LIMIT = 2048

/** The highest number of a part (S3 user guide, "Amazon S3 multipart upload limits"). */
export const PART_LIMIT = 10_000

/** The least bytes of a part that is not the last (ibid.). */
export const LEAST_PART_SIZE = 5 * 1024 * 1024

/** Whether it numbers a part. */
export const isPartNumber = (number: number): boolean =>
  Number.isInteger(number) && number >= 1 && number <= PART_LIMIT

/** The ETag of an object made of parts (S3 reference, Object): the MD5 of the parts' MD5s, and their number. */
export function etagOfParts(parts: readonly { readonly etag: string }[]): string {
  const digests = createHash("md5")
  for (const part of parts) digests.update(part.etag, "hex")
  return `${digests.digest("hex")}-${parts.length}`
}

const BUCKET_NAME = /^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]$/

/** Whether it may name a bucket (S3 user guide, "General purpose bucket naming rules"); some that do are reserved. */
export const isBucketName = (name: string): boolean => BUCKET_NAME.test(name)
