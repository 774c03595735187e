/** `s3://bucket/key` on the command line. What stands behind the bucket is taken as it is: nothing in it is decoded. */
import type { ObjectRef } from "../shared/ports.ts"
import { usageFailure } from "./exit.ts"
import { printable } from "./output.ts"

/** True for what names a place in a bucket, and no file. */
export const isPlace = (text: string): boolean => text.startsWith("s3://")

const placeForm = /^s3:\/\/([a-zA-Z0-9][a-zA-Z0-9._-]{1,254})(?:\/(.*))?$/s

/** A bucket, and maybe a prefix of its keys. Throws `bad-field` for what is none. */
export function parseBucketPlace(text: string): { readonly bucket: string; readonly prefix: string } {
  const [, bucket, prefix = ""] = placeForm.exec(text) ?? []
  if (bucket !== undefined) return { bucket, prefix }
  throw usageFailure(`${printable(text)} is no place: write s3://bucket or s3://bucket/prefix`)
}

/** One object. Throws `bad-field` for what is none. */
export function parseObjectPlace(text: string): ObjectRef {
  const [, bucket, key] = placeForm.exec(text) ?? []
  if (bucket !== undefined && key) return { bucket, key }
  throw usageFailure(`${printable(text)} is no object: write s3://bucket/key`)
}

/** The place in the same form. */
export const placeText = (bucket: string, key = ""): string => `s3://${bucket}${key === "" ? "" : `/${key}`}`
