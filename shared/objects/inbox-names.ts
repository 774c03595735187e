/**
 * Names of the inbox's documents: `inbox/<due>-<holder>-<id>.json`. `due`, 14 digits of milliseconds since the epoch,
 * sorts them by when an event is to be handled; the holder is the host that accepted it.
 */
import { randomUUID } from "node:crypto"

/** Where they all are. */
export const ROOT = "inbox/"

/** A name for an event that this holder has accepted and that is due then. */
export const nameFor = (due: number, holder: string): string => `${ROOT}${digits(due)}-${holder}-${randomUUID()}.json`

/** When the event with this name is due, and who has accepted it; 0 and nobody for a name that is not ours. */
export function readName(path: string): { readonly due: number; readonly holder: string } {
  const [, due = "0", holder = ""] = /^inbox\/(\d{14})-([\w.]+)-[0-9a-f-]{36}\.json$/.exec(path) ?? []
  return { due: Number(due), holder }
}

/** A name that sorts before all that are due then, and behind all that are due before. */
export const before = (due: number): string => `${ROOT}${digits(due)}`

const digits = (due: number): string => String(Math.ceil(due)).padStart(14, "0") // until the year 5138
