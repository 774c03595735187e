/** What must hold of every object when nothing is written any more and the sweep has come to its end. */
import { parkedAt } from "../../shared/objects/parking.ts"
import { inLanes } from "../../shared/objects/lanes.ts"
import type { ListedVersion, ListMarker } from "../../shared/ports.ts"
import type { Content } from "./bodies.ts"
import { storedAt, type Stored } from "./contents.ts"
import { outcomesOf } from "./converge.ts"
import type { Last } from "./ledger.ts"
import type { SoakedBucket } from "./buckets.ts"
import type { World } from "./world.ts"

const AT_ONCE = 8

/** Checks everything; what does not hold is a problem in the world's tally. */
export async function check(world: World): Promise<void> {
  for (const bucket of world.buckets) {
    await inLanes(bucket.ledger.all(), AT_ONCE, ([key, last]) => checkObject(world, bucket, key, last))
    await checkListing(world, bucket)
    await checkUploads(world, bucket)
    if (bucket.versioned) await checkVersions(world, bucket)
  }
  await checkState(world)
  await checkLoops(world)
}

async function stored({ context, tally }: World, bucket: string, key: string): Promise<Stored | "broken" | undefined> {
  try {
    return await storedAt(context, { bucket, key })
  } catch (error) {
    tally.problem("unreadable", error instanceof Error ? error.message : String(error), { bucket, key })
    return "broken"
  }
}

async function checkObject(world: World, bucket: SoakedBucket, key: string, { content, moved }: Last): Promise<void> {
  const { tally } = world
  const place = { bucket: bucket.sealedIn, key }
  const found = await stored(world, bucket.sealedIn, key)
  tally.count("objects")
  if (found === "broken") return
  if (!content) {
    if (found) tally.problem("undone-delete", `what was deleted is there, ${found.kind}`, place)
    return
  }
  if (!found) return tally.problem("lost", "there is nothing", place)
  if (found.sha256 !== content.sha256) return tally.problem("lost", `there are other bytes than the last write's, ${found.kind}`, place)
  if (found.kind === "plain") return tally.problem("plaintext", "it is not sealed", place)
  if (found.kind === "moved") return checkMoved(world, bucket, key)
  if (moved) tally.count("resealed")
  await checkReadable(world, place, content)
}

async function checkReadable({ api, tally }: World, { bucket, key }: { readonly bucket: string; readonly key: string }, content: Content): Promise<void> {
  const { status, sha256, text } = await api.read(bucket, key)
  if (status !== 200) tally.problem("unreadable", `${status} ${text}`, { bucket, key })
  else if (sha256 !== content.sha256) tally.problem("lost", "other bytes than the last write's were read", { bucket, key })
  else tally.count("objects.sealed-readable-equal")
}

/** A copy of a sealed object, where that is refused: it is kept, listed, and not opened. */
async function checkMoved({ api, context, tally }: World, { name: bucket, moved }: SoakedBucket, key: string): Promise<void> {
  if (moved === "reseal") return tally.problem("moved-left", "the copy was not sealed again", { bucket, key })
  const [{ status }, note] = [await api.read(bucket, key), await parkedAt(context.state, { bucket, key })]
  if (status !== 409 || note?.reason !== "moved") tally.problem("moved-unlisted", `${status}, noted as ${note?.reason ?? "nothing"}`, { bucket, key })
  else tally.count("objects.moved-and-listed")
}

/** There is nothing that nobody has written. */
async function checkListing({ context: { store }, tally }: World, { name, ledger, sealedIn, keepsSource }: SoakedBucket): Promise<void> {
  for (let startAfter: string | undefined, more = true; more; ) {
    const { objects, next } = await store.list(name, startAfter === undefined ? {} : { startAfter })
    for (const { key } of objects) {
      if (!ledger.last(key)) tally.problem("undone-delete", "nobody has written this", { bucket: name, key })
      else if (sealedIn !== name && !keepsSource) tally.problem("plaintext", "it was sealed elsewhere, and is here still", { bucket: name, key })
    }
    startAfter = objects.at(-1)?.key
    more = next !== undefined
  }
}

/** Uploads that users have left are there, and no other but what a host had just begun when it was killed: before its id was
 *  recorded nobody can tell it from a user's (a bucket's rule AbortIncompleteMultipartUpload ends such a one). It has no parts. */
async function checkUploads({ context: { store }, tally }: World, { name, sealedIn, leftUploads, unknownUploads }: SoakedBucket): Promise<void> {
  const left = new Set(leftUploads)
  const unknown = new Map(unknownUploads)
  for (const bucket of new Set([name, sealedIn])) {
    for (let after: ListMarker | undefined, more = true; more; ) {
      const { uploads, next } = await store.listUploads(bucket, after ? { after } : {})
      for (const { key, uploadId } of uploads) {
        const may = unknown.get(key) ?? 0
        if (left.delete(uploadId)) continue
        if (may > 0) unknown.set(key, may - 1)
        else if ((await store.listParts({ bucket, key }, uploadId)).parts.length === 0) tally.count("uploads.unrecorded")
        else tally.problem("stale-upload", uploadId, { bucket, key })
      }
      after = next
      more = next !== undefined
    }
  }
  for (const id of left) tally.problem("foreign-upload-aborted", `a user's upload is gone: ${id}`, { bucket: name, key: "" })
}

/** Below a sealed version there is none with the same bytes in the clear: sealing would have left that. */
async function checkVersions(world: World, { name: bucket, ledger }: SoakedBucket): Promise<void> {
  const { context: { store }, tally } = world
  const byKey = new Map<string, ListedVersion[]>()
  for (let after: ListMarker | undefined, more = true; more; ) {
    const { versions, next } = await store.listVersions(bucket, after ? { after } : {})
    for (const version of versions) if (!version.marker) byKey.set(version.key, [...byKey.get(version.key) ?? [], version])
    after = next
    more = next !== undefined
  }
  tally.count("versions", [...byKey.values()].flat().length)
  await inLanes([...byKey], AT_ONCE, async ([key, versions]) => {
    const sealed = new Set<string>()
    for (const { versionId } of versions) { // the newest first
      const found = await storedAt(world.context, { bucket, key }, versionId)
      const left = found?.kind === "plain" && sealed.has(found.sha256) && !ledger.repeated(key).has(found.sha256)
      if (left) tally.problem("plaintext", `version ${versionId} was sealed, and is there still`, { bucket, key })
      if (found && found.kind !== "plain") sealed.add(found.sha256)
    }
  })
}

async function checkState({ context: { state }, tally, buckets }: World): Promise<void> {
  const isKept = buckets.some(({ keepsSource }) => keepsSource)
  for (const path of await pathsUnder("progress/")) {
    const document = await state.read(path, { parse: (value) => value as { bucket: string; key: string; kept?: boolean } })
    if (!document || isKept && document.value.kept) continue
    tally.problem("progress-left", JSON.stringify(document.value), { bucket: document.value.bucket, key: document.value.key })
  }
  for (const path of await pathsUnder("inbox/")) tally.problem("inbox-left", path)
  for (const path of await pathsUnder("unreadable-events/")) tally.problem("unreadable-event", path)
  for (const path of await pathsUnder("parked/")) {
    const document = await state.read(path, { parse: (value) => value as { reason: string } })
    if (document) tally.count(`parked.${document.value.reason}`)
  }

  async function pathsUnder(prefix: string): Promise<string[]> {
    const all: string[] = []
    for (let more = true; more; ) {
      const startAfter = all.at(-1)
      const page = await state.list(prefix, startAfter === undefined ? {} : { startAfter })
      all.push(...page.paths)
      more = page.more && page.paths.length > 0
    }
    return all
  }
}

/** Another sweep writes nothing. */
async function checkLoops(world: World): Promise<void> {
  const before = await etagsIn(world)
  await outcomesOf(world, "sweep")
  await outcomesOf(world, "retry")
  const after = await etagsIn(world)
  for (const [place, etag] of after) if (before.get(place) !== etag) world.tally.problem("loop", place)
  for (const place of before.keys()) if (!after.has(place)) world.tally.problem("loop", `gone: ${place}`)
}

async function etagsIn({ context: { store }, buckets }: World): Promise<Map<string, string>> {
  const etags = new Map<string, string>()
  for (const bucket of new Set(buckets.flatMap(({ name, sealedIn }) => [name, sealedIn]))) {
    for (let after: ListMarker | undefined, more = true; more; ) {
      const { versions, next } = await store.listVersions(bucket, after ? { after } : {})
      for (const { key, versionId, etag, lastModified } of versions) etags.set(`${bucket}/${key} ${versionId}`, `${etag} ${lastModified}`)
      after = next
      more = next !== undefined
    }
  }
  return etags
}
