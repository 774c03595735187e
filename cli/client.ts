/** The API as commands call it: one token a run, JSON in and out, and refusals as failures that say what to do next. */
import { Failure, isFailure } from "../shared/errors.ts"
import { readBody } from "../shared/net/answer-body.ts"
import { httpClient, type HttpClient, type HttpResponse } from "../shared/net/request.ts"
import { refusalOf } from "./client-refusal.ts"
import { clientSettings, type ClientFlags, type ClientSettings } from "./client-settings.ts"

/** A request to the API. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  /** With its query; percent-encoded. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A caller of one server, with the rights of one API key. */
export interface Client {
  readonly settings: ClientSettings
  /** The answer, its body not yet read and not decoded. Throws a `Failure` for every status but 2xx, and where nobody
   *  answers. */
  send(request: ApiRequest): Promise<HttpResponse>
  /** The answer's JSON; `undefined` where its body is empty. */
  call(request: ApiRequest): Promise<unknown>
}

const ATTEMPTS = 3 // of what may be repeated: a person waits
const MOST_ANSWER = 64 * 2 ** 20 // bytes; a list of 5,000 keys has 3 MB

/** Reads the client's settings and exchanges the API key for a token. Not by `fetch`: that would decode an object's own
 *  Content-Encoding, and give out other bytes than were uploaded. */
export async function openClient(flags: ClientFlags): Promise<Client> {
  const settings = await clientSettings(flags)
  const http = httpClient({ allowHttp: true, attempts: ATTEMPTS }) // the settings were checked for that
  const authorization = `Bearer ${await tokenFor(settings, http)}`
  const send = (request: ApiRequest): Promise<HttpResponse> => {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
    const headers = { authorization, ...(body ? { "content-type": "application/json" } : {}), ...request.headers }
    return exchange(settings, http, { ...request, body, headers })
  }
  return {
    settings, send,
    async call(request) {
      const text = await textOf(await send(request))
      return text === "" ? undefined : parseJson(settings, text)
    },
  }
}

async function tokenFor(settings: ClientSettings, http: HttpClient): Promise<string> {
  const form = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: settings.apiKey })
  const headers = { "content-type": "application/x-www-form-urlencoded" }
  const request = { method: "POST", path: "/identity/token", headers, body: Buffer.from(form.toString()) } as const
  const answer = parseJson(settings, await textOf(await exchange(settings, http, request).catch((error: unknown) => {
    if (!isFailure(error, "bad-field")) throw error
    throw new Failure("unauthorized", `the API key of ${settings.from} doesn't hold there`, error)
  })))
  if (typeof answer === "object" && answer !== null && "access_token" in answer) return String(answer.access_token)
  throw notOurs(settings)
}

interface Sent extends Omit<ApiRequest, "body"> {
  readonly body: Buffer | undefined
  readonly headers: Readonly<Record<string, string>>
}

async function exchange({ url, from }: ClientSettings, http: HttpClient, request: Sent): Promise<HttpResponse> {
  const { method, path, headers, body, signal } = request
  const protocol = url.protocol === "https:" ? "https:" : "http:"
  const hostname = url.hostname.replace(/^\[|\]$/g, "") // an IPv6 address
  const length = body ? { "content-length": String(body.length) } : {}
  const lines = Object.entries({ host: url.host, ...headers, ...length })
  const response = await http({
    origin: { protocol, hostname, port: Number(url.port) || (protocol === "https:" ? 443 : 80) },
    method, target: path, headers: () => Promise.resolve(lines), body, signal, repeatable: method === "GET",
  }).catch((cause: unknown) => {
    const advice = "is the server running? bucketseal serve starts one"
    throw new Failure("unavailable", `nobody answers at ${url.origin} (from ${from}): ${advice}`, cause)
  })
  if (response.status >= 200 && response.status < 300) return response
  throw refusalOf(response.status, await textOf(response))
}

const textOf = async ({ body }: HttpResponse): Promise<string> => (await readBody(body, MOST_ANSWER)).toString()

function parseJson(settings: ClientSettings, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw notOurs(settings)
  }
}

const notOurs = ({ url, from }: ClientSettings) =>
  new Failure("unavailable", `what answers at ${url.origin} (from ${from}) is no bucketseal server`)
