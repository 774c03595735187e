/** Ids of uploads in the local store. Each begins with the time it was made at: so those of a key are in that order. */
import { randomBytes } from "node:crypto"
import { Failure } from "../errors.ts"
import type { ObjectRef } from "../ports.ts"
import { entryKey } from "./local-keys.ts"

const TIME_DIGITS = 12 // hexadecimal: milliseconds since the epoch until the year 10,889
const ID_DIGITS = 32
const UPLOAD_ID = /^[0-9a-f]{32}$/

/** A new id of an upload made at a time, in milliseconds since the epoch. */
export function newUploadId(time: number): string {
  return time.toString(16).padStart(TIME_DIGITS, "0") + randomBytes((ID_DIGITS - TIME_DIGITS) / 2).toString("hex")
}

/** When the upload was made, in milliseconds since the epoch. */
export const initiatedOf = (id: string): number => parseInt(id.slice(0, TIME_DIGITS), 16)

/** Where the upload stands in the index; `undefined` for what is no id. Throws `store-refused` for what is no key. */
export function uploadKey(ref: ObjectRef, id: string): Buffer | undefined {
  return UPLOAD_ID.test(id) ? entryKey(ref, Buffer.from(id)) : undefined
}

/** The id of the upload that stands there. */
export const uploadIdOf = (key: Uint8Array): string => Buffer.from(key.subarray(-ID_DIGITS)).toString()

/** Where the uploads behind this one begin, whether it is there or not. Throws `store-refused` for what is no id. */
export function behindUpload(ref: ObjectRef, id: string): Buffer {
  const key = uploadKey(ref, id)
  if (!key) throw new Failure("store-refused", "this is not the id of an upload")
  return Buffer.concat([key, Buffer.of(0)])
}
