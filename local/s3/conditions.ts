/** Conditional requests. */
import { isFailure } from "../../shared/errors.ts"
import type { ByteRange, ObjectInfo, ObjectRef, WriteCondition } from "../../shared/ports.ts"
import type { Call, Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"
import { absenceOf } from "./versions.ts"

/** Whether a read goes ahead, in the order of RFC 9110, section 13.2.2. The conditions on the source of a copy have the
 *  same order (S3 reference, CopyObject), and names that begin with `prefix`. */
export function readDecision(call: Call, info: ObjectInfo, prefix = ""): "read" | "not-modified" | "failed" {
  const ifMatch = call.header(`${prefix}if-match`)
  const unmodifiedSince = dateOf(call.header(`${prefix}if-unmodified-since`))
  const goesAhead = ifMatch === undefined
    ? unmodifiedSince === undefined || wholeSeconds(info) <= unmodifiedSince
    : matches(ifMatch, info.etag, "strong")
  if (!goesAhead) return "failed"
  const ifNoneMatch = call.header(`${prefix}if-none-match`)
  const modifiedSince = dateOf(call.header(`${prefix}if-modified-since`))
  const unchanged = ifNoneMatch === undefined
    ? modifiedSince !== undefined && wholeSeconds(info) <= modifiedSince
    : matches(ifNoneMatch, info.etag, "weak")
  return unchanged ? "not-modified" : "read"
}

/** The object's time as Last-Modified tells it: an HTTP date has no fractions. */
const wholeSeconds = (info: ObjectInfo): number => Math.floor(info.lastModified / 1000) * 1000

/** Whether If-Range, where it is given, lets the range be answered (RFC 9110, section 13.1.5). */
export function rangeHolds(call: Call, info: ObjectInfo): boolean {
  const validator = call.header("if-range")
  if (validator === undefined) return true
  const date = dateOf(validator)
  return date === undefined ? matches(validator, info.etag, "strong") : date === wholeSeconds(info)
}

/** The one range asked for. `undefined` where there is none, or several, or it is not well-formed: then the whole is
 *  answered (RFC 9110, section 14.2). */
export function rangeOf(call: Call): ByteRange | undefined {
  const [, first = "", last = ""] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(call.header("range") ?? "") ?? []
  if (first === "") return last === "" ? undefined : { suffix: offsetOf(last) }
  if (last === "") return { start: offsetOf(first) }
  return offsetOf(last) < offsetOf(first) ? undefined : { start: offsetOf(first), end: offsetOf(last) }
}

/** Any number of digits is a number: what no object reaches is behind every end (2^63 - 2 is what some clients send). */
const offsetOf = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER)

/** The condition of a write (S3 reference, "Conditional writes"): If-None-Match takes only `*`, If-Match one ETag. */
export function writeConditionOf(call: Call): WriteCondition | undefined {
  const ifMatch = call.header("if-match")
  const ifNoneMatch = call.header("if-none-match")
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw new S3Error("InvalidRequest", "Specify either If-Match or If-None-Match, not both.")
  }
  if (ifNoneMatch === "*") return { ifNoneMatch }
  if (ifNoneMatch !== undefined || ifMatch?.includes(",") || ifMatch === "*") {
    throw new S3Error("NotImplemented", "A write takes If-None-Match: * or If-Match with one entity tag.")
  }
  return ifMatch === undefined ? undefined : { ifMatch: unquoted(ifMatch) }
}

/** Throws what a write or delete failed with; where If-Match found no object, `NoSuchKey` instead (S3 user guide, "How to
 *  prevent object overwrites with conditional writes"). */
export async function refuseWrite(
  { bucket, key }: ObjectRef,
  store: Endpoint["store"],
  condition: WriteCondition | undefined,
  error: unknown,
): Promise<never> {
  const compared = condition !== undefined && "ifMatch" in condition && isFailure(error, "precondition-failed")
  if (compared && !await store.head({ bucket, key })) throw absenceOf({ key })
  throw error
}

/** An entity tag without its quotes. */
export const unquoted = (etag: string): string => etag.trim().replace(/^"(.*)"$/, "$1")

/** Strong comparison takes no weak tag (RFC 9110, section 8.8.3.2). S3's tags hold no comma. */
function matches(list: string, etag: string, comparison: "strong" | "weak"): boolean {
  if (list.trim() === "*") return true
  return list.split(",").some((tag) => unquoted(comparison === "weak" ? tag.trim().replace(/^W\//, "") : tag) === etag)
}

/** Milliseconds since the epoch, or `undefined` for what is no date: it is then ignored (RFC 9110, section 13.1.3). */
function dateOf(value: string | undefined): number | undefined {
  const time = value !== undefined && value.endsWith("GMT") ? Date.parse(value) : NaN
  return Number.isNaN(time) ? undefined : time
}
