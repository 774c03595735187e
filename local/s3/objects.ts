/** Reading one object. */
import { isFailure } from "../../shared/errors.ts"
import type { GetOptions, ObjectInfo, StoredObject } from "../../shared/ports.ts"
import { resolveRange } from "../../shared/store/local-names.ts"
import { bytesOf, headersOf, validatorsOf } from "./attributes.ts"
import type { Answer, Call, Endpoint } from "./call.ts"
import { rangeHolds, rangeOf, readDecision } from "./conditions.ts"
import { S3Error } from "./errors.ts"
import { checksumHeaders } from "./object-checksums.ts"
import { askedPart } from "./part-number.ts"
import { refuseAbsent, versionOf } from "./versions.ts"

/** GetObject. */
export async function getObject(call: Call, { store }: Endpoint): Promise<Answer> {
  const overriding = overrides(call)
  const object = await openObject(call, store)
  try {
    const decision = readDecision(call, object)
    const answer = decision === "read" ? granted(call, object, overriding) : declined(decision, object)
    if (answer.status === 304) object.cancel()
    return answer.status === 304 ? answer : { ...answer, body: { stream: object.body, cancel: () => object.cancel() } }
  } catch (error) {
    object.cancel()
    throw error
  }
}

/** HeadObject. It takes a range as GetObject does (S3 reference, HeadObject), though HTTP knows them for GET alone. */
export async function headObject(call: Call, { store }: Endpoint): Promise<Answer> {
  const info = await store.head(call, versionOf(call)) ?? await refuseAbsent(call, store)
  const decision = readDecision(call, info)
  if (decision !== "read") return declined(decision, info)
  const asked = rangeHolds(call, info) ? rangeOf(call) : undefined
  return granted(call, asked ? { ...info, range: resolveRange(asked, info.size) } : info, overrides(call))
}

/** The answer to a read that goes ahead, but for the bytes. A checksum is of the whole object: it goes with no range. */
function granted(
  call: Call,
  info: ObjectInfo & Pick<StoredObject, "range">,
  overriding: Readonly<Record<string, string>>,
): Answer {
  const { range, size } = info
  const part = askedPart(call, info)
  const wantsChecksum = !range && call.header("x-amz-checksum-mode")?.toUpperCase() === "ENABLED"
  return {
    status: range ? 206 : part?.status ?? 200,
    headers: {
      ...headersOf(info),
      ...overriding,
      ...(wantsChecksum && checksumHeaders(info.checksum)),
      "content-length": String(range ? range.end - range.start + 1 : size),
      "content-range": range && `bytes ${range.start}-${range.end}/${size}`,
      ...part?.headers,
    },
  }
}

/** The answer to a read that a condition stopped. */
function declined(decision: "not-modified" | "failed", info: ObjectInfo): Answer {
  if (decision === "failed") throw new S3Error("PreconditionFailed")
  const { "x-amz-version-id": version, "cache-control": caching } = headersOf(info)
  return { status: 304, headers: { ...validatorsOf(info), "cache-control": caching, "x-amz-version-id": version } }
}

/** Opens the object as asked. With an If-Range that does not hold, opens it again, whole. */
async function openObject(call: Call, store: Endpoint["store"]): Promise<StoredObject> {
  const range = rangeOf(call)
  const options: GetOptions = { ...versionOf(call), ...(range && { range }) }
  try {
    const object = await store.get(call, options) ?? await refuseAbsent(call, store)
    if (!range || rangeHolds(call, object)) return object
    object.cancel()
  } catch (error) {
    if (!isFailure(error, "range-not-satisfiable")) throw error
    await refuseRange(call, store)
  }
  return await store.get(call, versionOf(call)) ?? await refuseAbsent(call, store)
}

/** Conditions come before ranges (RFC 9110, section 13.2.2); returns where the whole object is to be answered. */
async function refuseRange(call: Call, store: Endpoint["store"]): Promise<void> {
  const info = await store.head(call, versionOf(call)) ?? await refuseAbsent(call, store)
  if (readDecision(call, info) !== "read" || !rangeHolds(call, info)) return
  const details = [["RangeRequested", call.header("range")], ["ActualObjectSize", info.size]] as const
  throw new S3Error("InvalidRange", undefined, details)
}

/** The parameters by which a request sets headers of its answer (S3 reference, GetObject). */
export const responseOverrides = [
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
]

function overrides(call: Call): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const parameter of responseOverrides) {
    const value = call.query.get(parameter)
    if (value === undefined) continue
    if (/[\u0000-\u001f\u007f]/.test(value)) throw new S3Error("InvalidArgument", `${parameter} is not a header value.`)
    headers[parameter.slice("response-".length)] = bytesOf(value)
  }
  return headers
}
