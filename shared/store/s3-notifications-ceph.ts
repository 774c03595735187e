/**
 * Notifications on Ceph RGW (Ceph documentation, "S3 bucket notifications compatibility"). A PUT adds: where id and topic
 * are there already it changes that entry, and copies the topic anew; with another topic it makes a second entry of the
 * same id, and every event comes twice.
 */
import { Failure, isFailure } from "../errors.ts"
import type { SendCall } from "./s3-call.ts"
import { deleteNotification, readNotifications, writeNotifications } from "./s3-notification-calls.ts"
import { entriesOf, noNotifications, onlyId, withEntry, type NotificationDocument } from "./s3-notification-document.ts"
import { sameEntry, type NotificationEntry } from "./s3-notification-entry.ts"

/** Makes the entry the only one of its id. It is written even where it stands there, as it holds a copy of its topic.
 *  Nothing is removed before the store has taken the entry; where a later step fails, those of before are put back. */
export async function setOnCeph(send: SendCall, bucket: string, entry: NotificationEntry): Promise<void> {
  const before = onlyId(await readNotifications(send, bucket), entry.id)
  const wanted = withEntry(noNotifications, entry)
  await writeNotifications(send, bucket, wanted)
  if (entriesOf(before).some(({ arn }) => arn !== entry.arn)) await replace(send, bucket, { before, wanted, id: entry.id })
  const [only, ...more] = await entriesOfId(send, bucket, entry.id)
  if (!only || more.length > 0 || !sameEntry(only, entry)) {
    throw new Failure("conflict", `the notifications of ${bucket} were changed by somebody else at the same time; run it again`)
  }
}

interface Replacement {
  readonly before: NotificationDocument
  readonly wanted: NotificationDocument
  readonly id: string
}

/** Removes all entries of the id, as no DELETE can choose among them, and writes the wanted one again. */
async function replace(send: SendCall, bucket: string, { before, wanted, id }: Replacement): Promise<void> {
  try {
    await deleteEach(send, bucket, await entriesOfId(send, bucket, id))
    await writeNotifications(send, bucket, wanted)
  } catch (error) {
    const isBack = await writeNotifications(send, bucket, before).then(() => true, () => false)
    if (!isFailure(error)) throw error
    const outcome = isBack
      ? `the former entry of ${bucket} was put back`
      : `the former entry could not be put back, and perhaps nobody is told of uploads to ${bucket}: run it again`
    throw new Failure(error.code, `${error.message}; ${outcome}`, error.cause)
  }
}

/** Removes the entries of an id, or all. */
export async function clearOnCeph(
  send: SendCall, bucket: string, id: string | undefined,
): Promise<readonly NotificationEntry[]> {
  const present = await entriesOfId(send, bucket, id)
  if (id === undefined) await deleteNotification(send, bucket, undefined)
  else await deleteEach(send, bucket, present)
  const left = await entriesOfId(send, bucket, id)
  if (left.length > 0) {
    throw new Failure("conflict", `somebody else set notifications of ${bucket} at the same time; run it again`)
  }
  return present
}

/** A DELETE removes one of several entries of an id. */
async function deleteEach(send: SendCall, bucket: string, entries: readonly NotificationEntry[]): Promise<void> {
  for (const { id } of entries) await deleteNotification(send, bucket, id)
}

async function entriesOfId(send: SendCall, bucket: string, id: string | undefined): Promise<NotificationEntry[]> {
  const entries = entriesOf(await readNotifications(send, bucket))
  return entries.filter((entry) => id === undefined || entry.id === id)
}
