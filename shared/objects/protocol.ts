/**
 * The sealing protocol: what is done next, given what was seen. Pure decisions on opaque names of versions and contents;
 * `seal.ts` carries out the steps, and `test/model/` runs every interleaving of them against stores, users and crashes.
 *
 *     [note-target] → look → [read-progress → resume → settle] → [claim → [begin-upload → send → look-again]] → write
 *          → [read-back] → [list-versions → remove-source] → [clear] → end
 *
 * What is in brackets happens only where it is needed: a small object in a bucket without versions is looked at and written.
 * Everything that takes more than one write is tracked: a progress document, under a lease, names the source from before the
 * write until nothing is left to be done, so that whoever meets the object next finishes it.
 */

/** Which object is being sealed: its bytes (ETag, size) and its description (last change, version). */
export interface Source {
  readonly etag: string
  readonly size: number
  readonly lastModified: number
  readonly versionId?: string | undefined
}

/** What stands at the target before the write: an ETag, or nothing. */
export interface Target {
  readonly etag?: string | undefined
}

/** A sealing that was begun: one salt for exactly one source. */
export interface Sealing {
  readonly source: Source
  readonly target: Target
  readonly salt: string
  readonly uploadId?: string | undefined
  /** It is at the target, for sure; only the source is left to be removed. */
  readonly written?: boolean | undefined
  /** Sealed already, and its source stays where it is. */
  readonly kept?: boolean | undefined
}

/** How what was sealed leaves the place it was read from. In place it is replaced, and nothing is left without versions. */
export type Removal = "none" | "version" | "if-match" | "keep"

/** What holds for all objects of a registration. */
export interface Setting {
  readonly destination: boolean
  readonly removal: Removal
}

/** What a look at the source showed. `tracked`: there may be a progress document. */
export type Looked =
  | { readonly saw: "absent"; readonly tracked: boolean }
  | { readonly saw: "sealed"; readonly tracked: boolean }
  | { readonly saw: "plain"; readonly tracked: boolean; readonly source: Source; readonly write: "put" | "multipart" }

/** What to do next. */
export type Step =
  /** See what is at the target: before the source is looked at, or an older source would be written over a newer one. */
  | { readonly step: "note-target" }
  | { readonly step: "look" }
  | { readonly step: "read-progress" }
  /** Take the lease on what was found. */
  | { readonly step: "resume" }
  /** Store a new progress document, with a fresh salt, for this source, in the place of what is there. */
  | { readonly step: "claim"; readonly source: Source; readonly target: Target }
  | { readonly step: "begin-upload" }
  | { readonly step: "send" }
  | { readonly step: "look-again" }
  /** Of the sealing that was begun or, where nothing is tracked, of one that is this write alone. */
  | { readonly step: "write"; readonly sealing: Sealing | undefined }
  | { readonly step: "read-back" }
  | { readonly step: "list-versions" }
  /** Remove exactly this version, which is one of ours. */
  | { readonly step: "take-back"; readonly versionId: string }
  /** Note that it is at the target: whoever comes next only removes the source, so that a delete there is not undone. */
  | { readonly step: "note-written" }
  | { readonly step: "remove-source" }
  | { readonly step: "keep-source" }
  | { readonly step: "abort-upload"; readonly uploadId: string }
  | { readonly step: "clear" }
  | { readonly step: "end"; readonly end: End }

/** How it ended. `as-looked`: as the last look says (sealed already, or why not). */
export type End =
  | "sealed" | "as-looked" | "gone" | "superseded" | "busy" | "unfinished" | "unavailable"
  | "condition-misbehaves" | "stored-bytes-differ" | "keeps-changing" | "cannot-resume"

/** What carrying out a step showed. */
export type Seen =
  | { readonly step: "note-target"; readonly target: Target }
  | { readonly step: "look"; readonly looked: Looked }
  /** `unreadable`: whoever runs this may not use its data key. `authentic: false`: nobody who has that key made it for this source. */
  | { readonly step: "read-progress"; readonly progress: "none" | "busy" | "unreadable" | { readonly authentic: false } | { readonly authentic: true; readonly sealing: Sealing } }
  | { readonly step: "resume" | "note-written"; readonly held: boolean }
  | { readonly step: "claim"; readonly salt: string | undefined }
  | { readonly step: "begin-upload"; readonly uploadId: string | undefined }
  | { readonly step: "send"; readonly sent: "all" | "stopped" | "source-changed" | "upload-gone" | "lease-lost" }
  | { readonly step: "look-again"; readonly same: boolean }
  /** `verified`: the answer proves what is stored. `upload-gone`, `refused`, `unknown`: the effect is to be looked up. */
  | { readonly step: "write"; readonly answer: "lease-lost" | "source-changed" | "verified" | "unverified" | "refused" | "upload-gone" | "unknown"; readonly newVersion?: boolean }
  | { readonly step: "read-back"; readonly found: Found }
  /** `ours`: the version that this sealing has written, if it is there. */
  | { readonly step: "list-versions"; readonly ours?: string; readonly source: "directly-below" | "elsewhere" | "gone" }
  | { readonly step: "remove-source"; readonly removed: boolean | "unknown" }
  | { readonly step: "take-back" | "keep-source" | "abort-upload" | "clear" }

/** What is at the place of the write. `as-before`: what the write was to replace (nothing, where nothing was there). */
export type Found = "ours" | "ours-damaged" | "as-before" | "other" | "absent"

/** What the protocol remembers between two steps. */
export interface Memory {
  readonly setting: Setting
  /** How often it began anew. */
  readonly round: number
  readonly target: Target
  readonly looked: Looked
  readonly sealing?: Sealing
  /** The lease was taken before the last look. */
  readonly leased?: boolean
  /** The salt of a sealing of which another source or description was seen, or whose upload is gone: it is gone on with no more. */
  readonly spoiled?: string | undefined
  /** What the answer to the write was; absent before it. */
  readonly answer?: Extract<Seen, { step: "write" }>["answer"]
  /** The write made a version of its own. */
  readonly newVersion?: boolean
  /** Steps that are decided already. */
  readonly queue: readonly Step[]
}

/** A decision: what to do, and what to remember until it is done. */
export interface Decision {
  readonly memory: Memory
  readonly next: Step
}

const ROUNDS = 5 // an object that changes this often while it is sealed is tried again later

/** The first step. */
export function begin(setting: Setting): Decision {
  return anew({ setting, round: -1, target: {}, looked: { saw: "absent", tracked: false }, queue: [] })
}

/** The step after this one. */
export function decide(memory: Memory, seen: Seen): Decision {
  switch (seen.step) {
    case "note-target": return go({ ...memory, target: seen.target }, { step: "look" })
    case "look": return onLook({ ...memory, looked: seen.looked }, seen.looked)
    case "read-progress": return onProgress(memory, seen.progress)
    case "resume": return seen.held ? settle(memory) : end(memory, busyEnd(memory))
    case "note-written": return seen.held ? go(memory, { step: "remove-source" }) : end(memory, "busy")
    case "claim": return onClaim(memory, seen.salt)
    case "begin-upload": return onUpload(memory, seen.uploadId)
    case "send": return onSent(memory, seen.sent)
    case "look-again": return seen.same ? write(memory) : spoiled(memory)
    case "write": return onWrite({ ...memory, answer: seen.answer, newVersion: seen.newVersion ?? false })
    case "read-back": return onReadBack(memory, seen.found)
    case "list-versions": return onVersions(memory, seen)
    case "remove-source": return onRemoved(memory, seen.removed)
    default: return queued(memory)
  }
}

const go = (memory: Memory, next: Step): Decision => ({ memory, next })
const end = (memory: Memory, how: End): Decision => go(memory, { step: "end", end: how })

/** Steps whose outcome changes nothing, one after the other. The last one is not among these. */
function queued(memory: Memory): Decision {
  const [next, ...queue] = memory.queue
  if (!next) throw new Error("the protocol has no step to go on with")
  return next.step === "look" || next.step === "note-target" ? anew({ ...memory, queue }) : go({ ...memory, queue }, next)
}

const run = (memory: Memory, ...steps: readonly Step[]): Decision => queued({ ...memory, queue: steps })

/** From the beginning, on what is there now. */
function anew({ setting, round, target, looked, sealing, leased = sealing !== undefined, spoiled }: Memory): Decision {
  const memory = { setting, round: round + 1, target, looked, spoiled, queue: [], ...(leased ? { leased } : {}) }
  if (memory.round > ROUNDS) return end(memory, "keeps-changing")
  return go(memory, { step: setting.destination ? "note-target" : "look" })
}

function onLook(memory: Memory, looked: Looked): Decision {
  // What this run has begun itself it finds again, whatever the object is by now.
  if (looked.tracked || memory.leased) return go(memory, { step: "read-progress" })
  return looked.saw === "plain" ? write(memory) : end(memory, lookedEnd(looked))
}

const lookedEnd = ({ saw }: Looked): End => (saw === "absent" ? "gone" : "as-looked")

/** Whoever holds the lease finishes what is to be done; a plain object is then looked at again. */
const busyEnd = ({ looked }: Memory): End => (looked.saw === "plain" ? "busy" : lookedEnd(looked))

function onProgress(memory: Memory, progress: Extract<Seen, { step: "read-progress" }>["progress"]): Decision {
  if (progress === "busy") return end(memory, busyEnd(memory))
  if (progress === "unreadable") return end(memory, "cannot-resume") // whoever may use its key finishes it
  if (progress === "none") return fresh(memory, [])
  if (!progress.authentic) return fresh(memory, [{ step: "clear" }]) // whatever upload it names is not aborted: it may be a user's
  const found = { ...memory, sealing: progress.sealing }
  return progress.sealing.kept && isSameSource(found) ? end(found, "as-looked") : go(found, { step: "resume" })
}

/** Nothing that was begun is of use any more: cleared away, then what the look says. A claim replaces the document. */
function fresh(memory: Memory, before: readonly Step[]): Decision {
  const { looked, target } = memory
  if (looked.saw !== "plain") return run(memory, ...before, { step: "end", end: lookedEnd(looked) })
  const steps = before.filter(({ step }) => step !== "clear")
  return run(memory, ...steps, { step: "claim", source: looked.source, target })
}

/** The upload of a sealing that is given up, and its document. */
function giveUp(memory: Memory): readonly Step[] {
  const uploadId = memory.sealing?.uploadId
  return [...(uploadId === undefined ? [] : [{ step: "abort-upload", uploadId } as const]), ...cleared(memory)]
}

/** Its document, where it is tracked. */
const cleared = ({ sealing }: Memory): readonly Step[] => (sealing ? [{ step: "clear" }] : [])

/** What did the sealing that was found do? */
function settle(memory: Memory): Decision {
  const { setting, sealing } = memory
  if (sealing && sealing.salt === memory.spoiled) return fresh(memory, giveUp(memory))
  if (sealing?.kept) return another(memory)
  if (setting.destination) return sealing?.written ? onTarget(memory, "ours") : go(memory, { step: "read-back" })
  if (setting.removal === "version") return go(memory, { step: "list-versions" })
  return isSameSource(memory) ? onward(memory) : another(memory)
}

/** A sealing that was found is not of what was looked at. The look may be older than it: with the lease in hand, once more. */
function another(memory: Memory): Decision {
  return memory.leased ? fresh(memory, giveUp(memory)) : anew(memory)
}

function isSameSource({ looked, sealing }: Memory): boolean {
  if (looked.saw !== "plain" || !sealing) return false
  const { etag, size, lastModified, versionId } = sealing.source
  const { source } = looked
  return source.etag === etag && source.size === size && source.lastModified === lastModified && source.versionId === versionId
}

/** It has not been written yet: on with it, where it is still the same source, and in front of the same target. */
function unwritten(memory: Memory): Decision {
  const { sealing, target } = memory
  const sameTarget = sealing?.target.etag === target.etag
  return isSameSource(memory) && sameTarget ? onward(memory) : another(memory)
}

/** On towards the write. At another place its condition doesn't see that the source is another one by now, or gone. */
function onward(memory: Memory): Decision {
  const { looked, sealing, setting } = memory
  if (sealing?.uploadId !== undefined) return go(memory, { step: "send" })
  if (looked.saw === "plain" && looked.write === "multipart") return go(memory, { step: "begin-upload" })
  return setting.destination ? go(memory, { step: "look-again" }) : write(memory)
}

const write = (memory: Memory): Decision => go(memory, { step: "write", sealing: memory.sealing })

function onClaim(memory: Memory, salt: string | undefined): Decision {
  if (salt === undefined || memory.looked.saw !== "plain") return end(memory, "busy")
  return onward({ ...memory, sealing: { source: memory.looked.source, target: memory.target, salt } })
}

function onUpload(memory: Memory, uploadId: string | undefined): Decision {
  if (uploadId === undefined || !memory.sealing) return end(memory, "busy")
  return go({ ...memory, sealing: { ...memory.sealing, uploadId } }, { step: "send" })
}

function onSent(memory: Memory, sent: Extract<Seen, { step: "send" }>["sent"]): Decision {
  if (sent === "all") return go(memory, { step: "look-again" })
  if (sent === "stopped") return end(memory, "unfinished")
  if (sent === "lease-lost") return end(memory, "busy")
  return spoiled(memory) // its upload is gone, or another source was read
}

/** What was begun can't become what it was begun for. It is met again, and given up then, with the lease in hand. */
const spoiled = (memory: Memory): Decision => anew({ ...memory, spoiled: memory.sealing?.salt })

function onWrite(memory: Memory): Decision {
  const { answer } = memory
  if (answer === "lease-lost") return end(memory, "busy")
  if (answer === "source-changed") return spoiled(memory)
  return answer === "verified" ? written(memory) : go(memory, { step: "read-back" })
}

/** Ours is there. */
function written(memory: Memory): Decision {
  const { setting: { destination, removal } } = memory
  if (removal === "keep") return run(memory, { step: "keep-source" }, { step: "end", end: "sealed" })
  if (destination) return go(memory, { step: memory.sealing?.written ? "remove-source" : "note-written" })
  if (removal === "version" || memory.newVersion) return go(memory, { step: "list-versions" })
  return run(memory, ...cleared(memory), { step: "end", end: "sealed" })
}

function onReadBack(memory: Memory, found: Found): Decision {
  const { answer, setting } = memory
  if (answer === undefined) return onTarget(memory, found)
  if (found === "ours") return written(memory)
  if (found === "ours-damaged") return end(memory, "stored-bytes-differ")
  const isAnswered = answer === "unverified" // then ours may lie below what has been written since
  if (setting.removal === "version" && !setting.destination && (isAnswered || found !== "as-before")) {
    return go(memory, { step: "list-versions" })
  }
  if (found === "as-before") return onRefused(memory)
  if (setting.destination) return run(memory, ...abort(memory), { step: "note-target" }) // nothing is removed that wasn't seen there
  const how = found === "absent" ? "gone" : "superseded"
  return run(memory, ...giveUp(memory), { step: "end", end: how })
}

/** What was to be replaced still stands there. */
function onRefused(memory: Memory): Decision {
  const { answer } = memory
  if (answer === "unknown") return end(memory, "unavailable")
  if (answer === "upload-gone") return run(memory, ...abort(memory), { step: "look" })
  return run(memory, ...giveUp(memory), { step: "end", end: "condition-misbehaves" })
}

const abort = (memory: Memory): readonly Step[] => giveUp(memory).filter(({ step }) => step === "abort-upload")

/** A sealing that was found: is it at the target? */
function onTarget(memory: Memory, found: Found): Decision {
  if (found !== "ours") return unwritten(memory)
  // What was uploaded since is not removed with it. Among versions the older ones are, and the newer one is sealed then.
  const isNewer = memory.looked.saw === "plain" && !isSameSource(memory)
  return isNewer && memory.setting.removal !== "version" ? another(memory) : written(memory)
}

function onVersions(memory: Memory, { ours, source }: Extract<Seen, { step: "list-versions" }>): Decision {
  if (ours === undefined) return memory.answer === undefined ? unwritten(memory) : anew(memory)
  if (source === "directly-below") return go(memory, { step: "remove-source" })
  // Another version came between, with the same ETag: it may say something else of itself, and is sealed for itself.
  if (source === "elsewhere") return run(memory, { step: "take-back", versionId: ours }, { step: "look" })
  return finished(memory)
}

function onRemoved(memory: Memory, removed: boolean | "unknown"): Decision {
  return removed === "unknown" ? end(memory, "unavailable") : finished(memory) // refused: a newer upload is there, for itself
}

/** Nothing is left to be done for this sealing. One that was only found may have a newer upload above it. */
function finished(memory: Memory): Decision {
  if (memory.answer !== undefined) return run(memory, ...cleared(memory), { step: "end", end: "sealed" })
  return isSameSource(memory) ? run(memory, { step: "clear" }, { step: "end", end: "sealed" }) : fresh(memory, giveUp(memory))
}
