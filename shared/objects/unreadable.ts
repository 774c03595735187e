/**
 * Upload events that can't be read, kept for whoever finds out why: `unreadable-events/<sha256>.json` holds the reason,
 * the date, and the first 16 KiB of the event as JSON text. Each is kept once, whatever the number of its deliveries,
 * and at most 1,000 of them.
 */
import { createHash } from "node:crypto"
import type { Clock, StateStore } from "../ports.ts"
import type { RejectedEvent } from "./events.ts"

/** An unreadable event as it is stored. */
export interface UnreadableEvent {
  /** Why it can't be read. */
  readonly reason: string
  /** ISO 8601, of the first delivery. */
  readonly received: string
  /** Bytes of its JSON text. */
  readonly size: number
  /** The first 16 KiB of that text. */
  readonly event: string
}

/** Keeps unreadable events. */
export interface UnreadableEvents {
  /** Stores the event unless it is there already, and gives its path in the state; `undefined` where 1,000 are there.
   *  Throws what the state store throws. */
  keep(rejected: RejectedEvent): Promise<string | undefined>
}

const FOLDER = "unreadable-events/"
const MOST_KEPT = 1_000 // as many as one LIST gives (S3 API reference, ListObjectsV2)
const MOST_TEXT = 16 * 1_024 // bytes
const LIST_MS = 300_000 // how soon it is noticed that somebody has made room
const CREATES_PER_LIST = 100 // what one host may add between two looks at what the others did

/**
 * Keeps them in a state store, one after the other. What is there is remembered: a flood of events costs one LIST in
 * five minutes, and one more for each 100 documents made. So n hosts overshoot the 1,000 by at most 100 · (n − 1).
 */
export function unreadableEvents(state: StateStore, clock: Clock): UnreadableEvents {
  let known = new Set<string>()
  let lookAgain = { at: -Infinity, size: 0 }
  let turn: Promise<unknown> = Promise.resolve()

  async function look(): Promise<void> {
    if (clock() < lookAgain.at && known.size < lookAgain.size) return
    const at = clock() + LIST_MS
    const { paths } = await state.list(FOLDER, { limit: MOST_KEPT })
    known = new Set(paths)
    lookAgain = { at, size: known.size + CREATES_PER_LIST }
  }

  async function keepNext({ record, reason }: RejectedEvent): Promise<string | undefined> {
    const text = JSON.stringify(redacted(record, 0))
    const path = `${FOLDER}${createHash("sha256").update(text).digest("hex")}.json`
    await look()
    if (known.has(path)) return path
    if (known.size >= MOST_KEPT) return undefined
    await state.create(path, described(text, reason, clock())) // where it is there already, another host was faster
    known.add(path)
    return path
  }

  return {
    keep(rejected) {
      const kept = turn.then(() => keepNext(rejected))
      turn = kept.catch(() => undefined) // it is the caller who is told
      return kept
    },
  }
}

function described(text: string, reason: string, now: number): UnreadableEvent {
  const bytes = Buffer.from(text)
  const event = new TextDecoder().decode(bytes.subarray(0, MOST_TEXT), { stream: true }) // drops a character cut in two
  return { reason, received: new Date(now).toISOString(), size: bytes.length, event }
}

const SECRET_MEMBER = "__bx_creds" // service credentials that OpenWhisk binds to an action (IBM Cloud Functions)
const MOST_DEPTH = 64 // no store nests a tenth as deep; JSON.stringify fails some thousand levels down

/** A copy without credentials, at any depth, and without what is nested deeper than any event. A text that mentions
 *  credentials is left out whole: it may be JSON itself. */
function redacted(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.includes(SECRET_MEMBER) ? "(left out: it may hold credentials)" : value
  if (typeof value !== "object" || value === null) return value
  if (depth === MOST_DEPTH) return "(left out: nested too deeply)"
  if (Array.isArray(value)) return value.map((one) => redacted(one, depth + 1))
  const kept = Object.entries(value).filter(([name]) => name !== SECRET_MEMBER)
  return Object.fromEntries(kept.map(([name, one]) => [name, redacted(one, depth + 1)]))
}
