/** Objects in the local store: get, head, put, delete, tags. */
import { randomBytes } from "node:crypto"
import { Failure, isFailure } from "../errors.ts"
import type {
  Attributes, GetOptions, ObjectInfo, ObjectRef, ObjectStore, ReadOptions, StoredObject, WriteCondition, WriteResult,
} from "../ports.ts"
import { readExtents, type Received } from "./local-bodies.ts"
import type { BucketRecord, Index, Version } from "./local-index.ts"
import { objectKey } from "./local-keys.ts"
import { checkRead, checkWrite, checkWriteOptions, keptOptions, resolveRange } from "./local-names.ts"
import {
  bucketRecord, findMarker, findVersion, hideObject, putVersion, removeVersion, retagVersion,
} from "./local-versions.ts"
import type { Local } from "./local.ts"

const LOST_FILE_LIMIT = 100 // times that an object may be replaced between finding it and opening its file

/** The object part of the store, but for listings. */
export function localObjects(local: Local): Omit<ObjectStore, "list" | "listVersions"> {
  const { index, bodies, clock } = local
  const put: ObjectStore["put"] = async (ref, body, options = {}) => {
    const { signal, condition } = options
    checkWriteOptions(options)
    signal?.throwIfAborted()
    index.read(() => checkReplace(index, ref, condition)) // early, to spare the body; decided again below
    const received = await bodies.receive(body, options)
    const keep = async () => {
      const fields = { lastModified: clock(), size: body.length, etag: received.md5, ...keptOptions(options) }
      const { checksum } = received
      return local.commit((freed) => {
        checkReplace(index, ref, condition)
        const named = nameBody(local, received, body.length)
        return putVersion(index, ref, { ...fields, ...(checksum && { checksum }), body: named }, freed)
      })
    }
    const version = await keep().catch((error: unknown) => forget(local, received, error))
    return writeResult(local, ref, version)
  }
  return {
    get: async (ref, options) => (await openCurrent(local, ref, options))?.object,
    head: (ref, options = {}) => local.look(() => visible(index, ref, options)?.info),
    put,
    copy: async (source, target, { ifMatch, condition, attributes, signal } = {}) => {
      const { versionId } = source
      const pinned = { ...(versionId !== undefined && { versionId }), ...(ifMatch !== undefined && { ifMatch }) }
      const opened = await openCurrent(local, source, { ...pinned, ...(signal && { signal }) })
      if (!opened) return undefined
      const { object, version } = opened
      const { tags, checksum } = version
      const copied = checksum?.type === "full" ? checksum : undefined // a composite one would not be of this object
      return put(target, { length: object.size, stream: object.body }, {
        attributes: attributes ?? copiedAttributes(version), tags, checksum: () => copied,
        ...(condition && { condition }), ...(signal && { signal }),
      }).finally(() => object.cancel())
    },
    delete: (ref, { versionId, condition } = {}) =>
      local.commit((freed) => {
        checkReplace(index, ref, condition)
        if (versionId === undefined) return hideObject(index, ref, clock(), freed)
        return removeVersion(index, ref, versionId, freed)
      }),
    deleteMarker: (ref, options = {}) =>
      local.look(() => {
        const marker = findMarker(index, ref, options.versionId)
        return marker && { versionId: marker.versionId, lastModified: marker.lastModified }
      }),
    getTags: (ref, options = {}) => local.look(() => visible(index, ref, options)?.version.tags),
    putTags: async (ref, tags, { versionId } = {}) => {
      checkWriteOptions({ tags })
      return local.commit(() => {
        const found = visible(index, ref, { ...(versionId !== undefined && { versionId }) })
        if (!found) return undefined
        retagVersion(index, ref, found.version, tags)
        return found.info.versionId === undefined ? {} : { versionId: found.info.versionId }
      })
    },
  }
}

/** Throws `bucket-not-found`, or `precondition-failed` if a write or delete may not take the current version's place. */
export function checkReplace(index: Index, ref: ObjectRef, condition: WriteCondition | undefined): void {
  bucketRecord(index, ref.bucket)
  checkWrite(index.current.get(objectKey(ref)), condition)
}

/** What a write of this version answers. */
export function writeResult(local: Local, { bucket }: ObjectRef, version: Version): WriteResult {
  const versioning = local.index.read(() => local.index.buckets.get(bucket)?.versioning ?? "off")
  return { etag: version.etag, ...(versioning !== "off" && { versionId: version.versionId }) }
}

/** A version as the port tells it. */
function objectInfo(version: Version, { versioning }: BucketRecord): ObjectInfo {
  const { size, etag, lastModified, versionId, tags, attributes, checksum } = version
  const info = { ...attributes, size, etag, lastModified, tagCount: tags.length, ...(checksum && { checksum }) }
  return versioning === "off" ? info : { ...info, versionId }
}

/** The version asked for, where it is an object and the condition holds. */
function visible(index: Index, ref: ObjectRef, options: ReadOptions) {
  const version = findVersion(index, ref, options.versionId)
  if (version?.kind !== "object") return undefined
  checkRead(version, options)
  return { version, info: objectInfo(version, bucketRecord(index, ref.bucket)) }
}

/** What a copy takes over (S3 reference, CopyObject). */
function copiedAttributes({ attributes }: Version): Attributes {
  const { storageClass: _, websiteRedirect: __, ...copied } = attributes
  return copied
}

/** An object opened, and its version in the index. */
interface OpenedVersion {
  readonly object: StoredObject
  readonly version: Version
}

/** Opens the version that is asked for, or gives `undefined` where there is none. */
async function openCurrent(local: Local, ref: ObjectRef, options: GetOptions = {}): Promise<OpenedVersion | undefined> {
  options.signal?.throwIfAborted()
  for (let attempt = 0; attempt < LOST_FILE_LIMIT; attempt++) {
    const opened = await openVersion(local, ref, options)
    if (opened !== "replaced") return opened
  }
  throw new Failure("unavailable", "the object's file is missing")
}

/** Opens a version at one moment of the index. `replaced`: its file was removed before it could be opened. */
async function openVersion(
  local: Local,
  ref: ObjectRef,
  options: GetOptions,
): Promise<OpenedVersion | undefined | "replaced"> {
  const { index, bodies } = local
  const found = index.read(() => {
    const object = visible(index, ref, options)
    if (!object) return undefined
    const { body } = object.version
    if ("file" in body) return { ...object, file: body.file, extents: extentsOf(index, body.file) }
    return { ...object, bytes: index.bodies.get(body.inline) }
  })
  if (!found) return undefined
  const range = options.range && resolveRange(options.range, found.info.size)
  const { start, end } = range ?? { start: 0, end: found.info.size - 1 }
  const { version } = found
  const opened = { ...found.info, ...(range && { range }) }
  if (!("file" in found)) {
    if (!found.bytes) throw new Failure("internal", "the object's bytes are not in the index")
    return { version, object: { ...opened, body: once(found.bytes.subarray(start, end + 1)), cancel: () => undefined } }
  }
  const handle = await bodies.open(found.file)
  if (!handle) return "replaced"
  const body = readExtents(handle, found.extents, start, end)
  return { version, object: { ...opened, body, cancel: () => void handle.close() } }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  if (bytes.length > 0) yield bytes
}

/** Names received bytes in the index. */
function nameBody({ index, bodies }: Local, received: Received, size: number): Version["body"] {
  if ("bytes" in received) {
    const inline = randomBytes(16).toString("hex")
    void index.bodies.put(inline, received.bytes)
    return { inline }
  }
  if (!bodies.exists(received.file)) throw new Failure("unavailable", "the object's file was taken for an orphan")
  void index.files.put(received.file, [[0, size]])
  return { file: received.file }
}

/** Removes the file of a write that was refused. After a failed commit it stays for `sweep`, which asks the index. */
async function forget({ bodies }: Local, received: Received, error: unknown): Promise<never> {
  if ("file" in received && !isFailure(error, "unavailable")) await bodies.remove([received.file])
  throw error
}

/** Where a file's bytes are. An entry that is lost must not make the object an empty one. */
function extentsOf(index: Index, file: string) {
  const extents = index.files.get(file)
  if (!extents) throw new Failure("internal", "the object's file is not in the index")
  return extents
}
