/** Carries out the steps of the sealing protocol on one object: requests to the store, the progress document, the data key. */
import { isFailure, type Failure } from "../errors.ts"
import type { DataKeys } from "../keys/data-keys.ts"
import type { Authority, Log, MultipartStore, ObjectInfo, ObjectRef, ObjectStore, Part, WriteCondition } from "../ports.ts"
import { messageFor, SALT_SIZE, sealedSpan, type Message } from "./message.ts"
import { PART_MEMORY, partSizeFor, sendParts } from "./parts.ts"
import type { Found as FoundAt, Looked, Sealing, Seen, Source, Step, Target } from "./protocol.ts"
import type { Progress, ProgressFields } from "./progress.ts"
import type { Registration } from "./registrations.ts"
import { sourceOf } from "./sealed.ts"
import { findProgress, isBelieved, isHeld, leaseOn, removeProgress, type Found, type Lease, type Tracker } from "./tracking.ts"
import { deleteThrough, findOurs } from "./versions.ts"
import { attributesFor, foundAt, hasMd5, isUnchanged, tagsOf, writeWhole, type Written } from "./write.ts"

/** What is asked of a store to seal in it. */
export type SealableStore =
  & Pick<ObjectStore, "get" | "head" | "put" | "delete" | "getTags" | "listVersions">
  & Pick<MultipartStore, "createUpload" | "putPart" | "completeUpload" | "abortUpload" | "listParts">

/** What carrying out steps needs. */
export interface StepTools extends Tracker {
  readonly store: SealableStore
  readonly dataKeys: DataKeys
  readonly authority: Authority
  readonly log: Log
  /** Random bytes from the system's generator. */
  readonly random: (size: number) => Uint8Array
  /** Open each sealed chunk again before it is sent. */
  readonly reopen: boolean
  /** Bytes that the parts of one upload under way may hold. */
  readonly partsMemory: number
}

/** What a look gave: where it is to be sealed, with what is to be sealed. */
export type View = { readonly looked: Looked } | { readonly looked: Looked; readonly info: ObjectInfo; readonly plaintext: Plaintext }

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
  const { store, dataKeys } = tools
  const { ref, target, owner } = task
  const holder = Buffer.from(tools.random(16)).toString("hex")
  const elsewhere = target.bucket !== ref.bucket
  let info: ObjectInfo | undefined
  let plaintext: Plaintext | undefined
  let noted: Target = {}
  let found: Found | undefined
  let opened: Uint8Array | undefined
  let lease: Lease | undefined
  let fields: Omit<ProgressFields, "bucket" | "key" | "holder" | "until"> | undefined
  let message: Message | undefined
  let parts: readonly Part[] = []
  let written: Written = {}
  let heldUntil = 0

  const known = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the protocol asks for a step before what it needs is there")
    return value
  }
  const source = (): ObjectInfo => known(info)
  const options = { reopen: tools.reopen }

  async function readProgress(): Promise<Extract<Seen, { step: "read-progress" }>["progress"]> {
    found = lease ? await lease.handOver() ?? await findProgress(tools, ref) : await findProgress(tools, ref)
    lease = undefined
    if (!found) return "none"
    const { document } = found
    if (isHeld(found, holder, tools)) {
      heldUntil = document.until
      return "busy"
    }
    const dek = await dataKeyOf(document)
    if (dek === "forbidden") return "unreadable"
    if (!dek) return { authentic: false }
    opened = dek
    if (!isBelieved(found, dek, ref)) return { authentic: false }
    if (document.target.bucket !== target.bucket) return otherTarget(document)
    const { bucket: _, key: _key, holder: _holder, until: _until, mac: _mac, ...rest } = document
    fields = rest
    message = messageFor(target, document.dek, dek, Buffer.from(document.salt, "base64"), document.plaintextSize)
    const { salt, uploadId, written: isWritten, kept } = document
    return { authentic: true, sealing: { source: document.source, target: document.target, salt, uploadId, written: isWritten, kept } }
  }

  /** It was begun for another bucket, under a registration that is no more: what was sent there is of no use. */
  async function otherTarget({ target: { bucket }, uploadId }: Progress): Promise<{ readonly authentic: false }> {
    if (uploadId !== undefined) await store.abortUpload({ bucket, key: ref.key }, uploadId)
    return { authentic: false }
  }

  /** The key of a sealing that was begun. Who may not unwrap can't say whether it was ours. */
  async function dataKeyOf({ dek: id, target: { bucket } }: Progress): Promise<Uint8Array | "forbidden" | undefined> {
    const wanted = { id, bucket, rootKeys: owner.rootKeys }
    const rootKey = await dataKeys.rootKeyOf(wanted)
    if (rootKey === undefined) return undefined
    const { allowed } = await tools.authority.decide(sourceOf(owner), "kms.secrets.unwrap", rootKey)
    if (!allowed) return "forbidden"
    try {
      return await dataKeys.forOpening(wanted)
    } catch (error) {
      if (isFailure(error, "forbidden")) return "forbidden"
      if (isFailure(error, "undecryptable")) return undefined
      throw error
    }
  }

  async function resume(): Promise<boolean> {
    const dek = known(opened)
    lease = leaseOn(tools, ref, holder, found, dek)
    zeroOpened()
    return lease.write(known(fields))
  }

  function zeroOpened(): void {
    opened?.fill(0)
    opened = undefined
  }

  async function claim(from: Source, to: Target): Promise<string | undefined> {
    if (lease) found = await lease.handOver()
    const salt = tools.random(SALT_SIZE)
    const { size } = known(plaintext)
    const { id, dek } = await dataKeys.forSealing(owner, size)
    try {
      message = messageFor(target, id, dek, salt, size)
      lease = leaseOn(tools, ref, holder, found, dek)
    } finally {
      dek.fill(0)
    }
    const text = Buffer.from(salt).toString("base64")
    fields = { source: from, plaintextSize: size, target: { bucket: target.bucket, ...to }, dek: id, salt: text }
    return (await lease.write(fields)) ? text : undefined
  }

  async function beginUpload(): Promise<string | undefined> {
    const tags = await tagsOf(store, task.registration, ref, source())
    const { encryption } = source()
    const uploadId = await store.createUpload(target, {
      attributes: attributesFor(source(), known(plaintext).size), ...(tags.length > 0 ? { tags } : {}), ...(encryption ? { encryption } : {}),
    })
    fields = { ...known(fields), uploadId, partSize: known(partSizeFor(known(message).size)) }
    if (await known(lease).write(fields)) return uploadId
    await store.abortUpload(target, uploadId) // it was made here, and is noted nowhere
    return undefined
  }

  async function send(): Promise<Extract<Seen, { step: "send" }>["sent"]> {
    const { uploadId, partSize } = known(fields)
    const sealed = known(message)
    const held = known(lease)
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
    const from = known(plaintext)
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
    const { etag } = fields?.target ?? noted
    return etag === undefined ? { ifNoneMatch: "*" } : { ifMatch: etag, form }
  }

  async function write(sealing: Sealing | undefined): Promise<Seen> {
    if (sealing && !lease?.holds) return { step: "write", answer: "lease-lost" }
    if (!sealing) message = await freshMessage()
    const reading = pinned()
    const uploadId = sealing?.uploadId
    const multipart = uploadId !== undefined
    written = multipart
      ? await complete(uploadId)
      : await writeWhole({ ...tools, ...task, source: source(), message: known(message), condition: condition(), reading })
    if (reading.changed) return { step: "write", answer: "source-changed" }
    const { result, verified } = written
    if (!result) return { step: "write", answer: answerOf(known(written.refusal), multipart) }
    const newVersion = result.versionId !== undefined && result.versionId !== "null"
    if (newVersion && owner.store.versioning === "off") {
      tools.log.error("versioning was switched on after the probe", { ...ref })
    }
    return { step: "write", answer: verified ? "verified" : "unverified", newVersion }
  }

  async function freshMessage(): Promise<Message> {
    const { size } = known(plaintext)
    const { id, dek } = await dataKeys.forSealing(owner, size)
    try {
      return messageFor(target, id, dek, tools.random(SALT_SIZE), size)
    } finally {
      dek.fill(0)
    }
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
    const before = elsewhere ? fields?.target ?? noted : { etag: source().etag }
    return foundAt(store, target, known(message), before, written)
  }

  async function listVersions(): Promise<Seen> {
    const from = fields?.source ?? source()
    return { step: "list-versions", ...await findOurs(store, ref, from, known(message), written.result?.versionId) }
  }

  async function removeSource(): Promise<boolean | "unknown"> {
    const from = fields?.source ?? source()
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

  async function clear(): Promise<void> {
    if (lease) await lease.clear()
    else if (found) await removeProgress(tools, ref, found, holder)
    lease = undefined
    found = undefined
    fields = undefined
  }

  async function perform(step: Exclude<Step, { step: "end" }>): Promise<Seen> {
    switch (step.step) {
      case "note-target": {
        const etag = (await store.head(target))?.etag
        noted = etag === undefined ? {} : { etag }
        return { step: "note-target", target: noted }
      }
      case "look": {
        const view = await task.look()
        if ("info" in view) ({ info, plaintext } = view)
        written = {}
        return { step: "look", looked: view.looked }
      }
      case "read-progress": return { step: "read-progress", progress: await readProgress() }
      case "resume": return { step: "resume", held: await resume() }
      case "note-written": {
        fields = { ...known(fields), written: true }
        return { step: "note-written", held: await known(lease).write(fields) }
      }
      case "claim": return { step: "claim", salt: await claim(step.source, step.target) }
      case "begin-upload": return { step: "begin-upload", uploadId: await beginUpload() }
      case "send": return { step: "send", sent: await send() }
      case "look-again": return { step: "look-again", same: await isUnchanged(store, ref, source()) }
      case "write": return write(step.sealing)
      case "read-back": return { step: "read-back", found: await readBack() }
      case "list-versions": return listVersions()
      case "remove-source": return { step: "remove-source", removed: await removeSource() }
      case "take-back": await store.delete(target, { versionId: step.versionId }); break
      case "keep-source": await known(lease).write({ ...known(fields), kept: true }); break
      case "abort-upload": await store.abortUpload(target, step.uploadId); break
      case "clear": await clear()
    }
    return { step: step.step }
  }

  return {
    perform,
    get message() { return message },
    get refusal() { return written.refusal },
    get heldUntil() { return heldUntil },
    async release() {
      zeroOpened()
      await lease?.release().catch((cause: unknown) => tools.log.warn("a lease can't be given back; it will end", { ...ref, cause }))
    },
  }
}

/** After each of these a look decides; a completion that was refused because its upload is gone, or in a conflict, is made anew
 *  (S3 reference, CompleteMultipartUpload). */
function answerOf({ code }: Failure, multipart: boolean): "refused" | "upload-gone" | "unknown" {
  if (code === "precondition-failed") return "refused"
  return multipart && (code === "not-found" || code === "conflict") ? "upload-gone" : "unknown"
}
