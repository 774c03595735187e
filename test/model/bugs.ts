/** Bugs that somebody could have made: each one changes a decision, or how a step is carried out, and must be caught. */
import type { Decision, Memory, Seen } from "../../shared/objects/protocol.ts"
import { asBuilt, type Conduct } from "./conduct.ts"
import { scenario } from "./scenarios.ts"
import type { PromiseName, Scenario } from "./world.ts"

/** One bug, where it shows, and the promise it breaks. */
export interface Bug {
  readonly name: string
  readonly where: Scenario
  readonly conduct: Conduct
  /** Any of these, as the shortest way to break it may take either. */
  readonly breaks: readonly PromiseName[]
}

const LOST = "1: the latest bytes are never lost"
const UNDONE = "2: no delete is undone, no overwrite rolled back"
const LEFT = "3: one sealed object, nothing left, no loop"
const DESCRIPTION = "S8: no description is lost"
const SALT = "retry rule: one salt, one content"
const FOREIGN = "S7: only uploads of our own are aborted"

type Change = Partial<Omit<Conduct, "begin" | "decide">>
const carries = (change: Change): Conduct => ({ ...asBuilt, ...change })

/** Decides otherwise where `change` gives a decision. */
const decides = (change: (memory: Memory, seen: Seen) => Decision | undefined): Conduct =>
  ({ ...asBuilt, decide: (memory, seen) => change(memory, seen) ?? asBuilt.decide(memory, seen) })

const as = (memory: Memory, seen: Seen): Decision => asBuilt.decide(memory, seen)

/** The decision, with what it decided on taken for something else. */
const takes = (change: (seen: Seen, memory: Memory) => Seen): Conduct => decides((memory, seen) => as(memory, change(seen, memory)))

/** What is decided after a second look that has shown the same, without that look. */
const withoutLookAgain: Conduct = decides((memory, seen) => {
  const decision = as(memory, seen)
  return decision.next.step === "look-again" ? as(decision.memory, { step: "look-again", same: true }) : undefined
})

const verified = (...answers: readonly string[]): Conduct =>
  takes((seen) => (seen.step === "write" && answers.includes(seen.answer) ? { ...seen, answer: "verified", newVersion: false } : seen))

const plain = scenario("in place")
const parts = scenario("in place, multipart")
const versions = scenario("versioned")
const suspended = scenario("suspended")
const vaultIfMatch = scenario("to a vault, If-Match")
const vaultVersions = scenario("to a vault, versioned")
const vaultParts = scenario("to a vault, multipart")
const kept = scenario("to a vault, source kept")
const races: Scenario = { ...vaultVersions, name: "to a vault, versioned, races", starts: 2, faults: 0, actions: 1, user: ["put-new"] }
const crash: Scenario = { ...vaultVersions, name: "to a vault, versioned, a crash", starts: 2, faults: 1, actions: 1, user: ["put-new"] }
const partRaces: Scenario = { ...vaultParts, name: "to a vault, multipart, races", starts: 1, faults: 0, actions: 1, user: ["uploads-vanish"] }
const attacked = scenario("in place, multipart, attacked")

const conditions: readonly Bug[] = [
  { name: "no condition on the write", where: plain, conduct: carries({ writes: "always" }), breaks: [LOST, UNDONE] },
  { name: "unconditional write, then a look at which version lies below", where: versions, conduct: carries({ writes: "always" }), breaks: [LOST, UNDONE] },
  { name: "a condition that a missing object fulfils", where: plain, conduct: carries({ writes: "if-unchanged-or-absent" }), breaks: [UNDONE] },
  { name: "unconditional completion of an upload", where: parts, conduct: carries({ writes: "put-if-unchanged" }), breaks: [LOST, UNDONE] },
  { name: "destination written without a condition", where: crash, conduct: carries({ writes: "always" }), breaks: [UNDONE, LEFT] },
  {
    name: "destination read after the source, which is not looked at again", where: races, breaks: [UNDONE, LEFT],
    conduct: { ...withoutLookAgain, notesTarget: "after-the-look" },
  },
  { name: "source removed without a condition", where: vaultIfMatch, conduct: carries({ removesIfUnchanged: false }), breaks: [LOST] },
]

const answers: readonly Bug[] = [
  { name: "412 taken for success", where: races, conduct: verified("refused"), breaks: [LOST, UNDONE, LEFT] },
  { name: "404 of a completion taken for success", where: partRaces, conduct: verified("upload-gone"), breaks: [LOST, UNDONE] },
  { name: "no answer taken for success", where: vaultIfMatch, conduct: verified("unknown"), breaks: [LOST] },
  {
    name: "no answer taken for failure: begun anew with a fresh salt, without a look at what is there", where: vaultIfMatch, breaks: [LEFT, UNDONE],
    conduct: decides((memory, seen) => (seen.step === "read-back" && memory.answer === undefined
      ? { memory: without(memory), next: { step: "claim", source: sourceIn(memory), target: memory.target } } : undefined)),
  },
  {
    name: "delete before verify", where: vaultIfMatch, breaks: [LOST],
    conduct: decides((memory, seen) => (seen.step === "write" && (seen.answer === "unverified" || seen.answer === "unknown")
      ? { memory: { ...memory, answer: seen.answer }, next: { step: "remove-source" } } : undefined)),
  },
  { name: "any sealed object taken for the one written", where: crash, conduct: carries({ ours: "any-sealed" }), breaks: [LOST, UNDONE, LEFT] },
]

const removals: readonly Bug[] = [
  { name: "wrong version deleted: the newest", where: versions, conduct: carries({ removes: "newest" }), breaks: [LOST, UNDONE, LEFT] },
  {
    name: "wrong version deleted: whatever lies below ours", where: versions, breaks: [DESCRIPTION, LEFT],
    conduct: { ...takes((seen) => (seen.step === "list-versions" && seen.source === "elsewhere" ? { ...seen, source: "directly-below" } : seen)), removes: "below-ours" },
  },
  { name: "null version deleted in a suspended bucket, though it is ours", where: suspended, breaks: [LOST, UNDONE], conduct: {
    ...takes((seen) => (seen.step === "list-versions" && seen.source === "gone" && seen.ours !== undefined ? { ...seen, source: "directly-below" } : seen)),
  } },
  { name: "an unexpected version under ours is let pass", where: versions, breaks: [DESCRIPTION, LEFT],
    conduct: takes((seen) => (seen.step === "list-versions" && seen.source === "elsewhere" ? { ...seen, source: "gone" } : seen)) },
  { name: "newest source version removed first", where: vaultVersions, conduct: carries({ removesFrom: "newest" }), breaks: [LOST, UNDONE, LEFT] },
  { name: "source versions removed that are newer than the sealed one", where: vaultVersions, conduct: carries({ removesFrom: "oldest-and-newer-ones-too" }), breaks: [LOST] },
  { name: "a newer upload removed with the older one it repeats", where: vaultIfMatch, breaks: [DESCRIPTION], conduct: decides((memory, seen) =>
    (seen.step === "read-back" && memory.answer === undefined && seen.found === "ours" ? { memory, next: { step: "remove-source" } } : undefined)) },
  { name: "progress cleared before the removal", where: versions, breaks: [LEFT], conduct: decides((memory, seen) =>
    (seen.step === "list-versions" && seen.source === "directly-below" ? { memory: { ...memory, queue: [{ step: "remove-source" }] }, next: { step: "clear" } } : undefined)) },
  { name: "progress not looked for where the object is sealed", where: versions, breaks: [LEFT], conduct: decides((memory, seen) =>
    (seen.step === "look" && seen.looked.saw === "sealed" ? { memory, next: { step: "end", end: "as-looked" } } : undefined)) },
  { name: "that the source is kept is not recorded", where: kept, breaks: [UNDONE, LEFT], conduct: decides((memory, seen) =>
    ((seen.step === "write" && seen.answer === "verified") || (seen.step === "read-back" && seen.found === "ours")
      ? { memory, next: { step: "end", end: "sealed" } } : undefined)) },
]

const resumptions: readonly Bug[] = [
  { name: "salt reused after a changed source", where: parts, conduct: carries({ salts: "found-one-for-a-changed-source" }), breaks: [SALT] },
  { name: "upload resumed with a fresh salt", where: parts, conduct: carries({ salts: "fresh-for-a-resumed-upload" }), breaks: [LOST, LEFT] },
  { name: "resume on a store that ignores If-Match on GET", where: parts, conduct: carries({ pinsReads: false }), breaks: [SALT] },
  { name: "source pinned by its ETag alone", where: parts, breaks: [DESCRIPTION], conduct: decides((memory, seen) => {
    const { sealing, looked } = memory
    if (seen.step !== "resume" || looked.saw !== "plain" || !sealing) return undefined
    return sealing.source.etag === looked.source.etag ? as({ ...memory, sealing: { ...sealing, source: looked.source } }, seen) : undefined
  }) },
  { name: "look-again left out", where: parts, breaks: [DESCRIPTION], conduct: withoutLookAgain },
  { name: "upload of a given-up sealing not aborted", where: parts, breaks: [LEFT], conduct: decides((memory, seen) => {
    const { memory: after, next } = as(memory, seen)
    return next.step === "abort-upload" ? as(after, { step: "abort-upload" }) : undefined
  }) },
  { name: "lease ignored: progress overwritten without compare-and-swap", where: parts, conduct: carries({ leases: false }), breaks: [LEFT, DESCRIPTION] },
]

const trust: readonly Bug[] = [
  { name: "marker trusted: sealed is what its metadata call sealed", where: { ...plain, user: ["put-marked"] }, conduct: carries({ sealedBy: "metadata" }), breaks: [LEFT] },
  { name: "progress not authenticated", where: attacked, conduct: carries({ believes: "all" }), breaks: [SALT, FOREIGN, LEFT] },
  { name: "progress salt replaced by an earlier one, and believed", where: attacked, conduct: carries({ believes: "all-but-other-sources" }), breaks: [SALT, FOREIGN] },
  { name: "another's upload aborted", where: attacked, breaks: [FOREIGN], conduct: decides((memory, seen) =>
    (seen.step === "read-progress" && typeof seen.progress === "object" && !seen.progress.authentic
      ? { memory: { ...memory, queue: [{ step: "clear" }, { step: "end", end: "as-looked" }] }, next: { step: "abort-upload", uploadId: "users-upload" } } : undefined)) },
]

/** All bugs. */
export const bugs: readonly Bug[] = [...conditions, ...answers, ...removals, ...resumptions, ...trust]

/** The memory of a run that has forgotten what was begun. */
const without = ({ sealing: _, ...memory }: Memory): Memory => memory

/** The source that a run has in hand. */
function sourceIn({ looked, sealing }: Memory) {
  const source = looked.saw === "plain" ? looked.source : sealing?.source
  if (!source) throw new Error("nothing was looked at")
  return source
}
