/** HTTP ranges and preconditions (RFC 9110, sections 13 and 14) over a size and an ETag that are already known. */
import { Failure } from "../errors.ts"

/** A satisfiable range of a representation, both ends inclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The span that a Range header asks for; `undefined` where the whole is to be sent (no header, another unit, several
 *  ranges, or not valid: a server may ignore those). Throws `range-not-satisfiable` for one that touches no byte. */
export function spanOf(header: string | null, size: number): Span | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(" ", "") ?? "")
  const [, from = "", to = ""] = match ?? []
  if (!match || (from === "" && to === "")) return undefined
  if (from === "") return suffix(Number(to), size)
  const start = Number(from)
  const end = Math.min(to === "" ? size - 1 : Number(to), size - 1)
  if (to !== "" && Number(to) < start) return undefined
  if (start >= size) throw unsatisfiable(size)
  return { start, end }
}

function suffix(length: number, size: number): Span {
  if (length === 0 || size === 0) throw unsatisfiable(size)
  return { start: Math.max(0, size - length), end: size - 1 }
}

const unsatisfiable = (size: number) => new Failure(
  "range-not-satisfiable", "the range starts behind the end of the object", undefined, undefined, { "content-range": `bytes */${size}` },
)

/** Checks If-Match and If-None-Match against an ETag (without quotes). Throws `precondition-failed` or `not-modified`. */
export function checkPreconditions(headers: Headers, etag: string): void {
  const match = headers.get("if-match")
  if (match !== null && !lists(match, etag)) throw new Failure("precondition-failed", "the object has another ETag")
  const noneMatch = headers.get("if-none-match")
  if (noneMatch !== null && lists(noneMatch, etag)) throw notModified(etag)
}

const notModified = (etag: string) =>
  new Failure("not-modified", "the object has this ETag", undefined, undefined, { etag: `"${etag}"` })

function lists(header: string, etag: string): boolean {
  return header.split(",").some((one) => {
    const tag = one.trim()
    return tag === "*" || tag.replace(/^W\//, "").replaceAll('"', "") === etag
  })
}
