/** The topics of a Ceph behind a bucket's entries, and whose they are: `notify` takes over none of another server's
 *  unasked. */
import { Failure } from "../shared/errors.ts"
import type { NotificationEntry } from "../shared/store/s3-notification-entry.ts"
import type { Topic } from "../shared/store/s3-topics.ts"
import { isTopicOf } from "./notify-names.ts"
import type { NotifyStore } from "./notify-store.ts"

/** For a Ceph's topic the server it tells, without the secret in the address. The entry holds a copy of the topic that
 *  no call shows: if the topic was changed since, only `set` brings that over. */
export async function topicState({ notifications }: NotifyStore, { kind, arn }: NotificationEntry): Promise<{ readonly to?: string }> {
  if (kind !== "TopicConfiguration" || !await notifications.isCeph()) return {}
  const endpoint = await notifications.topicEndpoint(arn)
  if (endpoint === undefined) return { to: "a topic that is gone" }
  return { to: URL.canParse(endpoint) ? new URL(endpoint).host : "" }
}

/** Where an entry stands. */
export interface EntryPlace {
  readonly bucket: string
  readonly id: string
}

/** Throws `conflict` where an entry of that id has a destination that is not ours. */
export async function assertEntryFree(store: NotifyStore, { bucket, id }: EntryPlace, isOurs: (arn: string) => boolean): Promise<void> {
  const entries = await store.notifications.list(bucket)
  const other = entries.find((entry) => entry.id === id && !isOurs(entry.arn))
  if (!other) return
  const { to } = await topicState(store, other)
  throw new Failure("conflict", `the entry ${id} of s3://${bucket} tells ${other.arn}${to ? ` (${to})` : ""}: ${ways}`)
}

/** Throws `conflict` where the topic of that name posts to another server than the one at `url`. The secret does not
 *  count: a server may get a new one. */
export async function assertTopicFree({ notifications }: NotifyStore, name: string, url: string): Promise<void> {
  const topic = (await notifications.topics()).find((one) => one.name === name)
  if (!topic || originOf(topic.endpoint) === originOf(url)) return
  throw new Failure("conflict", `the topic ${topic.arn} posts to ${originOf(topic.endpoint) ?? "no server"}: ${ways}`)
}

const ways = "if that is for another server, set one beside it by --name; --force replaces it"

// Not URL.origin: that is null for other schemes, such as kafka.
function originOf(endpoint: string): string | undefined {
  if (!URL.canParse(endpoint)) return undefined
  const { protocol, host } = new URL(endpoint)
  return `${protocol}//${host}`
}

/** Removes the topics that `set` made for an id, or for all, and gives them; those that an entry of the bucket still
 *  tells stay, and those of others. An earlier run may have removed the entry and failed at its topic. */
export async function removeOwnTopics(
  { notifications }: NotifyStore, bucket: string, id: string | undefined,
): Promise<readonly Topic[]> {
  if (!await notifications.isCeph()) return []
  const used = new Set((await notifications.list(bucket)).map(({ arn }) => arn))
  const own = (await notifications.topics()).filter(({ name, arn }) => isTopicOf(name, bucket, id) && !used.has(arn))
  for (const { arn } of own) await notifications.removeTopic(arn)
  return own
}
