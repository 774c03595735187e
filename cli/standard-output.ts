/** Bytes to standard output. */

/** Writes all pieces, one behind the other: a piece may use the memory of the one before. Rejects when `signal`
 *  aborts, also while nobody reads. Where the reader has gone away the process ends (`main.ts`). */
export async function writeToStandardOutput(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const piece of pieces) {
    signal.throwIfAborted()
    await written(piece, signal)
  }
}

function written(piece: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new Error("given up", { cause: signal.reason }))
    signal.addEventListener("abort", giveUp, { once: true })
    process.stdout.write(piece, (error) => {
      signal.removeEventListener("abort", giveUp)
      if (error) reject(error)
      else resolve()
    })
  })
}
