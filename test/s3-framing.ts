/** Bodies in the encoding `aws-chunked`. */
import { algorithms } from "../local/s3/checksums.ts"
import { deriveSigningKey } from "../shared/net/sigv4-canonical.ts"
import { chunkSignature } from "../shared/net/sigv4.ts"
import type { S3Server } from "../local/s3-server.ts"
import { credentials, head, region, sha256, signed, type RawRequest } from "./s3-endpoint.ts"

/** The value of a checksum over these bytes, in base64. */
export function checksumOf(name: keyof typeof algorithms, bytes: Uint8Array): string {
  const checksum = algorithms[name]()
  checksum.update(bytes)
  return checksum.digest()
}

/** Unsigned framing: chunks of these, and the trailers. */
export function unsignedChunks(chunks: readonly Buffer[], trailers: Readonly<Record<string, string>>): Buffer {
  const framed = chunks.map((chunk) =>
    Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]))
  const lines = Object.entries(trailers).map(([name, value]) => `${name}:${value}\r\n`).join("")
  return Buffer.concat([...framed, Buffer.from(`0\r\n${lines}\r\n`)])
}

/** Signed framing under the signature of the request whose Authorization and x-amz-date these are. */
function signedChunks(
  request: { readonly authorization: string; readonly date: string },
  chunks: readonly Buffer[],
  trailers?: Readonly<Record<string, string>>,
): Buffer {
  const scope = { region, service: "s3" }
  const signing = {
    signingKey: deriveSigningKey(credentials.secretAccessKey, request.date.slice(0, 8), scope),
    date: request.date,
    scope: /Credential=[^/]+\/([^,]+)/.exec(request.authorization)?.[1] ?? "",
  }
  let previous = /Signature=(\w+)/.exec(request.authorization)?.[1] ?? ""
  const framed = [...chunks, Buffer.alloc(0)].map((chunk) => {
    previous = chunkSignature(signing, { kind: "chunk", previous, hash: sha256(chunk) })
    const line = Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`)
    return chunk.length === 0 ? line : Buffer.concat([line, chunk, Buffer.from("\r\n")])
  })
  if (!trailers) return Buffer.concat([...framed, Buffer.from("\r\n")])
  const hashed = Object.entries(trailers).map(([name, value]) => `${name}:${value}\n`).join("")
  const signature = chunkSignature(signing, { kind: "trailer", previous, hash: sha256(Buffer.from(hashed)) })
  const lines = Object.entries(trailers).map(([name, value]) => `${name}:${value}\r\n`).join("")
  return Buffer.concat([...framed, Buffer.from(`${lines}x-amz-trailer-signature:${signature}\r\n\r\n`)])
}

/** What announces an unsigned framing with trailers. */
export const unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

/** The headers of a framed body. */
export const chunkedHeaders = (body: Buffer, trailer?: string): Record<string, string> => ({
  "content-encoding": "aws-chunked",
  "x-amz-decoded-content-length": String(body.length),
  ...(trailer !== undefined && { "x-amz-trailer": trailer }),
})

/** The head and the body of a PUT of /raw/k in signed chunks. The head's signature covers only the framing's length. */
export function signedRequest(
  server: S3Server,
  body: Buffer,
  trailers?: Readonly<Record<string, string>>,
  spoil = (framed: Buffer): Buffer => framed,
): Buffer[] {
  const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailers ? "-TRAILER" : ""}`
  const chunks = [body.subarray(0, 5), body.subarray(5)]
  const { length } = signedChunks({ authorization: "", date: "20260101T000000Z" }, chunks, trailers)
  const announced = trailers && Object.keys(trailers).join(",")
  const headers = { ...chunkedHeaders(body, announced), "content-length": String(length) }
  const raw: RawRequest = { method: "PUT", target: "/raw/k", headers, payload }
  const lines = signed(server, raw)
  const value = (name: string): string => lines.find(([header]) => header === name)?.[1] ?? ""
  const request = { authorization: value("authorization"), date: value("x-amz-date") }
  return [head(raw, [...lines, ["connection", "close"]]), spoil(signedChunks(request, chunks, trailers))]
}
