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
  if (typeof value !== "object" || value === null) return value
  if (depth > MOST_CAUSES) return undefined
  if (value instanceof Error) return describeError(value, depth)
  if (Array.isArray(value)) return value.map((one: unknown) => describe(one, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, describe(one, depth + 1)]))
}

function describeError(error: Error, depth: number): unknown {
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {}
  const stack = isFailure(error) || depth > 0 ? {} : { stack: error.stack }
  const cause = error.cause === undefined ? {} : { cause: describe(error.cause, depth + 1) }
  return { error: error.message, ...code, ...stack, ...cause }
}
