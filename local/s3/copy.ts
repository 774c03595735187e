/** Copies of objects. */
import type { Attributes, ChecksumAlgorithm, ObjectInfo, StoredObject, Tag, WriteOptions } from "../../shared/ports.ts"
import { attributeHeaders } from "../../shared/store/s3-headers.ts"
import { attributesOf } from "./attributes.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { refuseWrite, writeConditionOf } from "./conditions.ts"
import { copiedBody, copySourceOf, openCopySource } from "./copy-source.ts"
import { S3Error } from "./errors.ts"
import { recordOf } from "./notification.ts"
import { checksumAlgorithmOf, checksumElements } from "./object-checksums.ts"
import { storable } from "./payload.ts"
import { tagsOf } from "./tags.ts"
import { versionIn, type VersionRef } from "./versions.ts"
import type { Element } from "./xml.ts"

/** CopyObject. S3 may answer 200 before a long copy is done, and put an error into the body; here all copying is done
 *  before the answer begins, so that its status holds. The connection may be silent for five minutes meanwhile: the
 *  5 GiB that a copy has at most need 18 MB a second. */
export async function copyObject(call: Call, endpoint: Endpoint): Promise<Answer> {
  const { store } = endpoint
  const source = copySourceOf(call)
  const replaces = { metadata: replacesBy(call, "metadata"), tags: replacesBy(call, "tagging") }
  if (!replaces.metadata && copiesNothing(call, source)) throw new S3Error("InvalidRequest", illegalCopy)
  const condition = writeConditionOf(call)
  const asked = checksumAlgorithmOf(call)
  const object = await openCopySource(call, store, source)
  try {
    const tags = replaces.tags ? tagsOf(call) : await tagsOfSource(store, source, object)
    const attributes = replaces.metadata ? attributesOf(call) : copiedAttributes(call, object)
    const body = copiedBody(object, asked ?? composedOf(object), object.checksum)
    const kept = { attributes, checksum: body.checksum, ...(tags && { tags }) }
    const options: WriteOptions = { ...kept, ...(condition && { condition }) }
    const written = await store.put(call, await storable(body), options)
      .catch((error: unknown) => refuseWrite(call, store, condition, error))
    const { size } = object
    await endpoint.onWrite(recordOf(call, endpoint, { ...written, size, eventName: "ObjectCreated:Copy" }))
    const { lastModified } = await store.head(call, versionIn(written)) ?? { lastModified: endpoint.clock() }
    const made = { lastModified, etag: written.etag, checksum: checksumElements(body.checksum()) }
    return copyAnswer("CopyObjectResult", made, object, written.versionId)
  } finally {
    object.cancel()
  }
}

/** The answer to a copy: what was made, and of which version of the source. */
export function copyAnswer(
  root: "CopyObjectResult" | "CopyPartResult",
  made: { readonly lastModified: number; readonly etag: string; readonly checksum: readonly Element[] },
  source: ObjectInfo,
  versionId?: string,
): Answer {
  const { lastModified, etag, checksum } = made
  const answer = xmlAnswer([root, [
    ["LastModified", new Date(lastModified).toISOString()], ["ETag", `"${etag}"`], ...checksum,
  ]])
  const versions = { "x-amz-version-id": versionId, "x-amz-copy-source-version-id": source.versionId }
  return { ...answer, headers: { ...answer.headers, ...versions } }
}

function replacesBy(call: Call, what: "metadata" | "tagging"): boolean {
  const directive = call.header(`x-amz-${what}-directive`) ?? "COPY"
  if (directive === "COPY" || directive === "REPLACE") return directive === "REPLACE"
  throw new S3Error("InvalidArgument", `Unknown ${what} directive.`)
}

const illegalCopy = "This copy request is illegal because it is trying to copy an object to itself without changing "
  + "the object's metadata, storage class, website redirect location or encryption attributes."

/** An older version that is named may be copied over the current one. */
const copiesNothing = (call: Call, { bucket, key, versionId }: VersionRef): boolean =>
  bucket === call.bucket && key === call.key && versionId === undefined
  && call.header("x-amz-storage-class") === undefined
  && call.header("x-amz-website-redirect-location") === undefined

/** All that the source has, but for storage class and redirect, which each write names for itself. */
function copiedAttributes(call: Call, source: ObjectInfo): Partial<Attributes> {
  const named = attributesOf(call)
  const attributes: { -readonly [name in keyof Attributes]?: Attributes[name] } = { metadata: source.metadata }
  for (const [name] of attributeHeaders) {
    const value = name === "storageClass" || name === "websiteRedirect" ? named[name] : source[name]
    if (value !== undefined) attributes[name] = value
  }
  return attributes
}

/** The tags of the version that is being copied. Where it has no id of its own, another may have taken its place: then
 *  they may not be its tags. */
async function tagsOfSource(
  store: Endpoint["store"],
  source: VersionRef,
  { tagCount, versionId, etag, lastModified }: StoredObject,
): Promise<readonly Tag[]> {
  if (tagCount === 0) return []
  const tags = await store.getTags(source, versionIn({ versionId }))
  const replaceable = versionId === undefined || versionId === "null"
  const now = replaceable ? await store.head(source, versionIn({ versionId })) : { etag, lastModified }
  if (tags && now?.etag === etag && now.lastModified === lastModified) return tags
  throw new S3Error("ConditionalRequestConflict", "The source was replaced or removed while it was being copied.")
}

/** A copy is written whole: a checksum composed of those of parts would not be its own. */
const composedOf = ({ checksum }: StoredObject): ChecksumAlgorithm | undefined =>
  checksum?.type === "composite" ? checksum.algorithm : undefined
