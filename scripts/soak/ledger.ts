/** What must hold for each object of a bucket, by what its users were told. */
import type { Content } from "./bodies.ts"

/** The last write of an object that was acknowledged; `content` is absent where that was a deletion. */
export interface Last {
  readonly content?: Content
  /** It was copied from a sealed object, sealed still under that one's name. */
  readonly moved?: boolean
  /** The request was repeated: its bytes may have been written more than once. */
  readonly repeated?: boolean
}

/** The writes of one bucket. Each object has one writer at a time, so there is a last one. */
export interface Ledger {
  last(key: string): Last | undefined
  wrote(key: string, last: Last): void
  /** True if the object has, or had, the bytes of this write. */
  had(key: string, write: number): boolean
  /** SHA-256 of what may have been written to this object more than once: the earlier one is then its user's to remove. */
  repeated(key: string): ReadonlySet<string>
  /** All objects that were ever written. */
  all(): readonly (readonly [key: string, last: Last])[]
}

/** An empty one. */
export function ledger(): Ledger {
  const lasts = new Map<string, Last>()
  const writes = new Map<string, Set<number>>()
  const repeats = new Map<string, Set<string>>()
  return {
    last: (key) => lasts.get(key),
    wrote(key, last) {
      lasts.set(key, last)
      const { content, repeated } = last
      if (content) writes.set(key, (writes.get(key) ?? new Set()).add(content.write))
      if (content && repeated) repeats.set(key, (repeats.get(key) ?? new Set()).add(content.sha256))
    },
    had: (key, write) => writes.get(key)?.has(write) ?? false,
    repeated: (key) => repeats.get(key) ?? new Set(),
    all: () => [...lasts],
  }
}
