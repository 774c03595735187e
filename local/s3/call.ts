/** A request and its answer as the operations see them, free of node:http. */
import type { Clock, ObjectRef, Store } from "../../shared/ports.ts"
import { S3Error } from "./errors.ts"
import type { S3EventRecord } from "./notification.ts"
import type { Payload } from "./payload.ts"
import type { Target } from "./target.ts"
import { document, s3Namespace, type Element } from "./xml.ts"

/** What operations work on. */
export interface Endpoint {
  readonly store: Store
  readonly region: string
  readonly clock: Clock
  readonly onWrite: (record: S3EventRecord) => Promise<void>
}

/** One authenticated request. */
export interface Call extends Target, ObjectRef {
  readonly id: string
  readonly method: string
  readonly accessKeyId: string
  readonly sourceAddress: string
  /** By lower-case name, the bytes read as UTF-8. In a presigned request an `x-amz-` header may stand in the query. */
  readonly headers: ReadonlyMap<string, string>
  /** A header by its lower-case name. */
  header(name: string): string | undefined
  /** The body. Opening it checks its headers, and reads nothing. Checksum headers are about it, unless they are said to
   *  be about the object that the request makes. */
  openPayload(checksumsAbout?: "body" | "object"): Payload
}

/** What is answered. Header values hold one character a byte. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: string | ByteStream
}

/** Bytes on their way to the client. */
interface ByteStream {
  readonly stream: AsyncIterable<Uint8Array>
  /** Gives up; harmless after the end. */
  cancel(): void
}

/** An answer 200 with an XML document. */
export function xmlAnswer(root: Element): Answer {
  return { status: 200, headers: { "content-type": "application/xml" }, body: document(root, s3Namespace) }
}

/** A parameter that counts. Throws `InvalidArgument` for what is no number. */
export function countOf(call: Call, parameter: string, absent: number): number {
  const value = call.query.get(parameter)
  if (value === undefined || value === "") return absent
  if (!/^\d{1,9}$/.test(value)) throw new S3Error("InvalidArgument", `${parameter} must be a whole number.`)
  return Number(value)
}
