/** The parameter `partNumber`: of an upload, and of an object that was made by one. */
import type { ObjectInfo } from "../../shared/ports.ts"
import { isPartNumber, PART_LIMIT } from "../../shared/store/s3-limits.ts"
import type { Answer, Call } from "./call.ts"
import { S3Error } from "./errors.ts"

/** The number of the part that a request is about. Throws `InvalidArgument`. */
export function partNumberOf(call: Call): number {
  const number = Number(call.query.get("partNumber"))
  if (isPartNumber(number)) return number
  throw new S3Error("InvalidArgument", `Part number must be an integer between 1 and ${PART_LIMIT}, inclusive`)
}

/**
 * The status and headers of a read of one part (S3 reference, GetObject), or `undefined` where none is asked for. Where
 * a part ends inside an object is not known once it is complete, so an object of several parts is `NotImplemented`; one
 * of a single part, or put whole, is its own part 1. Throws `InvalidPartNumber` for a part that it has not got.
 */
export function askedPart(call: Call, { etag, size }: ObjectInfo): Pick<Answer, "status" | "headers"> | undefined {
  if (!call.query.has("partNumber")) return undefined
  const number = partNumberOf(call)
  if (call.header("range") !== undefined) {
    throw new S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
  }
  const count = /-(\d+)$/.exec(etag)?.[1]
  if (number > Number(count ?? 1)) {
    const details = [["PartNumberRequested", number], ["ActualPartCount", count ?? 1]] as const
    throw new S3Error("InvalidPartNumber", undefined, details)
  }
  if (Number(count) > 1) throw new S3Error("NotImplemented", "The parts of a complete object are not told apart here.")
  const counted = { "x-amz-mp-parts-count": count }
  if (size === 0) return { status: 200, headers: counted }
  return { status: 206, headers: { ...counted, "content-range": `bytes 0-${size - 1}/${size}` } }
}
