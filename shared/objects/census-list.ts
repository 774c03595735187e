/** The list of a census: what it found by name, what is not well first, as much as fits a result. */
import type { CensusItem } from "./census-tally.ts"

const MOST_ITEMS = 100 // S19: a composition's state holds 256 KiB in all, and a key alone may have 1,024 bytes
const MOST_BYTES = 64 * 1_024
const endsWell: ReadonlySet<string> = new Set(["sealed", "already-sealed", "aborted", "removed", "gone"])

/** Whether what was found was mended. */
const isMended = ({ fix }: CensusItem): boolean => fix !== undefined && endsWell.has(fix)

/** Whether it is not well now. Uploads of others, which may well be under way, are none of it. */
export const isLeft = (item: CensusItem): boolean => !isMended(item) && item.outcome !== "upload-other"

/** Takes items in any order, and gives the list: at most 100 and 64 KiB as JSON, what is left first, uploads of others next,
 *  what was mended last, each in the order in which it came; `more` says that some are not in it. */
export function censusList() {
  const [left, others, mended] = [boundedList(), boundedList(), boundedList()]
  return {
    add: (item: CensusItem): void => (isLeft(item) ? left : isMended(item) ? mended : others).add(item),
    shown(): { readonly items: readonly CensusItem[]; readonly more?: true } {
      const all = boundedList()
      for (const item of [...left.items, ...others.items, ...mended.items]) all.add(item)
      const more = [left, others, mended, all].some((list) => list.isCut())
      return { items: all.items, ...(more ? { more } : {}) }
    },
  }
}

function boundedList() {
  const items: CensusItem[] = []
  let size = 0
  let cut = false
  return {
    items,
    isCut: () => cut,
    add(item: CensusItem): void {
      const more = Buffer.byteLength(JSON.stringify(item)) + 1 // and a comma
      cut ||= items.length >= MOST_ITEMS || size + more > MOST_BYTES - 2 // the brackets
      if (cut) return
      items.push(item)
      size += more
    },
  }
}
