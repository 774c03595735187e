/** What one run holds of a sealing: the progress document, under its lease, and the message that the document determines. */
import { SALT_SIZE } from "../crypto/chunked.ts"
import { isFailure } from "../errors.ts"
import type { DataKeys } from "../keys/data-keys.ts"
import type { Authority, Log, MultipartStore, ObjectRef } from "../ports.ts"
import { messageFor, type Message } from "./message.ts"
import { isAuthentic, type Progress, type ProgressFields } from "./progress.ts"
import type { Seen, Source, Target } from "./protocol.ts"
import type { Registration } from "./registrations.ts"
import { sourceOf } from "./sealed.ts"
import { findProgress, isHeld, leaseOn, removeProgress, type Found, type Lease, type Tracker } from "./tracking.ts"

/** What holding takes. */
export interface HoldingTools extends Tracker {
  readonly store: Pick<MultipartStore, "abortUpload">
  readonly dataKeys: DataKeys
  readonly authority: Authority
  readonly log: Log
  /** Random bytes from the system's generator. */
  readonly random: (size: number) => Uint8Array
}

/** Where an object is, and where it is sealed to, under which registration. */
export interface HoldingPlace {
  readonly ref: ObjectRef
  readonly target: ObjectRef
  readonly owner: Registration
}

type Fields = Omit<ProgressFields, "bucket" | "key" | "holder" | "until">

/** A run's hold on one object. */
export interface Holding {
  /** Looks for a sealing that was begun, by this run or another one. */
  read(): Promise<Extract<Seen, { step: "read-progress" }>["progress"]>
  /** Takes the lease on what was found; false where somebody was faster. */
  resume(): Promise<boolean>
  /** Begins a sealing in the place of what was found, and gives its salt; `undefined` where somebody was faster. */
  claim(source: Source, target: Target, plaintextSize: number): Promise<string | undefined>
  /** Notes more of it; false where the lease is lost. */
  note(more: Partial<Pick<Fields, "uploadId" | "partSize" | "written" | "kept">>): Promise<boolean>
  /** Makes a message for one write that nothing is noted of. */
  makeMessage(plaintextSize: number): Promise<void>
  /** Ends the document of what was held or found. */
  clear(): Promise<void>
  /** Gives the lease back. Call it whatever happened. */
  release(): Promise<void>
  /** The message that is being written, or was found. */
  readonly message: Message | undefined
  /** What is noted. */
  readonly noted: Fields | undefined
  /** False where somebody else may have taken over. */
  readonly holds: boolean
  /** Until when somebody else has it, in milliseconds since the epoch. */
  readonly heldUntil: number
}

/** The hold of a new run. */
export function holdingOn(tools: HoldingTools, { ref, target, owner }: HoldingPlace): Holding {
  const { dataKeys } = tools
  const holder = Buffer.from(tools.random(16)).toString("hex")
  let found: Found | undefined
  let opened: Uint8Array | undefined
  let lease: Lease | undefined
  let noted: Fields | undefined
  let message: Message | undefined
  let heldUntil = 0

  async function read(): Promise<Extract<Seen, { step: "read-progress" }>["progress"]> {
    zeroOpened()
    found = await lease?.handOver() ?? await findProgress(tools, ref)
    lease = undefined
    noted = undefined
    if (!found) return "none"
    const { document } = found
    if (isHeld(found, holder, tools)) {
      heldUntil = document.until
      return "busy"
    }
    const dek = await openKey(document)
    if (dek === "forbidden") return "unreadable"
    opened = dek
    return dek ? believe(document, dek) : { authentic: false }
  }

  async function believe(document: Progress, dek: Uint8Array): Promise<Extract<Seen, { step: "read-progress" }>["progress"]> {
    if (!isAuthentic(document, dek, ref)) return { authentic: false }
    const { bucket: _, key: _key, holder: _holder, until: _until, mac: _mac, ...fields } = document
    const { source, salt, uploadId, written, kept } = fields
    if (fields.target.bucket !== target.bucket) return forAnother(fields)
    noted = fields
    message = messageFor(target, fields.dek, dek, Buffer.from(salt, "base64"), fields.plaintextSize)
    return { authentic: true, sealing: { source, target: fields.target, salt, uploadId, written, kept } }
  }

  /** It was begun for another bucket, under a registration that is no more: what was sent there is of no use. */
  async function forAnother({ target: { bucket }, uploadId }: Fields): Promise<{ readonly authentic: false }> {
    if (uploadId !== undefined) await tools.store.abortUpload({ bucket, key: ref.key }, uploadId)
    return { authentic: false }
  }

  /** The key of a sealing that was begun. Who may not use it can't say whether that was ours. */
  async function openKey({ dek: id, target: { bucket } }: Progress): Promise<Uint8Array | "forbidden" | undefined> {
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
    if (!opened || !noted) throw new Error("nothing was found to be resumed")
    lease = leaseOn(tools, ref, holder, found, opened)
    zeroOpened()
    return lease.write(noted)
  }

  function zeroOpened(): void {
    opened?.fill(0)
    opened = undefined
  }

  /** A data key, and a message under a fresh salt, which are for this plaintext alone. */
  async function begin<T>(size: number, use: (made: Message, dek: Uint8Array) => T): Promise<T> {
    const { id, dek } = await dataKeys.forSealing(owner, size)
    try {
      message = messageFor(target, id, dek, tools.random(SALT_SIZE), size)
      return use(message, dek)
    } finally {
      dek.fill(0)
    }
  }

  async function claim(source: Source, { etag }: Target, plaintextSize: number): Promise<string | undefined> {
    if (lease) found = await lease.handOver()
    const { dek, salt } = await begin(plaintextSize, (made, key) => {
      lease = leaseOn(tools, ref, holder, found, key)
      return made
    })
    const text = Buffer.from(salt).toString("base64")
    noted = { source, plaintextSize, target: { bucket: target.bucket, ...(etag === undefined ? {} : { etag }) }, dek, salt: text }
    return (await lease?.write(noted)) ? text : undefined
  }

  async function clear(): Promise<void> {
    if (lease) await lease.clear()
    else if (found) await removeProgress(tools, ref, found, holder)
    lease = undefined
    found = undefined
    noted = undefined
  }

  return {
    read, resume, claim, clear,
    async note(more) {
      if (!noted || !lease) throw new Error("nothing is held to be noted in")
      noted = { ...noted, ...more }
      return lease.write(noted)
    },
    makeMessage: (size) => begin(size, () => undefined),
    async release() {
      zeroOpened()
      await lease?.release().catch((cause: unknown) => tools.log.warn("a lease can't be given back; it will end", { ...ref, cause }))
    },
    get message() { return message },
    get noted() { return noted },
    get holds() { return lease?.holds ?? false },
    get heldUntil() { return heldUntil },
  }
}
