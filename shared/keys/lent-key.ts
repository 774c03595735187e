/** Key bytes with one owner and any number of borrowers. */

/** Bytes of which each borrower gets a copy of its own, so that overwriting the original disturbs nobody. */
export interface LentKey {
  /** A copy, once the key has arrived; the borrower zeroes it. Fails as its arrival failed. */
  copy(): Promise<Uint8Array>
  /** Overwrites the original with zeros: at once, or as soon as everybody who asked before has a copy. */
  retire(): void
}

/** Takes ownership of a key that is still to arrive. A failed arrival is reported to borrowers only. */
export function lentKey(arriving: Promise<Uint8Array>): LentKey {
  let original: Uint8Array | undefined
  let waiting = 0
  let retired = false
  const zeroIfDone = () => {
    if (retired && waiting === 0) original?.fill(0)
  }
  arriving.then((key) => {
    original = key
    zeroIfDone()
  }, () => undefined)
  return {
    async copy() {
      if (retired) throw new Error("a retired key was asked for")
      waiting++
      try {
        return Uint8Array.from(await arriving)
      } finally {
        waiting--
        zeroIfDone()
      }
    },
    retire() {
      retired = true
      zeroIfDone()
    },
  }
}

const LONGEST_TIMER = 2 ** 31 - 1 // milliseconds; Node runs a longer one at once

/** Runs `act` after so many milliseconds unless cancelled; keeps no process alive. A longer wait than 24 days is
 *  cut: for what may happen early, such as forgetting a key. */
export function after(milliseconds: number, act: () => void): () => void {
  const timer = setTimeout(act, Math.min(milliseconds, LONGEST_TIMER))
  timer.unref()
  return () => clearTimeout(timer)
}
