/** Bytes to standard output. */
import { exits } from "./exit.ts"

/** Writes all pieces, one behind the other: a piece may use the memory of the one before. Rejects when `signal`
 *  aborts, also while nobody reads. Where the reader has gone away the process ends (`main.ts`): until all is written,
 *  with the exit code of a failure. */
export async function writeToStandardOutput(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  process.exitCode = exits.failed
  for await (const piece of pieces) {
    signal.throwIfAborted()
    await written(piece, signal)
  }
  process.exitCode = exits.ok
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
