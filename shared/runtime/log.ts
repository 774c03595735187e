/** Log lines: JSON, one an entry, with causes written out. Errors give their message, code and stack, never their other
 *  properties: what a client library hangs on an error may be a request with its secrets. */
import { isFailure } from "../errors.ts"
import type { Clock, Log } from "../ports.ts"

/** From the most to the least. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent"

const order: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"]

/** A log that writes JSON lines; `write` gets each without its line end. */
export function jsonLog(write: (line: string) => void, level: LogLevel, clock: Clock): Log {
  const least = order.indexOf(level)
  const logger = (at: LogLevel) => (msg: string, fields: Record<string, unknown> = {}) => {
    if (order.indexOf(at) < least) return
    write(JSON.stringify({ level: at, time: new Date(clock()).toISOString(), msg, ...withoutErrors(fields) }))
  }
  return { info: logger("info"), warn: logger("warn"), error: logger("error") }
}

/** The fields with every error in them replaced by what may be logged of it. */
export function withoutErrors(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, describe(value, 0)]))
}

const MOST_CAUSES = 6 // a chain longer than this says nothing new

function describe(value: unknown, depth: number): unknown {
  if (!(value instanceof Error) || depth > MOST_CAUSES) return value instanceof Error ? undefined : value
  const code = "code" in value && typeof value.code === "string" ? { code: value.code } : {}
  const stack = isFailure(value) || depth > 0 ? {} : { stack: value.stack }
  const cause = value.cause === undefined ? {} : { cause: describe(value.cause, depth + 1) }
  return { error: value.message, ...code, ...stack, ...cause }
}
