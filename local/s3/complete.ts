/** Completing an upload in parts. */
import type { ChecksumKind, Part } from "../../shared/ports.ts"
import { LEAST_PART_SIZE, PART_LIMIT } from "../../shared/store/s3-limits.ts"
import { childrenOf } from "../../shared/store/xml.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { refuseWrite, unquoted, writeConditionOf } from "./conditions.ts"
import { S3Error } from "./errors.ts"
import { uploadIdOf } from "./multipart.ts"
import { recordOf } from "./notification.ts"
import { checksumElements } from "./object-checksums.ts"
import { readText } from "./payload.ts"
import { checksumOfParts, namedChecksum } from "./upload-checksums.ts"
import { parseDocument, textOf, type Element } from "./xml.ts"

// 10,000 parts, each with ETag, number and a SHA-256 in XML: under 300 bytes.
const maxCompleteBytes = 4 * 1024 ** 2
const maxCompleteElements = 1 + 4 * PART_LIMIT

/** CompleteMultipartUpload. */
export async function completeMultipartUpload(call: Call, endpoint: Endpoint): Promise<Answer> {
  const { store } = endpoint
  const condition = writeConditionOf(call)
  const body = await readText(call.openPayload("object"), maxCompleteBytes)
  await store.listParts(call, uploadIdOf(call), { limit: 1 }) // no body is parsed for an upload that is not there
  const named = parseParts(body)
  const stored = await store.listParts(call, uploadIdOf(call))
  const parts = chosenParts(named, stored.parts, stored.checksum)
  const size = sizeOf(call, parts)
  const checksum = checksumOfParts(call, stored.checksum, parts)
  const options = { checksum: () => checksum, ...(condition && { condition }) }
  const written = await store.completeUpload(call, uploadIdOf(call), parts, options)
    .catch((error: unknown) => refuseWrite(call, store, condition, error))
  const event = { ...written, size, eventName: "ObjectCreated:CompleteMultipartUpload" } as const
  await endpoint.onWrite(recordOf(call, endpoint, event))
  const answer = xmlAnswer(["CompleteMultipartUploadResult", [
    ["Location", `http://${call.header("host") ?? ""}${call.path}`],
    ["Bucket", call.bucket], ["Key", call.key], ["ETag", `"${written.etag}"`], ...checksumElements(checksum),
  ]])
  return { ...answer, headers: { ...answer.headers, "x-amz-version-id": written.versionId } }
}

type NamedPart = Pick<Part, "number" | "etag"> & { readonly checksum: ReturnType<typeof namedChecksum> }

function parseParts(body: string): NamedPart[] {
  const root = parseDocument(body, "CompleteMultipartUpload", maxCompleteElements)
  const named = childrenOf(root, "Part").map((part) => {
    const number = textOf(part, "PartNumber")?.trim() ?? ""
    const etag = textOf(part, "ETag")
    if (!/^\d{1,5}$/.test(number) || etag === undefined) throw new S3Error("MalformedXML")
    return { number: Number(number), etag: unquoted(etag), checksum: namedChecksum(part) }
  })
  if (named.length < 1 || named.length > PART_LIMIT) throw new S3Error("MalformedXML")
  return named
}

/** The stored parts that were named. Throws `InvalidPartOrder`, `InvalidPart`, `InvalidRequest` or `EntityTooSmall`. */
function chosenParts(named: readonly NamedPart[], stored: readonly Part[], begun: ChecksumKind | undefined): Part[] {
  const ascending = named.every(({ number }, index) => number > (named[index - 1]?.number ?? 0))
  if (!ascending) throw new S3Error("InvalidPartOrder")
  const byNumber = new Map(stored.map((part) => [part.number, part]))
  return named.map((name, index) => {
    const part = byNumber.get(name.number)
    const details: Element[] = [["PartNumber", name.number], ["ETag", name.etag]]
    if (part?.etag !== name.etag || !hasChecksum(part, name)) throw new S3Error("InvalidPart", undefined, details)
    if (begun?.type === "composite" && !name.checksum) throw new S3Error("InvalidRequest", unnamed(begun, part))
    if (part.size < LEAST_PART_SIZE && index < named.length - 1) {
      const sizes: Element[] = [["ProposedSize", part.size], ["MinSizeAllowed", LEAST_PART_SIZE]]
      throw new S3Error("EntityTooSmall", undefined, [["PartNumber", name.number], ...sizes])
    }
    return part
  })
}

const hasChecksum = ({ checksum }: Part, { checksum: named }: NamedPart): boolean =>
  !named || (checksum?.algorithm === named.algorithm && checksum.value === named.value)

const unnamed = ({ algorithm }: ChecksumKind, { number }: Part): string =>
  `The upload was created using a ${algorithm} checksum. The complete request must include the checksum for each part. `
  + `It was missing for part ${number} in the request.`

/** The size of the object. Throws `InvalidRequest` where another one is announced. */
function sizeOf(call: Call, parts: readonly Part[]): number {
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  const announced = call.header("x-amz-mp-object-size")
  if (announced === undefined || announced === String(size)) return size
  throw new S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed.")
}
