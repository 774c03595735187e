/**
 * Notifications on stores that replace the whole configuration (AWS, MinIO): read, changed in one place, written, read
 * back. No store takes a condition on it, so a change of somebody else's between the last read and the write is lost
 * unseen; one right before that, or after it, is noticed.
 */
import { Failure } from "../errors.ts"
import type { SendCall } from "./s3-call.ts"
import { readNotifications, writeNotifications } from "./s3-notification-calls.ts"
import {
  entriesOf, formatNotifications, withEntry, withoutId, type NotificationDocument,
} from "./s3-notification-document.ts"
import { sameEntry, type NotificationEntry } from "./s3-notification-entry.ts"

/** How often a change is looked for, and the milliseconds between two looks: AWS shows it late at times. */
export interface Pace {
  readonly reads: number
  readonly pause: number
}

/** Makes the entry the only one of its id, where it is not already. */
export async function setByMerge(send: SendCall, bucket: string, entry: NotificationEntry, pace: Pace): Promise<void> {
  const isSet = (document: NotificationDocument) => {
    const present = entriesOf(document).filter(({ id }) => id === entry.id)
    return present.length === 1 && present.every((one) => sameEntry(one, entry))
  }
  await change(send, bucket, { apply: (document) => withEntry(document, entry), isDone: isSet }, pace)
}

/** Removes the entries of an id; all, those without a destination included, where it is `undefined`. */
export async function clearByMerge(
  send: SendCall, bucket: string, id: string | undefined, pace: Pace,
): Promise<readonly NotificationEntry[]> {
  const isGone = ({ children }: NotificationDocument) =>
    !children.some(({ entry }) => id === undefined || entry?.id === id)
  const apply = (document: NotificationDocument) => (id === undefined ? { ...document, children: [] } : withoutId(document, id))
  const before = await change(send, bucket, { apply, isDone: isGone }, pace)
  return before ? entriesOf(before).filter((entry) => id === undefined || entry.id === id) : []
}

interface Change {
  apply(document: NotificationDocument): NotificationDocument
  isDone(document: NotificationDocument): boolean
}

const ROUNDS = 3 // one is enough unless others change the same bucket's notifications at this moment

/** Gives what was there before, or `undefined` if nothing had to be done. */
async function change(
  send: SendCall, bucket: string, { apply, isDone }: Change, pace: Pace,
): Promise<NotificationDocument | undefined> {
  let before = await readNotifications(send, bucket)
  for (let round = 0; round < ROUNDS; round++) {
    if (isDone(before)) return undefined
    const now = await readNotifications(send, bucket)
    if (formatNotifications(now) !== formatNotifications(before)) {
      before = now
      continue
    }
    const wanted = apply(before)
    await writeNotifications(send, bucket, wanted)
    await confirm(send, bucket, { wanted, isDone }, pace)
    return before
  }
  throw changedMeanwhile(bucket)
}

async function confirm(
  send: SendCall, bucket: string, { wanted, isDone }: { wanted: NotificationDocument } & Pick<Change, "isDone">, pace: Pace,
): Promise<void> {
  for (let read = 0; read < pace.reads; read++) {
    if (read > 0) await new Promise((resolve) => setTimeout(resolve, pace.pause))
    const after = await readNotifications(send, bucket)
    if (isDone(after) && lacks(after, wanted).length === 0) return
  }
  throw changedMeanwhile(bucket)
}

/** The ids of entries that were written and are not there. */
function lacks(document: NotificationDocument, wanted: NotificationDocument): readonly string[] {
  const present = entriesOf(document)
  return entriesOf(wanted).filter((one) => !present.some((other) => sameEntry(one, other))).map(({ id }) => id)
}

const changedMeanwhile = (bucket: string): Failure => new Failure(
  "conflict",
  `the notifications of ${bucket} are being changed by somebody else; look at them by \`bucketseal notify show s3://${bucket}\` and run it again`,
)
