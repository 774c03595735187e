/** Sixteen writers at once, under one condition. */
import { isFailure, type Failure } from "../errors.ts"
import type { WriteCondition } from "../ports.ts"
import { allOf } from "./probe-groups.ts"
import type { Canary, Scratch } from "./scratch.ts"

/** As many as may write a state document, or seal an object, at once in earnest. */
const RACERS = 16

/** Whether exactly one of simultaneous conditional puts succeeds, and its bytes stay. */
export const onePutWins = (scratch: Scratch, name: string, condition: WriteCondition): Promise<boolean> =>
  oneWins(scratch, name, Array.from({ length: RACERS }, () => () => scratch.put(name, { condition })))

/** The same of completions, of uploads that were all begun before. */
export async function oneCompletionWins(scratch: Scratch, name: string, condition: WriteCondition): Promise<boolean> {
  const uploads = await allOf(Array.from({ length: RACERS }, () => scratch.upload(name)))
  return oneWins(scratch, name, uploads.map(({ complete }) => () => complete(condition)))
}

async function oneWins(scratch: Scratch, name: string, writers: readonly (() => Promise<Canary>)[]): Promise<boolean> {
  const ends = await allOf(writers.map((write) => ended(write())))
  const winners = ends.flatMap(({ won }) => (won ? [won] : []))
  const overloaded = ends.find(({ lost }) => isFailure(lost, "unavailable", "throttled"))?.lost
  if (winners.length === 0 && overloaded) throw overloaded // where nobody won, overload may be why
  const [winner] = winners
  return winners.length === 1 && winner !== undefined && scratch.holds(name, winner)
}

interface End {
  readonly won?: Canary
  readonly lost?: Failure
}

async function ended(write: Promise<Canary>): Promise<End> {
  try {
    return { won: await write }
  } catch (error) {
    if (isFailure(error, ...LOSSES)) return { lost: error }
    throw error
  }
}

// Ceph RGW 16 gives losers of a race a 500, which is `unavailable`.
const LOSSES = ["precondition-failed", "conflict", "not-found", "unavailable", "throttled", "store-refused"] as const
