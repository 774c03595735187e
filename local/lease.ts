/** Leases between the hosts on one state: who does what is done once for all of them, until when, and how far it is. */
import { setMaxListeners } from "node:events"
import * as z from "zod/mini"
import type { Wait } from "../shared/objects/wait.ts"
import type { Clock, Log, StateStore } from "../shared/ports.ts"

const lease = z.object({
  holder: z.string(),
  /** Milliseconds since the epoch. */
  until: z.number(),
  /** When what last came to its end was begun, and where what did not is to be gone on with. */
  last: z.number(),
  cursor: z.optional(z.string()),
})

/** The document, `schedules/<name>.json`. */
export type Lease = z.infer<typeof lease>

/** Who takes leases. */
export interface Holder {
  readonly state: StateStore
  readonly clock: Clock
  readonly wait: Wait
  readonly log: Log
  /** This host's name, unique to the process. */
  readonly holder: string
  /** True only if that holder will never run again. */
  isDead(holder: string): boolean
}

/** A lease that is held. */
export interface HeldLease {
  /** Where the run before stopped. */
  readonly cursor?: string
  /** Aborted when the lease is lost, or by the signal it was taken with. */
  readonly signal: AbortSignal
  /** Notes how far it is. */
  advance(cursor: string): Promise<void>
  /** Gives it up as done: it is not given again within its time. */
  finish(): Promise<void>
  /** Gives it up as not done: to be begun anew, or gone on with, by whoever takes it next. */
  release(cursor?: string): Promise<void>
}

const MOST_LISTENERS = 100 // a job's requests, some for each of its lanes; beyond 10 Node warns of a leak
const LEASE_MS = 120_000 // the delay after a host was lost; renewed each third of it

/** Takes a lease, or gives `undefined` where another host has it, or began it less than `every` milliseconds ago and came to
 *  its end. It is renewed until it is released. */
export async function takeLease(by: Holder, name: string, every: number, stop: AbortSignal): Promise<HeldLease | undefined> {
  const path = `schedules/${name}.json`
  const present = await by.state.read(path, lease)
  const before = present?.value
  const now = by.clock()
  if (before && isHeld(before, by)) return undefined
  const isRecent = before && before.cursor === undefined && before.last <= now && before.last > now - every
  if (isRecent) return undefined
  let mine: Lease = { holder: by.holder, until: now + LEASE_MS, last: before?.last ?? 0, ...(before?.cursor === undefined ? {} : { cursor: before.cursor }) }
  let etag = await (present ? by.state.replace(path, mine, present.etag) : by.state.create(path, mine))
  if (etag === undefined) return undefined
  const ended = new AbortController()
  const lost = new AbortController()
  let writing: Promise<void> = Promise.resolve()

  /** One write after another; one that finds another's document loses the lease. */
  function write(change: (held: Lease) => Lease): Promise<void> {
    writing = writing.catch(() => undefined).then(async () => {
      if (lost.signal.aborted || etag === undefined) return
      const changed = change(mine)
      etag = await by.state.replace(path, changed, etag)
      if (etag !== undefined) return void (mine = changed)
      by.log.warn("the lease of a schedule is lost; whoever has it now goes on", { schedule: name })
      lost.abort()
    })
    return writing
  }

  const renewed = keepRenewing(by, ended.signal, () => write((held) => ({ ...held, until: by.clock() + LEASE_MS })), () => {
    if (by.clock() >= mine.until) lost.abort()
  })
  async function giveUp(change: Partial<Lease>): Promise<void> {
    ended.abort()
    await renewed
    await write(({ cursor: _, ...held }) => ({ ...held, until: by.clock(), ...change }))
  }

  const signal = AbortSignal.any([stop, lost.signal])
  setMaxListeners(MOST_LISTENERS, signal)
  return {
    ...(mine.cursor === undefined ? {} : { cursor: mine.cursor }),
    signal,
    advance: (cursor) => write((held) => ({ ...held, cursor, until: by.clock() + LEASE_MS })),
    finish: () => giveUp({ last: now }),
    release: (cursor) => giveUp(cursor === undefined ? {} : { cursor }),
  }
}

/** An end that is further ahead than any lease was given by a clock that was wrong. */
function isHeld({ holder, until }: Lease, by: Holder): boolean {
  const left = until - by.clock()
  return holder !== by.holder && !by.isDead(holder) && left > 0 && left <= 2 * LEASE_MS
}

async function keepRenewing({ wait, log }: Holder, ended: AbortSignal, renew: () => Promise<void>, failed: () => void): Promise<void> {
  for (;;) {
    await wait(LEASE_MS / 3, ended)
    if (ended.aborted) return
    await renew().catch((cause: unknown) => {
      log.warn("the lease of a schedule can't be renewed", { cause })
      failed()
    })
  }
}
