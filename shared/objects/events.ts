/**
 * Upload events, from the stores' own shapes to one. An event is only a hint: bucket and key are looked at again, and
 * no address in it is ever contacted. Single events, and the envelopes in which they may come:
 *
 *     {Records: [{eventSource: "aws:s3" | "ceph:s3" | "minio:s3", …}]}      S3 notifications
 *     {source: "aws.s3", "detail-type", detail}                            EventBridge
 *     {specversion, type: "com.ibm.cloud.cos.document.write", data}        IBM COS, CloudEvent
 *     {bucket, key, notification: {format: "2.0", …}, …}                   IBM COS, parameters of a trigger
 *     {account, action, bucket, object}                                    Cloudflare R2
 *     {events: [{eventType: "b2:ObjectCreated:…", …}]}                     Backblaze B2
 *     {bucket, key, size?, time?}                                          plainly
 *
 *     {Records: [{eventSource: "aws:sqs", body: "<JSON>"}]}                SQS
 *     {Records: [{EventSource: "aws:sns", Sns: {Message: "<JSON>"}}]}      SNS to a function
 *     {Type: "Notification", Message: "<JSON>"}                            SNS by HTTP, or inside SQS
 *     {specversion, type, data: {Records}}                                 CloudEvents of Ceph RGW
 *     […]                                                                  a batch of CloudEvents or of queue messages
 */
import { membersOf, readB2Event, readCosChange, readS3Record, readSingleEvent } from "./event-shapes.ts"
import type { Reading, RejectReason, UploadEvent } from "./upload-event.ts"

export type { UploadEvent } from "./upload-event.ts"

/** A record that can't be read, out of its envelopes, and why. */
export interface RejectedEvent {
  readonly record: unknown
  readonly reason: RejectReason
}

/** What a delivery holds: uploads, how many records were about something else, and those that can't be read. */
export interface ParsedEvents {
  readonly uploads: readonly UploadEvent[]
  readonly ignored: number
  readonly rejected: readonly RejectedEvent[]
}

const MOST_ENVELOPES = 2 // SNS inside SQS: what AWS's services put around an event goes no deeper

/** Reads a delivery: any JSON value. What can't be read is given back with the reason, and never keeps the rest of its
 *  delivery from being read. Never throws, in time linear in the size of the delivery. */
export function parseUploadEvents(delivery: unknown): ParsedEvents {
  const uploads: UploadEvent[] = []
  const rejected: RejectedEvent[] = []
  let ignored = 0
  for (const [record, reading] of eventsIn(delivery, 0)) {
    if (reading === "ignored") ignored++
    else if ("upload" in reading) uploads.push(reading.upload)
    else rejected.push({ record, reason: reading.rejected })
  }
  return { uploads, ignored, rejected }
}

type Found = readonly [record: unknown, reading: Reading]

function* eventsIn(value: unknown, envelopes: number): Generator<Found, void, void> {
  if (envelopes > MOST_ENVELOPES) return yield [value, { rejected: "wrapped too deeply" }]
  if (Array.isArray(value)) return yield* inEach(value, (one) => eventsIn(one, envelopes + 1))
  const { Records: records, events, Type: type, Message: message, specversion, Event: event } = membersOf(value)
  if (Array.isArray(records)) return yield* inEach(records, (record) => inRecord(record, envelopes))
  if (Array.isArray(events)) return yield* inEach(events, function* (one) { yield [one, readB2Event(one)] })
  if (type === "Notification") return yield* inText(value, message, envelopes)
  const talk = snsTalk.get(type)
  if (talk) return yield [value, { rejected: talk }]
  if (typeof specversion === "string") return yield* inCloudEvent(value, envelopes)
  if (event === "s3:TestEvent") return yield [value, "ignored"] // sent once when a notification is set up
  yield [value, readSingleEvent(value) ?? { rejected: "unknown shape" }]
}

/** What an SNS topic says about itself (SNS developer guide, "Parsing Amazon SNS message formats"). */
const snsTalk: ReadonlyMap<unknown, RejectReason> = new Map([
  ["SubscriptionConfirmation", "an SNS subscription waits to be confirmed by hand: the kept event has its SubscribeURL"],
  ["UnsubscribeConfirmation", "an SNS subscription was ended"],
])

function* inEach(values: readonly unknown[], read: (value: unknown) => Generator<Found, void, void>): Generator<Found, void> {
  for (const value of values) yield* read(value)
}

function* inRecord(record: unknown, envelopes: number): Generator<Found, void, void> {
  const { eventSource, EventSource: snsSource, body, Sns: sns } = membersOf(record)
  if (eventSource === "aws:sqs") return yield* inText(record, body, envelopes)
  if (snsSource === "aws:sns") return yield* inText(record, membersOf(sns)["Message"], envelopes)
  yield [record, readS3Record(record)]
}

function* inText(envelope: unknown, text: unknown, envelopes: number): Generator<Found, void, void> {
  const value = parseJson(text)
  if (value === undefined) return yield [envelope, { rejected: "what is wrapped is not JSON" }]
  yield* eventsIn(value, envelopes + 1)
}

const COS_CHANGE = "com.ibm.cloud.cos.document."

/** A CloudEvent in its structured form (CloudEvents 1.0, JSON format). */
function* inCloudEvent(event: unknown, envelopes: number): Generator<Found, void, void> {
  const { type, data } = membersOf(event)
  if (Array.isArray(membersOf(data)["Records"])) return yield* eventsIn(data, envelopes + 1)
  const isCos = typeof type === "string" && type.startsWith(COS_CHANGE)
  yield [event, isCos ? readCosChange(data, type === `${COS_CHANGE}write`) : { rejected: "unknown shape" }]
}

/** The value of a JSON text; `undefined` for anything else. */
function parseJson(text: unknown): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}
