/** One entry of a bucket's notification configuration (S3 reference, "NotificationConfiguration"). */
import { childrenOf, escapeXml, parseXml, textOf, type XmlElement } from "./xml.ts"

/** Which writes are told to whom. */
export interface NotificationEntry {
  readonly kind: DestinationKind
  readonly id: string
  /** The ARN of the destination. */
  readonly arn: string
  /** Such as `s3:ObjectCreated:*`. */
  readonly events: readonly string[]
  /** Empty for every key. */
  readonly prefix: string
  /** Each rule beside the prefix that narrows it, such as `suffix .jpg`; absent if there is none. `formatEntry` writes
   *  none. */
  readonly otherFilters?: readonly string[]
}

/** The element of an entry. Ceph knows topics alone, MinIO queues alone. */
export type DestinationKind = keyof typeof arnElements

const arnElements = {
  TopicConfiguration: "Topic", QueueConfiguration: "Queue", CloudFunctionConfiguration: "CloudFunction",
} as const

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

/** True for entries that tell the same writes to the same destination under the same id. */
export function sameEntry(one: NotificationEntry, other: NotificationEntry): boolean {
  const events = (entry: NotificationEntry) => entry.events.toSorted().join(" ")
  const filters = ({ otherFilters = [] }: NotificationEntry) => JSON.stringify(otherFilters.toSorted())
  return one.kind === other.kind && one.id === other.id && one.arn === other.arn && one.prefix === other.prefix
    && events(one) === events(other) && filters(one) === filters(other)
}

/** The element of an entry, as it stands in any document: as the root's namespace may have a prefix there, it names its
 *  own. */
export function formatEntry({ kind, id, arn, events, prefix }: NotificationEntry): string {
  const rule = `<FilterRule><Name>prefix</Name><Value>${escapeXml(prefix)}</Value></FilterRule>`
  return [
    `<${kind} xmlns="${namespace}"><Id>${escapeXml(id)}</Id><${arnElements[kind]}>${escapeXml(arn)}</${arnElements[kind]}>`,
    ...events.map((event) => `<Event>${escapeXml(event)}</Event>`),
    prefix === "" ? "" : `<Filter><S3Key>${rule}</S3Key></Filter>`,
    `</${kind}>`,
  ].join("")
}

/** The entry in the text of an element; `undefined` for one without a destination (EventBridge), or not known. */
export function parseEntry(raw: string): NotificationEntry | undefined {
  const parsed = parseXml(raw.trim())
  const kind = parsed?.root
  if (!parsed || !isDestination(kind)) return undefined
  const { element } = parsed
  const events = childrenOf(element, "Event").filter((event) => typeof event === "string")
  const [id, arn] = [textOf(element, "Id") ?? "", textOf(element, arnElements[kind]) ?? ""]
  const { prefix, otherFilters } = filtersOf(element)
  return { kind, id, arn, events, prefix, ...(otherFilters.length > 0 && { otherFilters }) }
}

const isDestination = (name: string | undefined): name is DestinationKind =>
  name !== undefined && Object.hasOwn(arnElements, name)

/** The first prefix, and every other rule of the key, and on Ceph of the metadata and the tags. */
function filtersOf(element: XmlElement): { readonly prefix: string; readonly otherFilters: readonly string[] } {
  const rules = childrenOf(element, "Filter").flatMap(rulesOf)
  const isPrefix = ({ of, name }: Rule) => of === "S3Key" && name.toLowerCase() === "prefix" // AWS gives it back as `Prefix`
  const first = rules.find(isPrefix)
  const others = rules.filter((rule) => rule !== first)
  return {
    prefix: first?.value ?? "",
    otherFilters: others.map(({ of, name, value }) => [...(of === "S3Key" ? [] : [of]), name.toLowerCase(), value].join(" ")),
  }
}

interface Rule {
  readonly of: string
  readonly name: string
  readonly value: string
}

function rulesOf(filter: XmlElement): Rule[] {
  if (typeof filter === "string") return []
  return Object.keys(filter).flatMap((of) => childrenOf(filter, of).flatMap((part) => childrenOf(part, "FilterRule").map(
    (rule) => ({ of, name: textOf(rule, "Name") ?? "", value: textOf(rule, "Value") ?? "" }),
  )))
}
