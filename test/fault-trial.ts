/** One object that is sealed while one I/O fails or a user does something, sealed again until it settles, and looked at throughout. */
import type { StateStore, Store } from "../shared/ports.ts"
import { patterned } from "./bytes.ts"
import { Crash, failing, type Io, type Plan, type Watch } from "./failing-store.ts"
import { LEASE, type SealingWorld } from "./sealing-worlds.ts"

/** What a user may do while an object is being sealed. */
export const actions = ["overwrites", "deletes", "uploads the same again", "describes anew", "deletes what is sealed"] as const
export type Action = (typeof actions)[number]

/** What happens to one object. */
export interface Trial {
  readonly key: string
  readonly size: number
  readonly plan?: Plan | undefined
  readonly user?: { readonly at: number; readonly action: Action } | undefined
}

/** What came of it. */
export interface Outcome {
  /** I/Os of the first sealing. */
  readonly ios: readonly Io[]
  readonly injected: boolean
  /** Everything that was not as promised. */
  readonly broken: readonly string[]
}

const RERUNS = 3
const OLD = Buffer.from("an older version")

/** Trials of this world, some at once: they have nothing in common but stores, and each has a clock. */
export async function attemptAll(at: SealingWorld, trials: readonly Trial[]): Promise<readonly Outcome[]> {
  await before(at, trials)
  const outcomes: Outcome[] = []
  const left = trials.entries()
  const work = async () => {
    for (const [index, trial] of left) outcomes[index] = await attempt(at, trial)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return outcomes
}

const AT_ONCE = 8 // what takes long is the disk, which takes several writes in one

/** What was there before: an older version that was never sealed, or something older at the destination. */
async function before(at: SealingWorld, trials: readonly Trial[]): Promise<void> {
  if (!at.isVersioned && at.strategy !== "destination, if-match") return
  const { bucket } = at.source("any")
  const isSuspended = at.strategy === "versions suspended"
  if (isSuspended) await at.store.setVersioning(bucket, "enabled")
  await Promise.all(trials.map(({ key }) => at.store.put(at.source(key), OLD)))
  if (isSuspended) await at.store.setVersioning(bucket, "suspended")
  if (at.strategy === "destination, if-match") await Promise.all(trials.map(({ key }) => at.seal(key)))
}

/** One object's history as its user knows it. */
interface Story {
  latest: Buffer | undefined
  description?: string
  /** What is sealed was deleted by the user. */
  withdrawn: boolean
}

/** What the sealings of one object have done. */
interface Deeds {
  writes: number
  /** Versions that sealed ones were written over. */
  readonly sources: Set<string>
  /** Uploads that stood in a progress document. */
  readonly uploads: Set<string>
}

async function attempt(at: SealingWorld, { key, size, plan, user }: Trial): Promise<Outcome> {
  const story: Story = { latest: Buffer.from(patterned(size)), withdrawn: false }
  const deeds: Deeds = { writes: 0, sources: new Set(), uploads: new Set() }
  const broken: string[] = []
  let now = at.world.clock()
  await at.store.put(at.source(key), story.latest ?? OLD)
  const foreign = await at.store.createUpload(at.target(key))

  const look = async (when: string) => {
    if (!(await isThere(at, key, story))) broken.push(`${when}: the latest upload isn't there`)
  }
  const watch = watching(at, key, deeds, look)
  const acting = { ...watch, before: async (index: number) => (user?.at === index ? act(at, key, story, user.action) : undefined) }
  const first = failing(plan, acting)

  const seal = async (through: { store(store: Store): Store; state(state: StateStore): StateStore }): Promise<string> => {
    const sealer = at.sealer({ state: through.state(at.world.state), store: through.store(at.store), clock: () => now })
    try {
      const { outcome } = await at.seal(key, sealer)
      return outcome
    } catch (error) {
      if (!(error instanceof Crash)) broken.push(`threw ${String(error)}`)
      return "ended"
    }
  }

  const outcomes = [await seal(first)]
  for (let rerun = 1; rerun <= RERUNS && !isSettled(outcomes.at(-1)); rerun++) {
    now += LEASE + 1
    outcomes.push(await seal(failing(undefined, watch)))
    await look(`behind rerun ${rerun}`)
  }
  if (!isSettled(outcomes.at(-1))) broken.push(`did not settle: ${outcomes.join(", ")}`)
  broken.push(...await kept(at, key, { story, deeds, foreign, calm: !user }))
  return { ios: first.ios, injected: first.injected, broken }
}

const isSettled = (outcome: string | undefined): boolean => outcome === "already-sealed" || outcome === "gone"

/** Notes what a sealing does, and looks at the object behind everything that may have changed it. */
function watching(at: SealingWorld, key: string, deeds: Deeds, look: (when: string) => Promise<void>): Watch {
  return {
    after: async (index, { name, writes }) => {
      if (name === "put" || name === "completeUpload") {
        deeds.writes++
        const [, below] = at.isVersioned && !at.isDestination ? await at.versions(at.target(key)) : []
        if (below && !below.marker && below.size !== OLD.length) deeds.sources.add(below.versionId)
      }
      if (name === "create" || name === "replace") {
        const uploadId = (await at.progressOf(key))?.uploadId
        if (uploadId !== undefined) deeds.uploads.add(uploadId)
      }
      if (writes) await look(`behind I/O ${index} (${name})`)
    },
  }
}

/** The latest upload is what a reader finds who knows where things may stand. */
async function isThere(at: SealingWorld, key: string, { latest, withdrawn }: Story): Promise<boolean> {
  if (at.isDestination && (withdrawn || latest === undefined)) return true // what is right then, the end shows
  const source = await at.raw(at.source(key))
  const isPlain = source !== undefined && !(await at.isSealed(at.source(key)))
  const found = isPlain ? source : await at.opened(key)
  return latest === undefined ? found === undefined : found?.equals(latest) ?? false
}

async function act(at: SealingWorld, key: string, story: Story, action: Action): Promise<void> {
  const source = at.source(key)
  const isPlain = story.latest !== undefined && (await at.raw(source))?.equals(story.latest)
  switch (action) {
    case "overwrites":
      story.latest = Buffer.from(story.latest ?? OLD).fill("newer")
      await at.store.put(source, story.latest)
      return
    case "deletes":
      story.latest = undefined
      await at.store.delete(source)
      return
    case "uploads the same again":
      if (isPlain) await at.store.put(source, story.latest ?? OLD)
      return
    case "describes anew":
      if (!isPlain) return // it is sealed by now
      story.description = "anew"
      await at.store.put(source, story.latest ?? OLD, { attributes: { metadata: { description: "anew" } } })
      return
    case "deletes what is sealed": {
      const sealed = (await at.isSealed(at.target(key))) ? await at.opened(key) : undefined
      if (!story.latest || !sealed?.equals(story.latest)) return // an older one makes room for the upload that is being sealed
      story.withdrawn = true
      if (!at.isDestination) story.latest = undefined
      await at.store.delete(at.target(key))
    }
  }
}

/** What is not as it must be at the end. */
async function kept(
  at: SealingWorld, key: string,
  { story, deeds, foreign, calm }: { readonly story: Story; readonly deeds: Deeds; readonly foreign: string; readonly calm: boolean },
): Promise<readonly string[]> {
  const broken: string[] = []
  const must = (holds: boolean | undefined, what: string): void => void (holds || broken.push(what))
  const { latest, withdrawn, description } = story
  const target = at.target(key)
  const stays = at.strategy === "destination, keep"
  if (withdrawn || (latest === undefined && !at.isDestination)) must((await at.raw(target)) === undefined, "what the user deleted is back")
  else if (latest) {
    must(await at.isSealed(target) && (await at.opened(key))?.equals(latest), "the latest upload is not what is sealed")
    // Where the same bytes replace a version, and nothing keeps it, no condition sees a new description (docs/security.md).
    const seesDescriptions = at.isVersioned && at.strategy !== "versions suspended"
    if (seesDescriptions && description) must((await at.store.head(target))?.metadata["description"] === description, "the description is lost")
  }
  if (calm) must(deeds.writes === 1, `written ${deeds.writes} times`)
  const document = await at.progressOf(key)
  must(document === undefined || (stays && document.kept), "a progress document is left")
  const { uploads } = await at.store.listUploads(target.bucket, { prefix: key })
  const own = uploads.filter((one) => one.key === key).map(({ uploadId }) => uploadId)
  must(!own.some((id) => deeds.uploads.has(id)), "an upload that stood in progress is left")
  must(own.includes(foreign), "the user's own upload is gone")
  broken.push(...await plaintextLeft(at, key, story, deeds))
  return broken
}

async function plaintextLeft(at: SealingWorld, key: string, { latest }: Story, { sources }: Deeds): Promise<readonly string[]> {
  if (at.strategy === "destination, keep" || (!at.isVersioned && !at.isDestination) || latest === undefined) return []
  if (!at.isVersioned) return (await at.raw(at.source(key))) ? ["the source is left"] : []
  const objects = (await at.versions(at.source(key))).filter(({ marker }) => !marker)
  if (at.isDestination) return objects.length > 0 ? [`${objects.length} versions of the source are left`] : []
  const history = objects.filter(({ size }) => size === OLD.length).length
  return [
    ...history === 1 ? [] : ["what was there before any sealing is gone"],
    ...objects.some(({ versionId }) => sources.has(versionId)) ? ["the plaintext of what is sealed is left"] : [],
  ]
}
