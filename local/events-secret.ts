/** Who may send events: whoever has the events secret, or signs with it. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import type { BaseContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import type { Call } from "../shared/runtime/endpoint.ts"

const SIGNATURE = "x-bz-event-notification-signature"

/** Throws `unauthorized` unless the secret is in the path or is the bearer token. For a request with a signature it is
 *  `demandSignature` that decides, once the body is there. */
export function demandSecret({ request, params }: Call<unknown>, { settings }: BaseContext): void {
  if (request.headers.has(SIGNATURE)) return
  const bearer = /^bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1]
  if (!settings.eventsSecret || !isSame(params["secret"] ?? bearer ?? "", settings.eventsSecret)) throw refused()
}

/** Throws `unauthorized` for a request with a wrong signature, whatever else it has. Backblaze B2 signs the bytes of the
 *  body: `v1=` and their HMAC-SHA-256 in hex ("Event Notifications Reference Guide"). */
export function demandSignature({ request, body }: Call<Uint8Array>, { settings }: BaseContext): void {
  const given = request.headers.get(SIGNATURE)
  if (given === null) return
  if (!settings.eventsSecret) throw refused()
  const expected = createHmac("sha256", settings.eventsSecret).update(body).digest("hex")
  if (!isSame(given.toLowerCase(), `v1=${expected}`)) throw refused()
}

const refused = () => new Failure("unauthorized", "the events secret, or the signature by it, is missing or wrong")

const isSame = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other)) // in constant time
const digest = (text: string) => createHash("sha256").update(text).digest()
