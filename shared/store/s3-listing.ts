import { Failure } from "../errors.ts"
import { percentEncode } from "../net/sigv4-canonical.ts"
import type { ListedObject, ListOptions, ListPage, ObjectStore } from "../ports.ts"
import { documentOf, type SendCall } from "./s3-call.ts"
import { bareEtag, defaultClass } from "./s3-headers.ts"
import { failureOf } from "./s3-refusal.ts"
import { childrenOf, textOf, type XmlElement } from "./xml.ts"

/** Lists by ListObjectsV2, with keys URL-encoded, as XML 1.0 cannot carry every character that a key may have. */
export function listing(send: SendCall): ObjectStore["list"] {
  return async (bucket, options = {}) => {
    const call = { bucket, query: listQuery(options), repeatable: true, signal: options.signal }
    const answer = await send({ method: "GET", ...call })
    if (answer.refusal) throw failureOf(answer.refusal)
    return pageOf(await documentOf(answer.response, "ListBucketResult"))
  }
}

function listQuery(options: ListOptions): string {
  return queryOf([
    ["list-type", "2"],
    ["encoding-type", "url"],
    ["prefix", options.prefix],
    ["delimiter", options.delimiter],
    ["start-after", options.token === undefined ? options.startAfter : undefined],
    ["continuation-token", options.token],
    ["max-keys", options.limit?.toString()],
  ])
}

/** A query; parameters without a value are left out. */
export function queryOf(parameters: readonly (readonly [name: string, value: string | undefined])[]): string {
  const given = parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${percentEncode(value)}`]))
  return given.join("&")
}

function pageOf(result: XmlElement): ListPage {
  const encoded = textOf(result, "EncodingType") === "url"
  const name = (element: XmlElement, child: string) => {
    const text = textOf(element, child) ?? ""
    return encoded ? decodeName(text) : text
  }
  const more = textOf(result, "IsTruncated") === "true"
  const next = more ? textOf(result, "NextContinuationToken") || notGoingOn() : undefined
  return {
    objects: childrenOf(result, "Contents").map((entry) => listedObject(entry, name(entry, "Key"))),
    prefixes: childrenOf(result, "CommonPrefixes").map((entry) => name(entry, "Prefix")),
    ...(next === undefined ? {} : { next }),
  }
}

/** Throws `store-refused`: a listing says that there is more, and not where. */
export function notGoingOn(): never {
  throw new Failure("store-refused", "the store's listing does not go on, though it says that there is more")
}

/** An object, or a version of one, in a listing. */
export function listedObject(entry: XmlElement, key: string): ListedObject {
  return {
    key,
    size: Number(textOf(entry, "Size")),
    etag: bareEtag(textOf(entry, "ETag")),
    lastModified: Date.parse(textOf(entry, "LastModified") ?? ""),
    ...classOf(entry),
  }
}

/** The storage class of an entry, where it is not the default. */
export function classOf(entry: XmlElement): { readonly storageClass?: string } {
  const storageClass = textOf(entry, "StorageClass")
  return storageClass && storageClass !== defaultClass ? { storageClass } : {}
}

/** The id of the owner that an entry, or an access control policy, names; `undefined` where it names none. */
export function ownerOf(entry: XmlElement): string | undefined {
  const [owner] = childrenOf(entry, "Owner")
  return (owner !== undefined && textOf(owner, "ID")) || undefined
}

/** AWS writes a space as `+`, as forms do, and a plus as `%2B`. */
function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll("+", "%20"))
  } catch (error) {
    throw new Failure("store-refused", "the listing has a key that is no Unicode text", error)
  }
}
