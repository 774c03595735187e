/** A store of one bucket's notification configuration: it replaces as AWS does, or adds as Ceph does. */
import { createServer, type ServerResponse } from "node:http"
import { formatNotifications, parseNotifications } from "../shared/store/s3-notification-document.ts"
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
  /** Topics that it serves, as Ceph does: each name with the address that it posts to. */
  readonly serves?: Readonly<Record<string, string>>
  /** What a method, or an action on topics, is answered instead; with a number (`PUT 2`) the n-th of that name alone. */
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
  /** The topics that it has now. */
  topics(): Readonly<Record<string, string>>
  /** How many requests of a method, or of an action on topics, came. */
  seen(method: string): number
  /** Method and target of each. */
  requests(): readonly string[]
}

/** What makes one a Ceph. */
export const ceph = {
  requestId: "tx000006d75d742f1393ae3-006b059cd8-1008-default", adds: true, serves: {},
}

/** A refusal as S3 sends it. */
export const refuse = (status: number, code: string): Answer => (response) =>
  void response.writeHead(status).end(`<Error><Code>${code}</Code><Message></Message></Error>`)

/** Starts one; `closeServers` ends it. */
export async function notificationStore(options: NotificationStoreOptions): Promise<NotificationStore> {
  let { text } = options
  const requests: string[] = []
  const changes = new Map<string, (text: string) => string>()
  const names: string[] = []
  const seen = (name: string) => names.filter((one) => one === name).length
  const served = topicServer(options.serves ?? {})

  const put = (body: string) => {
    if (options.adds) text = added(text, body)
    else text = body
  }
  const handlers: Record<string, (response: ServerResponse, body: string, query: string) => void> = {
    POST: (response, body) => void (options.serves ? served.answer(response, new URLSearchParams(body)) : options.topics === undefined ? refuse(405, "MethodNotAllowed")(response) : response.end(options.topics)),
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
      const body = Buffer.concat(chunks).toString()
      const action = method === "POST" ? new URLSearchParams(body).get("Action") ?? "" : method
      names.push(...new Set([method, action]))
      text = changes.get(`${method} ${seen(method)}`)?.(text) ?? text
      response.setHeader("x-amz-request-id", options.requestId ?? "4442587FB7D0A2F9")
      const { answers = {} } = options
      const answer = answers[`${action} ${seen(action)}`] ?? answers[action] ?? answers[method]
      if (answer) answer(response)
      else handlers[method]?.(response, body, url.split("?")[1] ?? "")
    })
  })
  return {
    port: await listen(server), text: () => text, topics: served.topics, seen, requests: () => requests,
    before: (method, nth, change) => void changes.set(`${method} ${nth}`, change),
  }
}

const parse = (text: string) => {
  const document = parseNotifications(text)
  if (!document) throw new Error(`no notification configuration: ${text}`)
  return document
}

/** Ceph: an entry of the same id and topic is changed, any other is added. */
function added(text: string, body: string): string {
  const document = parse(text)
  const { children } = parse(body)
  const isSame = ({ entry }: Child) => children.some(({ entry: one }) => one?.id === entry?.id && one?.arn === entry?.arn)
  return formatNotifications({ ...document, children: [...document.children.filter((child) => !isSame(child)), ...children] })
}

type Child = ReturnType<typeof parse>["children"][number]

const arnStart = "arn:aws:sns:default::"

/** The SNS calls that `notify` makes, on topics of its own; ListTopics gives one on a page. */
function topicServer(given: Readonly<Record<string, string>>) {
  const topics = new Map(Object.entries(given))
  const element = (tag: string, name: string) => `<${tag}><Name>${name}</Name><EndPoint><EndpointAddress>${topics.get(name) ?? ""}`
    + `</EndpointAddress></EndPoint><TopicArn>${arnStart}${name}</TopicArn></${tag}>`
  const page = (from: number) => {
    const [name, next] = [...topics.keys()].slice(from)
    const token = next === undefined ? "" : `<NextToken>${from + 1}</NextToken>`
    return `<ListTopicsResult><Topics>${name === undefined ? "" : element("member", name)}</Topics></ListTopicsResult>${token}`
  }
  const actions: Record<string, (form: URLSearchParams, name: string) => string | undefined> = {
    ListTopics: (form) => page(Number(form.get("NextToken") ?? 0)),
    GetTopic: (_, name) => (topics.has(name) ? `<GetTopicResult>${element("Topic", name)}</GetTopicResult>` : undefined),
    DeleteTopic: (_, name) => (topics.delete(name) ? "" : undefined),
    CreateTopic(form) {
      const name = form.get("Name") ?? ""
      topics.set(name, form.get("Attributes.entry.1.value") ?? "")
      return `<CreateTopicResult><TopicArn>${arnStart}${name}</TopicArn></CreateTopicResult>`
    },
  }
  return {
    topics: () => Object.fromEntries(topics),
    answer(response: ServerResponse, form: URLSearchParams): void {
      const action = form.get("Action") ?? ""
      const result = actions[action]?.(form, (form.get("TopicArn") ?? "").slice(arnStart.length))
      if (result === undefined) refuse(404, "NotFound")(response)
      else response.end(`<${action}Response xmlns="https://sns.amazonaws.com/doc/2010-03-31/">${result}</${action}Response>`)
    },
  }
}

/** Ceph: the first entry of that id goes, with an empty id all. */
function withoutFirst(text: string, id: string): string {
  const document = parse(text)
  const at = document.children.findIndex(({ entry }) => entry?.id === id)
  return formatNotifications({ ...document, children: document.children.filter((_, index) => id !== "" && index !== at) })
}
