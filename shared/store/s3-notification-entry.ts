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
}

/** The element of an entry. Ceph knows topics alone, MinIO queues alone. */
export type DestinationKind = keyof typeof arnElements

const arnElements = {
  TopicConfiguration: "Topic", QueueConfiguration: "Queue", CloudFunctionConfiguration: "CloudFunction",
} as const

/** True for entries that tell the same writes to the same destination under the same id. */
export function sameEntry(one: NotificationEntry, other: NotificationEntry): boolean {
  const events = (entry: NotificationEntry) => entry.events.toSorted().join(" ")
  return one.kind === other.kind && one.id === other.id && one.arn === other.arn && one.prefix === other.prefix
    && events(one) === events(other)
}

/** The element of an entry, as it stands in a document. */
export function formatEntry({ kind, id, arn, events, prefix }: NotificationEntry): string {
  const rule = `<FilterRule><Name>prefix</Name><Value>${escapeXml(prefix)}</Value></FilterRule>`
  return [
    `<${kind}><Id>${escapeXml(id)}</Id><${arnElements[kind]}>${escapeXml(arn)}</${arnElements[kind]}>`,
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
  return { kind, id, arn, events, prefix: prefixOf(element) }
}

const isDestination = (name: string | undefined): name is DestinationKind =>
  name !== undefined && Object.hasOwn(arnElements, name)

function prefixOf(element: XmlElement): string {
  const rules = childrenOf(element, "Filter").flatMap((filter) => childrenOf(filter, "S3Key"))
    .flatMap((keys) => childrenOf(keys, "FilterRule"))
  const rule = rules.find((one) => textOf(one, "Name")?.toLowerCase() === "prefix") // AWS gives it back as `Prefix`
  return (rule && textOf(rule, "Value")) ?? ""
}
