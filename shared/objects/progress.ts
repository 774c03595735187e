/**
 * `progress/<sha256 of bucket LF key>.json`: what a sealing that takes more than one write has done so far. It is a lease
 * (one holder at a time), the pin of the source, and what makes every run of it give identical bytes. A document is believed
 * only where its HMAC verifies: else whoever may write the state could have a salt used again for other bytes.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import * as z from "zod/mini"
import type { ObjectRef } from "../ports.ts"
import { objectHash } from "./object-hash.ts"

const pin = z.object({
  etag: z.string(),
  size: z.number(),
  lastModified: z.number(),
  versionId: z.optional(z.string()),
})

/** Which object is being sealed: bytes and description of another one are not this one's. */
export type Pin = z.infer<typeof pin>

const progress = z.object({
  bucket: z.string(),
  key: z.string(),
  /** Who works on it, and until when (milliseconds since the epoch) nobody else may. */
  holder: z.string(),
  until: z.number(),
  source: pin,
  /** Bytes of plaintext: the source's, or what it holds where it is a sealed object that was moved. */
  plaintextSize: z.number(),
  /** Where it is sealed to, and what was there before: the ETag, or nothing. */
  target: z.object({ bucket: z.string(), etag: z.optional(z.string()) }),
  dek: z.string(),
  /** Base64, 24 bytes. */
  salt: z.string(),
  /** The multipart upload: only an upload that stands here is ever aborted. */
  uploadId: z.optional(z.string()),
  /** Sealed bytes of every part but the last. */
  partSize: z.optional(z.number()),
  /** It is at the target, and only its source is left to be removed. */
  written: z.optional(z.boolean()),
  /** It is sealed, and its source stays: this source is not sealed again. */
  kept: z.optional(z.boolean()),
  mac: z.string(),
})

/** The document. */
export type Progress = z.infer<typeof progress>
/** The document without its HMAC. */
export type ProgressFields = Omit<Progress, "mac">

/** Reads what is stored. */
export const progressParser = progress

/** Where the document of this source is. */
export const progressPath = (source: ObjectRef): string => `${PROGRESS}${objectHash(source)}.json`

/** What the paths of all documents begin with. */
export const PROGRESS = "progress/"

const LABEL = "bucketseal/1 progress"

/** The document of these fields: HMAC-SHA-256(HMAC-SHA-256(DEK, "bucketseal/1 progress"), all fields). */
export function signProgress(fields: ProgressFields, dek: Uint8Array): Progress {
  return { ...fields, mac: macOf(fields, dek).toString("base64") }
}

/** True for a document made by somebody who had its data key, and about this source. */
export function isAuthentic(document: Progress, dek: Uint8Array, { bucket, key }: ObjectRef): boolean {
  const { mac, ...fields } = document
  const given = Buffer.from(mac, "base64")
  const expected = macOf(fields, dek)
  return document.bucket === bucket && document.key === key && given.length === expected.length && timingSafeEqual(given, expected)
}

function macOf(fields: ProgressFields, dek: Uint8Array): Buffer {
  const macKey = createHmac("sha256", dek).update(LABEL).digest()
  try {
    return createHmac("sha256", macKey).update(canonical(fields)).digest()
  } finally {
    macKey.fill(0)
  }
}

/** One text for equal fields: members by name, absent ones left out. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([one], [other]) => (one < other ? -1 : 1))) : member)
}
