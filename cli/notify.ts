/** `bucketseal notify`: has a store tell the server of a bucket's uploads. */
import { Command } from "commander"
import type { DestinationKind } from "../shared/store/s3-notification-entry.ts"
import { command } from "./command.ts"
import { usageFailure } from "./exit.ts"
import { entryId, eventsUrl, topicName } from "./notify-names.ts"
import { openNotifyStore, type NotifyStore, type StoreFlags } from "./notify-store.ts"
import { assertEntryFree, assertTopicFree, removeOwnTopics, topicState, type EntryPlace } from "./notify-topics.ts"
import { columns, print, remark, type OutputOptions } from "./output.ts"
import { parseBucketPlace, placeText } from "./place.ts"

interface SetFlags extends StoreFlags, OutputOptions {
  readonly to?: string
  readonly name?: string
  readonly topicArn?: string
  readonly queueArn?: string
  readonly functionArn?: string
  readonly force?: true
}

interface ClearFlags extends StoreFlags, OutputOptions {
  readonly name?: string
  readonly all?: true
}

export const notify = new Command("notify")
  .description("have a store tell the server of a bucket's uploads")
  .addCommand(storeCommand("set", "tell of uploads to a bucket, or to a prefix of its keys")
    .argument("<place>", "s3://bucket or s3://bucket/prefix")
    .option("--to <url>", "Ceph: where the store reaches the server (default: BUCKETSEAL_URL)")
    .option("--name <id>", "the entry's id (default: bucketseal, with a prefix bucketseal-…)")
    .option("--topic-arn <arn>", "tell this SNS topic, or this topic of a Ceph")
    .option("--queue-arn <arn>", "tell this SQS queue, or this target of a MinIO")
    .option("--function-arn <arn>", "tell this Lambda function")
    .option("--force", "replace an entry or a topic of that id that tells another server")
    .action(set))
  .addCommand(storeCommand("show", "what is set on a bucket, by anybody")
    .argument("<place>", "s3://bucket")
    .action(show))
  .addCommand(storeCommand("clear", "remove what `set` has set; entries of others stay")
    .argument("<place>", "s3://bucket, with the prefix that `set` had")
    .option("--name <id>", "the entry's id, where `set` had one")
    .option("--all", "remove all entries of the bucket, those of others too")
    .action(clear))

function storeCommand(name: string, description: string): Command {
  return command(name, description).option("--data <folder>", "the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
}

// Never ObjectRemoved: with it a DeleteObjects aborts the radosgw of Ceph 16.
const events = ["s3:ObjectCreated:*"]

async function set(place: string, flags: SetFlags): Promise<void> {
  const { bucket, prefix } = parseBucketPlace(place)
  const id = entryId(prefix, flags.name)
  const given = givenDestination(flags)
  const store = await openNotifyStore(flags)
  const { kind, arn } = given ? await usable(store, { bucket, id }, given, flags) : await ownTopic(store, { bucket, id }, flags)
  await store.notifications.set(bucket, { kind, id, arn, events, prefix })
  print(flags, { bucket, prefix, id, arn, events }, [`Uploads to ${placeText(bucket, prefix)} are told to ${arn}.`])
  if (!given) remark(ownTopicRemarks)
}

const ownTopicRemarks = [
  "The first event of a new topic takes up to 30 seconds.",
  "The store shows its topics to all users of the tenant, and with them the events secret: it only keeps noise out.",
  "Where connections are refused for seconds, Ceph 16 may tell nothing more, for good: have a proxy answer while the server is down.",
].join("\n")

interface Destination {
  readonly kind: DestinationKind
  readonly arn: string
}

function givenDestination({ topicArn, queueArn, functionArn, to }: SetFlags): Destination | undefined {
  const flags: [DestinationKind, string | undefined][] = [
    ["TopicConfiguration", topicArn], ["QueueConfiguration", queueArn], ["CloudFunctionConfiguration", functionArn],
  ]
  const given = flags.flatMap(([kind, arn]) => (arn === undefined ? [] : [{ kind, arn }]))
  if (given.length > 1) throw usageFailure("one entry has one destination: give one ARN, and another --name for the next")
  if (given[0] && to !== undefined) throw usageFailure("--to is for a topic of our own: leave it out with an ARN")
  if (given[0] && !/^arn:[^\s:]+:[^\s:]+:[^\s:]*:[^\s:]*:\S+$/.test(given[0].arn)) {
    throw usageFailure("an ARN has six parts, such as arn:aws:sqs:eu-west-1:123456789012:uploads")
  }
  return given[0]
}

async function usable(store: NotifyStore, place: EntryPlace, destination: Destination, { force }: SetFlags): Promise<Destination> {
  if (destination.kind !== "TopicConfiguration" && await store.notifications.isCeph()) {
    throw usageFailure("a Ceph tells topics alone: give --topic-arn, or no ARN for a topic that tells this server")
  }
  if (!force) await assertEntryFree(store, place, (arn) => arn === destination.arn)
  return destination
}

async function ownTopic(store: NotifyStore, { bucket, id }: EntryPlace, { to, force }: SetFlags): Promise<Destination> {
  const { notifications, endpoint, eventsSecret } = store
  const url = eventsUrl(to ?? process.env["BUCKETSEAL_URL"], eventsSecret, endpoint)
  await notifications.list(bucket) // a bucket that is not there must not leave a topic behind
  if (!await notifications.isCeph()) {
    throw usageFailure(`the store at ${endpoint.host} can't post to a server by itself: say by --queue-arn, --topic-arn or `
      + "--function-arn what it is to tell (README, \"Events\", has the way for each store)")
  }
  const name = topicName(bucket, id)
  if (!force) {
    await assertEntryFree(store, { bucket, id }, (arn) => arn.endsWith(`:${name}`))
    await assertTopicFree(store, name, url)
  }
  return { kind: "TopicConfiguration", arn: await notifications.makeTopic(name, url) }
}

async function show(place: string, flags: StoreFlags & OutputOptions): Promise<void> {
  const { bucket } = parseBucketPlace(place)
  const store = await openNotifyStore(flags)
  const shown = await entriesWithServers(store, bucket)
  const rows = shown.map(({ id, prefix, otherFilters, events: told, arn, to }) =>
    [id, placeText(bucket, prefix) + filtersText(otherFilters), told.join(","), to ?? "", arn])
  const lines = rows.length === 0 ? [`Nothing is set on ${placeText(bucket)}.`] : columns([["ID", "UPLOADS TO", "EVENTS", "TO", "ARN"], ...rows])
  print(flags, { bucket, entries: shown }, lines)
}

const filtersText = (filters: readonly string[] = []): string => (filters.length > 0 ? ` (only ${filters.join(", ")})` : "")

async function entriesWithServers(store: NotifyStore, bucket: string, id?: string) {
  const entries = (await store.notifications.list(bucket)).filter((entry) => id === undefined || entry.id === id)
  const shown = []
  for (const entry of entries) shown.push({ ...entry, ...await topicState(store, entry) })
  return shown
}

async function clear(place: string, flags: ClearFlags): Promise<void> {
  const { bucket, prefix } = parseBucketPlace(place)
  if (flags.all && (flags.name !== undefined || prefix !== "")) throw usageFailure("--all is for the whole bucket: no prefix, no --name")
  const id = flags.all ? undefined : entryId(prefix, flags.name)
  const store = await openNotifyStore(flags)
  const servers = new Map((await entriesWithServers(store, bucket, id)).map(({ arn, to }) => [arn, to]))
  const cleared = await store.notifications.clear(bucket, id)
  const removed = cleared.map((entry) => ({ ...entry, to: servers.get(entry.arn) }))
  const left = (await removeOwnTopics(store, bucket, id)).filter(({ arn }) => !servers.has(arn)).map(({ arn }) => arn)
  const lines = [
    ...removed.map((entry) => `Removed ${entry.id}: ${entry.arn}${entry.to ? ` (${entry.to})` : ""}`),
    ...left.map((arn) => `Removed ${arn}: no entry told it any more`),
  ]
  const nothing = `Nothing of that id is set on ${placeText(bucket)}: \`bucketseal notify show ${placeText(bucket)}\` has the ids.`
  print(flags, { bucket, removed, topics: left }, lines.length > 0 ? lines : [nothing])
}
