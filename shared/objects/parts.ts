/**
 * The parts of a sealed object's multipart upload. The sealed bytes are cut into parts of one size, the last one shorter;
 * borders of parts are no borders of chunks. A part sent twice, by this holder of the lease or by another one, has identical
 * bytes. What is there already the store tells, so nothing is written down per part.
 */
import { createHash } from "node:crypto"
import { Failure, isFailure } from "../errors.ts"
import type { MultipartStore, ObjectRef, Part } from "../ports.ts"

/** What sending parts needs. */
export interface PartSender {
  readonly store: Pick<MultipartStore, "putPart" | "listParts">
  readonly target: ObjectRef
  readonly uploadId: string
  /** Sealed bytes of the whole object. */
  readonly size: number
  /** Sealed bytes of every part but the last. */
  readonly partSize: number
  /** How many parts may be under way: each holds `PART_MEMORY` at most, whatever its size. */
  readonly parallel: number
  /** True where the store answers a part with the MD5 of its bytes. */
  readonly etagIsMd5: boolean
  /** The sealed bytes from `from` up to and not including `end`. */
  bytes(from: number, end: number): AsyncIterable<Uint8Array>
  /** Asked before each part: false ends it, parts under way are ended first. */
  goesOn(): boolean
}

/** Bytes that are reserved for a part under way, whatever its size: it is a stream, so it holds two sockets' buffers, a batch of
 *  chunks, and what the garbage collector has not got to (measured: 22 MB more for eight parts than for one). */
export const PART_MEMORY = 8 * 2 ** 20

const MIB = 2 ** 20
const LEAST = 8 * MIB // S3 wants 5 MiB or more; fewer requests are cheaper
const MOST_PARTS = 10_000 // S3's limit
const MOST = 5 * 2 ** 30 // S3's limit for one part
const TRIES = 3
const PAUSE_MS = 200 // doubled for each try, with full jitter: the client below has no stream to send again

/** Bytes of every part but the last, for an object of so many sealed bytes: whole MiB. `undefined` where it is larger than
 *  an upload can be. */
export function partSizeFor(size: number): number | undefined {
  const partSize = Math.max(LEAST, Math.ceil(size / MOST_PARTS / MIB) * MIB)
  return partSize <= MOST ? partSize : undefined
}

/** Sends what is missing and gives all parts; `"stopped"` where it was told to stop. Throws `not-found` where there is no such
 *  upload, what `bytes` throws, and what the store throws after a few tries. */
export async function sendParts(sender: PartSender): Promise<readonly Part[] | "stopped"> {
  const { parts: present } = await sender.store.listParts(sender.target, sender.uploadId)
  const done = new Map(present.filter((part) => part.size === sizeOf(sender, part.number)).map((part) => [part.number, part]))
  const missing = numbers(sender).filter((number) => !done.has(number)).values()
  let failure: { readonly error: unknown } | undefined

  async function work(): Promise<void> {
    for (const number of missing) {
      if (failure || !sender.goesOn()) return
      try {
        done.set(number, await sendPart(sender, number))
      } catch (error) {
        failure ??= { error }
      }
    }
  }

  await Promise.all(Array.from({ length: sender.parallel }, work))
  if (failure) throw failure.error
  const parts = numbers(sender).flatMap((number) => done.get(number) ?? [])
  return parts.length === countOf(sender) ? parts : "stopped"
}

const countOf = ({ size, partSize }: PartSender): number => Math.ceil(size / partSize)
const numbers = (sender: PartSender): number[] => Array.from({ length: countOf(sender) }, (_, index) => index + 1)

function sizeOf({ size, partSize }: PartSender, number: number): number {
  return Math.min(partSize, size - (number - 1) * partSize)
}

async function sendPart(sender: PartSender, number: number): Promise<Part> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sendOnce(sender, number)
    } catch (error) {
      if (attempt === TRIES || !sender.goesOn() || !isFailure(error, "unavailable", "throttled", "store-refused")) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** attempt * Math.random()))
    }
  }
}

async function sendOnce(sender: PartSender, number: number): Promise<Part> {
  const from = (number - 1) * sender.partSize
  const size = sizeOf(sender, number)
  const md5 = createHash("md5")
  const bytes = sender.bytes(from, from + size)
  const stream = sender.etagIsMd5 ? hashed(bytes, md5) : bytes
  const { etag } = await sender.store.putPart(sender.target, sender.uploadId, number, { length: size, stream })
  if (sender.etagIsMd5 && etag !== md5.digest("hex")) throw new Failure("store-refused", "the store holds other bytes of a part than were sent")
  return { number, etag, size }
}

async function* hashed(pieces: AsyncIterable<Uint8Array>, md5: ReturnType<typeof createHash>) {
  for await (const piece of pieces) {
    md5.update(piece)
    yield piece
  }
}
