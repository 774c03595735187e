/** From what was found of a bucket: how to write to it safely, and how to remove a source. Refused is what no finding allows. */
import type { EtagForm } from "../ports.ts"
import { matchFormOf, sentenceOf, type Findings, type ProbeReport, type Property } from "./probe-report.ts"

/** How to seal an object. */
export interface Strategy {
  readonly write: "put" | "multipart"
  /** Whether what is replaced stays, as a version below. */
  readonly versioned: boolean
  readonly removeSource: Removal
}

/** What may be deleted once the sealed object is written: exactly the source's version; the source under `If-Match`; nothing,
 *  as the write has replaced it, or as no deletion is safe. */
export type Removal = "version" | "if-match" | "keep"

/** Why it can't be done: the property that failed, and a sentence. */
export interface Refusal {
  readonly refused: Property | "objectLock" | "mfaDelete" | "versioning"
  readonly because: string
}

/** True for a refusal. */
export const isRefusal = (choice: object | string): choice is Refusal => typeof choice === "object" && "refused" in choice

/** The most bytes of one PUT (S3 user guide, "Uploading objects"): 5 GiB. */
const MOST_OF_PUT = 5 * 2 ** 30

const reading: readonly Property[] = ["notLocked", "readAfterWrite", "getMatchHonoured", "rangesExact"]
const sweeping: readonly Property[] = ["listAfterWrite"] // what no event named is found by listing
const puts: readonly Property[] = ["createRefusesExisting", "staleMatchRefused", "missingMatchRefused", "createHasOneWinner"]
const races: readonly Property[] = ["replaceHasOneWinner"] // is measured only where a right ETag is accepted
const markers: readonly Property[] = ["markerMatchRefused", "createOverMarkerAccepted"]
const completes: readonly Property[] = [
  "completeRefusesExisting", "staleCompleteRefused", "missingCompleteRefused", "rightCompleteAccepted", "completeHasOneWinner",
]
const versionRemoval: readonly Property[] = ["getVersionHonoured", "versionDeleteExact"]

/** How to write an object of `sealedSize` bytes, or why not. Needed is what was seen to hold: what is unknown does not. */
export function strategyFor(report: ProbeReport, mode: "in-place" | "vault", sealedSize: number): Strategy | Refusal {
  const write = sealedSize > MOST_OF_PUT ? "multipart" : "put"
  const versioned = report.versioning !== "off"
  const removesVersion = versioned && mode === "in-place"
  const refusal = (mode === "in-place" ? fixedSource(report) : undefined) ?? unmeasured(report) ?? foreignOwner(report)
    ?? wrongVersions(report) ?? failing(report, [...reading, ...puts]) ?? unmatched(report) ?? failing(report, races)
    ?? (mode === "in-place" ? failing(report, sweeping) : undefined) ?? (versioned ? failing(report, markers) : undefined)
    ?? (removesVersion ? failing(report, ["versionDirectlyAbove", ...versionRemoval]) : undefined)
    ?? (write === "multipart" ? unconditionalCompletion(report) : undefined)
  return refusal ?? { write, versioned, removeSource: removesVersion ? "version" : "keep" }
}

/** How to remove what was sealed into another bucket, or why this one can be no source: `keep` where no deletion is safe. */
export function removalFor(report: ProbeReport): Removal | Refusal {
  const refusal = fixedSource(report) ?? unmeasured(report) ?? wrongVersions(report)
    ?? failing(report, [...reading, ...sweeping])
  if (refusal) return refusal
  if (report.versioning === "suspended") return "keep" // a newer upload may be the null version by then, and no condition tells
  if (report.versioning === "enabled") return failing(report, versionRemoval) ? "keep" : "version"
  return failing(report, ["staleDeleteRefused", "rightDeleteAccepted"]) ? "keep" : "if-match"
}

/** How a state store must write an ETag in If-Match, or why none can be here. */
export function stateFormFor(found: Findings): EtagForm | Refusal {
  return failing(found, ["readAfterWrite", "listAfterWrite", ...puts]) ?? unmatched(found) ?? failing(found, races)
    ?? matchFormOf(found) ?? refusesRight
}

/** Whether conditions hold for completing an upload, so that an object larger than one PUT may be written. */
export const completesConditionally = (report: ProbeReport): boolean =>
  unconditionalCompletion(report) === undefined

const unconditionalCompletion = (report: ProbeReport): Refusal | undefined =>
  failing(report, report.versioning === "off" ? completes : [...completes, "markerCompleteRefused"])

/** Whether a source that can't be removed would be left for good. */
function fixedSource({ settings }: ProbeReport): Refusal | undefined {
  if (settings.objectLock === true) {
    return { refused: "objectLock", because: "the bucket has Object Lock: plaintext could not be removed" }
  }
  if (settings.mfaDelete !== true) return undefined
  return { refused: "mfaDelete", because: "removing versions takes MFA: plaintext could not be removed" }
}

function unmeasured({ unmeasured: because, settings }: ProbeReport): Refusal | undefined {
  if (because === undefined) return undefined
  return { refused: settings.defaultRetention === true ? "objectLock" : "mfaDelete", because }
}

const foreignOwner = (report: ProbeReport): Refusal | undefined =>
  report.ownerReads === false ? failing(report, ["ownerReads"]) : undefined // few stores say whose an object is

function wrongVersions({ versioning, versionsAsSet, settings }: ProbeReport): Refusal | undefined {
  if (versioning === "unknown") {
    return { refused: "versioning", because: "it couldn't be measured whether the bucket keeps versions" }
  }
  if (versionsAsSet !== false) return undefined
  return { refused: "versionsAsSet", because: `the bucket's versioning is ${versioning}, though its settings say ${settings.versioning}` }
}

const refusesRight: Refusal = { refused: "quotedMatchAccepted", because: "it refuses If-Match with the right ETag" }

const unmatched = (found: Findings): Refusal | undefined => (matchFormOf(found) === undefined ? refusesRight : undefined)

/** The first of these properties that was not seen to hold. */
function failing(report: Findings, needed: readonly Property[]): Refusal | undefined {
  const refused = needed.find((name) => report[name] !== true)
  return refused && { refused, because: sentenceOf(refused, report[refused]) }
}
