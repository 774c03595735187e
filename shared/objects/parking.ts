/**
 * What could not be sealed and why, so that operators see it, and when to look at it again:
 *
 *     parked/<sha256 of bucket LF key>.json             the note: reason, tries, and either `next` or `check`
 *     parked-due/<due, 14 digits of ms>-<sha256>.json   { bucket, key }
 *
 * The second one is the index by time: what is due among 100,000 parked objects costs one listing, and no note is read that is
 * not due. It is written before its note, and each note has one: whoever changes a note leaves the old entry to be found stale
 * when its time comes. An entry alone is reason enough to look at an object. So a note may be removed without a condition
 * (the state store has no other removal): one that somebody renewed in that moment is lost, its entry is not, and the next
 * look notes the object again.
 */
import * as z from "zod/mini"
import type { ObjectRef, StateStore } from "../ports.ts"
import { objectHash } from "./object-hash.ts"
import type { Parked } from "./outcome.ts"
import { CHECK_EVERY, pauseFor } from "./paces.ts"

const place = z.object({ bucket: z.string(), key: z.string() })

const parkedObject = z.object({
  ...place.shape,
  reason: z.string(),
  /** The authorization to create, where that is what is missing. */
  missing: z.optional(z.unknown()),
  /** How often it was tried in vain, `first` and `last`, for this reason. */
  attempts: z.number(),
  first: z.string(),
  last: z.string(),
  /** When it is tried again; absent where only a new event, or a sweep, helps. */
  next: z.optional(z.string()),
  /** Without `next`: when to see whether it is still there and unchanged. */
  check: z.optional(z.string()),
})

/** A parked object, as it is stored. Dates in ISO 8601. */
export type ParkedObject = z.infer<typeof parkedObject>

/** An entry of the index. */
export interface DueEntry {
  readonly path: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly hash: string
}

/** Why an object stays as it is; `due`, in milliseconds since the epoch, where that is known to be the time for the next try. */
export type Parking = Pick<Parked, "reason" | "missing"> & { readonly due?: number }

/** Notes that an object stays unsealed, and gives when it is looked at again, in milliseconds since the epoch. A try before its
 *  time leaves that as it is. A note that somebody else has just changed is left to them; one that they removed is made anew. */
export async function park(state: StateStore, ref: ObjectRef, parking: Parking, now: number): Promise<number> {
  const hash = objectHash(ref)
  const present = await state.read(noteAt(hash), parkedObject)
  const before = present?.value.reason === parking.reason ? present.value : undefined
  const { reason, missing } = parking
  const last = iso(now)
  const first = before?.first ?? last
  const times = nextLook(parking, hash, now, before)
  const note: ParkedObject = {
    ...ref, reason, ...(missing ? { missing } : {}), attempts: (before?.attempts ?? 0) + 1, first, last, ...times,
  }
  if (!before || dueOf(before) !== dueOf(note)) await state.create(entryAt(dueOf(note), hash), ref)
  const noted = await (present ? state.replace(noteAt(hash), note, present.etag) : state.create(noteAt(hash), note))
  if (noted === undefined && present && !await parkedAt(state, ref)) return park(state, ref, parking, now)
  return dueOf(note)
}

/** The note on an object, or `undefined` if it is not parked. */
export async function parkedAt(state: StateStore, ref: ObjectRef): Promise<ParkedObject | undefined> {
  return (await state.read(noteAt(objectHash(ref)), parkedObject))?.value
}

/** The entries that are due by then (milliseconds since the epoch), the earliest first, behind the path `after`; and whether
 *  there may be more. At most `limit`, 1 to 1,000. */
export async function dueEntries(
  state: StateStore, by: number, limit: number, after?: string,
): Promise<{ readonly entries: readonly DueEntry[]; readonly more: boolean }> {
  const { paths, more } = await state.list(ENTRIES, { limit, ...(after === undefined ? {} : { startAfter: after }) })
  const listed = paths.flatMap((path) => readEntry(path) ?? [])
  const entries = listed.filter(({ at }) => at <= by)
  return { entries, more: more && entries.length === listed.length }
}

/** What an entry stands for: the object, with its note where there is one. `"stale"`: its note has another time by now. */
export async function behindEntry(
  state: StateStore, { path, at, hash }: DueEntry,
): Promise<{ readonly ref: ObjectRef; readonly note?: ParkedObject } | "stale" | undefined> {
  const note = (await state.read(noteAt(hash), parkedObject))?.value
  if (note) return dueOf(note) === at ? { ref: { bucket: note.bucket, key: note.key }, note } : "stale"
  const alone = await state.read(path, place)
  return alone && { ref: alone.value }
}

/** Forgets an object that is parked no more: its note, then the entry. Between the two, the entry alone has it looked at. */
export async function unpark(state: StateStore, { path, hash }: DueEntry): Promise<void> {
  await state.remove(noteAt(hash))
  await state.remove(path)
}

/** Has a note that stands as it was looked at again, a day later. */
export async function keepChecking(state: StateStore, { path, hash }: DueEntry, now: number): Promise<void> {
  const present = await state.read(noteAt(hash), parkedObject)
  if (!present) return
  const note: ParkedObject = { ...present.value, check: iso(now + CHECK_EVERY) }
  await state.create(entryAt(dueOf(note), hash), { bucket: note.bucket, key: note.key })
  await state.replace(noteAt(hash), note, present.etag)
  await state.remove(path)
}

type Times = Pick<ParkedObject, "next" | "check">

function nextLook({ reason, due }: Parking, hash: string, now: number, before: ParkedObject | undefined): Times {
  if (due !== undefined) return { next: iso(due) }
  const pause = pauseFor(reason, now - (before ? Date.parse(before.first) : now), spreadOf(hash))
  const kept = before && dueOf(before) > now && dueOf(before) <= now + Math.max(pause ?? 0, CHECK_EVERY) // no clock was wrong
  if (kept) return before.next === undefined ? { check: before.check } : { next: before.next }
  return pause === undefined ? { check: iso(now + CHECK_EVERY) } : { next: iso(now + pause) }
}

/** Another number, 0 to 1, for each object. */
const spreadOf = (hash: string): number => Number.parseInt(hash.slice(0, 8), 16) / 0xffffffff

const dueOf = ({ next, check, last }: ParkedObject): number => Date.parse(next ?? check ?? last)
const iso = (time: number): string => new Date(time).toISOString()

const ENTRIES = "parked-due/"
const noteAt = (hash: string): string => `parked/${hash}.json`
const entryAt = (at: number, hash: string): string => `${ENTRIES}${String(at).padStart(14, "0")}-${hash}.json`

function readEntry(path: string): DueEntry | undefined {
  const [, at, hash] = /^parked-due\/(\d{14})-([0-9a-f]{64})\.json$/.exec(path) ?? []
  return at === undefined || hash === undefined ? undefined : { path, at: Number(at), hash }
}
