/** The checksums that objects and parts keep (S3 user guide, "Checking object integrity"): in headers and in XML. */
import type { ChecksumAlgorithm, StoredChecksum } from "../../shared/ports.ts"
import { checksumAlgorithms, checksumElement, checksumTypeNames } from "../../shared/store/s3-checksums.ts"
import type { Call } from "./call.ts"
import { S3Error } from "./errors.ts"
import type { Element } from "./xml.ts"

/** A checksum in the headers of an answer. That of a part is told without its type. */
export function checksumHeaders(
  checksum: StoredChecksum | undefined,
  of: "object" | "part" = "object",
): Readonly<Record<string, string>> {
  if (!checksum) return {}
  const value = { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value }
  return of === "part" ? value : { ...value, "x-amz-checksum-type": checksumTypeNames[checksum.type] }
}

/** A checksum in an XML document. That of a part is told without its type. */
export function checksumElements(
  checksum: StoredChecksum | undefined,
  of: "object" | "part" = "object",
): readonly Element[] {
  if (!checksum) return []
  const value: Element = [checksumElement(checksum.algorithm), checksum.value]
  return of === "part" ? [value] : [value, ["ChecksumType", checksumTypeNames[checksum.type]]]
}

/** What `x-amz-checksum-algorithm` names, or `undefined` if it is not sent. Throws `InvalidRequest`. */
export function checksumAlgorithmOf(call: Call): ChecksumAlgorithm | undefined {
  const given = call.header("x-amz-checksum-algorithm")
  const algorithm = checksumAlgorithms.find((name) => name === given?.toLowerCase())
  if (given === undefined || algorithm) return algorithm
  throw new S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.")
}
