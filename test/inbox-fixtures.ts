/** What the tests of the inbox share. */
import { inbox, type Inbox, type InboxOptions } from "../shared/objects/inbox.ts"
import type { UploadEvent } from "../shared/objects/events.ts"
import type { StateStore } from "../shared/ports.ts"
import { memoryState } from "./memory-state.ts"

/** A log that keeps its lines. */
export function keptLog() {
  const lines: string[] = []
  const write = (message: string) => void lines.push(message)
  return { lines, info: write, warn: write, error: write }
}

export const due = (key: string, at = 0): { event: UploadEvent; due: number } => ({ event: { bucket: "b", key }, due: at })

/** An inbox of a host named `holder`, on `state` or a new one. */
export function openInbox(change: Partial<InboxOptions> & { state?: StateStore } = {}): Promise<Inbox> {
  return inbox({
    state: memoryState(), clock: Date.now, log: keptLog(), concurrency: 4, lease: 60_000, holder: "here.1", isDead: () => false,
    handle: async () => "handled", ...change,
  })
}

/** A state store that counts its requests by method. */
export function countingState(state: StateStore = memoryState()) {
  const counts: Partial<Record<keyof StateStore, number>> = {}
  const methods = Object.entries(state).map(([name, method]) => [name, (...given: unknown[]) => {
    counts[name as keyof StateStore] = (counts[name as keyof StateStore] ?? 0) + 1
    return (method as (...given: unknown[]) => unknown)(...given)
  }])
  return { counts, state: Object.fromEntries(methods) as StateStore }
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !await holds(); tries++) {
    if (tries > 2_000) throw new Error("it did not come to be")
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A document of the inbox, whatever is in it. */
export async function documentAt(state: StateStore, path: string): Promise<unknown> {
  return (await state.read(path, { parse: (value) => value }))?.value
}

/** A door that stays shut until it is opened. */
export function door() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open: () => open(), opened }
}
