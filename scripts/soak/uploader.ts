/** Users of a bucket: they put, overwrite, copy, delete and read, each the objects that are theirs, and keep books. */
import { isFailure } from "../../shared/errors.ts"
import type { EtagForm, Part, Store } from "../../shared/ports.ts"
import type { Api } from "./api.ts"
import { bodyOf, contentOf, sizeOf, type Content } from "./bodies.ts"
import { isMoved } from "./contents.ts"
import type { Events, StoreEvent } from "./events.ts"
import type { Last, Ledger } from "./ledger.ts"
import { namesOf } from "./names.ts"
import { pause } from "./pause.ts"
import type { Random } from "./random.ts"
import type { Tally } from "./tally.ts"

/** A bucket as its users see it. */
export interface UsedBucket {
  readonly name: string
  readonly ledger: Ledger
  /** Sealed where it is; else into another bucket: its users then only write. */
  readonly inPlace: boolean
  /** How the store wants If-Match. */
  readonly form: EtagForm
  /** Uploads that users have begun and left, by id; and for each key how many they may have begun without being told the id. */
  readonly leftUploads: Set<string>
  readonly unknownUploads: Map<string, number>
}

/** What an uploader works with. */
export interface UploaderOptions {
  readonly bucket: UsedBucket
  /** A client of the store: any one, for each request. */
  readonly store: () => Store
  readonly api: Api
  readonly events: Events
  readonly tally: Tally
  readonly random: Random
  /** The next number of a write. */
  readonly nextWrite: () => number
}

const NAMES = 12 // of one writer: few enough that most are overwritten again and again
const PAUSE_MS = 250 // at most, between two actions
const ATTEMPTS = 1_200
const ATTEMPT_MS = 250
const PART = 5 * 2 ** 20 // S3's least for a part that is not the last

const again = ["unavailable", "throttled", "conflict", "internal"] as const

/** Works until the signal aborts, ending what was begun: what it does last is known for sure. */
export async function upload(writer: number, options: UploaderOptions, signal: AbortSignal): Promise<void> {
  const { bucket, store, api, events, tally, random, nextWrite } = options
  const names = namesOf(writer, NAMES)
  const refOf = (key: string) => ({ bucket: bucket.name, key })

  /** Repeats a request until it is answered, and says whether an earlier try may have had its effect. */
  async function answered<T>(request: (store: Store) => Promise<T>): Promise<{ readonly answer: T; readonly repeated: boolean }> {
    for (let attempt = 0; ; attempt++) {
      try {
        return { answer: await request(store()), repeated: attempt > 0 }
      } catch (error) {
        if (attempt >= ATTEMPTS || !isFailure(error, ...again)) throw error
        tally.count("uploader.repeated")
        await pause(ATTEMPT_MS)
      }
    }
  }

  function newBody() {
    const write = nextWrite()
    const body = bodyOf(write, sizeOf(random))
    return { body, content: contentOf(write, body) }
  }

  function wrote(key: string, name: StoreEvent["name"], content: Content, how: Omit<Last, "content"> = {}): void {
    bucket.ledger.wrote(key, { content, ...how })
    events.tell({ ...refOf(key), name, size: content.size })
  }

  async function put(key: string): Promise<void> {
    const { body, content } = newBody()
    tally.count(bucket.ledger.last(key)?.content ? "writes.overwrite" : "writes.put")
    const { repeated } = await answered((one) => one.put(refOf(key), body))
    wrote(key, "ObjectCreated:Put", content, { repeated })
  }

  /** If-None-Match where nothing is, else If-Match on what was seen. Sealing may come between: then it looks again. */
  async function putIf(key: string): Promise<void> {
    const { body, content } = newBody()
    for (let look = 0; look < 5; look++) {
      const { answer: seen } = await answered((one) => one.head(refOf(key)))
      const there = bucket.ledger.last(key)?.content !== undefined
      if (bucket.inPlace && seen && !there) tally.problem("undone-delete", "what was deleted is there again", refOf(key))
      if (bucket.inPlace && !seen && there) tally.problem("lost", "what was written is not there", refOf(key))
      const condition = seen ? { ifMatch: seen.etag, form: bucket.form } : { ifNoneMatch: "*" as const }
      const refused = await tryPut(key, body, condition)
      if (refused === "unknown") break
      if (refused === "no") {
        tally.count("writes.conditional")
        return wrote(key, "ObjectCreated:Put", content)
      }
      tally.count("uploader.condition-failed")
      if (bucket.inPlace && !seen) tally.problem("undone-delete", "If-None-Match was refused where nothing is", refOf(key))
    }
    await put(key)
  }

  async function tryPut(key: string, body: Buffer, condition: NonNullable<Parameters<Store["put"]>[2]>["condition"]): Promise<"no" | "yes" | "unknown"> {
    try {
      await store().put(refOf(key), body, condition ? { condition } : {})
      return "no"
    } catch (error) {
      if (isFailure(error, "precondition-failed")) return "yes"
      if (!isFailure(error, ...again)) throw error
      return "unknown" // an unconditional write of other bytes settles it
    }
  }

  async function begin(key: string): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      try {
        const id = await store().createUpload(refOf(key))
        bucket.leftUploads.add(id)
        return id
      } catch (error) {
        if (attempt >= ATTEMPTS || !isFailure(error, ...again)) throw error
        bucket.unknownUploads.set(key, (bucket.unknownUploads.get(key) ?? 0) + 1)
        await pause(ATTEMPT_MS)
      }
    }
  }

  async function multipart(key: string): Promise<void> {
    const write = nextWrite()
    const body = bodyOf(write, PART + random.below(PART))
    const id = await begin(key)
    const parts: Part[] = []
    for (const [index, piece] of [body.subarray(0, PART), body.subarray(PART)].entries()) {
      const { answer: { etag } } = await answered((one) => one.putPart(refOf(key), id, index + 1, piece))
      parts.push({ number: index + 1, etag, size: piece.length })
    }
    tally.count("writes.multipart")
    try {
      await store().completeUpload(refOf(key), id, parts)
      bucket.leftUploads.delete(id)
      wrote(key, "ObjectCreated:CompleteMultipartUpload", contentOf(write, body))
    } catch (error) {
      if (!isFailure(error, ...again)) throw error
      await put(key) // whether it came into being or not, this is the last write; the upload may be there or not
      bucket.unknownUploads.set(key, (bucket.unknownUploads.get(key) ?? 0) + 1)
      bucket.leftUploads.delete(id)
    }
  }

  /** A user begins an upload and never ends it: nobody but he may abort it. */
  async function leaveUpload(key: string): Promise<void> {
    const id = await begin(key)
    await answered((one) => one.putPart(refOf(key), id, 1, bodyOf(0, 1_000)))
    tally.count("writes.left-upload")
  }

  async function copy(from: string, to: string): Promise<void> {
    const content = bucket.ledger.last(from)?.content
    if (!content || from === to || bucket.ledger.had(to, content.write)) return put(to)
    const { answer, repeated } = await answered((one) => one.copy(refOf(from), refOf(to)))
    if (!answer) return tally.problem("lost", "the source of a copy is not there", refOf(from))
    tally.count("writes.copy")
    const { answer: moved } = await answered((one) => isMoved(one, refOf(to)))
    if (moved) tally.count("copies.moved")
    wrote(to, "ObjectCreated:Copy", content, { moved, repeated })
  }

  async function remove(key: string): Promise<void> {
    await answered((one) => one.delete(refOf(key)))
    tally.count("writes.delete")
    bucket.ledger.wrote(key, {})
    events.tell({ ...refOf(key), name: "ObjectRemoved:Delete", size: 0 })
  }

  /** What the API gives at any time is the last write, or no bytes. */
  async function read(key: string): Promise<void> {
    const expected = bucket.ledger.last(key)?.content
    const result = await api.read(bucket.name, key).catch(() => undefined) // the host was killed
    tally.count(result ? `reads.${result.status}` : "reads.no-answer")
    if (!result) return
    const { status } = result
    if (status === 200 && !expected) tally.problem("undone-delete", "what was deleted can be read", refOf(key))
    else if (status === 200 && result.sha256 !== expected?.sha256) tally.problem("lost", "other bytes than the last write were read", refOf(key))
    else if (status === 404 && expected) tally.problem("lost", "what was written is not found", refOf(key))
    else if (![200, 404, 409, 412, 500, 502, 503].includes(status)) tally.problem("unreadable", `${status} ${result.text}`, refOf(key))
  }

  const weights: readonly (readonly [weight: number, action: (key: string) => Promise<void>])[] = [
    [34, put], [16, putIf], [5, multipart], [1, leaveUpload], [20, bucket.inPlace ? read : put],
    ...(bucket.inPlace ? [[14, (key: string) => copy(random.pick(names), key)], [10, remove]] as const : []),
  ]
  const all = weights.flatMap(([weight, action]) => Array.from({ length: weight }, () => action))

  while (!signal.aborted) {
    await random.pick(all)(random.pick(names))
    await pause(random.below(PAUSE_MS), signal)
  }
}
