import type { IncomingMessage } from "node:http"
import { Failure } from "../errors.ts"

/**
 * The chunks of an answer's body, as they came, without a copy; to be iterated once. Throws `unavailable` if the body
 * breaks off, so that it never ends early without failing. A reader that stops early frees the connection. Does what
 * the stream's own iterator does, with a quarter of its promises.
 */
export function chunksOf(body: IncomingMessage): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => reader(body) }
}

function reader(body: IncomingMessage): AsyncIterator<Uint8Array, undefined> {
  let wake = () => {}
  for (const event of ["readable", "end", "error", "close"]) body.on(event, () => wake())
  return {
    async next() {
      for (;;) {
        const chunk: unknown = body.destroyed ? null : body.read()
        if (chunk instanceof Uint8Array) return { done: false, value: chunk }
        if (body.readableEnded) return { done: true, value: undefined }
        if (body.destroyed) throw new Failure("unavailable", "the server's answer broke off", body.errored ?? undefined)
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
    return() {
      body.destroy()
      return Promise.resolve({ done: true, value: undefined })
    },
  }
}

/** The whole body. Throws `unavailable` if it breaks off, and `store-refused` if it is longer than `limit` bytes. */
export async function readBody(body: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunksOf(body)) {
    length += chunk.length
    if (length > limit) throw new Failure("store-refused", "the server's answer is too long", { limit })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

// Reading so much costs less than a new TLS connection.
const shortBody = 64 * 1024

/** Gives up a body: a short one is read to its end, so that the connection can be used again. Harmless after the end or
 *  twice. */
export function discard(body: IncomingMessage): void {
  let left = shortBody
  if (body.readableDidRead || Number(body.headers["content-length"] ?? 0) > left) return void body.destroy()
  body.on("data", (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) body.destroy()
  })
}
