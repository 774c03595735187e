/** Where a census goes on. A place says nothing else: it is input, and gives no right. */
import type { ListMarker, Parser } from "../ports.ts"

/** What is listed, in this order: objects or, where the bucket keeps versions, these; uploads; progress documents. */
export type Phase = "objects" | "versions" | "uploads" | "progress"

/** Behind which entry of a phase to go on; at its beginning without `after`. */
export interface Position {
  readonly phase: Phase
  readonly after?: ListMarker
}

const phases: readonly Phase[] = ["objects", "versions", "uploads", "progress"]

/** The position as cursors hold it: `[phase, key, id]`. The key is in base64url, as JSON would make six bytes of
 *  one: with a  key of 1,024 bytes and an id of as many it has 2.4 KiB. */
export function positionValue({ phase, after }: Position): readonly string[] {
  if (!after) return [phase]
  const key = Buffer.from(after.key).toString("base64url")
  return after.id === undefined ? [phase, key] : [phase, key, after.id]
}

/** Reads such a value in a census of this prefix. Throws a `TypeError` for what `positionValue` would not give
 *  there. */
export const positionIn = (prefix: string): Parser<Position> => ({
  parse(value) {
    const position = positionOf(value)
    const isWhole = position !== undefined && JSON.stringify(positionValue(position)) === JSON.stringify(value)
    if (isWhole && isWithin(position, prefix)) return position
    throw new TypeError("no position in this census")
  },
})

function positionOf(value: unknown): Position | undefined {
  if (!Array.isArray(value) || value.length > 3 || !value.every((part) => typeof part === "string")) return undefined
  const [name, key, id] = value
  const phase = phases.find((one) => one === name)
  if (!phase) return undefined
  if (key === undefined) return { phase }
  return { phase, after: { key: Buffer.from(key, "base64url").toString(), ...(id === undefined ? {} : { id }) } }
}

function isWithin({ phase, after }: Position, prefix: string): boolean {
  if (!after) return true
  return phase === "progress" ? /^progress\/[0-9a-f]{64}\.json$/.test(after.key) : after.key.startsWith(prefix)
}
