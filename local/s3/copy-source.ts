/** The source of a copy (S3 reference, CopyObject and UploadPartCopy). */
import type { ByteRange, ChecksumAlgorithm, StoredChecksum, StoredObject } from "../../shared/ports.ts"
import { bytesOf } from "./attributes.ts"
import type { Call, Endpoint } from "./call.ts"
import { algorithms } from "./checksums.ts"
import { readDecision } from "./conditions.ts"
import { S3Error } from "./errors.ts"
import { maxSingleUpload, type Payload } from "./payload.ts"
import { checkName, decode } from "./target.ts"
import { absenceOf, versionIn, type VersionRef } from "./versions.ts"

/** What `x-amz-copy-source` names: `[/]bucket/key[?versionId=…]`, percent-encoded up to the question mark, in which the
 *  slash behind the bucket may be encoded, too. A plus stays one, as in the target of a request. */
export function copySourceOf(call: Call): VersionRef {
  const source = call.header("x-amz-copy-source") ?? ""
  const [, encoded, versionId] = /^\/?([^?]+)(?:\?versionId=([^&]+))?$/.exec(source) ?? []
  const name = encoded === undefined ? "" : decoded(encoded)
  const slash = name.indexOf("/")
  const [bucket, key] = [name.slice(0, Math.max(slash, 0)), name.slice(slash + 1)]
  if (bucket === "" || key === "") throw new S3Error("InvalidArgument", "Invalid copy source object key")
  checkName(bucket, key)
  return versionId === undefined ? { bucket, key } : { bucket, key, versionId: decoded(versionId) }
}

function decoded(encoded: string): string {
  try {
    return decode(bytesOf(encoded))
  } catch {
    throw new S3Error("InvalidArgument", "Invalid copy source encoding.")
  }
}

/** Opens the source, or the range of it, as of one moment. Throws where there is none, or where a condition on it does
 *  not hold. */
export async function openCopySource(
  call: Call,
  store: Endpoint["store"],
  source: VersionRef,
  range?: ByteRange,
): Promise<StoredObject> {
  const object = await store.get(source, { ...versionIn(source), ...(range && { range }) })
  if (!object) return refuseSource(source, store)
  const refusal = readDecision(call, object, "x-amz-copy-source-") !== "read" ? new S3Error("PreconditionFailed")
    : !range && object.size > maxSingleUpload ? new S3Error("InvalidRequest", tooLarge)
    : undefined
  if (!refusal) return object
  object.cancel()
  throw refusal
}

const tooLarge =
  `The specified copy source is larger than the maximum allowable size for a copy source: ${maxSingleUpload}`

async function refuseSource(source: VersionRef, store: Endpoint["store"]): Promise<never> {
  const namesMarker = source.versionId !== undefined && await store.deleteMarker(source, versionIn(source))
  if (!namesMarker) throw absenceOf(source)
  const message = "The source of a copy request may not specifically refer to a delete marker by version id."
  throw new S3Error("InvalidRequest", message)
}

/** The bytes of the source as the body of a write, with a checksum computed on the way, or the one it has. */
export function copiedBody(
  object: StoredObject,
  algorithm: ChecksumAlgorithm | undefined,
  kept?: StoredChecksum,
): Payload {
  const length = object.range ? object.range.end - object.range.start + 1 : object.size
  if (!algorithm) return { length, stream: object.body, checksum: () => kept }
  let computed: StoredChecksum | undefined
  const stream = async function* () {
    const running = algorithms[algorithm]()
    for await (const bytes of object.body) {
      running.update(bytes)
      yield bytes
    }
    computed = { algorithm, type: "full", value: running.digest() }
  }
  return { length, stream: stream(), checksum: () => computed }
}
