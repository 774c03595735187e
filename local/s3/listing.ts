/** What the listings of a bucket have in common. */
import { percentEncode } from "../../shared/net/sigv4-canonical.ts"
import type { ListMarker } from "../../shared/ports.ts"
import { countOf, type Call } from "./call.ts"
import { S3Error } from "./errors.ts"
import type { Element } from "./xml.ts"

// S3 reference, ListObjectsV2 and the others: at most 1,000 a page, and what is asked beyond is answered so.
const maxListed = 1000

/** How many entries a page may have. */
export const limitOf = (call: Call, parameter: string): number =>
  Math.min(countOf(call, parameter, maxListed), maxListed)

/** Behind what a page begins: a key and, where it is given, the version or upload of that key. */
export function markerOf(call: Call, idParameter: string): ListMarker | undefined {
  const key = call.query.get("key-marker")
  const id = call.query.get(idParameter)
  if (!key) return undefined
  return id ? { key, id } : { key }
}

/** With `encoding-type=url` names are percent-encoded but for `/`, so that names XML cannot hold come through. */
function encoderOf(call: Call): (name: string) => string {
  const encoding = call.query.get("encoding-type")
  if (encoding === undefined) return (name) => name
  if (encoding !== "url") throw new S3Error("InvalidArgument", "Invalid Encoding Method specified in Request")
  return (name) => percentEncode(name).replaceAll("%2F", "/")
}

/** What a listing is restricted to and how its names are written, and the same as its answer repeats it. Throws
 *  `InvalidArgument` for another encoding than `url`. */
export function frameOf(call: Call) {
  const prefix = call.query.get("prefix") ?? ""
  const delimiter = call.query.get("delimiter") ?? ""
  const encode = encoderOf(call)
  const elements: readonly Element[] = [
    ["Prefix", encode(prefix)],
    ["Delimiter", delimiter === "" ? undefined : encode(delimiter)],
    ["EncodingType", call.query.get("encoding-type")],
  ]
  return { prefix, delimiter, encode, elements }
}

/** The prefixes that were rolled up. */
export const prefixElements = (prefixes: readonly string[], encode: (name: string) => string): readonly Element[] =>
  prefixes.map((prefix): Element => ["CommonPrefixes", [["Prefix", encode(prefix)]]])
