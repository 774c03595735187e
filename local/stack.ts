/** The whole system on one machine, in one process: stores, keys, IAM, endpoints, inbox, and the local S3 endpoint. */
import { answer } from "../shared/runtime/endpoint.ts"
import { nodeHost } from "../shared/runtime/node.ts"
import { parseUploadEvents, type UploadEvent } from "../shared/objects/events.ts"
import { unreadableEvents } from "../shared/objects/unreadable.ts"
import type { Log } from "../shared/ports.ts"
import type { Settings } from "../shared/settings.ts"
import { buildContext } from "./context.ts"
import { readS3Credentials } from "./data-folder.ts"
import { ownerKey } from "./owner.ts"
import { routes } from "./routes.ts"
import { schedules } from "./schedule.ts"
import { s3Server, type S3Server } from "./s3-server.ts"
import { openStores, type Stores } from "./stores.ts"
import { uploads } from "./uploads.ts"

/** A running stack. */
export interface Stack {
  readonly url: string
  /** The local S3 endpoint; absent where the objects are in another store. */
  readonly s3Url?: string
  /** In words, where objects and state are. */
  readonly where: Stores["where"]
  /** An API key of the account's owner: `kept` if it still holds, else a new one. */
  ownerKey(kept?: string): Promise<string>
  /** Resolves when no accepted event is due or being handled. */
  idle(): Promise<void>
  /** Ends requests and jobs within seconds, and zeroes keys in memory. */
  close(): Promise<void>
}

/** What a stack is started with besides its settings. */
export interface StackOptions {
  readonly log: Log
  readonly version: string
  /** Where store credentials may come from (`AWS_*`). */
  readonly environment: NodeJS.ProcessEnv
  /** For how long a host holds an event before another one on the same state may take it over, in milliseconds. */
  readonly inboxLease?: number
}

/** Starts everything or nothing. Throws a `Failure` or an `Error` whose message says what to do. */
export async function startStack(settings: Settings, { log, version, environment, inboxLease }: StackOptions): Promise<Stack> {
  const closing: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step()
  }
  try {
    const stores = await openStores(settings, environment)
    closing.push(() => stores.close())
    const context = await buildContext(settings, stores, log)
    closing.push(() => context.close())
    const inbox = await uploads(context, inboxLease === undefined ? {} : { lease: inboxLease })
    closing.push(() => inbox.close())
    const timed = await schedules(context)
    closing.push(() => timed.close())
    const s3 = settings.store === "local" ? await localS3(settings, stores, log, inbox.store) : undefined
    if (s3) closing.push(() => s3.close())
    const { keep: keepUnreadable } = unreadableEvents(stores.state, Date.now)
    const handle = answer(routes, { ...context, acceptEvents: inbox.accept, keepUnreadable })
    const api = await nodeHost({ handle, log, version, port: settings.port, hostname: "127.0.0.1" })
    closing.push(() => api.close())
    return {
      url: `http://127.0.0.1:${api.port}`, ...(s3 ? { s3Url: s3.url } : {}), where: stores.where, close,
      ownerKey: (kept) => ownerKey(context, settings.account, kept),
      idle: () => inbox.idle(),
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function localS3(settings: Settings, stores: Stores, log: Log, accept: (events: readonly UploadEvent[]) => Promise<number>): Promise<S3Server> {
  const { accessKeyId, secretAccessKey } = await readS3Credentials(settings.data)
  return s3Server({
    store: stores.objects, port: settings.s3Port, region: settings.s3Region, clock: Date.now, log,
    secretOf: (id) => (id === accessKeyId ? secretAccessKey : undefined),
    onWrite: async (record) => void (await accept(parseUploadEvents({ Records: [record] }).uploads)),
  })
}
