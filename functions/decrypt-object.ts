/** Endpoint: the plaintext of an object, whole or a range, for those who may read it. */
import type { ObjectsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { bucketCrn } from "../shared/iam/crn.ts"
import { openObject, type OpenedObject } from "../shared/objects/open.ts"
import { isBucketName } from "../shared/objects/upload-event.ts"
import type { ObjectInfo, ObjectRef } from "../shared/ports.ts"
import { bodyOf } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"
import { checkPreconditions, spanOf, type Span } from "../shared/runtime/range.ts"
import { KEY_LIMIT } from "../shared/store/s3-limits.ts"

const forms = (["GET", "HEAD"] as const).flatMap((method) =>
  ["/objects/:bucket/:key*", "/objects/:bucket"].map((path) => ({ method, path })))

export const decryptObject: readonly AnyRoute<ObjectsContext>[] = forms.map(({ method, path }) => endpoint({
  method, path,
  action: "cloud-object-storage.object.get",
  resource: ({ params }, { settings }) => bucketCrn(settings.account, settings.storeInstance, params["bucket"] ?? ""),
  maxBody: 0,
  errors: "own",
  run: (call, context: ObjectsContext) => decrypt(call, context),
}))

async function decrypt(call: Call<unknown>, context: ObjectsContext): Promise<Response> {
  const { request, signal } = call
  const object = await openObject(context.opener, refOf(call), call.caller.subject, { signal })
  if (!object) throw new Failure("not-found", "there is no such object")
  checkPreconditions(request.headers, object.info.etag)
  const span = rangeOf(request, object)
  const headers = headersOf(object, span)
  if (request.method === "HEAD") return new Response(null, { status: span ? 206 : 200, headers })
  const { start, end } = span ?? { start: 0, end: object.size - 1 }
  return new Response(bodyOf(object.read(start, end, signal)), { status: span ? 206 : 200, headers })
}

function refOf({ params, query, request }: Call<unknown>): ObjectRef {
  const key = params["key"] ?? query.get("key")
  if (key?.includes("\ufffd") && !/%ef%bf%bd/i.test(request.url)) { // else this is another object's name, made by decoding
    throw new Failure("bad-query", "key isn't valid percent-encoded UTF-8", undefined, { type: "query_param", name: "key" })
  }
  if (!key) throw new Failure("bad-query", "name the object: /objects/{bucket}/{key} or /objects/{bucket}?key=…", undefined, { type: "query_param", name: "key" })
  if (Buffer.byteLength(key) > KEY_LIMIT) {
    throw new Failure("bad-query", `a key has at most ${KEY_LIMIT} bytes`, undefined, { type: "query_param", name: "key" })
  }
  const bucket = params["bucket"] ?? ""
  if (!isBucketName(bucket)) throw new Failure("bad-query", "this is no bucket name")
  return { bucket, key }
}

/** A range counts only for the representation it was meant for: If-Range with another ETag asks for the whole. */
function rangeOf(request: Request, { info, size }: OpenedObject): Span | undefined {
  const ifRange = request.headers.get("if-range")
  if (ifRange !== null && ifRange !== `"${info.etag}"`) return undefined
  return spanOf(request.headers.get("range"), size)
}

function headersOf({ info, size }: OpenedObject, span: Span | undefined): Headers {
  const headers = new Headers({
    etag: `"${info.etag}"`,
    "last-modified": new Date(info.lastModified).toUTCString(),
    "accept-ranges": "bytes",
    "content-length": String(span ? span.end - span.start + 1 : size),
    "cache-control": "private, no-store",
    vary: "Authorization",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  })
  if (span) headers.set("content-range", `bytes ${span.start}-${span.end}/${size}`)
  for (const [name, value] of originalHeaders(info)) if (value !== undefined) headers.set(name, headerText(value))
  return headers
}

const OURS = new Set(["bucketseal", "bucketseal-length"])

function originalHeaders(info: ObjectInfo): (readonly [name: string, value: string | undefined])[] {
  const own = Object.entries(info.metadata).filter(([name]) => !OURS.has(name))
  return [
    ["content-type", info.contentType], ["content-disposition", info.contentDisposition],
    ["content-encoding", info.contentEncoding], ["content-language", info.contentLanguage], ["expires", info.expires],
    ["x-object-cache-control", info.cacheControl], ...own.map(([name, value]) => [`x-amz-meta-${name}`, value] as const),
  ]
}

/** Header values are Latin-1; what is not goes as an encoded word (RFC 2047), as S3 does with metadata. */
function headerText(value: string): string {
  return /^[\t\x20-\x7e\xa0-\xff]*$/.test(value) ? value : `=?UTF-8?B?${Buffer.from(value).toString("base64")}?=`
}
