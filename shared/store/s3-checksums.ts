/** Checksums as S3 writes them in headers and documents (S3 reference, PutObject, ListParts, CompleteMultipartUpload). */
import type { Body, ChecksumAlgorithm, ChecksumKind, StoredChecksum } from "../ports.ts"
import type { Header } from "./s3-call.ts"
import { textOf, type XmlElement } from "./xml.ts"

/** The algorithms that S3 offers beside the ETag. */
export const checksumAlgorithms: readonly ChecksumAlgorithm[] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]

/** How S3 names the two types. */
export const checksumTypeNames: Readonly<Record<ChecksumKind["type"], string>> = {
  full: "FULL_OBJECT",
  composite: "COMPOSITE",
}

/** The header that has the store check the bytes. None for a stream, whose checksum is known too late for a header. */
export function bodyChecksum(body: Body, checksum: (() => StoredChecksum | undefined) | undefined): Header[] {
  const known = body instanceof Uint8Array ? checksum?.() : undefined
  return known ? [valueHeader(known)] : []
}

/** The headers of the checksum of an object made of parts. */
export function objectChecksum(checksum: StoredChecksum | undefined): Header[] {
  return checksum ? [valueHeader(checksum), typeHeader(checksum)] : []
}

/** The headers of an upload whose parts will carry a checksum. */
export function uploadChecksum(kind: ChecksumKind | undefined): Header[] {
  return kind ? [["x-amz-checksum-algorithm", kind.algorithm.toUpperCase()], typeHeader(kind)] : []
}

/** How the checksum of an upload's object is made, as a listing says it; `undefined` where it names none that we know. */
export function checksumKindOf(element: XmlElement): ChecksumKind | undefined {
  const named = textOf(element, "ChecksumAlgorithm")?.toLowerCase()
  const algorithm = checksumAlgorithms.find((name) => name === named)
  if (!algorithm) return undefined
  // S3 user guide, "Checking object integrity": composite is the default, and there is none of CRC-64.
  const full = textOf(element, "ChecksumType") === checksumTypeNames.full || algorithm === "crc64nvme"
  return { algorithm, type: full ? "full" : "composite" }
}

/** The name of the element in which a checksum's value stands. */
export const checksumElement = (algorithm: ChecksumAlgorithm): string => `Checksum${algorithm.toUpperCase()}`

/** The checksum of a part, as a listing says it. */
export function partChecksumOf(part: XmlElement): StoredChecksum | undefined {
  for (const algorithm of checksumAlgorithms) {
    const value = textOf(part, checksumElement(algorithm))
    if (value) return { algorithm, type: "full", value }
  }
  return undefined
}

const valueHeader = ({ algorithm, value }: StoredChecksum): Header => [`x-amz-checksum-${algorithm}`, value]

const typeHeader = ({ type }: ChecksumKind): Header => ["x-amz-checksum-type", checksumTypeNames[type]]
