/** Reads lines and counted bytes out of one stream. */
import { S3Error } from "./errors.ts"

/** A stream read by lines and by bytes. All of it throws `IncompleteBody` where the stream ends too early. */
export interface LineReader {
  /** The next line, one character a byte, without its CRLF; a line of more than `limit` bytes is `IncompleteBody`. */
  line(limit: number): Promise<string>
  /** Between 1 and `most` bytes: what is there. */
  bytes(most: number): Promise<Uint8Array>
  /** True if nothing follows. */
  ended(): Promise<boolean>
  /** Gives the source back, read to the end or not. */
  close(): Promise<void>
}

const lf = 0x0a

/** A reader over a stream. At most one piece of the stream, and one line, are held. */
export function lineReader(source: AsyncIterable<Uint8Array>): LineReader {
  const pieces = source[Symbol.asyncIterator]()
  let piece: Uint8Array = new Uint8Array(0)

  const ended = async (): Promise<boolean> => {
    while (piece.length === 0) {
      const next = await pieces.next()
      if (next.done) return true
      piece = next.value
    }
    return false
  }

  const bytes = async (most: number): Promise<Uint8Array> => {
    if (await ended()) throw new S3Error("IncompleteBody")
    const taken = piece.subarray(0, most)
    piece = piece.subarray(taken.length)
    return taken
  }

  const line = async (limit: number): Promise<string> => {
    let text = ""
    do {
      if (await ended()) throw new S3Error("IncompleteBody")
      const end = piece.indexOf(lf)
      const part = await bytes(end < 0 ? limit + 2 : end + 1)
      text += Buffer.from(part).toString("latin1")
    } while (!text.endsWith("\n") && text.length < limit + 2)
    if (!text.endsWith("\r\n") || text.length > limit + 2) throw new S3Error("IncompleteBody")
    return text.slice(0, -2)
  }

  return { line, bytes, ended, close: async () => void (await pieces.return?.()) }
}
