/**
 * The documents of the inbox, each an upload event that was accepted and not handled yet, under a lease:
 *
 *     inbox/<due>-<holder>-<id>.json    { "event": {…}, "tries": 0, "holder": "…", "until": 1767225665000 }
 *
 * `due`, 14 digits of milliseconds since the epoch, sorts the names by when an event is to be handled. The holder in
 * the name is the host that accepted the event: nobody else even reads it before its first lease must have ended,
 * unless that host is dead. The holder inside is the one whose lease runs until `until`; whoever wants it after that
 * takes it by compare-and-swap. The lease begins when the event is due, so that one which is handled in time costs one
 * write and one removal. The hosts' clocks may differ by half a lease; more than that costs a second look at an object,
 * never a loss. A time that is further ahead than any that a clock which is right can have given is not believed.
 */
import * as z from "zod/mini"
import { isFailure } from "../errors.ts"
import type { Clock, Log, Parser, StateStore } from "../ports.ts"
import { before, nameFor, readName, ROOT } from "./inbox-names.ts"
import type { UploadEvent } from "./upload-event.ts"

/** An event under the lease of this host. */
export interface Held {
  readonly path: string
  readonly event: UploadEvent
  /** How often handling it has failed. */
  readonly tries: number
  /** When the lease ends, in milliseconds since the epoch. */
  readonly until: number
  readonly holder: string
  readonly etag: string
}

/** Who shares the inbox, and for how long one of them holds an event. The same on all hosts. */
export interface Sharing {
  /** This host's name: unique to the process; letters, digits, `.` and `_`. */
  readonly holder: string
  /** True only if that holder will never run again. */
  isDead(holder: string): boolean
  /** Milliseconds. */
  readonly lease: number
}

/** What entries are kept with. */
export interface EntriesOptions extends Sharing {
  readonly state: StateStore
  readonly clock: Clock
  readonly log: Log
}

/** The inbox's documents, as one host sees them. */
export type Entries = ReturnType<typeof entries>

/** How far ahead an event can be due, in milliseconds: the longest `settle` and the longest pause. What is due later
 *  was accepted while a clock was wrong, and is due now. */
export const FURTHEST_MS = 86_400_000 + 3_600_000

const WRITES = 16 // documents being written at once: enough to fill a store's connections; a flood of events waits here

/** The documents in a state store. */
export function entries({ state, clock, log, holder, isDead, lease }: EntriesOptions) {
  const unreadable = new Set<string>()
  const pass = gate(WRITES)

  async function read(path: string): Promise<Held | undefined> {
    try {
      const document = await state.read(path, entry)
      return document && { path, ...document.value, etag: document.etag }
    } catch (cause) {
      if (!isFailure(cause, "internal")) throw cause
      log.error("a document of the inbox can't be read; it stays where it is and is passed over", { path, cause })
      if (unreadable.size >= MOST_UNREADABLE) unreadable.clear()
      unreadable.add(path)
      return undefined
    }
  }

  /** Milliseconds that a lease has to go; none where the clock that gave it was wrong. */
  function toGo({ until }: Held): number {
    const left = until - clock()
    return left > FURTHEST_MS + lease ? -Infinity : left
  }

  const isFree = (held: Held) => toGo(held) < -lease / 2 || isDead(held.holder)

  /** The event, under a lease of this host that has at least half its time to go; `undefined` if it is gone, or
   *  another's. Given what this host already holds, asks the store only where the lease has to be renewed. */
  async function take(path: string, known?: Held): Promise<Held | undefined> {
    const found = known ?? await read(path)
    if (!found) return undefined
    const isOurs = found.holder === holder
    if (isOurs && toGo(found) >= lease / 2) return found
    if (!isOurs && !isFree(found)) return undefined
    const until = clock() + lease
    const etag = await state.replace(path, { event: found.event, tries: found.tries, holder, until }, found.etag)
    return etag === undefined ? undefined : { ...found, holder, until, etag }
  }

  return {
    /** A name for an event that is due then. */
    pathFor: (due: number): string => nameFor(due, holder),

    /** Stores an event under a name from `pathFor`; it is durable when this answers. */
    create: (path: string, event: UploadEvent, tries: number): Promise<Held> => pass(async () => {
      const until = Math.max(readName(path).due, clock()) + lease
      const etag = await state.create(path, { event, tries, holder, until })
      if (etag === undefined) throw new Error(`a random name was there already: ${path}`)
      return { path, event, tries, holder, until, etag }
    }),

    take,

    /** Renews a lease until `end` is called, and calls `lost` once if that fails or another host has the event. `end`
     *  gives what is held now; `undefined` where only the store knows. */
    keep(held: Held, lost: () => void): Renewal {
      let current: Held | undefined = held
      let { until } = held
      let ended = false
      let timer = plan()
      function plan() {
        return setTimeout(() => void renew(), Math.max(until - clock() - lease / 2, lease / 10))
      }
      async function renew(): Promise<void> {
        let isLost: boolean
        const known = current
        current = undefined // while the write is under way, and where its answer is lost, the next try looks
        try {
          current = await take(held.path, known)
          isLost = current === undefined
          until = current?.until ?? until
        } catch (cause) {
          log.warn("the lease of an upload event can't be renewed", { path: held.path, cause })
          isLost = clock() >= until
        }
        if (ended) return
        if (isLost) lost()
        else timer = plan()
      }
      return {
        end() {
          ended = true
          clearTimeout(timer)
          return current
        },
      }
    },

    /** Removes what was handled. What another host holds may go too: an event is done by whoever has handled it. */
    remove: (path: string): Promise<void> => state.remove(path),

    /** Names behind `startAfter`, in order, of what is due by `horizon`, or so late that it is due now, and may be
     *  this host's: what it or a dead one has accepted, and what others accepted so long ago that their first lease has
     *  ended. */
    async *ready(startAfter: string, horizon: number): AsyncGenerator<string, undefined> {
      const furthest = clock() + FURTHEST_MS
      const isLater = (due: number) => due > horizon && due <= furthest
      const dead = new Map<string, boolean>([[holder, true], ["", true]]) // what has no holder is anybody's
      for (let after = startAfter, more = true; more; ) {
        const page = await state.list(ROOT, after === "" ? {} : { startAfter: after })
        for (const path of page.paths) {
          const { due, holder: accepted } = readName(path)
          if (isLater(due)) continue
          if (!dead.has(accepted)) dead.set(accepted, isDead(accepted))
          const isOpen = dead.get(accepted) || due > furthest || due + lease * 1.5 < clock()
          if (isOpen && !unreadable.has(path)) yield path
        }
        more = page.more && page.paths.length > 0
        after = page.paths.at(-1) ?? after
        if (isLater(readName(after).due)) after = before(furthest + 1) // + 1: never back
      }
      return undefined
    },
  }
}

/** A lease that is being renewed. */
export interface Renewal {
  end(): Held | undefined
}

const MOST_UNREADABLE = 10_000 // names remembered; beyond that they are read, and logged, anew

const upload: Parser<UploadEvent> = z.object({
  bucket: z.string(), key: z.string(), size: z.exactOptional(z.number()), etag: z.exactOptional(z.string()),
  versionId: z.exactOptional(z.string()), time: z.exactOptional(z.number()),
})
const envelope = z.object({ event: z.unknown(), tries: z.number(), holder: z.string(), until: z.number() })
const entry: Parser<Omit<Held, "path" | "etag">> = {
  parse(value) {
    const { event, ...lease } = envelope.parse(value)
    return { event: upload.parse(event), ...lease }
  },
}

/** Lets at most so many work at once; the others wait in order. */
function gate(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = limit
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free -= 1
    else await new Promise<void>((go) => void waiting.push(go))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}
