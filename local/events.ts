/** Endpoint of the Node host: stores' notifications come in here and are stored before they are answered. */
import { createHash, timingSafeEqual } from "node:crypto"
import type { BaseContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { parseUploadEvents, type UploadEvent } from "../shared/objects/events.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"

/** What receiving events needs. */
export interface EventsContext extends BaseContext {
  /** Stores events; gives how many are about registered places. */
  acceptEvents(events: readonly UploadEvent[]): Promise<number>
}

/** `POST /events` with the secret as a bearer token, or `POST /events/<secret>` for senders that can set only a URL. */
export const events: readonly AnyRoute<EventsContext>[] = ["/events", "/events/:secret"].map((path) => endpoint({
  method: "POST", path, action: "unsafe-anyone", maxBody: 256 * 1024,
  guard: checkSecret,
  body: { kind: "json", parser: { parse: (value: unknown) => value } }, errors: "own",
  async run(call: Call<unknown>, context: EventsContext) {
    const { uploads, ignored, rejected } = parseUploadEvents(call.body)
    if (rejected > 0) context.log.warn("upload events could not be read", { rejected })
    const accepted = await context.acceptEvents(uploads)
    return json(202, { accepted, ignored: ignored + uploads.length - accepted, rejected }) // Ceph repeats all but 2xx at once, for ever
  },
}))

function checkSecret(call: Call<unknown>, { settings }: EventsContext): void {
  const given = call.params["secret"] ?? /^bearer (.+)$/i.exec(call.request.headers.get("authorization") ?? "")?.[1] ?? ""
  if (!settings.eventsSecret || !sameText(given, settings.eventsSecret)) {
    throw new Failure("unauthorized", "the events secret is missing or wrong")
  }
}

const sameText = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other))
const digest = (text: string) => createHash("sha256").update(text).digest()
