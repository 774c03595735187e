/** The request target, read as it was sent: nothing is normalised, so each key has exactly one object. */
import { isBucketName, KEY_LIMIT } from "../../shared/store/s3-limits.ts"
import { S3Error } from "./errors.ts"

/** A request target in path style: `/`, `/bucket`, `/bucket/key`. */
export interface Target {
  /** As sent, for the signature. */
  readonly path: string
  /** As sent, without `?`. */
  readonly rawQuery: string
  /** Empty for the service itself. */
  readonly bucket: string
  /** Empty for a bucket. */
  readonly key: string
  /** Percent-decoded; `+` is a plus, as in the canonical request that was signed. The first of equal names counts. */
  readonly query: ReadonlyMap<string, string>
}

/** Parses a raw target, one character a byte. Throws `InvalidURI`, `InvalidBucketName` or `KeyTooLongError`. */
export function parseTarget(raw: string): Target {
  const [path = "", ...rest] = raw.split("?")
  if (!path.startsWith("/")) throw new S3Error("InvalidURI")
  const rawQuery = rest.join("?")
  const slash = path.indexOf("/", 1)
  const bucket = decode(slash < 0 ? path.slice(1) : path.slice(1, slash))
  const key = slash < 0 ? "" : decode(path.slice(slash + 1))
  if (path !== "/") checkName(bucket, key)
  return { path, rawQuery, bucket, key, query: parseQuery(rawQuery) }
}

/** Throws `InvalidBucketName` or `KeyTooLongError`. */
export function checkName(bucket: string, key: string): void {
  if (!isBucketName(bucket)) throw new S3Error("InvalidBucketName")
  if (Buffer.byteLength(key) > KEY_LIMIT) throw new S3Error("KeyTooLongError")
}

function parseQuery(rawQuery: string): Map<string, string> {
  const query = new Map<string, string>()
  for (const pair of rawQuery.split("&").filter((pair) => pair !== "")) {
    const [name = "", ...value] = pair.split("=")
    if (!query.has(decode(name))) query.set(decode(name), decode(value.join("=")))
  }
  return query
}

/** Percent-decodes text of one character a byte; a plus stays one. Throws `InvalidURI` for what is no UTF-8. */
export function decode(encoded: string): string {
  if (!/[^\x21-\x24\x26-\x7e]/.test(encoded)) return encoded
  if (/%(?![0-9A-Fa-f]{2})/.test(encoded)) throw new S3Error("InvalidURI")
  const bytes = encoded.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return utf8(bytes) ?? refuseText()
}

function refuseText(): never {
  throw new S3Error("InvalidURI")
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Text of UTF-8 bytes given as one character a byte, as node:http does; `undefined` if they are not UTF-8. */
export function utf8(bytes: string): string | undefined {
  if (!/[^\x00-\x7f]/.test(bytes)) return bytes
  try {
    return decoder.decode(Buffer.from(bytes, "latin1"))
  } catch {
    return undefined
  }
}
