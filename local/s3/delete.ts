/** Deleting: one object or version, or up to a thousand of them. */
import { isFailure } from "../../shared/errors.ts"
import type { DeleteResult } from "../../shared/ports.ts"
import { checksumAlgorithms } from "../../shared/store/s3-checksums.ts"
import { childrenOf, type XmlElement } from "../../shared/store/xml.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { refuseWrite, unquoted } from "./conditions.ts"
import { S3Error, s3ErrorOf } from "./errors.ts"
import { readText } from "./payload.ts"
import { checkName } from "./target.ts"
import { absenceOf, versionIn, versionOf, type VersionRef } from "./versions.ts"
import { parseDocument, textOf, type Element } from "./xml.ts"

/** DeleteObject, or one version of it. */
export async function deleteObject(call: Call, { store }: Endpoint): Promise<Answer> {
  const version = versionOf(call)
  const ref = { bucket: call.bucket, key: call.key, ...version }
  const { versionId = version.versionId, marker } = await remove(store, ref, call.header("if-match"))
  return { status: 204, headers: { "x-amz-version-id": versionId, "x-amz-delete-marker": marker ? "true" : undefined } }
}

// S3 reference, DeleteObjects.
const maxDeleted = 1000
const maxDeleteBytes = 2 * 1024 ** 2
const maxDeleteElements = 2 + 6 * maxDeleted // an object has five children at most

// Deletes under way at once: enough for a store to write them down together, and no crowd.
const concurrent = 50

/** DeleteObjects. It goes on behind what is refused, and tells of each. */
export async function deleteObjects(call: Call, { store }: Endpoint): Promise<Answer> {
  if (!isGuarded(call)) throw new S3Error("InvalidRequest", "Missing required header for this request: Content-MD5")
  const { quiet, entries } = parseDelete(await readText(call.openPayload(), maxDeleteBytes), call.bucket)
  const outcomes: Element[] = []
  for (let at = 0; at < entries.length; at += concurrent) {
    const batch = entries.slice(at, at + concurrent)
    outcomes.push(...await Promise.all(batch.map((entry) => outcomeOf(store, entry))))
  }
  return xmlAnswer(["DeleteResult", quiet ? outcomes.filter(([name]) => name === "Error") : outcomes])
}

type Store = Endpoint["store"]

/** An object or version to delete. `ifMatch` is an entity tag as sent. */
interface Entry {
  readonly ref: VersionRef
  readonly ifMatch: string | undefined
  /** It has a condition that is not honoured here. */
  readonly conditional: boolean
}

/** With `*`, an object that is replaced at this moment is left there, as if it were missing. */
async function remove(store: Store, ref: VersionRef, ifMatch: string | undefined): Promise<DeleteResult> {
  if (ifMatch === undefined) return store.delete(ref, versionIn(ref))
  if (ref.versionId !== undefined) throw new S3Error("NotImplemented", "If-Match with a version id is not done here.")
  const etag = ifMatch.trim() === "*" ? (await store.head(ref))?.etag : unquoted(ifMatch)
  if (etag === undefined) throw absenceOf(ref)
  const condition = { ifMatch: etag }
  return store.delete(ref, { condition }).catch((error: unknown) => refuseWrite(ref, store, condition, error))
}

async function outcomeOf(store: Store, { ref, ifMatch, conditional }: Entry): Promise<Element> {
  const named: Element[] = [["Key", ref.key], ["VersionId", ref.versionId]]
  try {
    checkName(ref.bucket, ref.key)
    if (conditional) throw new S3Error("NotImplemented")
    const { versionId, marker } = await remove(store, ref, ifMatch)
    const made: Element[] = marker ? [["DeleteMarker", true], ["DeleteMarkerVersionId", versionId]] : []
    return ["Deleted", [...named, ...made]]
  } catch (error) {
    const { code, message } = s3ErrorOf(error)
    if (isFailure(error, "bucket-not-found") || code === "InternalError") throw error
    return ["Error", [...named, ["Code", code], ["Message", message]]]
  }
}

/** S3 wants the body of this request guarded by more than its signature (S3 reference, DeleteObjects). */
function isGuarded(call: Call): boolean {
  const names = checksumAlgorithms.map((algorithm) => `x-amz-checksum-${algorithm}`)
  const trailer = call.header("x-amz-trailer")?.toLowerCase() ?? ""
  return ["content-md5", ...names].some((name) => call.header(name) !== undefined)
    || names.some((name) => trailer.includes(name))
}

function parseDelete(body: string, bucket: string): { quiet: boolean; entries: readonly Entry[] } {
  const root = parseDocument(body, "Delete", maxDeleteElements)
  const entries = childrenOf(root, "Object").map((element) => parseEntry(element, bucket))
  if (entries.length < 1 || entries.length > maxDeleted) throw new S3Error("MalformedXML")
  return { quiet: textOf(root, "Quiet")?.trim() === "true", entries }
}

function parseEntry(element: XmlElement, bucket: string): Entry {
  const key = textOf(element, "Key") ?? ""
  const versionId = textOf(element, "VersionId") || undefined
  if (key === "") throw new S3Error("MalformedXML")
  const conditional = textOf(element, "LastModifiedTime") !== undefined || textOf(element, "Size") !== undefined
  return { ref: { bucket, key, ...versionIn({ versionId }) }, ifMatch: textOf(element, "ETag"), conditional }
}
