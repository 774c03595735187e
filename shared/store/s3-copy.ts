import { percentEncode } from "../net/sigv4-canonical.ts"
import type { CopyOptions, ObjectStore } from "../ports.ts"
import type { Header, SendCall } from "./s3-call.ts"
import { bareEtag, conditionHeaders, header, writeHeaders } from "./s3-headers.ts"
import { lateDocument } from "./s3-late.ts"
import { failureOf } from "./s3-refusal.ts"
import { textOf } from "./xml.ts"

/** Copies by CopyObject. The store moves the bytes; `signal` and the store's own time decide how long it may take. */
export function s3Copy(send: SendCall): ObjectStore["copy"] {
  return async (source, { bucket, key }, options = {}) => {
    const { condition, ifMatch, signal } = options
    const headers = [["x-amz-copy-source", sourceText(source)] as const, ...copyHeaders(options)]
    const answer = await send({ method: "PUT", bucket, key, headers, repeatable: condition === undefined, signal })
    if (!answer.refusal) {
      const document = await lateDocument(answer.response, "CopyObjectResult", condition)
      const versionId = header(answer.response.headers, "x-amz-version-id")
      return { etag: bareEtag(textOf(document, "ETag")), ...(versionId ? { versionId } : {}) }
    }
    const absent = ["NoSuchKey", "NoSuchVersion"].includes(answer.refusal.code)
    if (absent && !condition && ifMatch === undefined) return undefined
    throw failureOf(absent ? { ...answer.refusal, status: 412, code: "PreconditionFailed" } : answer.refusal)
  }
}

const sourceText = ({ bucket, key, versionId }: Parameters<ObjectStore["copy"]>[0]): string => {
  const path = `/${bucket}/${key.split("/").map(percentEncode).join("/")}`
  return versionId === undefined ? path : `${path}?versionId=${percentEncode(versionId)}`
}

/** Ceph RGW 16 does not know the condition on the source by S3's name, but by one of its own; S3 does not know that one. */
function copyHeaders({ ifMatch, condition, attributes }: CopyOptions): Header[] {
  const pinned = ifMatch === undefined ? [] : ["x-amz-copy-source-if-match", "x-amz-copy-if-match"]
  return [
    ...pinned.map((name) => [name, `"${ifMatch}"`] as const),
    ...conditionHeaders(condition),
    ...(attributes ? [["x-amz-metadata-directive", "REPLACE"] as const, ...writeHeaders({ attributes })] : []),
  ]
}
