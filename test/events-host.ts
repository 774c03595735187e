/** `POST /events` without a host around it: what it stored, and what it logged. */
import { events, type EventsContext } from "../local/events.ts"
import type { UploadEvent } from "../shared/objects/events.ts"
import { unreadableEvents } from "../shared/objects/unreadable.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { jsonLog } from "../shared/runtime/log.ts"
import { parseSettings } from "../shared/settings.ts"
import { instance } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"

export const SECRET = "0123456789abcdef0123456789abcdef"

const settings = { account: "acc1", kmsInstance: instance.id, storeInstance: "5a0b6c1e-0000-4000-8000-000000000001" }

/** `change` replaces parts of its context. */
export function eventsHost(change: Partial<EventsContext> = {}) {
  const state = change.state ?? memoryState()
  const lines: string[] = []
  const uploads: UploadEvent[] = []
  const nobody = () => Promise.reject(new Error("events have no caller"))
  const handle = answer(events, {
    settings: parseSettings({ ...settings, eventsSecret: SECRET }), clock: Date.now, state,
    log: jsonLog((line) => void lines.push(line), "debug", Date.now),
    authority: { decide: nobody }, authenticate: nobody,
    acceptEvents: async (all) => uploads.push(...all) && all.length,
    keepUnreadable: unreadableEvents(state, Date.now).keep,
    ...change,
  })
  return {
    state, lines, uploads, handle,
    /** Sends a body, with the secret as bearer token unless `headers` say otherwise. */
    async post(body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}, path = "/events") {
      const request = new Request(`http://127.0.0.1${path}`, { method: "POST", body, headers: { authorization: `Bearer ${SECRET}`, ...headers } })
      const response = await handle(request)
      return { status: response.status, json: await response.json() }
    },
  }
}
