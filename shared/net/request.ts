import { Agent as HttpAgent } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import { Failure } from "../errors.ts"
import { discard } from "./answer-body.ts"
import { BrokenExchange, exchange, type Exchange, type HttpResponse } from "./exchange.ts"

export type { HttpResponse, Origin } from "./exchange.ts"
export type { RequestBody } from "./send-body.ts"

/** How a client behaves. Times are in milliseconds. */
export interface HttpClientOptions {
  /** Whether plain HTTP is allowed. Otherwise a request to it is refused, with `bad-field`. */
  readonly allowHttp: boolean
  /** For a connection, TLS included. Default 5 s. */
  readonly connectTimeout?: number
  /** Without a byte, while it is the server's turn. Default 30 s. */
  readonly idleTimeout?: number
  /** How often a repeatable request is tried at most. Default 5. */
  readonly attempts?: number
  /** The n-th repetition waits a random time of up to this, times 2^(n-1), at most 100 times it. Default 100 ms. */
  readonly backOff?: number
  /** Uniform in [0, 1): the jitter. Default `Math.random`. */
  readonly random?: () => number
}

/** A request to send, perhaps more than once. */
interface HttpRequest extends Omit<Exchange, "headers"> {
  /** The headers of one attempt: made anew for each, as signatures age. */
  readonly headers: () => Promise<Exchange["headers"]>
  /** Whether the request may be sent again when it may have been acted upon already. */
  readonly repeatable: boolean
}

/**
 * Sends a request; its kept-alive connections are the client's. Gives whatever answer comes, but repeats a request that
 * is repeatable after 429, 500, 502, 503, 504 and broken connections, with exponential back-off and full jitter, until
 * the attempts are used up; and any request that cannot have reached the server. A repeatable one that met a kept-alive
 * connection which had died is first repeated once more at once. A body stream that was begun is never sent again.
 * Throws `unavailable` if no answer came (the effect of a write is then unknown), also when `signal` ended it; and what
 * the body stream throws. Never follows a redirect.
 */
export type HttpClient = (request: HttpRequest) => Promise<HttpResponse>

// A free connection is kept for less than the 5 s after which node:http servers close theirs, the shortest usual time.
const keepFree = 4_000
// Far more than a process on one core can keep busy; a limit all the same, so that a burst queues instead of failing.
const maxSockets = 128

/** A client with connections of its own. */
export function httpClient(options: HttpClientOptions): HttpClient {
  const pool = { keepAlive: true, timeout: keepFree, maxSockets }
  const wire = {
    agents: { "http:": new HttpAgent(pool), "https:": new HttpsAgent(pool) },
    connectTimeout: options.connectTimeout ?? 5_000,
    idleTimeout: options.idleTimeout ?? 30_000,
  }
  const attempts = options.attempts ?? 5

  return async (request) => {
    if (request.origin.protocol !== "https:" && !options.allowHttp) {
      throw new Failure("bad-field", "plain HTTP is not allowed: use https, or allow it in the settings")
    }
    let spared = false
    for (let attempt = 1; ; attempt++) {
      const outcome = await tried(() => exchangeOnce(request))
      const again = attempt < attempts && mayRepeat(request, outcome) && !request.signal?.aborted
      if (!again) return settled(outcome)
      if (outcome instanceof BrokenExchange && outcome.stale && !spared) {
        spared = true
        attempt--
        continue
      }
      if (!(outcome instanceof BrokenExchange)) discard(outcome.body)
      await pause(attempt, options, request.signal)
    }
  }

  async function exchangeOnce(request: HttpRequest): Promise<HttpResponse> {
    return exchange({ ...request, headers: await request.headers() }, wire)
  }
}

async function tried(attempt: () => Promise<HttpResponse>): Promise<HttpResponse | BrokenExchange> {
  try {
    return await attempt()
  } catch (error) {
    if (error instanceof BrokenExchange) return error
    throw error
  }
}

const passing = new Set([429, 500, 502, 503, 504])

function mayRepeat(request: HttpRequest, outcome: HttpResponse | BrokenExchange): boolean {
  if (outcome instanceof BrokenExchange && !outcome.reached) return true
  const resendable = request.body === undefined || request.body instanceof Uint8Array
  return request.repeatable && resendable && (outcome instanceof BrokenExchange || passing.has(outcome.status))
}

function settled(outcome: HttpResponse | BrokenExchange): HttpResponse {
  if (outcome instanceof BrokenExchange) throw new Failure("unavailable", "the server did not answer", outcome)
  return outcome
}

/** Waits a random time, of up to twice as much after each attempt ("full jitter": AWS Architecture Blog, "Exponential
 *  Backoff And Jitter"). */
function pause(attempt: number, options: HttpClientOptions, signal: AbortSignal | undefined): Promise<void> {
  const random = options.random ?? Math.random
  const ms = random() * (options.backOff ?? 100) * Math.min(2 ** (attempt - 1), 100)
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer)
      reject(new Failure("unavailable", "the request was given up", signal?.reason))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", giveUp)
      resolve()
    }, ms)
    signal?.addEventListener("abort", giveUp, { once: true })
  })
}
