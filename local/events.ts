/** Endpoint of the Node host: stores' notifications come in here and are stored before they are answered. */
import type { BaseContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { parseUploadEvents, type ParsedEvents, type RejectedEvent, type UploadEvent } from "../shared/objects/events.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"
import { demandSecret, demandSignature } from "./events-secret.ts"

/** What receiving events needs. */
export interface EventsContext extends BaseContext {
  /** Stores events; gives how many are about registered places. */
  acceptEvents(events: readonly UploadEvent[]): Promise<number>
  /** Keeps an event that can't be read, once; gives its path in the state, or `undefined` where too many are kept. */
  keepUnreadable(rejected: RejectedEvent): Promise<string | undefined>
}

/**
 * `POST /events` with the secret as a bearer token, `POST /events/<secret>` for senders that can set only a URL, or either
 * with Backblaze's signature. Whatever is JSON is stored, understood or not, and then answered 202 with
 * `{accepted, ignored, rejected}`: Ceph repeats all else more than 1,000 times a second. Where storing fails, 503: repeat.
 */
export const events: readonly AnyRoute<EventsContext>[] = ["/events", "/events/:secret"].map((path) => endpoint({
  method: "POST", path, action: "unsafe-anyone", maxBody: 256 * 1024, // more than an SQS or SNS message may have
  guard: demandSecret,
  body: { kind: "bytes", parser: { parse: asBytes } }, errors: "own",
  async run(call: Call<Buffer>, context: EventsContext) {
    demandSignature(call, context)
    const { text, exact } = decoded(call.body)
    const delivery = structured(call.request.headers, parseJson(text))
    const parsed = parseUploadEvents(delivery)
    return json(202, await stored(exact ? parsed : withoutGuesses(parsed), context))
  },
}))

function asBytes(body: unknown): Buffer {
  if (!Buffer.isBuffer(body)) throw new Error("a body of kind bytes is a Buffer")
  return body
}

async function stored({ uploads, ignored, rejected }: ParsedEvents, context: EventsContext) {
  try {
    const accepted = await context.acceptEvents(uploads)
    if (rejected.length > 0) await keep(rejected, context)
    return { accepted, ignored: ignored + uploads.length - accepted, rejected: rejected.length }
  } catch (cause) {
    throw new Failure("unavailable", "the events can't be stored now; send them again", cause)
  }
}

/** The log gets one line, whatever a delivery holds: why, and where some of it is kept (nowhere: too many are kept). */
async function keep(rejected: readonly RejectedEvent[], { log, keepUnreadable }: EventsContext): Promise<void> {
  const kept = new Set<string>()
  for (const one of rejected) {
    const path = await keepUnreadable(one)
    if (path !== undefined) kept.add(path)
  }
  const reasons = [...new Set(rejected.map(({ reason }) => reason))]
  log.warn("upload events can't be read", { rejected: rejected.length, reasons, kept: [...kept].slice(0, MOST_PATHS) })
}

const MOST_PATHS = 10 // in one line

/** The body as text. What is not UTF-8 is read all the same, each bad byte as U+FFFD: Ceph RGW 16 writes the bytes of an
 *  object's tags into the event as they came, and repeats one that is refused for ever, before all that came after it. */
function decoded(body: Buffer): { readonly text: string; readonly exact: boolean } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(body), exact: true }
  } catch {
    return { text: new TextDecoder().decode(body), exact: false }
  }
}

/** Rejects the keys that may have had other bytes. */
function withoutGuesses({ uploads, ignored, rejected }: ParsedEvents): ParsedEvents {
  const isGuessed = ({ key }: UploadEvent) => key.includes("\ufffd")
  const guessed = uploads.filter(isGuessed)
  return {
    uploads: uploads.filter((upload) => !isGuessed(upload)), ignored,
    rejected: [...rejected, ...guessed.map((record) => ({ record, reason: "key is not Unicode text" as const }))],
  }
}

/** JSON as the event's sender wrote it. Throws `bad-body` for anything else, an empty body included. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Failure("bad-body", "the body isn't valid JSON") // the parser's own words quote the body
  }
}

/** A CloudEvent in binary form, its attributes in headers, as the same one in structured form (CloudEvents 1.0, HTTP
 *  binding, section 3.1); anything else as it is. */
function structured(headers: Headers, body: unknown): unknown {
  const isStructured = /^application\/cloudevents/i.test(headers.get("content-type") ?? "")
  if (isStructured || !headers.has("ce-specversion")) return body
  const attributes = [...headers].filter(([name]) => /^ce-[a-z0-9]+$/.test(name))
  return { ...Object.fromEntries(attributes.map(([name, value]) => [name.slice("ce-".length), value])), data: body }
}
