/** Carries out the steps of the sealing protocol on one object: requests to the store, the progress document, the data key. */
import { isFailure, type Failure } from "../errors.ts"
import type { MultipartStore, ObjectInfo, ObjectRef, ObjectStore, Part, WriteCondition } from "../ports.ts"
import { holdingOn, type HoldingTools } from "./holding.ts"
import { sealedSpan, type Message } from "./message.ts"
import { PART_MEMORY, partSizeFor, sendParts } from "./parts.ts"
import type { Found as FoundAt, Looked, Sealing, Seen, Step, Target } from "./protocol.ts"
import type { Registration } from "./registrations.ts"
import { deleteThrough, findOurs } from "./versions.ts"
import { attributesFor, foundAt, hasMd5, isUnchanged, tagsOf, writeWhole, type Written } from "./write.ts"

/** What is asked of a store to seal in it. */
export type SealableStore =
  & Pick<ObjectStore, "get" | "head" | "put" | "delete" | "getTags" | "listVersions">
  & Pick<MultipartStore, "createUpload" | "putPart" | "completeUpload" | "abortUpload" | "listParts">

/** What carrying out steps needs. */
export interface StepTools extends HoldingTools {
  readonly store: SealableStore
  /** Open each sealed chunk again before it is sent. */
  readonly reopen: boolean
  /** Bytes that the parts of one upload under way may hold. */
  readonly partsMemory: number
}

/** What a look gave: where it is to be sealed, with what is to be sealed. */
export type View = { readonly looked: Looked } | Sealable

/** An object that is to be sealed. */
interface Sealable {
  readonly looked: Looked
  readonly info: ObjectInfo
  readonly plaintext: Plaintext
}

/** Bytes to be sealed. A span fails with `precondition-failed` where the source is another one by now. */
export interface Plaintext {
  readonly size: number
  /** From `from` up to and not including `end`. */
  span(from: number, end: number): AsyncIterable<Uint8Array>
}

/** One object being sealed. */
export interface Task {
  readonly ref: ObjectRef
  /** The registration of where it is. */
  readonly registration: Registration
  /** Where it is sealed to: the same place, or the same key in another bucket. */
  readonly target: ObjectRef
  /** The registration whose root key it is sealed under: that of the target. */
  readonly owner: Registration
  /** Reads the start of the source and says what it is. */
  look(): Promise<View>
  readonly signal?: AbortSignal | undefined
}

/** Steps on one object. */
export interface Steps {
  perform(step: Exclude<Step, { step: "end" }>): Promise<Seen>
  /** The message that was written, or that was found to be there. */
  readonly message: Message | undefined
  /** What the store answered to the write, where it was no success. */
  readonly refusal: Failure | undefined
  /** Until when somebody else has the lease, in milliseconds since the epoch. */
  readonly heldUntil: number
  /** Frees the lease. Call it whatever happened. */
  release(): Promise<void>
}

/** Steps on this object. */
export function stepsOn(tools: StepTools, task: Task): Steps {
  const { store } = tools
  const { ref, target, owner } = task
  const held = holdingOn(tools, task)
  const elsewhere = target.bucket !== ref.bucket
  let view: Sealable | undefined
  let noted: Target = {}
  let parts: readonly Part[] = []
  let written: Written = {}

  const known = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the protocol asks for a step before what it needs is there")
    return value
  }
  const source = (): ObjectInfo => known(view).info
  const plaintext = (): Plaintext => known(view).plaintext
  const options = { reopen: tools.reopen }

  async function beginUpload(): Promise<string | undefined> {
    const tags = await tagsOf(store, task.registration, ref, source())
    const { encryption } = source()
    const uploadId = await store.createUpload(target, {
      attributes: attributesFor(source(), plaintext().size), ...(tags.length > 0 ? { tags } : {}), ...(encryption ? { encryption } : {}),
    })
    if (await held.note({ uploadId, partSize: known(partSizeFor(known(held.message).size)) })) return uploadId
    await store.abortUpload(target, uploadId) // it was made here, and is noted nowhere
    return undefined
  }

  async function send(): Promise<Extract<Seen, { step: "send" }>["sent"]> {
    const { uploadId, partSize } = known(held.noted)
    const sealed = known(held.message)
    const reading = pinned()
    try {
      const sent = await sendParts({
        store, target, uploadId: known(uploadId), size: sealed.size, partSize: known(partSize),
        parallel: Math.max(1, Math.floor(tools.partsMemory / PART_MEMORY)), etagIsMd5: hasMd5(owner, source()),
        bytes: (from, end) => sealedSpan(sealed, from, end, reading.span, options),
        goesOn: () => held.holds && !task.signal?.aborted,
      })
      if (sent === "stopped") return held.holds ? "stopped" : "lease-lost"
      parts = sent
      return "all"
    } catch (error) {
      if (reading.changed) return "source-changed"
      if (isFailure(error, "not-found")) return "upload-gone"
      throw error
    }
  }

  /** The plaintext, of exactly the source that was looked at. */
  function pinned() {
    const from = plaintext()
    const reading = {
      changed: false,
      async *span(begin: number, end: number) {
        try {
          yield* from.span(begin, end)
        } catch (error) {
          if (isFailure(error, "precondition-failed")) reading.changed = true
          throw error
        }
      },
      /** Called where the description may have been changed since. */
      async lookAgain() {
        if (await isUnchanged(store, ref, source())) return true
        reading.changed = true
        return false
      },
    }
    return reading
  }

  function condition(): WriteCondition {
    const form = owner.store.matchForm
    if (!elsewhere) return { ifMatch: source().etag, form }
    const { etag } = held.noted?.target ?? noted
    return etag === undefined ? { ifNoneMatch: "*" } : { ifMatch: etag, form }
  }

  async function write(sealing: Sealing | undefined): Promise<Seen> {
    if (sealing && !held.holds) return { step: "write", answer: "lease-lost" }
    if (!sealing) await held.makeMessage(plaintext().size)
    const reading = pinned()
    const uploadId = sealing?.uploadId
    const multipart = uploadId !== undefined
    written = multipart
      ? await complete(uploadId)
      : await writeWhole({ ...tools, ...task, source: source(), message: known(held.message), condition: condition(), reading })
    if (reading.changed) return { step: "write", answer: "source-changed" }
    const { result, verified } = written
    if (!result) return { step: "write", answer: answerOf(known(written.refusal), multipart) }
    const newVersion = result.versionId !== undefined && result.versionId !== "null"
    if (newVersion && owner.store.versioning === "off") {
      tools.log.error("versioning was switched on after the probe", { ...ref })
    }
    return { step: "write", answer: verified ? "verified" : "unverified", newVersion }
  }

  async function complete(uploadId: string): Promise<Written> {
    try {
      return { result: await store.completeUpload(target, uploadId, parts, { condition: condition() }) }
    } catch (error) {
      if (!isFailure(error)) throw error
      return { refusal: error }
    }
  }

  async function readBack(): Promise<FoundAt> {
    const before = elsewhere ? held.noted?.target ?? noted : { etag: source().etag }
    return foundAt(store, target, known(held.message), before, written)
  }

  async function listVersions(): Promise<Seen> {
    const from = held.noted?.source ?? source()
    return { step: "list-versions", ...await findOurs(store, ref, from, known(held.message), written.result?.versionId) }
  }

  async function removeSource(): Promise<boolean | "unknown"> {
    const from = held.noted?.source ?? source()
    try {
      if (!elsewhere) await store.delete(ref, { versionId: from.versionId ?? "null" })
      else if (from.versionId !== undefined) await deleteThrough(store, ref, from)
      else await store.delete(ref, { condition: { ifMatch: from.etag, form: owner.store.matchForm } })
      return true
    } catch (error) {
      if (isFailure(error, "precondition-failed")) return false
      if (isFailure(error, "unavailable", "throttled")) return "unknown"
      throw error
    }
  }

  async function perform(step: Exclude<Step, { step: "end" }>): Promise<Seen> {
    switch (step.step) {
      case "note-target": {
        const etag = (await store.head(target))?.etag
        noted = etag === undefined ? {} : { etag }
        return { step: "note-target", target: noted }
      }
      case "look": {
        const now = await task.look()
        if ("info" in now) view = now
        written = {}
        return { step: "look", looked: now.looked }
      }
      case "read-progress": return { step: "read-progress", progress: await held.read() }
      case "resume": return { step: "resume", held: await held.resume() }
      case "note-written": return { step: "note-written", held: await held.note({ written: true }) }
      case "claim": return { step: "claim", salt: await held.claim(step.source, step.target, plaintext().size) }
      case "begin-upload": return { step: "begin-upload", uploadId: await beginUpload() }
      case "send": return { step: "send", sent: await send() }
      case "look-again": return { step: "look-again", same: await isUnchanged(store, ref, source()) }
      case "write": return write(step.sealing)
      case "read-back": return { step: "read-back", found: await readBack() }
      case "list-versions": return listVersions()
      case "remove-source": return { step: "remove-source", removed: await removeSource() }
      case "take-back": await store.delete(target, { versionId: step.versionId }); break
      case "keep-source": await held.note({ kept: true }); break
      case "abort-upload": await store.abortUpload(target, step.uploadId); break
      case "clear": await held.clear()
    }
    return { step: step.step }
  }

  return {
    perform,
    get message() { return held.message },
    get refusal() { return written.refusal },
    get heldUntil() { return held.heldUntil },
    release: held.release,
  }
}

/** After each of these a look decides; a completion that was refused because its upload is gone, or in a conflict, is made anew
 *  (S3 reference, CompleteMultipartUpload). */
function answerOf({ code }: Failure, multipart: boolean): "refused" | "upload-gone" | "unknown" {
  if (code === "precondition-failed") return "refused"
  return multipart && (code === "not-found" || code === "conflict") ? "upload-gone" : "unknown"
}
