/**
 * Finds out what a store does with conditions, by canaries in a scratch prefix of the very bucket that is to be trusted.
 * Stores are told apart by what they do, never by name.
 */
import { createHash, randomBytes } from "node:crypto"
import { isFailure } from "../errors.ts"
import type { EtagForm, ObjectStore, WriteCondition, WriteResult } from "../ports.ts"

/** Where canaries are written: a prefix that the product's own events ignore. */
export const PROBE_PREFIX = ".bucketseal-probe/"

/** What a store did. Every `true` is what conditional sealing needs. */
export interface ProbeReport {
  /** `If-None-Match: *` on an existing object was refused, and the object unchanged. */
  readonly createRefusesExisting: boolean
  /** Of 16 simultaneous creates exactly one succeeded, and its bytes stayed. */
  readonly createHasOneWinner: boolean
  /** A stale `If-Match` was refused, and the object unchanged. */
  readonly staleMatchRefused: boolean
  /** `If-Match` on a missing key was refused, and nothing was made: else a late sealer would undo a delete. */
  readonly missingMatchRefused: boolean
  /** The form of the right ETag that was accepted; absent if neither was. */
  readonly matchForm?: EtagForm
  /** Of 16 simultaneous replacements of one version exactly one succeeded, and its bytes stayed. */
  readonly replaceHasOneWinner: boolean
  /** A write was seen by the next read and by the next listing. */
  readonly readAfterWrite: boolean
  readonly listAfterWrite: boolean
  /** The answer to a write carried the MD5 of its bytes as ETag. */
  readonly etagIsMd5: boolean
  /** Reading an object with one tag said so, hence reading one without needs no further request. */
  readonly reportsTagCount: boolean
  /** Writes were answered with a version id: the bucket keeps versions, whatever its settings say. */
  readonly givesVersions: boolean
}

const RACERS = 16

/** Probes a bucket with at most 40 objects of at most 1 KiB, and removes them. Throws what the store throws where even a
 *  plain write or read fails. */
export async function probe(store: ObjectStore, bucket: string, prefix = PROBE_PREFIX): Promise<ProbeReport> {
  const scratch = new Scratch(store, bucket, `${prefix}${randomBytes(8).toString("hex")}/`)
  try {
    const plain = await plainWrites(scratch)
    const create = await creates(scratch)
    const replace = await replaces(scratch)
    return { ...plain, ...create, ...replace }
  } finally {
    await scratch.clear()
  }
}

/** The first property that makes conditional sealing in place unsafe, as a sentence; `undefined` where it is safe. */
export function unsafeBecause(report: ProbeReport): string | undefined {
  if (!report.createRefusesExisting) return "it accepts If-None-Match: * on an object that exists"
  if (!report.staleMatchRefused) return "it accepts If-Match with a stale ETag"
  if (!report.missingMatchRefused) return "it accepts If-Match on a missing object, which would undo deletes"
  if (!report.matchForm) return "it refuses If-Match with the right ETag"
  if (!report.createHasOneWinner || !report.replaceHasOneWinner) return "of simultaneous conditional writes more than one succeeds"
  if (!report.readAfterWrite) return "a read after a write doesn't give what was written"
  if (!report.listAfterWrite) return "a listing after a write doesn't show it"
  return undefined
}

async function plainWrites(scratch: Scratch) {
  const name = "plain"
  const { bytes, result } = await scratch.write(name, { tagged: true })
  const listed = await scratch.names()
  const read = await scratch.read(name)
  return {
    etagIsMd5: result.etag === createHash("md5").update(bytes).digest("hex"),
    givesVersions: result.versionId !== undefined && result.versionId !== "null",
    readAfterWrite: read?.bytes.equals(bytes) ?? false,
    listAfterWrite: listed.includes(name),
    reportsTagCount: read?.tagCount === 1,
  }
}

async function creates(scratch: Scratch) {
  const before = await scratch.write("create", {})
  const again = await scratch.attempt("create", { ifNoneMatch: "*" })
  return {
    createRefusesExisting: again === undefined && (await scratch.holds("create", before.bytes)),
    createHasOneWinner: await oneWinner(scratch, "create-race", { ifNoneMatch: "*" }),
  }
}

async function replaces(scratch: Scratch) {
  const first = await scratch.write("replace", {})
  const second = await scratch.write("replace", {})
  const stale = await scratch.attempt("replace", { ifMatch: first.result.etag, form: "quoted" })
  const staleUnquoted = await scratch.attempt("replace", { ifMatch: first.result.etag, form: "unquoted" })
  const staleMatchRefused = !stale && !staleUnquoted && (await scratch.holds("replace", second.bytes))
  const missing = await scratch.attempt("missing", { ifMatch: first.result.etag, form: "quoted" })
  const missingUnquoted = await scratch.attempt("missing", { ifMatch: first.result.etag, form: "unquoted" })
  const matchForm = await acceptedForm(scratch, second.result.etag)
  const missingMatchRefused = !missing && !missingUnquoted && (await scratch.read("missing")) === undefined
  return {
    staleMatchRefused, missingMatchRefused, ...(matchForm ? { matchForm } : {}),
    replaceHasOneWinner: matchForm !== undefined && (await replaceRace(scratch, matchForm)),
  }
}

async function acceptedForm(scratch: Scratch, etag: string): Promise<EtagForm | undefined> {
  if (await scratch.attempt("replace", { ifMatch: etag, form: "quoted" })) return "quoted"
  if (await scratch.attempt("replace", { ifMatch: etag, form: "unquoted" })) return "unquoted"
  return undefined
}

async function replaceRace(scratch: Scratch, form: EtagForm): Promise<boolean> {
  const { result } = await scratch.write("replace-race", {})
  return oneWinner(scratch, "replace-race", { ifMatch: result.etag, form })
}

async function oneWinner(scratch: Scratch, name: string, condition: WriteCondition): Promise<boolean> {
  const tries = Array.from({ length: RACERS }, () => scratch.attempt(name, condition))
  const winners = (await Promise.all(tries)).filter((attempt) => attempt !== undefined)
  return winners.length === 1 && winners[0] !== undefined && scratch.holds(name, winners[0].bytes)
}

/** Canaries of one probe: each write has bytes of its own, so that it is known again. */
class Scratch {
  private readonly tried = new Set<string>()
  private readonly versions: { readonly name: string; readonly versionId: string }[] = []
  private readonly store: ObjectStore
  private readonly bucket: string
  private readonly prefix: string

  constructor(store: ObjectStore, bucket: string, prefix: string) {
    this.store = store
    this.bucket = bucket
    this.prefix = prefix
  }

  async write(name: string, options: { tagged?: boolean; condition?: WriteCondition }): Promise<Canary> {
    const bytes = randomBytes(64)
    this.tried.add(name)
    const { tagged, condition } = options
    const result = await this.store.put(this.ref(name), bytes, {
      ...(tagged ? { tags: [["bucketseal-probe", "1"]] } : {}), ...(condition ? { condition } : {}),
    })
    if (result.versionId !== undefined) this.versions.push({ name, versionId: result.versionId })
    return { bytes, result }
  }

  /** A conditional write; `undefined` if the store refused it, in whatever way: RGW 16 gives losers of a race a 500. */
  async attempt(name: string, condition: WriteCondition): Promise<Canary | undefined> {
    try {
      return await this.write(name, { condition })
    } catch (error) {
      if (isFailure(error, "precondition-failed", "conflict", "unavailable", "throttled", "store-refused", "not-implemented")) return undefined
      throw error
    }
  }

  async read(name: string): Promise<{ bytes: Buffer; tagCount: number | undefined } | undefined> {
    const object = await this.store.get(this.ref(name))
    if (!object) return undefined
    const chunks: Uint8Array[] = []
    for await (const chunk of object.body) chunks.push(chunk)
    return { bytes: Buffer.concat(chunks), tagCount: object.tagCount }
  }

  async holds(name: string, bytes: Buffer): Promise<boolean> {
    return (await this.read(name))?.bytes.equals(bytes) ?? false
  }

  async names(): Promise<string[]> {
    const { objects } = await this.store.list(this.bucket, { prefix: this.prefix })
    return objects.map(({ key }) => key.slice(this.prefix.length))
  }

  async clear(): Promise<void> {
    for (const { name, versionId } of this.versions) await this.store.delete(this.ref(name), { versionId })
    if (this.versions.length > 0) return // deleting by name would leave delete markers
    for (const name of this.tried) await this.store.delete(this.ref(name))
  }

  private ref(name: string) {
    return { bucket: this.bucket, key: `${this.prefix}${name}` }
  }
}

interface Canary {
  readonly bytes: Buffer
  readonly result: WriteResult
}
