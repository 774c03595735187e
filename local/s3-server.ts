/** The local S3 endpoint: a `Store` behind S3's HTTP interface. What it serves stands in `s3/routes.ts`. */
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Store } from "../shared/ports.ts"
import { answerUnreadable, listen, ownAnswers } from "../shared/runtime/node-server.ts"
import type { Endpoint } from "./s3/call.ts"
import type { S3EventRecord } from "./s3/notification.ts"
import { serve, type Gate } from "./s3/serve.ts"
import { document, type Element } from "./s3/xml.ts"

/** A running endpoint. */
export interface S3Server {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string
  readonly port: number
  /** Stops listening, lets requests under way end for a moment, and then cuts them. Done within two seconds. */
  close(): Promise<void>
}

/** What an endpoint serves, and to whom. */
export interface S3ServerOptions extends Gate {
  readonly store: Store
  /** 0 takes any that is free. */
  readonly port: number
  /** Told of each object written, after it is durable and before the client is answered. */
  readonly onWrite?: (record: S3EventRecord) => void | Promise<void>
}

/** Serves a store as an S3 endpoint on 127.0.0.1, path style. Rejects if the port cannot be had. */
export async function s3Server(options: S3ServerOptions): Promise<S3Server> {
  const endpoint: Endpoint = { ...options, onWrite: guarded(options) }
  const running = new Set<Promise<void>>()
  const accept = (awaitsContinue: boolean) => (request: IncomingMessage, response: ServerResponse): void => {
    const serving = serve({ request, response, awaitsContinue }, endpoint, options)
    running.add(serving)
    void serving.finally(() => running.delete(serving))
  }
  const server = ownAnswers(accept(false), limits)
  server.on("checkContinue", accept(true))
  answerUnreadable(server, (status) => ({ type: "application/xml", text: document(["Error", unreadable(status)]) }))
  server.timeout = maxIdle
  const port = await listen(server, options.port, "127.0.0.1")
  return { url: `http://127.0.0.1:${port}`, port, close: () => close(server, running) }
}

/** S3's own words (S3 reference, "Error responses"). */
const unreadable = (status: number): readonly Element[] => status === 408
  ? [["Code", "RequestTimeout"], ["Message", "Your socket connection to the server was not read from or written to within the timeout period."]]
  : [["Code", "BadRequest"], ["Message", "An error occurred when parsing the HTTP request."]]

// A request's head comes within 20 seconds; a body may take hours, but no connection is silent for five minutes. Many
// clients keep connections for a minute: the server closes later, so as not to close under a request.
const limits = {
  headersTimeout: 20_000, requestTimeout: 0, keepAliveTimeout: 65_000, connectionsCheckingInterval: 5_000,
}
const maxIdle = 300_000

// How long requests under way may still take, and what those then cut off may still do in the store.
const grace = 800

async function close(server: Server, running: ReadonlySet<Promise<void>>): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), grace)
  await new Promise((resolve) => server.close(resolve))
  clearTimeout(cut)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => { timer = setTimeout(resolve, grace) })
  await Promise.race([Promise.allSettled(running), late])
  clearTimeout(timer)
}

/** A listener that fails must not fail a write that is done: a client that repeats a conditional one would be told 412. The
 *  object is then found by whoever looks through the bucket. */
function guarded({ onWrite, log }: S3ServerOptions): Endpoint["onWrite"] {
  return async (record) => {
    try {
      await onWrite?.(record)
    } catch (error) {
      log.error("S3 notification failed", { bucket: record.s3.bucket.name, key: record.s3.object.key, error })
    }
  }
}
