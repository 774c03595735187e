/** The listings of a bucket's current objects. */
import type { ListOptions, ListPage } from "../../shared/ports.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"
import { frameOf, limitOf, prefixElements } from "./listing.ts"
import { ownerElements } from "./owner.ts"
import type { Element } from "./xml.ts"

/** ListObjectsV2. */
export async function listObjectsV2(call: Call, { store }: Endpoint): Promise<Answer> {
  const token = call.query.get("continuation-token")
  const startAfter = call.query.get("start-after") ?? ""
  if (call.query.get("list-type") !== "2") throw new S3Error("InvalidArgument", "Invalid List Type specified in Query")
  if (token === "") throw new S3Error("InvalidArgument", "The continuation token provided is incorrect")
  const listing = listingOf(call)
  const page = await listing.page(store, token === undefined ? { startAfter } : { token })
  return xmlAnswer(["ListBucketResult", [
    ...listing.head,
    ["KeyCount", page.objects.length + page.prefixes.length],
    ["ContinuationToken", token],
    ["NextContinuationToken", page.next],
    ["StartAfter", startAfter === "" ? undefined : listing.encode(startAfter)],
    ["IsTruncated", page.next !== undefined],
    ...listing.entries(page, call.query.get("fetch-owner") === "true"),
  ]])
}

/** ListObjects, the first version. Its marker is a name, the last one of the page before: a key, or a prefix that is
 *  rolled up, behind which the store then goes on. */
export async function listObjects(call: Call, { store }: Endpoint): Promise<Answer> {
  const marker = call.query.get("marker") ?? ""
  const listing = listingOf(call)
  const page = await listing.page(store, { startAfter: marker })
  const next = page.next === undefined || listing.delimiter === "" ? undefined : lastName(page)
  return xmlAnswer(["ListBucketResult", [
    ...listing.head,
    ["Marker", listing.encode(marker)],
    ["NextMarker", next === undefined ? undefined : listing.encode(next)],
    ["IsTruncated", page.next !== undefined],
    ...listing.entries(page, true),
  ]])
}

/** What both versions have in common. */
function listingOf(call: Call) {
  const { prefix, delimiter, encode, elements } = frameOf(call)
  const limit = limitOf(call, "max-keys")
  const head: readonly Element[] = [["Name", call.bucket], ...elements, ["MaxKeys", limit]]
  return {
    delimiter, encode, head,
    async page(store: Endpoint["store"], from: Pick<ListOptions, "startAfter" | "token">): Promise<ListPage> {
      const page = await store.list(call.bucket, { prefix, delimiter, ...from, limit: Math.max(limit, 1) })
      return limit === 0 ? { objects: [], prefixes: [] } : page
    },
    entries: (page: ListPage, withOwner: boolean): Element[] => [
      ...page.objects.map((object): Element => ["Contents", [
        ["Key", encode(object.key)],
        ["LastModified", new Date(object.lastModified).toISOString()],
        ["ETag", `"${object.etag}"`],
        ["Size", object.size],
        ["Owner", withOwner ? ownerElements : undefined],
        ["StorageClass", object.storageClass ?? "STANDARD"],
      ]]),
      ...prefixElements(page.prefixes, encode),
    ],
  }
}

function lastName({ objects, prefixes }: ListPage): string | undefined {
  const names = [objects.at(-1)?.key, prefixes.at(-1)].filter((name) => name !== undefined)
  return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).at(-1)
}
