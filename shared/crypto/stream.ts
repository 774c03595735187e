/** Messages as streams: any cutting of the input, bounded memory, each byte copied once. */
import {
  CHUNK_SIZE, openChunk, openPrefix, PREFIX_SIZE, sealChunk, SEALED_CHUNK_SIZE, undecryptable, type MessageKey,
} from "./chunked.ts"

/** Bytes in pieces of any size. A piece is read to its end before the next one is asked for. */
export type ByteSource = AsyncIterable<Uint8Array>

const BATCH = 16 // chunks in a piece of output: 256 KiB keeps writes few and still fits a second-level cache

/** How chunks are sealed. With `reopen` each chunk is opened again and compared before it is given out, so that a fault of
 *  this machine can't put unreadable bytes in the place of readable ones; it then throws a plain `Error`. */
export interface SealOptions {
  readonly reopen: boolean
}

/** Seals a message: salt, commitment, chunks. `message` must come from this `salt`, fresh random bytes for each message. A
 *  piece is valid until the next is asked for. */
export function sealMessage(
  message: MessageKey, salt: Uint8Array, source: ByteSource, options: SealOptions,
): AsyncGenerator<Uint8Array, undefined> {
  const prefix = Buffer.concat([salt, message.commitment], PREFIX_SIZE)
  return sealPieces(message, { first: 0, count: Number.POSITIVE_INFINITY, final: true }, source, options, prefix)
}

/** Seals a run of chunks of a message; `source` holds exactly its plaintext. Throws a plain `Error` where it does not. What
 *  is sealed again under the same number must be the same plaintext (C2SP chunked-encryption, retries). */
export function sealChunks(
  message: MessageKey, chunks: ChunkRun, source: ByteSource, options: SealOptions,
): AsyncGenerator<Uint8Array, undefined> {
  return sealPieces(message, chunks, source, options, NOTHING)
}

const NOTHING = Buffer.alloc(0)

async function* sealPieces(
  message: MessageKey, chunks: ChunkRun, source: ByteSource, { reopen }: SealOptions, prefix: Buffer,
): AsyncGenerator<Uint8Array, undefined> {
  let out = Buffer.allocUnsafeSlow(prefix.length + SEALED_CHUNK_SIZE) // most messages are small: the batch comes when it is needed
  out.set(prefix)
  const seal = reopen ? checkedSeal : sealChunk
  const cut = cutter(CHUNK_SIZE)
  const end = chunks.first + chunks.count
  let used = prefix.length
  let index = chunks.first
  for await (const piece of source) {
    for (const chunk of cut.push(piece)) {
      if (index >= end) throw new Error("more plaintext than the run of chunks holds")
      used += seal(message, index++, chunk, out, used)
      if (out.length - used >= SEALED_CHUNK_SIZE) continue
      yield out.subarray(0, used)
      used = 0
      if (index === chunks.first + 1) out = Buffer.allocUnsafeSlow(BATCH * SEALED_CHUNK_SIZE)
    }
  }
  if (Number.isFinite(end) && index !== end) throw new Error("less plaintext than the run of chunks holds")
  if (chunks.final) used += seal(message, index, cut.rest(), out, used)
  else if (cut.rest().length > 0) throw new Error("plaintext behind the last chunk of the run")
  if (used > 0) yield out.subarray(0, used)
}

const reopened = Buffer.allocUnsafeSlow(CHUNK_SIZE) // for all messages: nothing is awaited between filling and comparing it

const checkedSeal: typeof sealChunk = (message, index, plaintext, out, offset) => {
  const size = sealChunk(message, index, plaintext, out, offset)
  const opened = openAgain(message, index, out.subarray(offset, offset + size))
  if (reopened.compare(plaintext, 0, plaintext.length, 0, opened) !== 0) throw new Error("a sealed chunk opened to other bytes")
  return size
}

function openAgain(message: MessageKey, index: number, sealed: Uint8Array): number {
  try {
    return openChunk(message, index, sealed, reopened, 0)
  } catch (cause) {
    throw new Error("a sealed chunk doesn't open", { cause }) // our own fault, not the object's: never `undecryptable`
  }
}

/** Opens a whole message. Gives out verified plaintext only, and ends only after the final chunk was verified. Throws
 *  `undecryptable`, again on every later read; what the source throws goes through. A piece is valid until the next is
 *  asked for. */
export function openMessage(dek: Uint8Array, context: Uint8Array, source: ByteSource): AsyncIterableIterator<Uint8Array> {
  return keepFailing(openWhole(dek, context, source))
}

async function* openWhole(dek: Uint8Array, context: Uint8Array, source: ByteSource) {
  const iterator = source[Symbol.asyncIterator]()
  try {
    const { first, rest } = await splitFirst(iterator, PREFIX_SIZE)
    yield* openPieces(openPrefix(dek, context, first), { first: 0, count: Number.POSITIVE_INFINITY, final: true }, rest)
  } finally {
    await iterator.return?.()
  }
}

/** A run of chunks: `count` full ones from number `first` on, then the final chunk if `final`. */
export interface ChunkRun {
  readonly first: number
  readonly count: number
  readonly final: boolean
}

/** Opens a run of chunks; `source` holds exactly its sealed bytes. Otherwise as `openMessage`. */
export function openChunks(message: MessageKey, run: ChunkRun, source: ByteSource): AsyncIterableIterator<Uint8Array> {
  return keepFailing(openPieces(message, run, source))
}

async function* openPieces(message: MessageKey, run: ChunkRun, source: ByteSource) {
  let out = Buffer.allocUnsafeSlow(CHUNK_SIZE)
  const cut = cutter(SEALED_CHUNK_SIZE)
  const end = run.first + run.count
  let used = 0
  let index = run.first
  for await (const piece of source) {
    for (const sealed of cut.push(piece)) {
      if (index >= end) throw undecryptable("more chunks than asked for")
      used += openChunk(message, index++, sealed, out, used)
      if (out.length - used >= CHUNK_SIZE) continue
      yield out.subarray(0, used)
      used = 0
      if (index === run.first + 1) out = Buffer.allocUnsafeSlow(BATCH * CHUNK_SIZE)
    }
  }
  if (Number.isFinite(end) && index !== end) throw undecryptable("fewer chunks than asked for")
  if (run.final) used += openChunk(message, index, cut.rest(), out, used)
  else if (cut.rest().length > 0) throw undecryptable("bytes after the last chunk")
  if (used > 0) yield out.subarray(0, used)
}

/** Cuts pieces into chunks of one size. A chunk inside one piece is a view of it; one that straddles pieces is copied
 *  together. A chunk is valid until the next one is asked for. `rest()` is what is left, shorter than a chunk. */
function cutter(size: number) {
  const straddling = Buffer.allocUnsafeSlow(size)
  let held = 0
  function* push(piece: Uint8Array): Generator<Uint8Array, undefined> {
    let from = 0
    if (held > 0) {
      from = Math.min(size - held, piece.length)
      straddling.set(piece.subarray(0, from), held)
      held += from
      if (held < size) return
      held = 0
      yield straddling
    }
    for (; piece.length - from >= size; from += size) yield piece.subarray(from, from + size)
    straddling.set(piece.subarray(from))
    held = piece.length - from
  }
  return { push, rest: () => straddling.subarray(0, held) }
}

/** Takes the first `size` bytes off a source, or all of it where it is shorter; `rest` goes on behind them. */
async function splitFirst(iterator: AsyncIterator<Uint8Array>, size: number): Promise<{ first: Buffer; rest: ByteSource }> {
  const pieces: Uint8Array[] = []
  let length = 0
  while (length < size) {
    const step = await iterator.next()
    if (step.done) break
    pieces.push(Uint8Array.from(step.value)) // a copy: the next piece may come in the same memory
    length += step.value.length
  }
  const bytes = Buffer.concat(pieces)
  return { first: bytes.subarray(0, size), rest: continued(bytes.subarray(size), iterator) }
}

/** Not a generator: one layer less for each piece. */
function continued(start: Uint8Array, iterator: AsyncIterator<Uint8Array>): ByteSource {
  let begun = start.length === 0
  const next = (): Promise<IteratorResult<Uint8Array>> => {
    if (begun) return iterator.next()
    begun = true
    return Promise.resolve({ done: false, value: start })
  }
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

/** An async generator that threw says `done` when it is asked again, which would look like a clean end: keep the error. */
function keepFailing(pieces: AsyncGenerator<Uint8Array, void>): AsyncIterableIterator<Uint8Array> {
  let failure: { readonly error: unknown } | undefined
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      try {
        const step = await pieces.next()
        if (failure) throw failure.error // looked at behind the wait: another reader may have met it meanwhile
        return step
      } catch (error) {
        failure ??= { error }
        throw failure.error
      }
    },
    return: () => pieces.return(),
  }
}
