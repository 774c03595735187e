/**
 * The progress document of one sealing, as its holder sees it. Every write replaces exactly the document that was seen last,
 * so whoever loses the lease finds out at the next one; it is renewed in time as long as the holder works.
 */
import type { Clock, ObjectRef, StateStore } from "../ports.ts"
import { progressParser, progressPath, signProgress, type Progress, type ProgressFields } from "./progress.ts"

/** What tracking needs. */
export interface Tracker {
  readonly state: StateStore
  readonly clock: Clock
  /** For how long a holder that was heard of last keeps others off, in milliseconds; the same on all hosts. */
  readonly lease: number
}

/** A progress document that was read. */
export interface Found {
  readonly document: Progress
  readonly etag: string
}

/** The lease on one source's progress document. */
export interface Lease {
  /** Stores these fields in the place of what was seen last, under a new lease. False where somebody else was faster. */
  write(fields: Omit<ProgressFields, "bucket" | "key" | "holder" | "until">): Promise<boolean>
  /** True until another one may have taken over, as far as this clock knows. */
  readonly holds: boolean
  /** What is stored now, for another lease of the same holder to replace; this one is not to be used any more. */
  handOver(): Promise<Found | undefined>
  /** Removes the document, unless somebody else has it. */
  clear(): Promise<void>
  /** Lets the next one have it at once, and zeroes the key. What has been lost already stays as it is. */
  release(): Promise<void>
}

/** The document of this source, if there is one. */
export async function findProgress({ state }: Tracker, ref: ObjectRef): Promise<Found | undefined> {
  const found = await state.read(progressPath(ref), progressParser)
  return found && { document: found.value, etag: found.etag }
}

/** True while somebody else may be at work. An end that no clock which is right can have given is not believed. */
export const isHeld = ({ document }: Found, holder: string, { clock, lease }: Tracker): boolean =>
  document.holder !== holder && document.until > clock() && document.until <= clock() + 2 * lease

/** Removes a document that nobody holds, unless somebody has taken it meanwhile: it is taken first. */
export async function removeProgress({ state, clock, lease }: Tracker, ref: ObjectRef, { document, etag }: Found, holder: string): Promise<void> {
  const path = progressPath(ref)
  const taken = await state.replace(path, { ...document, holder, until: clock() + lease }, etag)
  if (taken !== undefined) await state.remove(path)
}

/** A lease to be taken by its first write, in the place of what was found. `dek` is copied. */
export function leaseOn(tracker: Tracker, ref: ObjectRef, holder: string, found: Found | undefined, dek: Uint8Array): Lease {
  const { state, clock, lease } = tracker
  const path = progressPath(ref)
  const key = Uint8Array.from(dek)
  let current: Found | undefined
  let replaces = found?.etag
  let lost = false
  let last: Promise<unknown> = Promise.resolve() // one write at a time: each needs the tag of the one before
  let timer: NodeJS.Timeout | undefined

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work)
    last = next.catch(() => undefined)
    return next
  }

  async function store(fields: ProgressFields): Promise<boolean> {
    if (lost) return false
    const document = signProgress(fields, key)
    const etag = replaces === undefined ? await state.create(path, document) : await state.replace(path, document, replaces)
    if (etag === undefined) return lose()
    replaces = etag
    current = { document, etag }
    keep()
    return true
  }

  function lose(): false {
    lost = true
    clearInterval(timer)
    return false
  }

  function retire(): void {
    lose()
    key.fill(0)
  }

  /** A renewal that fails is tried again; `holds` ends with the lease. */
  function keep(): void {
    timer ??= setInterval(() => void inTurn(() => renew(clock() + lease)).catch(() => undefined), lease / 3).unref()
  }

  /** What is sent now lands in time. */
  const isHolding = () => !lost && current !== undefined && clock() < current.document.until - lease / 6

  const renew = async (until: number) => current !== undefined && store({ ...fieldsOf(current.document), until })

  return {
    write: (fields) => inTurn(() => store({ ...fields, ...ref, holder, until: clock() + lease })),
    get holds() {
      return isHolding()
    },
    handOver: () => inTurn(async () => {
      retire()
      return current
    }),
    clear: () => inTurn(async () => {
      const mine = isHolding() || await renew(clock() + lease) // nobody else takes it while it is removed
      retire()
      if (mine) await state.remove(path)
    }),
    release: () => inTurn(async () => {
      clearInterval(timer)
      try {
        await renew(0)
      } finally {
        retire()
      }
    }),
  }
}

function fieldsOf({ mac: _, ...fields }: Progress): ProgressFields {
  return fields
}
