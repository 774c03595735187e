/** What the probe reports of a bucket: one flat record of properties, and what each of them says. */
import type { BucketSettings, EtagForm, Versioning } from "../ports.ts"

/** Whether a store has a property; `unknown` where it was not measured, or could not be. */
export type Finding = boolean | "unknown"

// In the order in which they are measured. `true` is what sealing would like to see.
const table = {
  notLocked: ["what is written can be removed again", "what is written is locked by Object Lock, though nobody asked for it"],
  readAfterWrite: ["a read after a write gives what was written", "a read after a write doesn't give what was written"],
  listAfterWrite: ["a listing after a write shows it", "a listing after a write doesn't show it"],
  ownerReads: ["what is written belongs to the bucket's owner", "what is written belongs to another account than the bucket, whose owner can't read it"],
  createRefusesExisting: ["If-None-Match: * is refused where an object is there", "it accepts If-None-Match: * on an object that exists"],
  createHasOneWinner: ["of 16 creates at once exactly one succeeds", "of simultaneous conditional creates more than one succeeds, or none"],
  staleMatchRefused: ["If-Match with a stale ETag is refused", "it accepts If-Match with a stale ETag"],
  missingMatchRefused: ["If-Match on a missing object is refused", "it accepts If-Match on a missing object, which would undo deletes"],
  quotedMatchAccepted: ["If-Match with the right ETag, quoted, is accepted", "it refuses If-Match with the right ETag, quoted"],
  unquotedMatchAccepted: ["If-Match with the right ETag, unquoted, is accepted", "it refuses If-Match with the right ETag, unquoted"],
  replaceHasOneWinner: ["of 16 replacements of one ETag at once exactly one succeeds", "of simultaneous conditional writes more than one succeeds, or none"],
  completeRefusesExisting: ["completing an upload, too, is refused under If-None-Match: * where an object is there", "it completes an upload under If-None-Match: * over an object that exists"],
  staleCompleteRefused: ["so it is under If-Match with a stale ETag", "it completes an upload under If-Match with a stale ETag"],
  missingCompleteRefused: ["and on a missing object", "it completes an upload under If-Match on a missing object, which would undo deletes"],
  rightCompleteAccepted: ["with the right ETag it is accepted", "it refuses to complete an upload under If-Match with the right ETag"],
  completeHasOneWinner: ["of 16 completions at once exactly one succeeds", "of simultaneous conditional completions more than one succeeds, or none"],
  copySourceMatchHonoured: ["a copy is refused where its source has another ETag", "it copies though the source has another ETag than asked for"],
  copyTargetMatchHonoured: ["a copy is refused where a condition on its target doesn't hold", "it ignores conditions on the target of a copy"],
  copyKeepsMetadata: ["a copy has its source's metadata", "a copy loses its source's metadata"],
  copyKeepsTags: ["a copy has its source's tags", "a copy loses its source's tags"],
  staleDeleteRefused: ["a delete under If-Match with a stale ETag is refused", "it deletes under If-Match with a stale ETag"],
  rightDeleteAccepted: ["with the right ETag it is done", "it doesn't delete under If-Match with the right ETag"],
  getMatchHonoured: ["GET heeds If-Match", "GET ignores If-Match"],
  headMatchHonoured: ["HEAD heeds If-Match", "HEAD ignores If-Match"],
  rangesExact: ["ranges are exact", "a range has other bytes than asked for"],
  checksumRefused: ["bytes with a wrong CRC-32 are refused", "bytes with a wrong CRC-32 are accepted"],
  streamChecksumRefused: ["so is a stream", "a stream's CRC-32 isn't checked, or our client can't send one behind a stream"],
  etagIsMd5: ["the ETag of a small object is its MD5", "the ETag of a small object isn't its MD5"],
  partEtagIsMd5: ["so is that of a part of an upload", "the ETag of a part of an upload isn't its MD5"],
  reportsTagCount: ["a read says how many tags there are", "a read doesn't say how many tags there are: one more request an object"],
  versionsAsSet: ["it keeps versions as its settings say", "it keeps versions otherwise than its settings say"],
  markerMatchRefused: ["If-Match over a delete marker is refused", "it accepts If-Match over a delete marker, which would undo deletes"],
  markerCompleteRefused: ["completing an upload under If-Match over a delete marker is refused", "it completes an upload under If-Match over a delete marker, which would undo deletes"],
  createOverMarkerAccepted: ["If-None-Match: * over a delete marker is accepted", "it refuses If-None-Match: * over a delete marker: its conditions don't look at the current version"],
  getVersionHonoured: ["GET gives the version that is named", "GET doesn't give the version that is named"],
  headVersionHonoured: ["HEAD gives the version that is named", "HEAD doesn't give the version that is named"],
  versionDirectlyAbove: ["a conditional write's version lies directly above the one it replaced", "a conditional write's version doesn't lie directly above the one it replaced"],
  versionDeleteExact: ["deleting a version removes exactly that one", "deleting a version removes another one than was named, or more"],
  canariesRemoved: ["what the probe wrote is removed", "what the probe wrote is still there: remove it by hand"],
} as const satisfies Record<string, readonly [yes: string, no: string]>

/** The name of a property. */
export type Property = keyof typeof table

/** All names, in the order in which they are measured. */
export const properties = Object.keys(table) as readonly Property[]

/** What was found, by property. */
export type Findings = Readonly<Record<Property, Finding>>

/** Nothing was measured. */
export const nothingFound = Object.fromEntries(properties.map((name) => [name, "unknown"])) as Findings

/** A probed bucket. */
export interface ProbeReport extends Findings {
  readonly bucket: string
  /** Under which the canaries were; what is left there is nobody's. */
  readonly prefix: string
  readonly settings: BucketSettings
  /** Why no canary was written, as a sentence; absent where they were. */
  readonly unmeasured?: string
  /** Whether it keeps versions: as it was measured, else as it is set. */
  readonly versioning: Versioning | "unknown"
  /** Calls to the store; reading all settings counts as one. */
  readonly requests: number
}

/** The sentence that a finding is. */
export function sentenceOf(name: Property, finding: Finding): string {
  const [yes, no] = table[name]
  return finding === false ? no : finding === true ? yes : `it couldn't be measured whether ${yes}`
}

/** How the store wants an ETag in If-Match; `undefined` where it takes neither form. */
export function matchFormOf(found: Pick<Findings, "quotedMatchAccepted" | "unquotedMatchAccepted">): EtagForm | undefined {
  if (found.quotedMatchAccepted === true) return "quoted"
  return found.unquotedMatchAccepted === true ? "unquoted" : undefined
}
