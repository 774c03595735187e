/**
 * Endpoints as data. A function declares route records; `answer` is the one place where a request is matched,
 * authenticated, authorized, read, parsed and run, and the one place where a `Failure` becomes a status.
 */
import type { Action, BaseContext, Caller } from "../context.ts"
import { Failure } from "../errors.ts"
import type { Parser } from "../ports.ts"
import { errorResponse, type ErrorShape } from "./error-body.ts"
import { matchPath, type PathParams } from "./path.ts"

/** A request that has been matched, authenticated, authorized and parsed. */
export interface Call<Body> {
  readonly request: Request
  readonly params: PathParams
  readonly query: URLSearchParams
  readonly body: Body
  readonly caller: Caller
  /** Aborted when the caller goes away or the host is about to stop. */
  readonly signal: AbortSignal
}

/** One route. A record without an action does not compile; a test reads them all. */
export interface Route<Body, Context extends BaseContext> {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Template: `:name` is one segment, `:name*` at the end is the rest, slashes included. */
  readonly path: string
  /** A further condition on the query, for APIs that put the verb there (`?action=wrap`). */
  readonly query?: Readonly<Record<string, string>>
  /** What the caller must be allowed to do; `unsafe-anyone` skips authentication and authorization. */
  readonly action: Action | "unsafe-anyone" | "any-caller"
  /** The CRN on which the action is decided. Not asked for `unsafe-anyone` and `any-caller`. */
  readonly resource?: (call: Call<unknown>, context: Context) => string | Promise<string>
  /** A check of the route's own, before the body is read; throws to refuse. */
  readonly guard?: (call: Call<unknown>, context: Context) => void
  /** Bytes; a longer body is answered 413 before it is read whole. */
  readonly maxBody: number
  /** Turns the body into `Body`. The parser gets of `json` an object (no body = `{}`), of `form` the fields of a
   *  urlencoded form, of `bytes` a `Buffer` as it came. */
  readonly body?: { readonly kind: "json" | "form" | "bytes"; readonly parser: Parser<Body> }
  /** The shape of its errors; `own` answers 403 for a missing right, Key Protect's API 401. */
  readonly errors: ErrorShape
  readonly run: (call: Call<Body>, context: Context) => Promise<Response>
}

/** A route of any body, as lists of routes hold it. */
export type AnyRoute<Context extends BaseContext> = Route<never, Context>

/** Declares a route: types are inferred, nothing else happens. */
export function endpoint<Body, Context extends BaseContext>(route: Route<Body, Context>): AnyRoute<Context> {
  return route as unknown as AnyRoute<Context> // safe: `body.parser` and `run` of one record agree by its own type
}

/** Answers requests by these routes. Never rejects. */
export function answer<Context extends BaseContext>(
  routes: readonly AnyRoute<Context>[],
  context: Context,
): (request: Request) => Promise<Response> {
  return async (request) => {
    let shape: ErrorShape = "own"
    const correlationId = request.headers.get("correlation-id") ?? crypto.randomUUID()
    try {
      const url = new URL(request.url)
      const { route, params } = find(routes, request.method, url)
      shape = route.errors
      const response = await perform(route, params, url, request, context)
      response.headers.set("correlation-id", correlationId)
      return response
    } catch (error) {
      return errorResponse(error, shape, correlationId, context.log)
    }
  }
}

function find<Context extends BaseContext>(routes: readonly AnyRoute<Context>[], method: string, url: URL) {
  const allowed: string[] = []
  for (const route of routes) {
    const params = matchPath(route.path, url.pathname)
    if (!params || !queryMatches(route.query, url.searchParams)) continue
    if (route.method === method) return { route, params }
    allowed.push(route.method)
  }
  if (allowed.length > 0) {
    const allow = allowed.join(", ")
    throw new Failure("method-not-allowed", `method ${method} isn't allowed here, only ${allow}`, undefined, undefined, { allow })
  }
  throw new Failure("not-found", "there is nothing at this path")
}

function queryMatches(wanted: Readonly<Record<string, string>> | undefined, query: URLSearchParams): boolean {
  return Object.entries(wanted ?? {}).every(([name, value]) => query.get(name) === value)
}

async function perform<Context extends BaseContext>(
  route: AnyRoute<Context>,
  params: PathParams,
  url: URL,
  request: Request,
  context: Context,
): Promise<Response> {
  const caller = route.action === "unsafe-anyone" ? nobody : await context.authenticate(bearer(request))
  const call: Call<unknown> = {
    request, params, query: url.searchParams, caller, signal: request.signal, body: undefined,
  }
  await authorize(route, call, context)
  route.guard?.(call, context)
  const body = await readBody(route, request)
  return route.run({ ...call, body: body as never }, context) // `body` came out of this route's own parser
}

const nobody: Caller = { subject: { iamId: "", account: "" }, subjectType: "nobody" }

function bearer(request: Request): string {
  const [scheme, token] = (request.headers.get("authorization") ?? "").split(" ")
  if (scheme?.toLowerCase() !== "bearer" || !token) {
    throw new Failure("unauthorized", "a bearer token is needed: Authorization: Bearer <token>")
  }
  return token
}

async function authorize<Context extends BaseContext>(
  route: AnyRoute<Context>,
  call: Call<unknown>,
  context: Context,
): Promise<void> {
  if (route.action === "unsafe-anyone" || route.action === "any-caller") return
  if (!route.resource) throw new Error(`route ${route.method} ${route.path} names no resource`)
  const resource = await route.resource(call, context)
  const decision = await context.authority.decide(call.caller.subject, route.action, resource)
  if (decision.allowed) return
  const code = route.errors === "key-protect" ? "unauthorized" : "forbidden"
  throw new Failure(code, `not allowed: ${route.action} on ${resource}`)
}

async function readBody<Context extends BaseContext>(route: AnyRoute<Context>, request: Request): Promise<unknown> {
  if (!route.body) return undefined
  const bytes = await readBounded(request, route.maxBody)
  if (route.body.kind === "bytes") return route.body.parser.parse(bytes)
  if (route.body.kind === "form") return route.body.parser.parse(Object.fromEntries(new URLSearchParams(bytes.toString())))
  return route.body.parser.parse(parseJson(bytes))
}

async function readBounded(request: Request, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of whole(request)) {
    length += chunk.length
    if (length > limit) throw new Failure("too-large", `the body is larger than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The body's bytes. One that breaks off, as its sender went away or broke its framing, is the sender's mistake. */
async function* whole(request: Request): AsyncGenerator<Uint8Array> {
  try {
    yield* (request.body ?? []) as AsyncIterable<Uint8Array> // the Fetch standard: a body's chunks are bytes
  } catch (cause) {
    throw new Failure("bad-body", "the body broke off", cause)
  }
}

/** JSON as clients send it: no body and the literal `null` both stand for an empty object (Key Protect's Go client). */
function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) ?? {}
  } catch {
    throw new Failure("bad-body", "the body isn't valid JSON") // the parser's own words quote the body, secrets and all
  }
}
