/** One page of a listing, whatever is listed: its order, its prefixes, where it begins and ends. */
import type { MarkedListOptions } from "../ports.ts"
import { keysUnder, nameOf } from "./local-keys.ts"
import { KEY_LIMIT } from "./s3-limits.ts"

const PAGE_LIMIT = 1000 // (S3 API reference, ListObjectsV2)

/** An entry of a table of the index. */
export interface Entry<T> {
  readonly key: Uint8Array
  readonly value: T
}

/** An entry on a page, and the object's key that it belongs to. */
interface Listed<T> extends Entry<T> {
  readonly name: string
}

/** Where the next page goes on: behind this entry, or behind a prefix, which has no entry. */
interface Next<T> {
  readonly name: string
  readonly entry?: Listed<T>
}

type Grouping = Pick<MarkedListOptions, "prefix" | "delimiter" | "limit">

/**
 * Reads one page from `from` on, by what `walk` reads: the entries of a bucket from `start` to before `end`, by their
 * keys. No more of them are asked for than the page has, and one to know whether there are more; of what is rolled up
 * into a prefix, only the first.
 */
export function readPage<T>(
  bucket: string,
  options: Grouping,
  from: Uint8Array,
  walk: (range: { start: Uint8Array; end: Uint8Array }) => Iterable<Entry<T>>,
): { readonly entries: readonly Listed<T>[]; readonly prefixes: readonly string[]; readonly next?: Next<T> } {
  const { prefix = "", limit = PAGE_LIMIT } = options
  const entries: Listed<T>[] = []
  const prefixes: string[] = []
  if (Buffer.byteLength(prefix) > KEY_LIMIT) return { entries, prefixes } // no key is that long
  const room = Math.min(Math.max(limit, 1), PAGE_LIMIT)
  const { start: first, end } = keysUnder(bucket, prefix)
  let start: Uint8Array | undefined = Buffer.compare(from, first) < 0 ? first : from
  let last: Next<T> | undefined
  while (start) {
    const entriesFrom: Iterable<Entry<T>> = walk({ start, end })
    start = undefined
    for (const { key, value } of entriesFrom) {
      if (last && entries.length + prefixes.length === room) return { entries, prefixes, next: last }
      const name = nameOf(bucket, key)
      const rolledUp = rollUp(name, options)
      if (rolledUp !== undefined) {
        prefixes.push(rolledUp)
        last = { name: rolledUp }
        start = keysUnder(bucket, rolledUp).end
        break
      }
      const entry = { name, key, value }
      entries.push(entry)
      last = { name, entry }
    }
  }
  return { entries, prefixes }
}

/** Where the entries behind a key begin, all of its own passed; behind all of a prefix where it is one that is rolled
 *  up. Any text may be given. */
export function behind(bucket: string, key: string, options: Grouping): Buffer {
  const { start, end } = keysUnder(bucket, key)
  const longest = bucket.length + 1 + KEY_LIMIT
  if (start.length > longest) return start.subarray(0, longest + 1) // no key is between this and the whole of it
  return rollUp(key, options) === key ? end : Buffer.concat([start, Buffer.of(1)])
}

/** The prefix that a key is rolled up into, if it is. */
function rollUp(key: string, { prefix = "", delimiter }: Grouping): string | undefined {
  if (!delimiter) return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : key.slice(0, at + delimiter.length)
}
