/**
 * The inbox of a Node host: an upload event that was accepted is stored, and stays stored until it was handled. Documents
 * `inbox/<due>-<id>.json` sort by when they are due, so a settling object does not hold up others.
 */
import { randomUUID } from "node:crypto"
import { z } from "zod/mini"
import type { Clock, Log, Parser, StateStore } from "../ports.ts"
import type { UploadEvent } from "./events.ts"

const waiting: Parser<UploadEvent> = z.object({
  bucket: z.string(), key: z.string(), size: z.exactOptional(z.number()), etag: z.exactOptional(z.string()),
  versionId: z.exactOptional(z.string()), time: z.exactOptional(z.number()),
})

/** An inbox that is being drained. */
export interface Inbox {
  /** Stores events, then has each handled when it is due (milliseconds since the epoch). */
  accept(events: readonly { readonly event: UploadEvent; readonly due: number }[]): Promise<void>
  /** Resolves when nothing is waiting that is due, and nothing is being handled. */
  idle(): Promise<void>
  /** Stops taking up work and waits for what is being handled. */
  close(): Promise<void>
}

/** What an inbox works with. */
export interface InboxOptions {
  readonly state: StateStore
  readonly clock: Clock
  readonly log: Log
  /** How many events are handled at once. */
  readonly concurrency: number
  /** Handles one event. `again` asks for it at a later time; throwing leaves it for a later try. */
  handle(event: UploadEvent): Promise<{ readonly again?: number }>
}

interface Entry {
  readonly path: string
  readonly due: number
  /** Absent for what was found in the state store: read when it is handled. */
  readonly event?: UploadEvent
}

const HELD = 10_000 // entries in memory; what is beyond that waits in the state store alone
const RETRY_MS = 30_000 // after a fault of ours, so that a poison event costs a try each half minute and no more

/** Starts draining what is there already, and accepts events. */
export async function inbox(options: InboxOptions): Promise<Inbox> {
  const { state, clock, log } = options
  const queue: Entry[] = [] // by due time, earliest first
  const running = new Set<string>()
  const idlers: (() => void)[] = []
  let moreInState = true
  let loading = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  function enqueue(entry: Entry): void {
    queue.splice(queue.findLastIndex(({ due }) => due <= entry.due) + 1, 0, entry)
    if (queue.length <= HELD) return
    queue.pop() // the latest waits in the state alone
    moreInState = true
  }

  /** Takes up what is in the state and not in memory, the earliest first. */
  async function load(): Promise<void> {
    loading = true
    moreInState = false
    try {
      for (let startAfter = ROOT, more = true; more && queue.length < HELD; ) {
        const page = await state.list(ROOT, startAfter === ROOT ? {} : { startAfter })
        const held = new Set(queue.map(({ path }) => path))
        for (const path of page.paths) if (!held.has(path) && !running.has(path)) enqueue({ path, due: dueOfPath(path) })
        more = page.more && page.paths.length > 0
        startAfter = page.paths.at(-1) ?? startAfter
        if (more && queue.length >= HELD) moreInState = true
      }
    } catch (cause) {
      moreInState = true
      log.error("the inbox can't be listed", { cause })
      await new Promise((resolve) => setTimeout(resolve, closed ? 0 : RETRY_MS).unref())
    } finally {
      loading = false
    }
  }

  function pump(): void {
    clearTimeout(timer)
    while (!closed && running.size < options.concurrency && (queue[0]?.due ?? Infinity) <= clock()) {
      const entry = queue.shift()
      if (entry) void run(entry)
    }
    if (moreInState && !loading && !closed && queue.length < HELD / 2) void load().then(pump)
    const next = queue[0]
    if (next && !closed && running.size < options.concurrency) {
      timer = setTimeout(pump, Math.min(Math.max(0, next.due - clock()), RETRY_MS))
    }
    if (isIdle()) for (const resolve of idlers.splice(0)) resolve()
  }

  const isIdle = () => running.size === 0 && !loading && !moreInState && (queue[0]?.due ?? Infinity) > clock()

  async function run(entry: Entry): Promise<void> {
    running.add(entry.path)
    try {
      await handle(entry)
    } catch (cause) {
      log.error("an upload event could not be handled; it stays in the inbox", { path: entry.path, cause })
      enqueue({ ...entry, due: clock() + RETRY_MS })
    } finally {
      running.delete(entry.path)
      pump()
    }
  }

  async function handle({ path, event: known }: Entry): Promise<void> {
    const event = known ?? (await state.read(path, waiting))?.value
    if (event) {
      const { again } = await options.handle(event)
      if (again !== undefined) enqueue(await store(event, again))
    }
    await state.remove(path)
  }

  async function store(event: UploadEvent, due: number): Promise<Entry> {
    const path = `${ROOT}${String(Math.ceil(due)).padStart(14, "0")}-${randomUUID()}.json`
    await state.create(path, event)
    return { path, due, event }
  }

  await load()
  pump()
  return {
    async accept(events) {
      const stored = await Promise.allSettled(events.map(({ event, due }) => store(event, due)))
      for (const one of stored) if (one.status === "fulfilled") enqueue(one.value)
      pump()
      const failed = stored.find((one) => one.status === "rejected")
      if (failed) throw failed.reason
    },
    async idle() {
      if (!isIdle()) await new Promise<void>((resolve) => void idlers.push(resolve))
    },
    async close() {
      closed = true
      clearTimeout(timer)
      while (running.size > 0) await new Promise<void>((resolve) => setTimeout(resolve, 10))
      for (const resolve of idlers.splice(0)) resolve()
    },
  }
}

const ROOT = "inbox/"

const dueOfPath = (path: string): number => Number(path.slice(ROOT.length).split("-", 1)[0])
