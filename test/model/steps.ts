/** Carries out the protocol's steps, one request at a time, against the model's store. */
import type { Found, Looked, Sealing, Source, Step } from "../../shared/objects/protocol.ts"
import { removeSource } from "./removal.ts"
import { seals } from "./ledger.ts"
import { seen, send, within, type Turn } from "./sealer.ts"
import { bucketAt, current, etagOf, targetOf, type Condition, type Document, type Move, type Part, type Request, type Version } from "./world.ts"

/** All that may come of the run's next request. The first is what happens when nothing goes wrong. */
export function stepMoves(turn: Turn): Move[] {
  const { next } = turn.run
  switch (next.step) {
    case "note-target": return [noteTarget(turn)]
    case "look": return [look(turn)]
    case "read-progress": return readProgress(turn)
    case "resume": return resume(turn)
    case "claim": return claim(turn, next)
    case "begin-upload": return beginUpload(turn)
    case "send": return sendParts(turn)
    case "look-again": return [lookAgain(turn)]
    case "write": return write(turn)
    case "read-back": return [readBack(turn)]
    case "list-versions": return [listVersions(turn)]
    case "remove-source": return removeSource(turn)
    case "take-back": return takeBack(turn, next)
    case "note-written": return noteWritten(turn)
    case "keep-source": return keepSource(turn)
    case "abort-upload": return send(turn, "abort-upload", { do: "abort", id: next.uploadId }, "gives-up", (then) => seen(then, `aborts ${next.uploadId}`, { step: "abort-upload" }))
    case "clear": return clear(turn)
    case "end": return []
  }
}

const targetNow = ({ state }: Turn) => {
  const there = current(targetOf(state.world))
  return there ? { etag: etagOf(there) } : {}
}

function noteTarget(turn: Turn): Move {
  const target = turn.conduct.notesTarget === "before-the-look" ? targetNow(turn) : {}
  return seen(turn, `notes the target ${target.etag ?? "absent"}`, { step: "note-target", target })
}

function look(turn: Turn): Move {
  const { state, run, conduct, scenario: { setting } } = turn
  const there = current(state.world.source)
  const looked = whatIsThere(turn, there)
  const knows = { seen: there?.upload ?? 0, again: false }
  const change = { looked: { description: there?.description ?? 0, upload: knows.seen }, knows }
  if (setting.destination && conduct.notesTarget === "after-the-look") {
    if (run.at === 0) return within(turn, `looks: ${looked.saw}`, { ...change, at: 1, memory: { ...run.memory, looked } })
    return seen(turn, "notes the target too late", { step: "look", looked: run.memory.looked }, { memory: { ...run.memory, target: targetNow(turn) } })
  }
  return seen(turn, `looks: ${looked.saw} ${there ? etagOf(there) : ""}`, { step: "look", looked }, change)
}

function whatIsThere({ state: { world }, scenario, conduct }: Turn, there: Version | undefined): Looked {
  const { setting, multipart } = scenario
  const isLarge = multipart && !(scenario.smallAgain && there?.bytes !== "u1") // what is put over the first upload may be small
  const tracked = conduct.meetsBegun === true || setting.destination || setting.removal !== "none" || isLarge || (multipart && !there)
  if (!there) return { saw: "absent", tracked }
  if (there.salt !== "" || (conduct.sealedBy === "metadata" && there.bytes === "marked")) return { saw: "sealed", tracked }
  return { saw: "plain", tracked, source: pinOf(world.source.versioning !== "off", there), write: isLarge ? "multipart" : "put" }
}

/** What a response tells of a version. */
function pinOf(versions: boolean, { id, bytes, salt, lastModified }: Version): Source {
  return { etag: etagOf({ bytes, salt }), size: 1, lastModified, ...(versions ? { versionId: id } : {}) }
}

/** A document of somebody else's is busy, or its lease has run out. One's own is never busy. */
function readProgress(turn: Turn): Move[] {
  const { state: { world: { progress } }, run } = turn
  if (!progress) return [seen(turn, "reads no progress", { step: "read-progress", progress: "none" }, { grip: "read" })]
  const grip = run.grip === "held" ? "held" as const : "read" as const
  const found = isBelieved(turn, progress) ? { authentic: true as const, sealing: progress.sealing } : { authentic: false as const }
  const taken = seen(turn, `reads progress ${progress.sealing.salt}`, { step: "read-progress", progress: found }, { grip })
  return grip === "held" ? [taken] : [taken, seen(turn, "reads: busy", { step: "read-progress", progress: "busy" }, { grip })]
}

function isBelieved({ conduct, run: { memory: { looked } } }: Turn, { authentic, sealing }: Document): boolean {
  if (authentic || conduct.believes === "all") return true
  return conduct.believes === "all-but-other-sources" && looked.saw === "plain" && looked.source.etag === sealing.source.etag
}

const holdsLease = ({ run, conduct }: Turn): boolean => run.grip === "held" || !conduct.leases
const knowsProgress = ({ run, conduct }: Turn): boolean => run.grip !== "none" || !conduct.leases

const storeProgress = (sealing: Sealing): Request => ({ do: "store-progress", progress: { authentic: true, sealing }, unconditional: false })

function resume(turn: Turn): Move[] {
  const { sealing } = turn.run.memory
  if (!sealing || !knowsProgress(turn)) return [seen(turn, "resumes too late", { step: "resume", held: false })]
  return send(turn, "resumes", storeProgress(sealing), "gives-up", (then) => {
    if (turn.conduct.salts !== "fresh-for-a-resumed-upload") return seen(then, `resumes ${sealing.salt}`, { step: "resume", held: true })
    const [salt, salted] = freshSalt(then)
    return seen(salted, `resumes as ${salt}`, { step: "resume", held: true }, { memory: { ...then.run.memory, sealing: { ...sealing, salt } } })
  })
}

function freshSalt(turn: Turn): [string, Turn] {
  const { state } = turn
  const salts = state.world.made.salts + 1
  return [`s${salts}`, { ...turn, state: { ...state, world: { ...state.world, made: { ...state.world.made, salts } } } }]
}

function claim(turn: Turn, { source, target }: Extract<Step, { step: "claim" }>): Move[] {
  if (!knowsProgress(turn)) return [seen(turn, "claims too late", { step: "claim", salt: undefined })]
  const found = turn.conduct.salts === "found-one-for-a-changed-source" ? turn.state.world.progress?.sealing.salt : undefined
  const [salt, salted] = found === undefined ? freshSalt(turn) : [found, turn]
  return send(salted, "claims", storeProgress({ source, target, salt }), "gives-up", (then) => seen(then, `claims ${salt} for ${source.etag}`, { step: "claim", salt }))
}

function beginUpload(turn: Turn): Move[] {
  const { run } = turn
  if (run.at === 0) {
    return send(turn, "creates an upload", { do: "create-upload", description: run.looked.description }, "gives-up", (then) =>
      within(then, "creates an upload", { at: 1, madeUpload: `upload${then.state.world.made.uploads}` }))
  }
  const { sealing } = run.memory
  if (!sealing || !holdsLease(turn)) return [seen(turn, "can't record its upload", { step: "begin-upload", uploadId: undefined })]
  const uploadId = run.madeUpload
  return send(turn, "records its upload", storeProgress({ ...sealing, uploadId }), "gives-up", (then) =>
    seen(then, `records ${uploadId}`, { step: "begin-upload", uploadId }, { madeUpload: "" }))
}

/** Lists the parts that are there, then reads and sends each of the others. */
function sendParts(turn: Turn): Move[] {
  const { state, run } = turn
  const sealing = run.memory.sealing
  const upload = state.world.uploads.find(({ id }) => id === sealing?.uploadId)
  if (run.at === 0) {
    if (!upload) return [seen(turn, "finds no upload", { step: "send", sent: "upload-gone" })]
    const listed = ["0", "1"].filter((number) => upload.parts[Number(number)] === null)
    return [within(turn, "lists parts", { at: 1, listed })]
  }
  const [number, ...listed] = run.listed
  if (number === undefined || !sealing) return [seen(turn, "has sent all", { step: "send", sent: "all" })]
  if (!holdsLease(turn)) return [seen(turn, "has lost the lease", { step: "send", sent: "lease-lost" })]
  const part = readPinned(turn, sealing.source, sealing.salt)
  if (!part) return [seen(turn, "finds another source", { step: "send", sent: "source-changed" })]
  const request: Request = { do: "send-part", id: sealing.uploadId ?? "", number: number === "0" ? 0 : 1, part }
  const sealed = { ...turn, state: seals(state, part.salt, part.bytes) }
  return send(sealed, `sends part ${number}`, request, "goes-on", (then, answer) => {
    if (answer === "missing") return seen(then, "finds no upload", { step: "send", sent: "upload-gone" })
    return within(then, `sends part ${number}`, { listed: answer === "done" ? listed : run.listed })
  })
}

/** The source's bytes, of the version that was pinned; else nothing. */
function readPinned({ state: { world }, conduct }: Turn, { etag, versionId }: Source, salt: string): Part | undefined {
  const version = versionId === undefined ? current(world.source) : world.source.versions.find(({ id }) => id === versionId)
  const there = conduct.pinsReads ? version : current(world.source)
  return there && (!conduct.pinsReads || etagOf(there) === etag) ? { bytes: etagOf(there), salt } : undefined
}

function lookAgain(turn: Turn): Move {
  const { state: { world }, run } = turn
  const there = current(world.source)
  const pin = run.memory.sealing?.source
  const now = there && pinOf(world.source.versioning !== "off", there)
  const same = there?.description === run.looked.description && now?.etag === pin?.etag
    && now?.lastModified === pin?.lastModified && now?.versionId === pin?.versionId
  return seen(turn, `looks again: ${same ? "the same" : "another"}`, { step: "look-again", same }, { knows: { seen: there?.upload ?? 0, again: true } })
}

/** What is sealed: the source that a document pins, or the one that was looked at. */
export const sourceOf = ({ run: { memory: { sealing, looked } } }: Turn): Source | undefined =>
  sealing?.source ?? (looked.saw === "plain" ? looked.source : undefined)

function condition({ run, conduct, scenario: { setting } }: Turn, source: Source, how: "put" | "complete"): Condition {
  const { sealing, target } = run.memory
  if (conduct.writes === "always" || (conduct.writes === "put-if-unchanged" && how === "complete")) return undefined
  const etag = setting.destination ? (sealing?.target ?? target).etag : source.etag
  return etag === undefined ? { ifNoneMatch: "*" } : { ifMatch: etag, ...(conduct.writes === "if-unchanged-or-absent" ? { orAbsent: true } : {}) }
}

function write(turn: Turn): Move[] {
  const { run } = turn
  const source = sourceOf(turn)
  const sealing = run.memory.sealing
  if (!source) throw new Error("nothing to write")
  if (sealing && !holdsLease(turn)) return [seen(turn, "has lost the lease", { step: "write", answer: "lease-lost" })]
  if (sealing?.uploadId !== undefined) {
    return sendWrite(turn, { do: "complete", id: sealing.uploadId, condition: condition(turn, source, "complete"), upload: run.looked.upload, where: "target", knows: run.knows })
  }
  const [salt, salted] = sealing ? [sealing.salt, turn] : freshSalt(turn)
  const content: Part = { bytes: source.etag, salt } // a small object's bytes came with the look
  const sealed = { ...salted, run: { ...run, salt }, state: seals(salted.state, salt, content.bytes) }
  const request: Request = { do: "put", content, upload: run.looked.upload, description: run.looked.description, condition: condition(turn, source, "put"), where: "target", knows: run.knows }
  return sendWrite(sealed, request)
}

function sendWrite(turn: Turn, request: Request): Move[] {
  const versions = targetOf(turn.state.world).versioning === "enabled"
  return send(turn, `writes (${request.do})`, request, "goes-on", (then, answer) => {
    const says = { done: turn.scenario.answersProve ? "verified" : "unverified", refused: "refused", missing: "upload-gone", unknown: "unknown" } as const
    return seen(then, `writes (${request.do}): ${says[answer]}`, { step: "write", answer: says[answer], newVersion: answer === "done" && versions }, { salt: then.run.salt })
  })
}

function readBack(turn: Turn): Move {
  const found = whatWasWritten(turn)
  return seen(turn, `reads back: ${found}`, { step: "read-back", found })
}

function whatWasWritten({ run, state: { world }, scenario: { setting }, conduct }: Turn): Found {
  const { sealing, looked, target } = run.memory
  const there = current(targetOf(world))
  const salt = sealing?.salt ?? run.salt
  if (there && (there.salt === salt || (conduct.ours === "any-sealed" && there.salt !== ""))) return "ours"
  const source = sealing?.source ?? (looked.saw === "plain" ? looked.source : undefined)
  const before = setting.destination ? (sealing?.target ?? target).etag : source?.etag
  if ((there && etagOf(there)) === before) return "as-before"
  return there ? "other" : "absent"
}

/** Lists, then reads the starts of the sealed versions that were listed. Ours is the newest with this salt that lies directly on
 *  a version with the pinned ETag, as a conditional write does; a user's copy of it does not. Else the oldest: its source is gone. */
function listVersions(turn: Turn): Move {
  const { run, state: { world } } = turn
  const bucket = bucketAt(world, "target")
  if (run.at === 0) return within(turn, "lists versions", { at: 1, listed: bucket.versions.map(({ id }) => id) })
  const salt = run.memory.sealing?.salt ?? run.salt
  const pin = sourceOf(turn)
  const versionOf = (id: string | undefined) => bucket.versions.find((version) => version.id === id)
  const isOurs = (id: string) => versionOf(id)?.salt === salt
  const onSource = (id: string, at: number) => isOurs(id) && etagAt(versionOf(run.listed[at - 1])) === pin?.etag
  const written = run.listed.findLastIndex(onSource)
  const ours = written < 0 ? run.listed.findIndex(isOurs) : written
  const isPinned = (id: string) => id === (pin?.versionId ?? "null") && etagAt(versionOf(id)) === pin?.etag
  const below = run.listed.findIndex(isPinned)
  const where = below < 0 ? "gone" : below === ours - 1 ? "directly-below" : "elsewhere"
  return seen(turn, `reads versions: ${ours < 0 ? "not written" : where}`, { step: "list-versions", ...(ours < 0 ? {} : { ours: run.listed[ours] ?? "" }), source: where })
}

const etagAt = (version: Version | undefined): string | undefined => version && etagOf(version)

function takeBack(turn: Turn, { versionId }: Extract<Step, { step: "take-back" }>): Move[] {
  return send(turn, "takes back", { do: "delete-version", where: "target", id: versionId }, "gives-up", (then) => seen(then, `takes ${versionId} back`, { step: "take-back" }))
}

function noteWritten(turn: Turn): Move[] {
  const { sealing } = turn.run.memory
  if (!sealing || !holdsLease(turn)) return [seen(turn, "can't note that it has written", { step: "note-written", held: false })]
  return send(turn, "notes that it has written", storeProgress({ ...sealing, written: true }), "gives-up", (then) =>
    seen(then, "notes that it has written", { step: "note-written", held: true }))
}

function keepSource(turn: Turn): Move[] {
  const { sealing } = turn.run.memory
  if (!sealing || !holdsLease(turn)) return [seen(turn, "can't record that it keeps the source", { step: "keep-source" })]
  return send(turn, "records that it keeps the source", storeProgress({ ...sealing, kept: true }), "gives-up", (then) => seen(then, "records that it keeps the source", { step: "keep-source" }))
}

/** Looks whether the document is the one it knows, and removes it: one step here, but the removal itself has no condition. */
function clear(turn: Turn): Move[] {
  if (turn.run.grip === "none") return [seen(turn, "leaves progress to another", { step: "clear" })]
  const request: Request = { do: "store-progress", progress: null, unconditional: true }
  return send(turn, "clears", request, "gives-up", (then) => seen(then, "clears", { step: "clear" }, { grip: "read" }))
}
