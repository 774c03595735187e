/** How steps are carried out: what `seal.ts` owes to the protocol. The seeded bugs change one of these at a time. */
import { begin, decide } from "../../shared/objects/protocol.ts"

/** Decisions, and how they are carried out. */
export interface Conduct {
  readonly begin: typeof begin
  readonly decide: typeof decide
  /** On what a write depends. */
  readonly writes: "if-unchanged" | "always" | "if-unchanged-or-absent" | "put-if-unchanged"
  /** Whether the progress document is written by compare-and-swap, and the lease looked at before each write. */
  readonly leases: boolean
  /** Which progress documents are believed. */
  readonly believes: "authentic" | "all" | "all-but-other-sources"
  /** Whether a response is used only if it carries the pinned ETag or version. */
  readonly pinsReads: boolean
  /** How an object is known to be sealed. */
  readonly sealedBy: "bytes" | "metadata"
  /** When the target is noted. */
  readonly notesTarget: "before-the-look" | "after-the-look"
  /** In which order the source's versions are removed in destination mode. */
  readonly removesFrom: "oldest" | "newest" | "oldest-and-newer-ones-too"
  /** Which version is removed in place. */
  readonly removes: "source" | "newest" | "below-ours" | "source-or-null"
  /** Whether an unversioned source is removed on If-Match. */
  readonly removesIfUnchanged: boolean
  readonly salts: "fresh" | "found-one-for-a-changed-source" | "fresh-for-a-resumed-upload"
  /** How what was written is known again. */
  readonly ours: "by-salt" | "any-sealed"
  /** Looks for a progress document whatever the object is by now. */
  readonly meetsBegun?: boolean
}

/** As the protocol wants it. */
export const asBuilt: Conduct = {
  begin, decide, writes: "if-unchanged", leases: true, believes: "authentic", pinsReads: true, sealedBy: "bytes",
  notesTarget: "before-the-look", removesFrom: "oldest", removes: "source", removesIfUnchanged: true, salts: "fresh", ours: "by-salt",
}
