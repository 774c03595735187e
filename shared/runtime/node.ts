/** The Node host: endpoints behind Hono on @hono/node-server, on loopback unless told otherwise. */
import { Hono } from "hono"
import { getRequestListener, RequestError, type HttpBindings } from "@hono/node-server"
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response"
import type { Server, ServerResponse } from "node:http"
import pino from "pino"
import { Failure } from "../errors.ts"
import type { Log } from "../ports.ts"
import { json } from "./body.ts"
import { errorResponse, keyProtectBody } from "./error-body.ts"
import { withoutErrors, type LogLevel } from "./log.ts"
import { answerUnreadable, listen, ownAnswers } from "./node-server.ts"
import { hasDotSegment } from "./path.ts"

/** A running host. */
export interface NodeHost {
  readonly port: number
  /** Lets running requests finish for at most `graceMs`, then ends them. */
  close(graceMs?: number): Promise<void>
}

/** What a host serves. */
export interface NodeHostOptions {
  readonly handle: (request: Request) => Promise<Response>
  readonly log: Log
  readonly version: string
  /** 0 takes any free port. */
  readonly port: number
  readonly hostname: string
}

/** Starts serving. Throws a plain `Error` that names the port where it is taken. */
export async function nodeHost({ handle, log, version, port, hostname }: NodeHostOptions): Promise<NodeHost> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.get("/health", () => json(200, { status: "ok", version }))
  app.all("*", async ({ env, req }) => {
    const response = hasDotSegment(env.incoming.url ?? "") || env.incoming.url?.includes("#")
      ? errorResponse(dotSegment(), "own", crypto.randomUUID(), log)
      : await handle(req.raw)
    await send(response, env.outgoing, req.method === "HEAD", log)
    return RESPONSE_ALREADY_SENT
  })
  const refuse = (error: unknown) =>
    errorResponse(error instanceof RequestError ? unreadable(error) : error, "own", crypto.randomUUID(), log)
  const listener = getRequestListener(app.fetch, { errorHandler: refuse, overrideGlobalObjects: false })
  const server = ownAnswers((incoming, outgoing) => void listener(incoming, outgoing))
  answerUnreadable(server, (status) => ({ type: "application/json", text: JSON.stringify(keyProtectBody(unreadable(), status)) }))
  server.timeout = MOST_IDLE_MS
  return { port: await listen(server, port, hostname), close: (graceMs = 5_000) => close(server, graceMs) }
}

const MOST_IDLE_MS = 300_000 // a reader that stops reading would hold its connection to the store for ever

const unreadable = (cause?: unknown) => new Failure("bad-query", "this is no HTTP request: its target, headers or framing can't be read", cause)

const dotSegment = () => new Failure("bad-query", "a path can't hold #, or . and .. as segments; name such keys by ?key=")

/** Writes a response to the raw one. A body that fails half-way breaks the connection: @hono/node-server would add the
 *  error's text to the body and end it cleanly. */
async function send(response: Response, outgoing: ServerResponse, headOnly: boolean, log: Log): Promise<void> {
  if (!outgoing.req.complete) outgoing.setHeader("connection", "close") // the rest of a refused body is not waited for
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  const body = response.body as ReadableStream<Uint8Array> | null
  if (!body || headOnly) return void outgoing.end()
  const reader = body.getReader()
  outgoing.once("close", () => void reader.cancel().catch(() => undefined)) // the caller went away, or all is sent
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) await write(outgoing, step.value)
    outgoing.end()
  } catch (error) {
    log.warn("a response broke off", { cause: error })
    await reader.cancel().catch(() => undefined)
    outgoing.destroy()
  }
}

function write(outgoing: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    outgoing.write(chunk, (error) => error ? reject(error) : resolve())
  })
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}

/** The host's log: pino's JSON lines on standard output. */
export function pinoLog(level: LogLevel): Log {
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } })
  return {
    info: (message, fields = {}) => logger.info(withoutErrors(fields), message),
    warn: (message, fields = {}) => logger.warn(withoutErrors(fields), message),
    error: (message, fields = {}) => logger.error(withoutErrors(fields), message),
  }
}
