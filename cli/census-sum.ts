/** All runs of a census together. */
import type { CensusResult } from "../functions/census.ts"
import { isFailure } from "../shared/errors.ts"
import { censusList, isLeft } from "../shared/objects/census-list.ts"
import type { CensusSums } from "../shared/objects/census-tally.ts"

type Numbers = Record<string, number>

/** The sums of all runs. */
export interface AllSums extends CensusSums {
  /** Why it is not all, as a sentence: a run behind the first one was refused, as the approval held no longer. */
  readonly ended?: string
}

/** Calls the job until it is done, and adds up: its list is made of theirs, what is not well first, over all of them. Where
 *  an approval that held for the first run holds no longer, what the others have done and found is given all the same. */
export async function censusSum(run: (cursor: string | undefined) => Promise<CensusResult>): Promise<AllSums> {
  const [counts, bytes, fixed]: [Numbers, Numbers, Numbers] = [{}, {}, {}]
  const list = censusList()
  let left = 0
  let isCut = false
  let ended: string | undefined
  for (let cursor: string | undefined, done = false; !done; ) {
    const result = await unlessRefused(run, cursor)
    if (typeof result === "string") {
      ended = result
      break
    }
    add(counts, result.counts)
    add(bytes, result.bytes)
    add(fixed, result.fixed)
    left += result.left
    for (const item of result.items) list.add(item)
    isCut ||= result.more ?? false
    ;({ cursor, done } = result)
  }
  return { counts, bytes, fixed, left, ...list.shown(), ...(isCut ? { more: true } : {}), ...(ended === undefined ? {} : { ended }) }
}

/** What a run gives, or, behind the first one, why it was refused. */
async function unlessRefused(run: (cursor: string | undefined) => Promise<CensusResult>, cursor: string | undefined) {
  try {
    return await run(cursor)
  } catch (error) {
    if (cursor === undefined || !isFailure(error, "forbidden")) throw error
    return error.message
  }
}

/** What stands below a list that is not all: how much more is not well, or else that there is more. */
export function restLines({ items, left, more }: CensusSums): string[] {
  const rest = left - items.filter(isLeft).length
  if (rest > 0) return [`  and ${rest} more that ${rest === 1 ? "is" : "are"} not well`]
  return more ? ["  and more, of which none is unwell: the log names all"] : []
}

function add(sum: Numbers, more: Readonly<Numbers>): void {
  for (const [name, number] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + number
}
