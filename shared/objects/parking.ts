/** What could not be sealed and why: one document an object, so that operators see it and a retry finds it. */
import { createHash } from "node:crypto"
import { z } from "zod/mini"
import type { ObjectRef, StateStore } from "../ports.ts"
import type { Parked } from "./outcome.ts"

const parkedObject = z.object({
  bucket: z.string(),
  key: z.string(),
  reason: z.string(),
  /** The authorization to create, where that is what is missing. */
  missing: z.optional(z.unknown()),
  attempts: z.number(),
  first: z.string(),
  last: z.string(),
})

/** A parked object, as it is stored. Dates in ISO 8601. */
export type ParkedObject = z.infer<typeof parkedObject>

/** Notes that an object stays unsealed. A note that somebody else has just changed is left to them. */
export async function park(state: StateStore, ref: ObjectRef, parked: Parked, now: number): Promise<void> {
  const path = pathOf(ref)
  const present = await state.read(path, parkedObject)
  const last = new Date(now).toISOString()
  const note: ParkedObject = {
    ...ref, reason: parked.reason, ...(parked.missing ? { missing: parked.missing } : {}),
    attempts: (present?.value.attempts ?? 0) + 1, first: present?.value.first ?? last, last,
  }
  await (present ? state.replace(path, note, present.etag) : state.create(path, note))
}

/** The note on an object, or `undefined` if it is not parked. */
export async function parkedAt(state: StateStore, ref: ObjectRef): Promise<ParkedObject | undefined> {
  return (await state.read(pathOf(ref), parkedObject))?.value
}

function pathOf({ bucket, key }: ObjectRef): string {
  return `parked/${createHash("sha256").update(`${bucket}\n${key}`).digest("hex")}.json`
}
