import type { ClientRequest } from "node:http"

/** The bytes of a request. A stream is read once, and no further than `length` bytes, which is exact. A chunk may be
 *  reused by the stream as soon as it is asked for the next one. */
export type RequestBody = Uint8Array | { readonly length: number; readonly stream: AsyncIterable<Uint8Array> }

/** How far a request has come. */
export interface Sending {
  connected: boolean
  /** Whether all that the server needs to act may have been sent. */
  begun: boolean
  /** Whether there is no more use in sending: an answer is there, or the connection broke. */
  over: boolean
  /** Whether it is the body stream that is waited for. */
  starved: boolean
  /** Ends the wait for the connection to take a chunk, when there is no more need of it. */
  wake: (() => void) | undefined
}

// From this size on the head goes out alone, with `Expect: 100-continue`, and the body follows when the server asks for
// it (RFC 9110, section 10.1.1): a dead connection or a refusal then costs no body, and the request can be repeated, as
// the server cannot have acted on it. 1 MiB and 1 s are curl's values; a server that stays silent gets the body.
const askFrom = 1024 * 1024
const askFor = 1000

/** Whether a body is sent only when the server asks for it: the request then needs `expect: 100-continue`. */
export function waitsForContinue(body: RequestBody | undefined): boolean {
  return body !== undefined && !(body instanceof Uint8Array) && body.length >= askFrom
}

/**
 * Sends the body and ends the request. A stream's chunk is released by asking for the next one only after the
 * connection has consumed it. The stream's last byte is sent only after its end, so that a stream that fails, however
 * late, never makes a whole request. Stops early, without ending the request, when an answer comes first or the
 * connection breaks. Throws what the stream throws, and if it is longer or shorter than it said.
 */
export async function sendBody(request: ClientRequest, body: RequestBody | undefined, sending: Sending): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    sending.begun = true
    request.end(body)
    return
  }
  if (waitsForContinue(body)) await untilAsked(request, sending)
  if (isOver(sending)) return
  sending.begun = true
  let left = body.length
  let last: Uint8Array | undefined
  sending.starved = true
  for await (const chunk of body.stream) {
    sending.starved = false
    if (isOver(sending)) return
    left -= chunk.length
    if (left < 0) throw new Error("the body is longer than its length")
    if (left === 0 && chunk.length > 0) last = Uint8Array.from(chunk.subarray(-1))
    await write(request, last ? chunk.subarray(0, -1) : chunk, sending)
    if (isOver(sending)) return
    sending.starved = true
  }
  sending.starved = false
  if (left > 0) throw new Error("the body is shorter than its length")
  if (!isOver(sending)) request.end(last)
}

// A function, as TypeScript would take the field for unchanged across an `await`.
const isOver = (sending: Sending): boolean => sending.over

function untilAsked(request: ClientRequest, sending: Sending): Promise<void> {
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = []
    sending.wake = () => {
      for (const timer of timers) clearTimeout(timer)
      resolve()
    }
    request.once("continue", sending.wake)
    request.once("close", sending.wake)
    request.once("socket", () => timers.push(setTimeout(() => sending.wake?.(), askFor)))
    request.flushHeaders()
  })
}

/** Writes a chunk and waits until the kernel or TLS has consumed it, which mostly is at once. */
async function write(request: ClientRequest, chunk: Uint8Array, sending: Sending): Promise<void> {
  if (chunk.length === 0) return // node:http would send the head, which is all of a request with an empty body
  let consumed = () => {}
  request.write(chunk, () => consumed())
  if (request.writableLength === 0) return
  await new Promise<void>((resolve) => (consumed = sending.wake = resolve))
}
