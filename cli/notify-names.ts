/** The names that `notify` gives: to an entry, to its topic, and to the address of the server's events. */
import { createHash } from "node:crypto"
import { usageFailure } from "./exit.ts"

/** The id of the entry for a prefix of a bucket: the name given, or one that other prefixes do not share. */
export function entryId(prefix: string, name: string | undefined): string {
  if (name === undefined) return prefix === "" ? "bucketseal" : `bucketseal-${shortHash(prefix)}`
  // S3 allows 255 characters; these need no escaping in a topic's name, a query or a shell.
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return name
  throw usageFailure("--name must be 1 to 64 letters, digits, - or _")
}

/** The name of the topic of an entry. Topics belong to all users of a Ceph tenant, so it names bucket and entry. */
export const topicName = (bucket: string, id: string): string => `bucketseal_${bucket}_${shortHash(id)}`

/** Whether a topic's name is that of an entry of the bucket, or with `undefined` of any of its entries. */
export function isTopicOf(name: string, bucket: string, id: string | undefined): boolean {
  if (id !== undefined) return name === topicName(bucket, id)
  const start = `bucketseal_${bucket}_`
  return name.startsWith(start) && /^[0-9a-f]{8}$/.test(name.slice(start.length))
}

const shortHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8)

/** The address a topic posts to: the secret is in its path, as Ceph can be told nothing else. Throws `bad-field` for an
 *  address that is none, and for one of this machine where the store is on another. */
export function eventsUrl(server: string | undefined, secret: string | undefined, store: URL): string {
  if (!secret) throw usageFailure("the server has no events secret: set BUCKETSEAL_EVENTS_SECRET")
  if (!server) {
    throw usageFailure("where does the store reach the server? Say --to http://host:port, or set BUCKETSEAL_URL (`. ./data/local.env`)")
  }
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search || url.hash || url.username) {
    throw usageFailure("the server's address must be http(s)://host[:port], without a path")
  }
  if (isLoopback(url) && !isLoopback(store)) {
    throw usageFailure(`${url.origin} is this machine's own, and the store is at ${store.host}: say by --to where the store reaches the server`)
  }
  return `${url.origin}/events/${encodeURIComponent(secret)}`
}

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname)
