/** The checksum of an object uploaded in parts (S3 reference, CreateMultipartUpload and CompleteMultipartUpload). */
import type { ChecksumAlgorithm, ChecksumKind, Part, StoredChecksum } from "../../shared/ports.ts"
import { checksumAlgorithms, checksumElement, checksumTypeNames } from "../../shared/store/s3-checksums.ts"
import type { XmlElement } from "../../shared/store/xml.ts"
import type { Call } from "./call.ts"
import { algorithms } from "./checksums.ts"
import { combinable, combineCrcs } from "./crc-combination.ts"
import { S3Error } from "./errors.ts"
import { checksumAlgorithmOf } from "./object-checksums.ts"
import { textOf, type Element } from "./xml.ts"

/** The kind of checksum that an upload is begun with. Throws `InvalidRequest`. */
export function checksumKindOf(call: Call): ChecksumKind | undefined {
  const algorithm = checksumAlgorithmOf(call)
  const type = typeOf(call)
  if (algorithm) return kindOf(algorithm, type)
  if (type === undefined) return undefined
  throw new S3Error("InvalidRequest", "x-amz-checksum-type can only be used with x-amz-checksum-algorithm.")
}

/** A kind of checksum in the headers of an answer. */
export function kindHeaders(kind: ChecksumKind | undefined): Readonly<Record<string, string>> {
  if (!kind) return {}
  const { algorithm, type } = kind
  return { "x-amz-checksum-algorithm": algorithm.toUpperCase(), "x-amz-checksum-type": checksumTypeNames[type] }
}

/** A kind of checksum in an XML document. */
export function kindElements(kind: ChecksumKind | undefined): readonly Element[] {
  if (!kind) return []
  return [["ChecksumAlgorithm", kind.algorithm.toUpperCase()], ["ChecksumType", checksumTypeNames[kind.type]]]
}

/** The checksum that stands in the XML of a part, if one does. */
export function namedChecksum(part: XmlElement): Omit<StoredChecksum, "type"> | undefined {
  for (const algorithm of checksumAlgorithms) {
    const value = textOf(part, checksumElement(algorithm))
    if (value !== undefined) return { algorithm, value }
  }
  return undefined
}

/**
 * The checksum of the object made of these parts; `undefined` where the upload was begun with none and none is given
 * for the whole. Throws `InvalidRequest` where a part has not got one of this kind, and `BadDigest` where the one given for
 * the whole, in a header, is another.
 */
export function checksumOfParts(
  call: Call,
  begun: ChecksumKind | undefined,
  parts: readonly Part[],
): StoredChecksum | undefined {
  const given = givenChecksum(call)
  const type = typeOf(call)
  const kind = begun ?? (given && kindOf(given.algorithm, type))
  if (!kind) return undefined
  if ((given && given.algorithm !== kind.algorithm) || (type && type !== kind.type)) {
    throw new S3Error("InvalidRequest", "The upload was begun with another checksum algorithm or type.")
  }
  const whole = { ...kind, value: valueOf(kind, parts.map((part) => ({ ...part, value: valueIn(part, kind) }))) }
  const [bare] = whole.value.split("-")
  if (given && given.value !== whole.value && given.value !== bare) throw new S3Error("BadDigest")
  return whole
}

/** S3's defaults and limits: CRC64NVME is of the whole object, a SHA never is, and the others are composite. */
function kindOf(algorithm: ChecksumAlgorithm, asked: ChecksumKind["type"] | undefined): ChecksumKind {
  const type = asked ?? (algorithm === "crc64nvme" ? "full" : "composite")
  const impossible = type === "full" ? !isCombinable(algorithm) : algorithm === "crc64nvme"
  if (!impossible) return { algorithm, type }
  const named = `The ${checksumTypeNames[type]} checksum type cannot be used with the ${algorithm} checksum algorithm.`
  throw new S3Error("InvalidRequest", named)
}

const isCombinable = (algorithm: ChecksumAlgorithm): algorithm is keyof typeof combinable => algorithm in combinable

function typeOf(call: Call): ChecksumKind["type"] | undefined {
  const given = call.header("x-amz-checksum-type")
  if (given === undefined) return undefined
  if (given === checksumTypeNames.full) return "full"
  if (given === checksumTypeNames.composite) return "composite"
  throw new S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
}

function givenChecksum(call: Call): Omit<StoredChecksum, "type"> | undefined {
  const [first, ...others] = checksumAlgorithms.flatMap((algorithm) => {
    const value = call.header(`x-amz-checksum-${algorithm}`)
    return value === undefined ? [] : [{ algorithm, value }]
  })
  if (others.length > 0) throw new S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header.")
  return first
}

function valueIn({ number, checksum }: Part, { algorithm }: ChecksumKind): string {
  if (checksum?.algorithm === algorithm) return checksum.value
  throw new S3Error("InvalidRequest", `The upload's checksum is ${algorithm}, and part ${number} was sent without it.`)
}

function valueOf({ algorithm, type }: ChecksumKind, parts: readonly { value: string; size: number }[]): string {
  if (type === "full" && isCombinable(algorithm)) return combineCrcs(algorithm, parts)
  const checksum = algorithms[algorithm]()
  for (const { value } of parts) checksum.update(Buffer.from(value, "base64"))
  return `${checksum.digest()}-${parts.length}`
}
