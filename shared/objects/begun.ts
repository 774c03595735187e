/**
 * Sealings that were begun and that nobody goes on with: their object may be another one by now, or gone, and then no event and
 * no listing leads to them. Their uploads are ours, and are to be ended.
 */
import { sealOrParkSettling, type Tried, type Tries } from "./attempt.ts"
import { inLanes } from "./lanes.ts"
import { PROGRESS, progressParser, type Progress } from "./progress.ts"

const AT_ONCE = 8
const PAGE = 1_000 // as many as a page of a sweep looks at

/** Where a page of what was begun anywhere starts, and what of it is of interest. */
export interface BegunPage {
  readonly bucket: string
  /** The path behind which it starts; empty: the first. */
  readonly after: string
  /** What was uploaded instead settles from then (milliseconds since the epoch). */
  readonly since: number
}

/** Looks at one page of at most 1,000 sealings; goes on with, or ends, those of the bucket whose lease is over, and gives what
 *  became of the objects, and the path that it ended with where there are more. Those that are kept where they are stay.
 *  `undefined` where the signal stopped it: the page is to be done again. */
export async function finishBegun(
  tries: Tries, { bucket, after, since }: BegunPage, signal: AbortSignal,
): Promise<{ readonly items: readonly Tried[]; readonly next?: string } | undefined> {
  const items: Tried[] = []
  const { paths, more } = await tries.state.list(PROGRESS, { limit: PAGE, ...(after === "" ? {} : { startAfter: after }) })
  await inLanes(paths, AT_ONCE, async (path) => {
    if (signal.aborted) return
    const document = await readDocument(tries, path)
    const isLeft = document?.bucket === bucket && !document.kept && document.until <= tries.sealer.clock()
    if (isLeft) items.push(await finish(tries, document, since, signal))
  })
  if (signal.aborted) return undefined
  const next = more ? paths.at(-1) : undefined
  return { items, ...(next === undefined ? {} : { next }) }
}

/** One that can't be read is the census' to report: it must not be in the way of the others. */
async function readDocument({ state, sealer: { log } }: Tries, path: string): Promise<Progress | undefined> {
  try {
    return (await state.read(path, progressParser))?.value
  } catch (cause) {
    log.error("a progress document can't be read", { path, cause })
    return undefined
  }
}

async function finish(tries: Tries, source: Progress, since: number, signal: AbortSignal): Promise<Tried> {
  const tried = await sealOrParkSettling(tries, source, { uploaded: since, begun: true }, signal)
  tries.sealer.log.info("went back to a sealing that was begun", { ...tried })
  return tried
}
