/** What the phases of a census have in common: pages of entries, each looked at on its own. */
import type { Clock, ListMarker, Log, StateStore, Store } from "../ports.ts"
import type { Finding, Mended } from "./census-tally.ts"
import type { Registrations } from "./registrations.ts"
import type { Sealer } from "./seal.ts"

/** What taking a census needs. */
export interface CensusTaker {
  readonly store: Pick<
    Store, "get" | "head" | "list" | "listVersions" | "listUploads" | "listParts" | "abortUpload" | "bucketSettings"
  >
  readonly state: StateStore
  readonly registrations: Registrations
  /** Seals what is found unsealed, and knows what is sealed. */
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: Log
}

/** Of what it is taken. */
export interface CensusScope {
  readonly bucket: string
  readonly prefix: string
  /** Whether the bucket keeps versions, or did. */
  readonly versioned: boolean
  /** Seconds after which uploads of others are aborted; absent: never. */
  readonly abortUploadsOlderThan?: number | undefined
}

/** Which entries to list. */
export interface CensusPage {
  readonly after?: ListMarker
  /** At most so many, 1 to 1,000. */
  readonly limit: number
  readonly signal: AbortSignal
}

/** A page of them, and whether there is another one behind it. */
export interface Entries {
  readonly entries: readonly Entry[]
  readonly more: boolean
}

/** One entry of a listing. */
export interface Entry {
  /** The census goes on behind it. */
  readonly at: ListMarker
  /** Changes nothing. `undefined` for what is gone by now, or is of another place. */
  readonly look: () => Promise<Found | undefined>
}

/** What it is, and what is safe to do about it, if anything is: only run where that was approved. */
export interface Found {
  readonly finding: Finding
  readonly fix?: (signal: AbortSignal) => Promise<Mended>
}
