/** A local S3 endpoint for tests, and raw requests to it that no SDK would send. */
import { createHash } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { S3Client } from "@aws-sdk/client-s3"
import { s3Server, type S3Server, type S3ServerOptions } from "../local/s3-server.ts"
import type { S3EventRecord } from "../local/s3/notification.ts"
import { signHeaders, type WireRequest } from "../shared/net/sigv4.ts"
import type { Log, Store } from "../shared/ports.ts"
import { localStore } from "../shared/store/local.ts"

export const region = "us-east-1"
export const credentials = { accessKeyId: "TESTACCESSKEY", secretAccessKey: "the secret of the test" }

/** An endpoint, with what it told and logged. */
export interface TestEndpoint {
  readonly server: S3Server
  readonly records: S3EventRecord[]
  readonly logged: string[]
  close(): Promise<void>
}

/** An endpoint on a fresh local store. */
export async function openEndpoint(): Promise<TestEndpoint> {
  const folder = await mkdtemp(join(tmpdir(), "s3-server-"))
  const store = await localStore(folder)
  const endpoint = await serveStore(store)
  return {
    ...endpoint,
    close: async () => {
      await endpoint.close()
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** Serves a store under the credentials above. Another listener than the one that keeps the records may be given. */
export async function serveStore(store: Store, listener?: S3ServerOptions["onWrite"]): Promise<TestEndpoint> {
  const records: S3EventRecord[] = []
  const logged: string[] = []
  const write = (message: string, fields?: Record<string, unknown>): void => {
    logged.push(`${message} ${Object.values(fields ?? {}).map(String).join(" ")}`)
  }
  const log: Log = { info: write, warn: write, error: write }
  const secretOf = (id: string): string | undefined =>
    id === credentials.accessKeyId ? credentials.secretAccessKey : undefined
  const onWrite = listener ?? ((record: S3EventRecord): void => void records.push(record))
  const server = await s3Server({ store, port: 0, region, secretOf, clock: Date.now, log, onWrite })
  return { server, records, logged, close: () => server.close() }
}

/** The AWS SDK's client with its default settings. */
export function sdkClient(server: S3Server, secretAccessKey = credentials.secretAccessKey): S3Client {
  const signer = { ...credentials, secretAccessKey }
  return new S3Client({ endpoint: server.url, region, forcePathStyle: true, maxAttempts: 1, credentials: signer })
}

/** A raw request: the target and body go out as they are. */
export interface RawRequest {
  readonly method: string
  /** One character a byte. */
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** The value of x-amz-content-sha256; by default the body's hash. */
  readonly payload?: string
  /** `undefined` leaves the request unsigned. */
  readonly credentials?: typeof credentials | undefined
  /** Milliseconds since the epoch. */
  readonly now?: number
  readonly region?: string
}

/** An answer, its body as text of one character a byte. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The `Code` of an error. */
  readonly code: string | undefined
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** The headers of a raw request, signed. */
export function signed(server: S3Server, raw: RawRequest): [name: string, value: string][] {
  const [path = "", query = ""] = raw.target.split("?", 2)
  const body = raw.body ?? Buffer.alloc(0)
  const always = { host: new URL(server.url).host, "content-length": String(body.length) }
  const own: Record<string, string> = { ...always, ...raw.headers }
  const request: WireRequest = { method: raw.method, path, query, headers: Object.entries(own) }
  const who = "credentials" in raw ? raw.credentials : credentials
  if (!who) return Object.entries(own)
  const scope = { region: raw.region ?? region, service: "s3" }
  const payloadHash = raw.payload ?? sha256(body)
  const options = { ...scope, now: raw.now ?? Date.now(), credentials: who, payloadHash }
  return [...Object.entries(own), ...signHeaders(request, options)]
}

/** Sends a raw request on a connection of its own and reads the answer until the server closes it. */
export async function send(server: S3Server, raw: RawRequest): Promise<RawAnswer> {
  return exchange(server, [head(raw, [...signed(server, raw), ["connection", "close"]]), raw.body ?? Buffer.alloc(0)])
}

/** The head of a request as bytes. */
export function head(
  raw: Pick<RawRequest, "method" | "target">,
  headers: readonly (readonly [name: string, value: string])[],
): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  return Buffer.from(`${raw.method} ${raw.target} HTTP/1.1\r\n${lines}\r\n`, "latin1")
}

/** Writes these bytes and reads all that comes back. */
export async function exchange(server: S3Server, pieces: readonly Buffer[]): Promise<RawAnswer> {
  const socket = connect(server.port, "127.0.0.1")
  const received: Buffer[] = []
  try {
    for (const piece of pieces) socket.write(piece)
    for await (const bytes of socket.iterator()) if (Buffer.isBuffer(bytes)) received.push(bytes)
  } catch (error) {
    if (received.length === 0) throw error
  } finally {
    socket.destroy()
  }
  return parse(Buffer.concat(received).toString("latin1"))
}

function parse(text: string): RawAnswer {
  const end = text.indexOf("\r\n\r\n")
  const [first = "", ...lines] = text.slice(0, end).split("\r\n")
  const body = text.slice(end + 4)
  const headers = Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  return { status: Number(first.split(" ")[1]), headers, body, code: /<Code>(\w+)<\/Code>/.exec(body)?.[1] }
}
