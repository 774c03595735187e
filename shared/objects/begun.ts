/**
 * Sealings that were begun and that nobody goes on with: their object may be another one by now, or gone, and then no event and
 * no listing leads to them. Their uploads are ours, and are to be ended.
 */
import { parkSettling, sealOrPark, type Tried, type Tries } from "./attempt.ts"
import { inLanes } from "./lanes.ts"
import { progressParser, type Progress } from "./progress.ts"

const ROOT = "progress/"
const AT_ONCE = 8

/** Goes on with, or ends, every sealing of the bucket whose lease is over, and gives what became of the objects; those that are
 *  kept where they are stay. What has been uploaded instead settles from `since` (milliseconds since the epoch). `undefined` where the
 *  signal stopped it. */
export async function finishBegun(
  tries: Tries, bucket: string, since: number, signal: AbortSignal,
): Promise<readonly Tried[] | undefined> {
  const items: Tried[] = []
  for (let startAfter: string | undefined, more = true; more; ) {
    const page = await tries.state.list(ROOT, startAfter === undefined ? {} : { startAfter })
    await inLanes(page.paths, AT_ONCE, async (path) => {
      if (signal.aborted) return
      const document = await readDocument(tries, path)
      const isLeft = document?.bucket === bucket && !document.kept && document.until <= tries.sealer.clock()
      if (isLeft) items.push(await finish(tries, document, since, signal))
    })
    if (signal.aborted) return undefined
    startAfter = page.paths.at(-1)
    more = page.more && startAfter !== undefined
  }
  return items
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

async function finish(tries: Tries, { bucket, key }: Progress, since: number, signal: AbortSignal): Promise<Tried> {
  const tried = await sealOrPark(tries, { bucket, key }, { uploaded: since, begun: true }, signal)
  tries.sealer.log.info("went back to a sealing that was begun", { ...tried })
  if (tried.outcome !== "not-settled" || tried.due === undefined) return tried
  return parkSettling(tries, { bucket, key }, Date.parse(tried.due)) // which looks for what was begun, too
}
