/** Cursors of jobs: base64url of JSON, at most 8 KiB. They hold no secret and give no right: what comes back is input like any. */
import { Failure } from "../errors.ts"
import type { Parser } from "../ports.ts"

const MOST = 8 * 1024 // characters, by the contract of jobs

/** The cursor that stands for a value, or `undefined` where that is too large for one. */
export function encodeCursor(value: unknown): string | undefined {
  const cursor = Buffer.from(JSON.stringify(value)).toString("base64url")
  return cursor.length > MOST ? undefined : cursor
}

/** The value behind a cursor. Throws `bad-field` for what is none of this job. */
export function parseCursor<T>(cursor: unknown, parser: Parser<T>): T {
  try {
    if (typeof cursor !== "string" || cursor.length > MOST) throw new TypeError("no text, or too long")
    return parser.parse(JSON.parse(Buffer.from(cursor, "base64url").toString()))
  } catch (cause) {
    throw new Failure("bad-field", "the cursor is none that this job gave; begin without one", cause)
  }
}
