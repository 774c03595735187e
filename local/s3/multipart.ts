/** The operations of multipart uploads. */
import type { Part } from "../../shared/ports.ts"
import { childrenOf, textOf } from "../../shared/store/xml.ts"
import { countOf, xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { unquoted, writeConditionOf } from "./conditions.ts"
import { S3Error } from "./errors.ts"
import { recordOf } from "./notification.ts"
import { contentOptions, openLimited } from "./objects.ts"
import { readText, storable } from "./payload.ts"
import { parseDocument, type Element } from "./xml.ts"

// S3 reference, "Amazon S3 multipart upload limits".
const maxPartNumber = 10_000
const minPartBytes = 5 * 1024 ** 2

// 10,000 parts, each with ETag, number and a SHA-256 in XML: under 300 bytes.
const maxCompleteBytes = 4 * 1024 ** 2

/** CreateMultipartUpload. */
export async function createMultipartUpload(call: Call, { store }: Endpoint): Promise<Answer> {
  const uploadId = await store.createUpload(call, contentOptions(call))
  const upload: Element[] = [["Bucket", call.bucket], ["Key", call.key], ["UploadId", uploadId]]
  return xmlAnswer(["InitiateMultipartUploadResult", upload])
}

/** UploadPart. */
export async function uploadPart(call: Call, { store }: Endpoint): Promise<Answer> {
  const number = Number(call.query.get("partNumber"))
  if (!Number.isInteger(number) || number < 1 || number > maxPartNumber) {
    throw new S3Error("InvalidArgument", `Part number must be an integer between 1 and ${maxPartNumber}, inclusive`)
  }
  const payload = openLimited(call)
  const { etag } = await store.putPart(call, uploadIdOf(call), number, await storable(payload))
  return { status: 200, headers: { etag: `"${etag}"`, ...payload.checksums } }
}

/** CompleteMultipartUpload. */
export async function completeMultipartUpload(call: Call, endpoint: Endpoint): Promise<Answer> {
  if ([...call.headers.keys()].some((name) => name.startsWith("x-amz-checksum-") && name !== "x-amz-checksum-type")) {
    throw new S3Error("NotImplemented", "A checksum of the whole object is not checked here; the parts' are.")
  }
  const condition = writeConditionOf(call)
  const named = parseParts(await readText(call.openPayload(), maxCompleteBytes))
  const parts = chosenParts(named, await endpoint.store.listParts(call, uploadIdOf(call)))
  const written = await endpoint.store.completeUpload(call, uploadIdOf(call), parts, condition && { condition })
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  const event = { ...written, size, eventName: "ObjectCreated:CompleteMultipartUpload" } as const
  await endpoint.onWrite(recordOf(call, endpoint, event))
  const answer = xmlAnswer(["CompleteMultipartUploadResult", [
    ["Location", `http://${call.header("host") ?? ""}${call.path}`],
    ["Bucket", call.bucket], ["Key", call.key], ["ETag", `"${written.etag}"`],
  ]])
  return { ...answer, headers: { ...answer.headers, "x-amz-version-id": written.versionId } }
}

/** AbortMultipartUpload. */
export async function abortMultipartUpload(call: Call, { store }: Endpoint): Promise<Answer> {
  await store.abortUpload(call, uploadIdOf(call))
  return { status: 204 }
}

// S3 reference, ListParts: at most 1,000 a page.
const maxListedParts = 1000

/** ListParts. */
export async function listParts(call: Call, { store }: Endpoint): Promise<Answer> {
  const limit = Math.min(countOf(call, "max-parts", maxListedParts), maxListedParts)
  const marker = countOf(call, "part-number-marker", 0)
  const after = (await store.listParts(call, uploadIdOf(call))).filter(({ number }) => number > marker)
  const page = after.slice(0, limit)
  return xmlAnswer(["ListPartsResult", [
    ["Bucket", call.bucket], ["Key", call.key], ["UploadId", uploadIdOf(call)],
    ["PartNumberMarker", marker], ["NextPartNumberMarker", page.at(-1)?.number ?? 0],
    ["MaxParts", limit], ["IsTruncated", after.length > page.length],
    ...page.map(({ number, etag, size }): Element =>
      ["Part", [["PartNumber", number], ["ETag", `"${etag}"`], ["Size", size]]]),
  ]])
}

const uploadIdOf = (call: Call): string => call.query.get("uploadId") ?? ""

type NamedPart = Pick<Part, "number" | "etag">

function parseParts(body: string): NamedPart[] {
  // Counted in the text, as parsing a body of many small elements would take seconds.
  if ((body.match(/<(?:[^<>\s:]+:)?Part[\s/>]/g)?.length ?? 0) > maxPartNumber) throw new S3Error("MalformedXML")
  const named = childrenOf(parseDocument(body, "CompleteMultipartUpload"), "Part").map((part) => {
    const number = textOf(part, "PartNumber")?.trim() ?? ""
    const etag = textOf(part, "ETag")
    if (!/^\d{1,5}$/.test(number) || etag === undefined) throw new S3Error("MalformedXML")
    return { number: Number(number), etag: unquoted(etag) }
  })
  if (named.length < 1) throw new S3Error("MalformedXML")
  return named
}

/** The stored parts that were named. Throws `InvalidPartOrder`, `InvalidPart` or `EntityTooSmall`. */
function chosenParts(named: readonly NamedPart[], stored: readonly Part[]): Part[] {
  const ascending = named.every(({ number }, index) => number > (named[index - 1]?.number ?? 0))
  if (!ascending) throw new S3Error("InvalidPartOrder")
  const byNumber = new Map(stored.map((part) => [part.number, part]))
  return named.map(({ number, etag }, index) => {
    const part = byNumber.get(number)
    if (part?.etag !== etag) throw new S3Error("InvalidPart", undefined, [["PartNumber", number], ["ETag", etag]])
    if (part.size < minPartBytes && index < named.length - 1) {
      const sizes: Element[] = [["ProposedSize", part.size], ["MinSizeAllowed", minPartBytes]]
      throw new S3Error("EntityTooSmall", undefined, [["PartNumber", number], ...sizes])
    }
    return part
  })
}
