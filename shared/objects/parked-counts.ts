/** How much there is in the state, for operators: the cost is bounded, not the truth: where there is more than was looked at, it
 *  says so. */
import * as z from "zod/mini"
import type { StateStore } from "../ports.ts"

const PAGES = 10 // of at most 1,000 paths each (S3's limit): one request a page
const NOTES = 200 // notes that are read for their reasons: one request a note
const AT_ONCE = 16 // of these requests

/** The first paths under a prefix. */
export interface Counted {
  readonly paths: readonly string[]
  readonly more: boolean
}

/** How many objects are parked, and why. */
export interface ParkedCounts {
  readonly total: number
  /** Of the first 200. */
  readonly reasons: Readonly<Record<string, number>>
  /** There are more than `total`. */
  readonly more?: true
}

/** The paths under a prefix, at most 10,000: `more` says that there are others. */
export async function countPaths(state: StateStore, root: string): Promise<Counted> {
  const paths: string[] = []
  let more = true
  for (let page = 0; more && page < PAGES; page++) {
    const startAfter = paths.at(-1)
    const listed = await state.list(root, startAfter === undefined ? {} : { startAfter })
    paths.push(...listed.paths)
    more = listed.more && listed.paths.length > 0
  }
  return { paths, more }
}

/** Counts the parked objects: at most 10,000, the reasons of the first 200. */
export async function parkedCounts(state: StateStore): Promise<ParkedCounts> {
  const { paths, more } = await countPaths(state, "parked/")
  return { total: paths.length, reasons: await reasonsOf(state, paths.slice(0, NOTES)), ...(more ? { more } : {}) }
}

const note = z.object({ reason: z.string() })

/** How many of these notes have which reason. One that was taken away meanwhile has none. */
async function reasonsOf(state: StateStore, paths: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let from = 0; from < paths.length; from += AT_ONCE) {
    const notes = await Promise.all(paths.slice(from, from + AT_ONCE).map((path) => state.read(path, note)))
    const reasons = notes.flatMap((one) => (one ? [one.value.reason] : []))
    for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1
  }
  return counts
}
