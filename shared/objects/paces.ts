/** When what is parked is tried again. */
import type { ParkReason } from "./outcome.ts"

/** The pause after the first try, and the longest, in milliseconds; `undefined`: time alone cures nothing. */
export interface Pace {
  readonly first: number
  readonly longest: number
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Somebody grants, enables or repairs something, and expects to see it work soon; a try costs a decision from a cache. */
const soon: Pace = { first: 30 * SECOND, longest: 15 * MINUTE }
/** A try costs requests to the store, and may be made for days. */
const patient: Pace = { first: 30 * SECOND, longest: HOUR }
/** Only a retention that ends, on some day, cures it. */
const daily: Pace = { first: DAY, longest: DAY }
const atOnce: Pace = { first: 0, longest: 0 }
/** At once, but what gets nowhere in one run must not keep every run busy. */
const atOnceAtFirst: Pace = { first: 0, longest: HOUR }

/** `undefined` stands where the object has to change first, or what it is registered with: a new event tells of the one (S14),
 *  the monthly sweep meets the other. */
const paces: Readonly<Record<ParkReason, Pace | undefined>> = {
  unfinished: atOnceAtFirst, // what has sent something is due at once, whoever parks it says so
  settling: atOnce, // whoever parks it says when it is due
  "not-authorized": soon,
  "key-state": soon,
  "destination-not-registered": soon,
  unavailable: patient,
  failed: patient,
  "keeps-changing": patient,
  "condition-misbehaves": patient,
  "stored-bytes-differ": patient,
  "cannot-resume": patient,
  "store-forbids": patient,
  "store-refuses": patient,
  locked: daily,
  archived: undefined,
  "sse-c": undefined,
  moved: undefined,
  "unknown-data-key": undefined,
  "unknown-format": undefined,
  "damaged-or-forged": undefined,
  "too-large": undefined,
  "too-large-for-store": undefined,
}

/** Milliseconds from one look at what no time cures to the next: whether it is still there and the same, no more. */
export const CHECK_EVERY = DAY

/** Milliseconds from a try to the next one, of what has been parked for this reason for `age` milliseconds; `undefined` where
 *  it is not tried by time. As long again as it is parked already: so the pauses double, and duplicate events do not lengthen
 *  them. `spread`, 0 to 1, lengthens it by up to a quarter: what was parked together is not to come back together. */
export function pauseFor(reason: ParkReason, age: number, spread: number): number | undefined {
  const pace = paces[reason]
  if (!pace) return undefined
  const pause = Math.min(Math.max(age, pace.first), pace.longest)
  return Math.round(pause * (1 + spread / 4))
}
