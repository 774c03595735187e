/** Looks at events of the inbox, each under a lease that is renewed as long as the look takes. */
import type { Log } from "../ports.ts"
import type { Entries, Held } from "./inbox-entries.ts"
import type { UploadEvent } from "./upload-event.ts"

/** How handling went: done; failed, to be tried again after a pause that grows; or to be handled at a later time,
 *  as this event. */
export type Handled = "handled" | "failed" | { readonly event: UploadEvent; readonly due: number }

/** What looks are made with. */
export interface LookOptions {
  readonly log: Log
  /** Handles one event. Aborted where the lease is lost or the host stops. Throwing counts as `failed`. */
  handle(event: UploadEvent, signal: AbortSignal): Promise<Handled>
}

/** Looks that are under way. */
export interface Looks {
  /** Handles an event, then has `finish` put it away. Where the lease was lost or the look aborted it stays as it is,
   *  for whoever takes it up next. Throws what `finish` throws. */
  look(held: Held, finish: (held: Held, result: Handled) => Promise<void>): Promise<void>
  abort(): void
}

/** Looks at events of these documents. */
export function inboxLooks({ handle, log }: LookOptions, documents: Pick<Entries, "keep">): Looks {
  const running = new Set<AbortController>()

  async function attempt({ event, path }: Held, signal: AbortSignal): Promise<Handled> {
    try {
      return await handle(event, signal)
    } catch (cause) {
      if (!signal.aborted) log.error("an upload event could not be handled; it stays in the inbox", { path, cause })
      return "failed"
    }
  }

  return {
    async look(held, finish) {
      const stop = new AbortController()
      running.add(stop)
      const renewal = documents.keep(held, () => {
        log.warn("the lease of an upload event is lost; whoever has it now goes on", { path: held.path })
        stop.abort()
      })
      try {
        const result = await attempt(held, stop.signal)
        if (!stop.signal.aborted) await finish(held, result)
      } finally {
        renewal.end()
        running.delete(stop)
      }
    },
    abort() {
      for (const look of running) look.abort()
    },
  }
}
