/** Answers kept in memory for a limited time. */
import type { Clock } from "../ports.ts"

/** Answers by name. An answer is never given out longer than the limit after the moment its loading *began*. */
export interface TimedCache<T> {
  /** The kept answer, or a loaded one; callers of one moment share one loading. `load` gets the last answer known,
   *  however old, to ask whether it still holds. What `load` throws goes to who asked and is not kept. */
  get(name: string, load: (last: T | undefined) => Promise<T>): Promise<T>
  /** As `get`, but always loads. */
  refresh(name: string, load: (last: T | undefined) => Promise<T>): Promise<T>
  /** To be called after a change: what was loaded before, or is being loaded, is not given to who asks from now on. */
  forget(name: string): void
}

interface Entry<T> {
  readonly begun: number
  readonly answer: Promise<T>
  /** The newest answer that has arrived. */
  last: T | undefined
}

/** `seconds` 0 keeps nothing. Of more than `most` names the least recently asked for are forgotten. */
export function timedCache<T>(seconds: number, most: number, clock: Clock): TimedCache<T> {
  const entries = new Map<string, Entry<T>>()

  function keep(name: string, entry: Entry<T>): void {
    entries.delete(name) // a Map lists by insertion: the first is the least recently asked for
    entries.set(name, entry)
    const [oldest] = entries.keys()
    if (entries.size > most && oldest !== undefined) entries.delete(oldest)
  }

  async function refresh(name: string, load: (last: T | undefined) => Promise<T>): Promise<T> {
    const last = entries.get(name)?.last
    const entry: Entry<T> = { begun: clock(), answer: load(last), last }
    keep(name, entry)
    try {
      entry.last = await entry.answer
      return entry.last
    } catch (error) {
      if (entries.get(name) === entry) entries.delete(name)
      throw error
    }
  }

  return {
    get(name, load) {
      const entry = entries.get(name)
      if (!entry || clock() - entry.begun >= seconds * 1000) return refresh(name, load)
      keep(name, entry)
      return entry.answer
    },
    refresh,
    forget: (name) => void entries.delete(name),
  }
}
