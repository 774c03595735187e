/** What an inbox holds in memory: entries by when they are to be taken up, and never more than so many. */
import { FURTHEST_MS, type Held } from "./inbox-entries.ts"

/** An entry of the inbox in the memory of a host. */
export interface Entry {
  readonly path: string
  /** When to take it up, in milliseconds since the epoch. */
  readonly at: number
  /** Absent for what was found in a listing: read when it is taken up. */
  readonly held?: Held
  /** Called when it has left the memory of this host: by all that wait for it, and for what it stands for. */
  readonly left?: readonly (() => void)[]
}

/** A queue of entries, and the names of all that are in memory: waiting, being stored or being handled. */
export interface EntryQueue {
  /** Queues an entry. Where that is one too many, the latest leaves. */
  add(entry: Entry): void
  /** Takes out the earliest, if its time has come, or one so late that it is due now. */
  next(now: number): Entry | undefined
  /** When the earliest is to be taken up; `Infinity` if there is none. */
  earliest(): number
  /** True if all that are held come before that time, and no other has room. */
  isFullBefore(at: number): boolean
  /** True if half of the room is free, and more. */
  hasRoom(): boolean
  has(path: string): boolean
  /** Notes a name before a listing can show it. */
  note(path: string): void
  /** Forgets an entry that was taken out, or a name that was noted. */
  leave(entry: Pick<Entry, "path" | "left">): void
  /** Lets all that wait leave. */
  clear(): void
}

/** An empty queue; `overflow` is told the names that had no room. */
export function entryQueue(room: number, overflow: (path: string) => void): EntryQueue {
  const queue: Entry[] = []
  const names = new Set<string>()

  function leave({ path, left }: Pick<Entry, "path" | "left">): void {
    names.delete(path)
    for (const call of left ?? []) call()
  }

  return {
    add(entry) {
      names.add(entry.path)
      queue.splice(queue.findLastIndex(({ at }) => at <= entry.at) + 1, 0, entry)
      const latest = queue.length > room ? queue.pop() : undefined
      if (!latest) return
      leave(latest)
      overflow(latest.path)
    },
    next(now) {
      if ((queue[0]?.at ?? Infinity) <= now) return queue.shift()
      return (queue.at(-1)?.at ?? 0) > now + FURTHEST_MS ? queue.pop() : undefined
    },
    earliest: () => queue[0]?.at ?? Infinity,
    isFullBefore: (at) => queue.length >= room && (queue.at(-1)?.at ?? 0) <= at,
    hasRoom: () => queue.length < room / 2,
    has: (path) => names.has(path),
    note: (path) => void names.add(path),
    leave,
    clear() {
      for (const entry of queue.splice(0)) leave(entry)
    },
  }
}
