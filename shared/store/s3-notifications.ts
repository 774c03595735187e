/**
 * The notifications of a bucket on any S3 store: one entry of ours is set or cleared, all others stay. Stores write in
 * two ways. AWS and MinIO replace the whole configuration, so it is read, changed in one place and written. Ceph adds
 * what it is given and removes by `DELETE ?notification`, which no other store is ever sent.
 */
import { httpClient } from "../net/request.ts"
import type { S3StoreOptions } from "./s3.ts"
import { caller } from "./s3-call.ts"
import { entriesOf } from "./s3-notification-document.ts"
import type { NotificationEntry } from "./s3-notification-entry.ts"
import { clearOnCeph, setOnCeph } from "./s3-notifications-ceph.ts"
import { clearByMerge, setByMerge, type Pace } from "./s3-notifications-merge.ts"
import { readNotifications } from "./s3-notification-calls.ts"
import { createTopic, deleteTopic, listTopics, servesTopics, topicEndpoint, type Topic } from "./s3-topics.ts"

/** The notifications of a store's buckets. All throw `bucket-not-found`, `forbidden`, `store-refused` and `unavailable`
 *  in words that say what to do. */
export interface Notifications {
  /** What is set on a bucket, entries of others included. */
  list(bucket: string): Promise<readonly NotificationEntry[]>
  /** Whether the store is a Ceph that makes topics itself. */
  isCeph(): Promise<boolean>
  /** Makes the entry the only one of its id, and reads it back. Throws `conflict` where a change of somebody else's came
   *  in between. */
  set(bucket: string, entry: NotificationEntry): Promise<void>
  /** Removes the entries of an id, or all, and gives what was removed. Throws `conflict` as `set` does. */
  clear(bucket: string, id: string | undefined): Promise<readonly NotificationEntry[]>
  /** Ceph only: makes a topic that posts to `endpoint`, or points it there. Gives its ARN. */
  makeTopic(name: string, endpoint: string): Promise<string>
  /** Ceph only: all topics that the credentials may see, those of others included. */
  topics(): Promise<readonly Topic[]>
  /** Ceph only: where a topic posts to, empty if nowhere; `undefined` if it is gone. */
  topicEndpoint(arn: string): Promise<string | undefined>
  /** Ceph only: removes a topic and the events that wait in it. */
  removeTopic(arn: string): Promise<void>
}

/** Notifications of the store that the options name. `pace` is how long to wait for a change to show. */
export function notifications(options: S3StoreOptions, pace: Pace = { reads: 5, pause: 500 }): Notifications {
  const http = options.http ?? httpClient({ allowHttp: options.allowHttp })
  const clock = options.clock ?? Date.now
  const send = caller({ ...options, http, clock, traceHeader: options.traceHeader })
  let ceph: Promise<boolean> | undefined
  const isCeph = () => (ceph ??= servesTopics(send))
  return {
    isCeph,
    list: async (bucket) => entriesOf(await readNotifications(send, bucket)),
    async set(bucket, entry) {
      if (await isCeph()) return setOnCeph(send, bucket, entry)
      return setByMerge(send, bucket, entry, pace)
    },
    async clear(bucket, id) {
      if (await isCeph()) return clearOnCeph(send, bucket, id)
      return clearByMerge(send, bucket, id, pace)
    },
    makeTopic: (name, endpoint) => createTopic(send, name, endpoint),
    topics: () => listTopics(send),
    topicEndpoint: (arn) => topicEndpoint(send, arn),
    removeTopic: (arn) => deleteTopic(send, arn),
  }
}
