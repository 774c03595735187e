/** Unwrapped keys in memory: at most so many, each for at most so long, zeroed when they leave. */
import type { Clock } from "../ports.ts"
import { after, lentKey, type LentKey } from "./lent-key.ts"

/** Unwrapped keys by id. */
export interface KeyCache {
  /** The key, arriving or there, or `undefined` if there is none or it is too old. */
  get(id: string): LentKey | undefined
  /** Takes ownership of a key and zeroes it when its time is over. `since` is when the key service was asked, in
   *  milliseconds since the epoch. A key that fails to arrive is forgotten. */
  put(id: string, arriving: Promise<Uint8Array>, since: number): LentKey
  /** Zeroes all keys, and from now on each one as soon as its borrowers have it. */
  close(): void
}

interface Entry {
  readonly key: LentKey
  readonly until: number
  readonly cancel: () => void
}

/** `limit` keys; the one unused for longest makes room. `seconds` 0 keeps none beyond the call that brought it. */
export function keyCache(seconds: number, limit: number, clock: Clock): KeyCache {
  const entries = new Map<string, Entry>() // the one used last is last
  let closed = false

  function evict(id: string, entry = entries.get(id)): void {
    if (!entry) return
    if (entries.get(id) === entry) entries.delete(id)
    entry.cancel()
    entry.key.retire()
  }

  return {
    get(id) {
      const entry = entries.get(id)
      if (!entry) return undefined
      if (clock() >= entry.until) {
        evict(id)
        return undefined
      }
      entries.delete(id)
      entries.set(id, entry)
      return entry.key
    },
    put(id, arriving, since) {
      evict(id)
      const key = lentKey(arriving)
      const until = since + seconds * 1000
      const entry = { key, until, cancel: after(Math.max(0, until - clock()), () => evict(id, entry)) }
      entries.set(id, entry)
      arriving.catch(() => evict(id, entry))
      const [oldest] = entries.keys()
      if (oldest !== undefined && entries.size > limit) evict(oldest)
      if (closed) queueMicrotask(() => evict(id, entry))
      return key
    },
    close() {
      closed = true
      for (const id of [...entries.keys()]) evict(id)
    },
  }
}
