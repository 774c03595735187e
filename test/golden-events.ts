/** The golden files in `test/events/`: a delivery as its source sends it, and what it must be understood as. */
import { readdirSync, readFileSync } from "node:fs"
import type { UploadEvent } from "../shared/objects/events.ts"

export interface GoldenEvent {
  readonly source: string
  readonly delivery: unknown
  /** Headers that the request needs besides. */
  readonly headers?: Readonly<Record<string, string>>
  readonly expected: {
    readonly uploads: readonly UploadEvent[]
    readonly ignored: number
    /** The reasons. */
    readonly rejected: readonly string[]
  }
}

const folder = new URL("./events/", import.meta.url)

/** All of them, by file name. */
export const goldenEvents: readonly (readonly [name: string, golden: GoldenEvent])[] = readdirSync(folder).map((name) =>
  [name, JSON.parse(readFileSync(new URL(name, folder), "utf8")) as GoldenEvent])

/** Whether the delivery is a CloudEvent whose attributes are headers: then its body alone says nothing. */
export const isBinary = ({ headers = {} }: GoldenEvent): boolean => "ce-specversion" in headers
