/** Bytes for tests: cut into pieces, collected again, and filled in a way that shows misplaced chunks. */

/** The bytes in pieces of `size`, each in the same reused memory, as the stream contracts allow. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, undefined> {
  const piece = Buffer.alloc(Math.max(1, Math.min(size, bytes.length)))
  for (let from = 0; from < bytes.length; from += size) {
    const length = Math.min(size, bytes.length - from)
    piece.set(bytes.subarray(from, from + length))
    yield piece.subarray(0, length)
    piece.fill(0xee)
  }
}

/** Reads a stream to its end or its error, and what came out before that; then asks once more and expects no clean end. */
export async function drain(open: () => AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer; error: unknown }> {
  const chunks: Buffer[] = []
  let stream: AsyncIterator<Uint8Array> | undefined
  try {
    stream = open()[Symbol.asyncIterator]()
    for (let step = await stream.next(); !step.done; step = await stream.next()) chunks.push(Buffer.from(step.value))
    return { bytes: Buffer.concat(chunks), error: undefined }
  } catch (error) {
    const again = await stream?.next().then(() => "a clean end", (second: unknown) => second)
    if (stream && again !== error) throw new Error(`after its error the stream gave ${String(again)}`, { cause: error })
    return { bytes: Buffer.concat(chunks), error }
  }
}

/** Deterministic bytes in which no two 16-byte blocks are equal. */
export function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4)
  for (let index = 0; index < bytes.length; index += 4) bytes.writeUInt32LE(Math.imul(index + 1, 2_654_435_761) >>> 0, index)
  return bytes.subarray(0, length)
}
