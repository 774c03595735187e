/**
 * The inbox of a Node host: an upload event that was accepted is stored, and stays stored until it was handled, by
 * this host or by another one on the same state store. Events are taken up as they become due, several at once, but
 * on one host never two of one object: an event is only a hint, so those that come while their object is being looked
 * at are done by one more look, and stay with this host until then. Events of one object that several hosts accept,
 * or that wait for room until their lease has ended, may be looked at together; sealing is safe against that.
 */
import { entries, type EntriesOptions, type Held, type Renewal } from "./inbox-entries.ts"
import { inboxLooks, type Handled, type LookOptions } from "./inbox-looks.ts"
import { before, readName } from "./inbox-names.ts"
import { entryQueue, type Entry } from "./inbox-queue.ts"
import type { UploadEvent } from "./upload-event.ts"

/** An inbox that is being drained. */
export interface Inbox {
  /** Stores events, each to be handled when it is due (milliseconds since the epoch), and answers when all are durable.
   *  Throws if one could not be stored; the others are. With `within`, answers only when those due within so many
   *  milliseconds have been handled or put off. */
  accept(events: readonly { readonly event: UploadEvent; readonly due: number }[], within?: number): Promise<void>
  /** Resolves when nothing that this host knows of is due, and nothing is being handled. */
  idle(): Promise<void>
  /** Takes up no more and waits for what is being handled, which is aborted after `graceMs` and stays in the inbox. */
  close(graceMs?: number): Promise<void>
}

/** What an inbox works with. */
export interface InboxOptions extends EntriesOptions, LookOptions {
  /** How many events are handled at once. */
  readonly concurrency: number
}

/** An entry under the lease of this host. */
type Taken = Entry & { readonly held: Held }

/** What waits for the next look at its object: its lease is renewed, and it stands for all that waited before it. */
interface Waiting {
  readonly path: string
  readonly at: number
  readonly left: (() => void)[]
  readonly renewal: Renewal
}

const HELD = 10_000 // entries in memory, about 1 KiB each; what is beyond that waits in the state store alone
const PAUSE_MS = 30_000 // after a first failure; doubles with each
const LONGEST_PAUSE_MS = 3_600_000

/** Starts draining what is there already, and accepts events. */
export async function inbox(options: InboxOptions): Promise<Inbox> {
  const { clock, log, lease } = options
  const documents = entries(options)
  const queue = entryQueue(HELD, noteBeyond)
  const busy = new Map<string, Waiting | undefined>() // objects being looked at, and what waits for the next look
  const looks = inboxLooks(options, documents)
  const idlers: (() => void)[] = []
  let running = 0
  let beyond: string | undefined // the first name that had no room in memory
  let nextScan = 0
  let scanning = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const enqueue = (entry: Entry) => (closed ? queue.leave(entry) : queue.add(entry))

  function noteBeyond(path: string): void {
    if (beyond === undefined || path < beyond) beyond = path
  }

  /** Takes up what is in the state store and not in memory: from the beginning, or from what had no room. */
  async function scan(startAfter: string): Promise<void> {
    scanning = true
    beyond = undefined
    if (startAfter === "") nextScan = clock() + lease
    try {
      const horizon = clock() + 2 * lease // what is due later is for a later scan
      for await (const path of documents.ready(startAfter, horizon)) {
        if (closed) return
        if (queue.has(path)) continue
        if (queue.isFullBefore(readName(path).due)) return noteBeyond(path)
        enqueue({ path, at: readName(path).due })
      }
    } catch (cause) {
      log.error("the inbox can't be listed", { cause })
      nextScan = clock() + PAUSE_MS
    } finally {
      scanning = false
    }
  }

  function pump(): void {
    clearTimeout(timer)
    if (closed) return
    nextScan = Math.min(nextScan, clock() + lease) // the clock may have been set back
    while (running < options.concurrency) {
      const entry = queue.next(clock())
      if (!entry) break
      void run(entry)
    }
    if (!scanning && clock() >= nextScan) void scan("").then(pump)
    else if (!scanning && beyond !== undefined && queue.hasRoom()) void scan(before(readName(beyond).due)).then(pump)
    const next = Math.min(scanning ? Infinity : nextScan, running < options.concurrency ? queue.earliest() : Infinity)
    timer = setTimeout(pump, Math.min(Math.max(0, next - clock()), lease))
    if (isIdle()) for (const resolve of idlers.splice(0)) resolve()
  }

  const isIdle = () => running === 0 && !scanning && beyond === undefined && queue.earliest() > clock()

  async function run(entry: Entry): Promise<void> {
    running += 1
    try {
      const held = await documents.take(entry.path, entry.held)
      if (!held) queue.leave(entry)
      else await lookOrWait({ ...entry, held })
    } catch (cause) {
      log.error("an upload event could not be taken up or put away; it stays in the inbox", { path: entry.path, cause })
      const { held: _, ...rest } = entry // what the store has now is not known
      enqueue({ ...rest, at: clock() + PAUSE_MS })
    } finally {
      running -= 1
      pump()
    }
  }

  async function lookOrWait(entry: Taken): Promise<void> {
    const object = JSON.stringify([entry.held.event.bucket, entry.held.event.key])
    if (busy.has(object)) return await waitFor(object, entry)
    busy.set(object, undefined)
    try {
      await looks.look(entry.held, finish)
      queue.leave(entry)
    } finally {
      const next = busy.get(object)
      busy.delete(object)
      if (next) enqueue(takenUp(next))
    }
  }

  /** One event is enough to wait for the next look, which begins after all that came before it were accepted. */
  async function waitFor(object: string, entry: Taken): Promise<void> {
    const last = busy.get(object)
    last?.renewal.end()
    const left = last?.left ?? []
    for (const call of entry.left ?? []) left.push(call)
    busy.set(object, { path: entry.path, at: entry.at, left, renewal: documents.keep(entry.held, () => undefined) })
    if (!last) return
    await documents.remove(last.path).catch((cause: unknown) => {
      log.warn("an upload event that another one stands for can't be removed", { path: last.path, cause })
    })
    queue.leave({ path: last.path })
  }

  async function finish(held: Held, result: Handled): Promise<void> {
    if (closed && result === "failed") return // it was stopped, most likely: the next process is not to wait
    if (result !== "handled") await putOff(held, result)
    await documents.remove(held.path)
  }

  async function putOff({ event, tries }: Held, result: Exclude<Handled, "handled">): Promise<void> {
    const pause = Math.min(PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS)
    if (result === "failed") enqueue(await store(event, clock() + pause, tries + 1))
    else enqueue(await store(result.event, result.due, tries))
  }

  async function store(event: UploadEvent, due: number, tries: number): Promise<Entry> {
    const path = documents.pathFor(Math.max(due, clock()))
    queue.note(path)
    try {
      return { path, at: readName(path).due, held: await documents.create(path, event, tries) }
    } catch (error) {
      queue.leave({ path })
      throw error
    }
  }

  await scan("")
  pump()
  return {
    async accept(events, within = -Infinity) {
      const last = clock() + within
      const followed: Promise<void>[] = []
      const stored = await Promise.allSettled(events.map(async ({ event, due }) => {
        const entry = await store(event, due, 0)
        if (entry.at > last) return enqueue(entry)
        followed.push(new Promise((left) => enqueue({ ...entry, left: [left] })))
      }))
      pump()
      const failed = stored.find((one) => one.status === "rejected")
      if (failed) throw failed.reason
      await Promise.all(followed)
    },
    async idle() {
      if (!isIdle()) await new Promise<void>((resolve) => void idlers.push(resolve))
    },
    async close(graceMs = Infinity) {
      closed = true
      clearTimeout(timer)
      queue.clear()
      const end = clock() + graceMs
      while (running > 0) {
        if (clock() >= end) looks.abort()
        await new Promise<void>((resolve) => setTimeout(resolve, 10))
      }
      for (const resolve of idlers.splice(0)) resolve()
    },
  }
}

/** The entry of what has waited, as it is held now. */
function takenUp({ path, at, left, renewal }: Waiting): Entry {
  const held = renewal.end()
  return { path, at, left, ...(held ? { held } : {}) }
}
