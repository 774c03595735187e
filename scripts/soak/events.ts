/** What stands between a store and the hosts: it tells them of uploads, of some twice or more, of some never, late and in
 *  another order. */
import { pause } from "./pause.ts"
import type { Random } from "./random.ts"
import type { Tally } from "./tally.ts"

/** A channel of events. */
export interface Events {
  /** An object was written or removed. */
  tell(event: StoreEvent): void
  /** Delivers what is due until the signal aborts; what is not delivered then is lost. */
  deliver(signal: AbortSignal): Promise<void>
}

/** What happened in a store. */
export interface StoreEvent {
  readonly bucket: string
  readonly key: string
  readonly name: "ObjectCreated:Put" | "ObjectCreated:Copy" | "ObjectCreated:CompleteMultipartUpload" | "ObjectRemoved:Delete"
  readonly size: number
}

const DROPPED = 0.15
const REPEATED = 0.25
const AT_MOST = 10 // records in one delivery
const EVERY_MS = 100

/** A channel to whichever host `url` names; `secret` is theirs. */
export function eventsTo(url: () => string | undefined, secret: string, random: Random, tally: Tally): Events {
  let waiting: { readonly record: unknown; readonly due: number; readonly order: number; readonly repeat: boolean }[] = []

  function queue(record: unknown, latest: number): void {
    waiting.push({ record, due: Date.now() + random.below(latest), order: random.below(2 ** 32), repeat: random.chance(0.5) })
  }

  async function send(batch: typeof waiting): Promise<void> {
    const at = url()
    const body = JSON.stringify({ Records: batch.map(({ record }) => record) })
    const answer = at === undefined ? undefined
      : await fetch(`${at}/events/${secret}`, { method: "POST", body })
        .then(async (response) => [response.status, await response.text()] as const)
        .catch(() => undefined) // the host may be killed before, or in the middle of, its answer
    if (answer?.[0] === 202) {
      tally.count("events.sent", batch.length)
      if (!answer[1].includes('"rejected":0')) tally.problem("unreadable-event", answer[1])
      return
    }
    for (const { record, repeat } of batch) { // the sender does not know whether it came through
      if (repeat) queue(record, 2_000)
      else tally.count("events.undelivered")
    }
  }

  async function deliverDue(): Promise<void> {
    const now = Date.now()
    const due = waiting.filter((one) => one.due <= now).sort((one, other) => one.order - other.order)
    waiting = waiting.filter((one) => one.due > now)
    const batches: (typeof due)[] = []
    while (due.length > 0) batches.push(due.splice(0, 1 + random.below(AT_MOST)))
    await Promise.all(batches.map(send))
  }

  return {
    tell(event) {
      if (random.chance(DROPPED)) return tally.count("events.dropped")
      queue(recordOf(event, random), random.chance(0.8) ? 300 : 5_000)
      if (!random.chance(REPEATED)) return
      const more = 1 + random.below(3)
      tally.count("events.duplicated", more)
      for (let copy = 0; copy < more; copy++) queue(recordOf(event, random), 8_000)
    },
    async deliver(signal) {
      while (!signal.aborted) {
        await deliverDue()
        await pause(EVERY_MS, signal)
      }
      tally.count("events.undelivered", waiting.length)
    },
  }
}

/** The record as AWS or as Ceph writes it. Its size is a hint, and now and then a wrong one. */
function recordOf({ bucket, key, name, size }: StoreEvent, random: Random): unknown {
  const isCeph = random.chance(0.5)
  const object = {
    key: isCeph ? key : formEncoded(key), size: random.chance(0.1) ? random.below(100_000) : size,
    eTag: random.below(2 ** 32).toString(16), sequencer: random.below(2 ** 32).toString(16),
  }
  return { eventVersion: "2.1", eventSource: isCeph ? "ceph:s3" : "aws:s3", eventName: name, s3: { bucket: { name: bucket }, object } }
}

/** As AWS writes keys: percent-encoded UTF-8, a space as `+`. */
const formEncoded = (key: string): string =>
  encodeURIComponent(key).replace(/[!'()*~]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll("%20", "+")
