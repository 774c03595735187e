/** The set of states that were met, as 64-bit fingerprints: of n states any two collide with a chance below n² / 2⁶⁵, which is
 *  1 in 370,000 for ten million. */
import type { Run, State } from "./world.ts"

/** A growing set of fingerprints; each new one gets the next number, from 0. */
export interface Fingerprints {
  /** True if this text was not met before. */
  add(text: string): boolean
  readonly size: number
}

/** An empty set. */
export function fingerprints(): Fingerprints {
  let slots = new Uint32Array(2 ** 17)
  let size = 0

  function add(text: string): boolean {
    if (size * 4 > slots.length) grow()
    const [high, low] = hash(text)
    const isNew = put(slots, high, low)
    if (isNew) size++
    return isNew
  }

  function grow(): void {
    const larger = new Uint32Array(slots.length * 2)
    for (let at = 0; at < slots.length; at += 2) {
      const [high = 0, low = 0] = [slots[at], slots[at + 1]]
      if (high !== 0 || low !== 0) put(larger, high, low)
    }
    slots = larger
  }

  return { add, get size() { return size } }
}

/** Open addressing; an empty slot is all zeros, which no hash is. */
function put(slots: Uint32Array, high: number, low: number): boolean {
  for (let at = (low * 2) % slots.length; ; at = (at + 2) % slots.length) {
    if (slots[at] === 0 && slots[at + 1] === 0) {
      slots[at] = high
      slots[at + 1] = low
      return true
    }
    if (slots[at] === high && slots[at + 1] === low) return false
  }
}

/** Two multiplicative hashes with different odd constants (those of MurmurHash3 and xxHash), each stirred at the end. */
function hash(text: string): readonly [number, number] {
  let high = 0x9747b28c
  let low = 0x85ebca6b
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    high = Math.imul(high ^ code, 0xcc9e2d51)
    high ^= high >>> 15
    low = Math.imul(low ^ code, 0x9e3779b1)
    low ^= low >>> 13
  }
  high = Math.imul(high ^ (low >>> 16), 0x85ebca77)
  low = Math.imul(low ^ (high >>> 16), 0xc2b2ae3d)
  return [(high ^ (high >>> 13)) >>> 0, ((low ^ (low >>> 16)) | 1) >>> 0]
}

/** A state as text. Which sealer is called A does not matter, so the two runs are in the order of their texts. */
export function textOf({ world, runs: [one, other], budget, ledger }: State): string {
  const [a, b] = [textOfRun(one), textOfRun(other)]
  return `${JSON.stringify(world)}${a < b ? a + b : b + a}${budget.starts},${budget.faults},${budget.actions},${budget.attacks}${JSON.stringify(ledger)}`
}

/** What the setting is, all runs of a scenario have in common. */
function textOfRun(run: Run | null): string {
  if (!run) return "-"
  const { memory: { setting: _, ...memory }, ...rest } = run
  return JSON.stringify([memory, rest])
}
