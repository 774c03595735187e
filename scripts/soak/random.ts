/** Chance that a seed decides: the same seed gives the same sequences, whoever draws from another one meanwhile. */
import { createHash } from "node:crypto"

/** A sequence of random numbers. */
export interface Random {
  /** A whole number from 0 up to and not including `limit`, 1 to 2^32. */
  below(limit: number): number
  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean
  /** One of these. Throws where there is none. */
  pick<T>(list: readonly T[]): T
  /** Another sequence, which depends on the seed and on this name alone. */
  named(name: string): Random
}

const WORDS = 8 // of 32 bits in a SHA-256 digest

/** The sequence of a seed: the words of SHA-256(seed, 0), SHA-256(seed, 1), … */
export function seeded(seed: string): Random {
  let drawn = 0
  let block = Buffer.alloc(0)

  function word(): number {
    const at = drawn % WORDS
    if (at === 0) block = createHash("sha256").update(`${seed}\n${drawn / WORDS}`).digest()
    drawn += 1
    return block.readUInt32BE(at * 4)
  }

  const below = (limit: number) => Math.floor(word() / 2 ** 32 * limit)
  return {
    below,
    chance: (probability) => word() < probability * 2 ** 32,
    pick(list) {
      if (list.length === 0) throw new Error("there is nothing to pick from")
      return list[below(list.length)] as (typeof list)[number] // `below` is in the list
    },
    named: (name) => seeded(`${seed}\n${name}`),
  }
}
