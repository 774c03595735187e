/** All endpoints of the Node host, without a socket: real keys, policies and objects, the state in memory. */
import { randomBytes } from "node:crypto"
import { buildContext, type LocalContext } from "../local/context.ts"
import { ownerKey } from "../local/owner.ts"
import { routes, type HostContext } from "../local/routes.ts"
import { unreadableEvents } from "../shared/objects/unreadable.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { jsonLog } from "../shared/runtime/log.ts"
import { parseSettings } from "../shared/settings.ts"
import { memoryState, type MemoryState } from "./memory-state.ts"
import { localHarness } from "./stores.ts"

export const ACCOUNT = "acct1"
export const KMS = "0e1f2a3b-0000-4000-8000-000000000002"
export const STORE = "0e1f2a3b-0000-4000-8000-000000000001"
const ORIGIN = "http://127.0.0.1:8080"
export const EVENTS_SECRET = "0123456789abcdef0123456789abcdef"

/** A running host, and its account's owner. */
export interface HostWorld {
  readonly context: HostContext & LocalContext
  readonly state: MemoryState
  readonly masterKey: Uint8Array
  readonly lines: string[]
  readonly ownerToken: string
  /** The owner's API key. */
  readonly ownerSecret: string
  readonly handle: (request: Request) => Promise<Response>
  /** A request by the owner, or by whoever `headers` say. */
  call(method: string, path: string, body?: string | object, headers?: Readonly<Record<string, string>>): Promise<Response>
  close(): Promise<void>
}

/** Opens it with a bucket `photos`. `more` are further settings. */
export async function hostWorld(more: Readonly<Record<string, unknown>> = {}): Promise<HostWorld> {
  const harness = await localHarness()
  await harness.store.createBucket("photos")
  const [state, lines, masterKey] = [memoryState(), [] as string[], randomBytes(32)]
  const settings = parseSettings({
    account: ACCOUNT, kmsInstance: KMS, storeInstance: STORE, eventsSecret: EVENTS_SECRET,
    masterKey: masterKey.toString("base64"), ...more,
  })
  const log = jsonLog((line) => void lines.push(line), "info", Date.now)
  const built = await buildContext(settings, {
    objects: harness.store, state, where: { objects: "", state: "" }, close: () => Promise.resolve(),
  }, log)
  const context = {
    ...built, acceptEvents: () => Promise.resolve(0), keepUnreadable: unreadableEvents(state, Date.now).keep,
  }
  const ownerSecret = await ownerKey(context, ACCOUNT, undefined)
  const ownerToken = (await context.tokens.issue({ apiKey: ownerSecret })).token
  const handle = answer(routes, context)
  return {
    context, state, masterKey, lines, ownerToken, ownerSecret, handle,
    call: (method, path, body, headers = {}) => handle(new Request(`${ORIGIN}${path}`, {
      method, headers: { authorization: `Bearer ${ownerToken}`, "bluemix-instance": KMS, ...headers },
      ...(body === undefined || method === "GET" || method === "HEAD" ? {} : { body: asBody(body) }),
    })),
    async close() {
      built.close()
      await harness.close()
    },
  }
}

const asBody = (body: string | object): string | Uint8Array =>
  typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body)

/** What is wrong with an answer as the answer to bad input: nothing, where it is a success, or a refusal in 4xx (or 501,
 *  for what is not offered) with an error body of ours. */
export async function faultOf(response: Response): Promise<string | undefined> {
  const text = await response.text()
  const { status } = response
  if (status < 400) return undefined
  if (status >= 500 && status !== 501) return `${status} ${text}`
  try {
    return isErrorBody(JSON.parse(text)) ? undefined : `no error of ours: ${status} ${text}`
  } catch {
    return `no JSON: ${status} ${text}`
  }
}

/** Key Protect's error body, or IAM's. */
function isErrorBody(body: unknown): boolean {
  if (typeof body !== "object" || body === null) return false
  if ("errorCode" in body) return typeof body.errorCode === "string" && "errorMessage" in body
  if (!("resources" in body) || !Array.isArray(body.resources)) return false
  const [first] = body.resources as readonly unknown[]
  return typeof first === "object" && first !== null && "errorMsg" in first && typeof first.errorMsg === "string"
}
