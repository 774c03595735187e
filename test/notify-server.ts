/** A store of one bucket's notification configuration: it replaces as AWS does, or adds as Ceph does. */
import { createServer, type ServerResponse } from "node:http"
import { entriesOf, formatNotifications, parseNotifications, withEntry } from "../shared/store/s3-notification-document.ts"
import { listen } from "./scripted-server.ts"

/** How it behaves. */
export interface NotificationStoreOptions {
  /** The configuration, as `GET` gives it. */
  readonly text: string
  /** Of every answer. */
  readonly requestId?: string
  /** The answer to `ListTopics`. Default: 405, as AWS. */
  readonly topics?: string
  /** Whether a PUT adds, and a DELETE of `?notification` removes. */
  readonly adds?: boolean
  /** What a method is answered instead. */
  readonly answers?: Readonly<Record<string, Answer>>
}

type Answer = (response: ServerResponse) => void

/** A running one. */
export interface NotificationStore {
  readonly port: number
  /** The present configuration. */
  text(): string
  /** Changes the configuration right before the n-th request of a method (1 = first) is handled. */
  before(method: string, nth: number, change: (text: string) => string): void
  /** How many requests of a method came. */
  seen(method: string): number
  /** Method and target of each. */
  requests(): readonly string[]
}

/** What makes one a Ceph. */
export const ceph = {
  requestId: "tx000006d75d742f1393ae3-006b059cd8-1008-default", adds: true,
  topics: "<ListTopicsResponse xmlns=\"https://sns.amazonaws.com/doc/2010-03-31/\"><ListTopicsResult/></ListTopicsResponse>",
}

/** A refusal as S3 sends it. */
export const refuse = (status: number, code: string): Answer => (response) =>
  void response.writeHead(status).end(`<Error><Code>${code}</Code><Message></Message></Error>`)

/** Starts one; `closeServers` ends it. */
export async function notificationStore(options: NotificationStoreOptions): Promise<NotificationStore> {
  let { text } = options
  const requests: string[] = []
  const changes = new Map<string, (text: string) => string>()
  const seen = (method: string) => requests.filter((line) => line.startsWith(`${method} `)).length

  const put = (body: string) => {
    const [entry] = entriesOf(parse(body))
    if (!options.adds) text = body
    else if (entry) text = added(text, entry)
  }
  const handlers: Record<string, (response: ServerResponse, body: string, query: string) => void> = {
    POST: (response) => void (options.topics === undefined ? refuse(405, "MethodNotAllowed")(response) : response.end(options.topics)),
    GET: (response) => void response.end(text),
    PUT: (response, body) => (put(body), void response.end()),
    DELETE: (response, _, query) => {
      text = withoutFirst(text, decodeURIComponent(query.replace(/^notification=/, "")))
      response.end()
    },
  }
  const server = createServer((request, response) => {
    const { method = "", url = "" } = request
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      requests.push(`${method} ${url}`)
      text = changes.get(`${method} ${seen(method)}`)?.(text) ?? text
      response.setHeader("x-amz-request-id", options.requestId ?? "4442587FB7D0A2F9")
      const answer = options.answers?.[method]
      if (answer) answer(response)
      else handlers[method]?.(response, Buffer.concat(chunks).toString(), url.split("?")[1] ?? "")
    })
  })
  return {
    port: await listen(server), text: () => text, seen, requests: () => requests,
    before: (method, nth, change) => void changes.set(`${method} ${nth}`, change),
  }
}

const parse = (text: string) => {
  const document = parseNotifications(text)
  if (!document) throw new Error(`no notification configuration: ${text}`)
  return document
}

/** Ceph: an entry of the same id and topic is changed, any other is added. */
function added(text: string, entry: ReturnType<typeof entriesOf>[number]): string {
  const document = parse(text)
  const [child] = withEntry(parse("<NotificationConfiguration/>"), entry).children
  const others = document.children.filter(({ entry: one }) => one?.id !== entry.id || one.arn !== entry.arn)
  return formatNotifications({ ...document, children: child ? [...others, child] : others })
}

/** Ceph: the first entry of that id goes, with an empty id all. */
function withoutFirst(text: string, id: string): string {
  const document = parse(text)
  const at = document.children.findIndex(({ entry }) => entry?.id === id)
  return formatNotifications({ ...document, children: document.children.filter((_, index) => id !== "" && index !== at) })
}
