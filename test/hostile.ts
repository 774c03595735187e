/** What the tests of hostile input share: one seed for all of them, and how much they try. */
import { seeded } from "./mutations.ts"

/** The same in every run unless `HOSTILE_SEED` names another; a failing test says it. */
const SEED = Number(process.env["HOSTILE_SEED"] ?? 20_261_124)

/** `few`, or `many` in the slow run. */
export const tries = (few: number, many = few * 50): number => process.env["SLOW"] ? many : few

/** How a property of fast-check runs: so often, from the common seed. */
export const property = (few: number, many?: number) => ({ numRuns: tries(few, many), seed: SEED })

/** Randomness for each try, by the common seed and the try's number. */
export function* randoms(count: number): Generator<() => number, void> {
  for (let number = 0; number < count; number++) yield seeded(Math.imul(SEED, 31) + number)
}

/** One of several. */
export function pick<T>(random: () => number, from: readonly T[]): T {
  const one = from[Math.floor(random() * from.length)]
  if (one === undefined) throw new Error("nothing to pick from")
  return one
}

/** Adds one to a count by name. */
export const count = (counts: Record<string, number>, name: string | number): void =>
  void (counts[name] = (counts[name] ?? 0) + 1)

/** Says, in the output of the run, what was tried and from which seed. */
export function report(what: string, counts: Readonly<Record<string, number>>): void {
  process.stdout.write(`${what} (HOSTILE_SEED=${SEED}): ${JSON.stringify(counts)}\n`)
}
