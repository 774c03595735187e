/** The body of a request: decoded, and checked against all that the request promises about it. */
import type { Body, ChecksumAlgorithm, StoredChecksum } from "../../shared/ports.ts"
import { checksumAlgorithms } from "../../shared/store/s3-checksums.ts"
import { algorithms } from "./checksums.ts"
import { decodeChunks, type Signing } from "./chunked.ts"
import { S3Error } from "./errors.ts"

/** A body. The stream is read once. It ends only if length, hash, checksums and chunk signatures were right, so whoever
 *  keeps nothing of a stream that failed keeps nothing that is wrong. */
export interface Payload {
  /** Decoded bytes. */
  readonly length: number
  readonly stream: AsyncIterable<Uint8Array>
  /** The checksum that was given with it, where one was; known once the stream has ended. */
  checksum(): StoredChecksum | undefined
}

/** What a body is read from, and what was said about it. */
export interface PayloadSource {
  readonly bytes: AsyncIterable<Uint8Array>
  /** A header of the request by its lower-case name. */
  readonly header: (name: string) => string | undefined
  /** The value of `x-amz-content-sha256`, covered by the signature. */
  readonly payload: string
  readonly signing: Signing
}

/** One promise about the bytes. `verify` throws where it does not hold. */
interface Check {
  update(bytes: Uint8Array): void
  verify(trailers: ReadonlyMap<string, string>): void
}

type Held = (checksum: StoredChecksum) => void

/** Opens the body. Throws an `S3Error` where its headers cannot be fulfilled; reads nothing yet. */
export function openPayload(source: PayloadSource): Payload {
  const framing = framingOf(source)
  const length = lengthOf(source, framing !== undefined)
  let given: StoredChecksum | undefined
  const held: Held = (checksum) => { given = checksum }
  const checks = [...contentChecks(source), ...checksumChecks(source, framing?.trailer ?? false, held)]
  const decoded = framing ? decodeChunks(source.bytes, framing) : plain(source.bytes)
  return { length, checksum: () => given, stream: checked(decoded, length, checks) }
}

/** One request carries, or copies, at most 5 GiB (S3 reference, "Amazon S3 multipart upload limits"). */
export const maxSingleUpload = 5 * 1024 ** 3

// Up to here a body is collected, so that a store can write it in one go; the local store keeps these in its index.
const smallBody = 16 * 1024

/** The body as a store takes it: a small one whole, and checked already. */
export async function storable(body: Streamed): Promise<Body> {
  return body.length <= smallBody ? collect(body) : body
}

/** A stream of so many bytes. */
type Streamed = Pick<Payload, "length" | "stream">

/** Reads an XML body of at most `limit` bytes. Throws `MaxMessageLengthExceeded`, or `MalformedXML` for no text. */
export async function readText(payload: Payload, limit: number): Promise<string> {
  if (payload.length > limit) throw new S3Error("MaxMessageLengthExceeded")
  const bytes = await collect(payload)
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw new S3Error("MalformedXML")
  }
}

async function collect(body: Streamed): Promise<Uint8Array> {
  const whole = Buffer.alloc(body.length)
  let at = 0
  for await (const bytes of body.stream) {
    whole.set(bytes, at)
    at += bytes.length
  }
  return whole
}

/** How `aws-chunked` frames the body, or `undefined` where it is sent plain. */
function framingOf({ payload, signing }: PayloadSource) {
  switch (payload) {
    case "STREAMING-UNSIGNED-PAYLOAD-TRAILER": return { trailer: true }
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": return { trailer: false, signing }
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": return { trailer: true, signing }
  }
  if (payload.startsWith("STREAMING-")) throw new S3Error("NotImplemented")
  if (payload !== "UNSIGNED-PAYLOAD" && !/^[0-9a-f]{64}$/.test(payload)) {
    throw new S3Error("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-… or a SHA-256.")
  }
  return undefined
}

function lengthOf({ header }: PayloadSource, chunked: boolean): number {
  const length = header(chunked ? "x-amz-decoded-content-length" : "content-length")
  if (length === undefined) throw new S3Error("MissingContentLength")
  if (!/^\d{1,15}$/.test(length)) throw new S3Error("InvalidArgument", "The length of the body is not a number.")
  return Number(length)
}

function contentChecks({ header, payload }: PayloadSource): Check[] {
  const md5 = header("content-md5")
  if (md5 !== undefined && Buffer.from(md5, "base64").length !== 16) throw new S3Error("InvalidDigest")
  const sha256 = /^[0-9a-f]{64}$/.test(payload) ? Buffer.from(payload, "hex").toString("base64") : undefined
  return [
    ...(md5 === undefined ? [] : [check("md5", () => md5, "BadDigest")]),
    ...(sha256 === undefined ? [] : [check("sha256", () => sha256, "XAmzContentSHA256Mismatch")]),
  ]
}

// The bytes of each checksum value (S3 reference, "Checking object integrity").
const checksumLengths: Record<ChecksumAlgorithm, number> = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 }

function checksumChecks({ header }: PayloadSource, trailer: boolean, held: Held): Check[] {
  const announced = trailer ? (header("x-amz-trailer") ?? "").split(",").map((name) => name.trim().toLowerCase()) : []
  const given = checksumAlgorithms.filter((name) => header(`x-amz-checksum-${name}`) !== undefined)
  const trailing = checksumAlgorithms.filter((name) => announced.includes(`x-amz-checksum-${name}`))
  if (announced.filter((name) => name !== "").length > trailing.length) {
    throw new S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported.")
  }
  if (given.length + trailing.length > 1) {
    throw new S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header or trailer.")
  }
  return [
    ...given.map((name) => checksumCheck(name, () => header(`x-amz-checksum-${name}`), held)),
    ...trailing.map((name) => checksumCheck(name, (trailers) => trailers.get(`x-amz-checksum-${name}`), held)),
    ...(trailer ? [onlyAnnounced(announced)] : []),
  ]
}

type Promised = (trailers: ReadonlyMap<string, string>) => string | undefined

function checksumCheck(algorithm: ChecksumAlgorithm, promised: Promised, held: Held): Check {
  const invalid = (value: string): boolean => Buffer.from(value, "base64").length !== checksumLengths[algorithm]
  const early = promised(new Map())
  if (early !== undefined && invalid(early)) {
    throw new S3Error("InvalidRequest", `Value for x-amz-checksum-${algorithm} header is invalid.`)
  }
  return check(algorithm, promised, "BadDigest", (value) => held({ algorithm, type: "full", value }))
}

function check(
  name: keyof typeof algorithms,
  promised: Promised,
  refusal: "BadDigest" | "XAmzContentSHA256Mismatch",
  held: (value: string) => void = () => undefined,
): Check {
  const checksum = algorithms[name]()
  return {
    update: (bytes) => checksum.update(bytes),
    verify: (trailers) => {
      const value = promised(trailers)
      if (value === undefined) throw new S3Error("MalformedTrailerError")
      if (value !== checksum.digest()) throw new S3Error(refusal)
      held(value)
    },
  }
}

function onlyAnnounced(announced: readonly string[]): Check {
  return {
    update: () => undefined,
    verify: (trailers) => {
      if ([...trailers.keys()].some((name) => !announced.includes(name))) throw new S3Error("MalformedTrailerError")
    },
  }
}

type Decoded = AsyncGenerator<Uint8Array, ReadonlyMap<string, string>>

async function* plain(bytes: AsyncIterable<Uint8Array>): Decoded {
  yield* bytes
  return new Map()
}

async function* checked(decoded: Decoded, length: number, checks: readonly Check[]): AsyncGenerator<Uint8Array> {
  let received = 0
  try {
    for (;;) {
      const step = await decoded.next()
      if (step.done) {
        if (received < length) throw new S3Error("IncompleteBody")
        for (const check of checks) check.verify(step.value)
        return
      }
      received += step.value.length
      if (received > length) throw new S3Error("IncompleteBody")
      for (const check of checks) check.update(step.value)
      yield step.value
    }
  } finally {
    await decoded.return(new Map())
  }
}
