/** How sealing an object went. */
import type { MissingAuthorization } from "../ports.ts"

/** How it went. `parked` means not sealed, kept as uploaded, with the reason why. */
export type SealResult =
  | { readonly outcome: "sealed"; readonly size: number; readonly dek: string }
  | { readonly outcome: "already-sealed"; readonly reason?: "unverified" }
  | { readonly outcome: "not-registered" | "gone" | "superseded" }
  | { readonly outcome: "ignored"; readonly reason: "directory-marker" | "scratch" | "vault" }
  /** Somebody else holds the lease on this sealing until then (milliseconds since the epoch). */
  | { readonly outcome: "busy"; readonly until: number }
  /** Stopped by its signal. `goesOn`: what was sent is kept, and the next run goes on from there. */
  | { readonly outcome: "unfinished"; readonly goesOn?: true }
  | { readonly outcome: "not-settled"; readonly due: number }
  | Parked

/** Why an object stays as it is. */
export interface Parked {
  readonly outcome: "parked"
  readonly reason: ParkReason
  readonly missing?: MissingAuthorization
}

/** The reasons, as they stand in results and in `parked/`. */
export type ParkReason =
  | "not-authorized" | "key-state" | "unavailable" | "archived" | "sse-c" | "locked" | "too-large"
  | "moved" | "unknown-data-key" | "unknown-format" | "damaged-or-forged" | "store-forbids" | "store-refuses"
  | "condition-misbehaves" | "stored-bytes-differ" | "keeps-changing"
  | "too-large-for-store" | "unfinished" | "destination-not-registered" | "cannot-resume" | "settling" | "failed"

/** Parked for this reason. */
export const parkedAs = (reason: ParkReason): Parked => ({ outcome: "parked", reason })
