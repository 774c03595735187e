/**
 * A bucket's notification configuration (S3 reference, "NotificationConfiguration") as a text that is changed in one
 * place: entries of others stay as they were given, to the byte.
 */
import { formatEntry, parseEntry, type NotificationEntry } from "./s3-notification-entry.ts"
import { parseXml } from "./xml.ts"

/** A document: what stands before its children, these, and what stands behind. */
export interface NotificationDocument {
  readonly head: string
  readonly children: readonly Child[]
  readonly tail: string
}

interface Child {
  readonly name: string
  /** Exactly as given, with the white space before it. */
  readonly raw: string
  /** Absent for what has no destination (EventBridge), or is not known. */
  readonly entry?: NotificationEntry | undefined
}

const root = "NotificationConfiguration"

// The order in which S3's clients send the children: a schema may ask for it.
const order = ["TopicConfiguration", "QueueConfiguration", "CloudFunctionConfiguration", "EventBridgeConfiguration"]

/** A document without entries. */
export const noNotifications: NotificationDocument = {
  head: `<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, children: [], tail: `</${root}>`,
}

/** Takes a document apart; `undefined` for what is no notification configuration. */
export function parseNotifications(text: string): NotificationDocument | undefined {
  if (parseXml(text)?.root !== root) return undefined
  const bounds = boundsOf(text)
  if (!bounds) return undefined
  const { start, end, children } = bounds
  const head = text.slice(0, start)
  if (end === start && head.endsWith("/>")) {
    return { head: `${head.slice(0, -2).trimEnd()}>`, children: [], tail: `</${root}>${text.slice(end)}` }
  }
  let from = start
  const parts = children.map(({ name, to }) => {
    const raw = text.slice(from, to)
    from = to
    return { name, raw, entry: parseEntry(raw) }
  })
  return { head, children: parts, tail: text.slice(from) }
}

/** The text of a document. */
export const formatNotifications = ({ head, children, tail }: NotificationDocument): string =>
  head + children.map(({ raw }) => raw).join("") + tail

/** All entries that have a destination. */
export const entriesOf = ({ children }: NotificationDocument): readonly NotificationEntry[] =>
  children.flatMap(({ entry }) => (entry ? [entry] : []))

/** The document without the entries of this id. */
export const withoutId = (document: NotificationDocument, id: string): NotificationDocument =>
  ({ ...document, children: document.children.filter(({ entry }) => entry?.id !== id) })

/** The document with the entries of this id alone. */
export const onlyId = (document: NotificationDocument, id: string): NotificationDocument =>
  ({ ...document, children: document.children.filter(({ entry }) => entry?.id === id) })

/** The document with this entry instead of all others of its id. */
export function withEntry(document: NotificationDocument, entry: NotificationEntry): NotificationDocument {
  const { children } = withoutId(document, entry.id)
  const rank = order.indexOf(entry.kind)
  const later = children.findIndex(({ name }) => order.indexOf(name) > rank)
  const at = later === -1 ? children.length : later
  return { ...document, children: children.toSpliced(at, 0, { name: entry.kind, raw: formatEntry(entry), entry }) }
}

// Comments, CDATA and processing instructions hold no tags; a `>` within quotes ends none.
const markup =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<(\/?)([^\s/>!?]+)(?=[\s/>])((?:"[^"]*"|'[^']*'|[^>"'])*)>/g

/** Where the root's content begins and ends, and where each of its children ends; `undefined` where tags do not match. */
function boundsOf(text: string) {
  const open: string[] = []
  const children: { name: string; to: number }[] = []
  let start = 0
  for (const { 0: tag, 1: slash, 2: name, 3: rest, index } of text.matchAll(markup)) {
    if (name === undefined) continue
    const to = index + tag.length
    const single = rest?.endsWith("/") === true
    if (slash === "/" && open.pop() !== name) return undefined
    if (slash === "" && !single) open.push(name)
    if (open.length === 0) return { start: start || to, end: start ? index : to, children }
    if (open.length === 1 && start === 0) start = to
    else if (open.length === 1) children.push({ name: name.replace(/^.*:/, ""), to })
  }
  return undefined
}
