/** What a server works with, for commands that work on its stores themselves: they need its data folder, or its state
 *  and master key, and may run beside it. */
import type { LocalContext } from "../local/context.ts"
import { jsonLog } from "../shared/runtime/log.ts"
import { readServerSettings, type ServerFlags } from "./server-settings.ts"

/** Lends the context to `work`, and zeroes the keys in memory behind it. Throws `bad-field` where no server was ever
 *  started. */
export async function withServerContext<T>(
  flags: ServerFlags, work: (context: LocalContext) => Promise<T>,
): Promise<T> {
  const settings = await readServerSettings(flags)
  const { buildContext } = await import("../local/context.ts") // here: only these commands wait for lmdb to be loaded
  const { openStores } = await import("../local/stores.ts")
  const stores = await openStores(settings, process.env)
  try {
    const context = await buildContext(settings, stores, jsonLog(() => undefined, "silent", Date.now))
    try {
      return await work(context)
    } finally {
      context.close()
    }
  } finally {
    await stores.close()
  }
}
