/** Many things to do, a few at a time. */

/** Does them all, in order, at most so many at once. Where one throws, no more are begun and, once those under way have
 *  ended, the first error is thrown. */
export async function inLanes<T>(things: readonly T[], lanes: number, work: (thing: T) => Promise<void>): Promise<void> {
  const left = things.values()
  const errors: unknown[] = []
  async function lane(): Promise<void> {
    for (const thing of left) { // one iterator for all lanes: each takes the next that nobody has taken
      if (errors.length > 0) return
      await work(thing).catch((error: unknown) => void errors.push(error))
    }
  }
  await Promise.all(Array.from({ length: Math.min(lanes, things.length) }, lane))
  if (errors.length > 0) throw errors[0]
}
