/**
 * The header of a sealed object, format 1: two lines of UTF-8 before the message, at most 8,192 bytes.
 *
 *     bucketseal/1 LF
 *     {"dek":"<uuid>","bucket":"<name>","key":"<object key>"} LF
 *
 * It is public, and it is the message's context: every byte of it is authenticated by the message's commitment. There is
 * one encoding of a header; what parses but is encoded otherwise is no header.
 */

import { isUtf8 } from "node:buffer"

/** The most bytes a header has, both line ends included. */
export const MAX_HEADER_SIZE = 8_192

const MAGIC = "bucketseal/1\n"

/** What a header says: the data key's id, and the place the object was sealed for. */
export interface Header {
  readonly dek: string
  readonly bucket: string
  readonly key: string
}

/** What the first bytes of an object are. */
export type ParsedHeader =
  | { readonly kind: "header"; readonly header: Header; readonly size: number }
  /** The first line names another format number. */
  | { readonly kind: "unknown-format" }
  | { readonly kind: "none" }

/** The header's bytes. Throws a plain `Error` where they would be more than 8,192. */
export function encodeHeader({ dek, bucket, key }: Header): Buffer {
  const bytes = Buffer.from(`${MAGIC}${JSON.stringify({ dek, bucket, key })}\n`, "utf8")
  if (bytes.length > MAX_HEADER_SIZE) throw new Error("the header doesn't fit")
  return bytes
}

/** Reads the header off an object's first bytes: 8,192 of them, or all it has. */
export function parseHeader(start: Uint8Array): ParsedHeader {
  const bytes = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, MAX_HEADER_SIZE))
  if (!bytes.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC))) {
    return /^bucketseal\/(0|[1-9]\d{0,9})\n/.test(bytes.toString("latin1", 0, 24)) ? { kind: "unknown-format" } : { kind: "none" }
  }
  const end = bytes.indexOf("\n", MAGIC.length)
  if (end < 0) return { kind: "none" }
  const size = end + 1
  const line = bytes.subarray(MAGIC.length, end)
  const header = isUtf8(line) ? parseLine(line.toString()) : undefined // decoding would replace what isn't, and grow
  if (!header || !encodeHeader(header).equals(bytes.subarray(0, size))) return { kind: "none" }
  return { kind: "header", header, size }
}

function parseLine(line: string): Header | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined // not JSON: no header, whatever else it is
  }
  if (typeof value !== "object" || value === null) return undefined
  const { dek, bucket, key } = value as Partial<Record<keyof Header, unknown>>
  if (typeof dek !== "string" || typeof bucket !== "string" || typeof key !== "string") return undefined
  return { dek, bucket, key }
}
