/** What a census found, summed up: how many of each kind and how many bytes, and by name what is not well. */
import type { Log, MissingAuthorization } from "../ports.ts"
import { censusList, isLeft } from "./census-list.ts"
import type { Kind } from "./sealed.ts"

/** What the current object or a version, an upload, or a progress document turns out to be. */
export type CensusKind = ObjectKind | `noncurrent-${ObjectKind}` | "delete-marker"
  /** Outside all registrations, or of the store probe: not looked at. */
  | "not-registered" | "scratch"
  /** An upload of ours, with its lease or past it; of somebody else. */
  | "upload-live" | "upload-stale" | "upload-other"
  /** A sealing under way; one that is done, its source kept; one that can go on; the rest of one whose source or
   *  upload is  gone; a document of nobody. */
  | "progress-live" | "progress-kept" | "progress-resumable" | "progress-leftover" | "progress-unreadable"

/** What an object turns out to be. `data-key-broken`: its data key is there, and does not open. */
export type ObjectKind = Kind | "data-key-broken" | "directory-marker" | "archived" | "unreadable"

/** One thing found. */
export interface Finding {
  readonly kind: CensusKind
  readonly key: string
  /** Stored bytes: of the object, or of the upload's parts. */
  readonly bytes: number
  readonly versionId?: string
  readonly uploadId?: string
  /** Since when it has stood as it is, in milliseconds since the epoch. */
  readonly since?: number
  readonly reason?: string
}

/** What became of what was to be mended, in one word, and why. */
export interface Mended {
  readonly outcome: string
  readonly reason?: string
  /** The authorization to create, where that is what is missing. */
  readonly missing?: MissingAuthorization
}

/** One line of the list. `outcome` is the kind; `fix` what was done about it. */
export interface CensusItem {
  readonly bucket: string
  readonly key: string
  readonly outcome: CensusKind
  readonly bytes: number
  readonly versionId?: string
  readonly uploadId?: string
  /** ISO 8601. */
  readonly since?: string
  readonly reason?: string
  readonly fix?: string
  readonly missing?: MissingAuthorization
}

/** All of it. `counts` and `bytes` by kind, `fixed` by outcome, and `left` are complete; the list holds at most
 *  100 items  and 64 KiB, those that are still not well first, and `more` says that the rest is in the log. */
export interface CensusSums {
  readonly counts: Readonly<Record<string, number>>
  readonly bytes: Readonly<Record<string, number>>
  readonly fixed: Readonly<Record<string, number>>
  /** How much is not well now. Uploads of others, which may well be under way, are named and not counted here. */
  readonly left: number
  readonly items: readonly CensusItem[]
  readonly more?: true
}

const isWell: ReadonlySet<CensusKind> = new Set<CensusKind>([
  "sealed", "sealed-unverified", "directory-marker", "not-registered", "scratch", "noncurrent-sealed",
  "noncurrent-sealed-unverified", "noncurrent-directory-marker", "delete-marker", "upload-live", "progress-live",
  "progress-kept",
])

/** Sums up the findings of one run. */
export function tally(bucket: string, log: Log) {
  const counts: Record<string, number> = {}
  const bytes: Record<string, number> = {}
  const fixed: Record<string, number> = {}
  const list = censusList()
  let left = 0

  return {
    add(finding: Finding, done?: Mended): void {
      const { kind } = finding
      counts[kind] = (counts[kind] ?? 0) + 1
      bytes[kind] = (bytes[kind] ?? 0) + finding.bytes
      if (done) fixed[done.outcome] = (fixed[done.outcome] ?? 0) + 1
      if (isWell.has(kind) && !done) return
      const item = itemOf(bucket, finding, done)
      log.info("a census found what is not well", { ...item })
      list.add(item)
      if (isLeft(item)) left++
    },
    sums: (): CensusSums => ({ counts, bytes, fixed, left, ...list.shown() }),
  }
}

function itemOf(bucket: string, { kind, since, ...finding }: Finding, done: Mended | undefined): CensusItem {
  const reason = done?.reason ?? finding.reason
  return {
    bucket, ...finding, outcome: kind, ...(since === undefined ? {} : { since: isoOf(since) }),
    ...(reason === undefined ? {} : { reason }), ...(done ? { fix: done.outcome } : {}),
    ...(done?.missing ? { missing: done.missing } : {}),
  }
}

/** A store may give no date at all. */
const isoOf = (milliseconds: number): string =>
  (Number.isNaN(milliseconds) ? "unknown" : new Date(milliseconds).toISOString())
