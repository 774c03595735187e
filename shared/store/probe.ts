/**
 * Finds out what a store does with conditions, versions and reads, by canaries in a scratch prefix of the very bucket that
 * is to be trusted. Stores are told apart by what they do, never by name. First the settings are only read; none is changed.
 */
import { randomBytes } from "node:crypto"
import { Failure } from "../errors.ts"
import type { BucketSettings, Versioning } from "../ports.ts"
import { allOf, mayFail, together } from "./probe-groups.ts"
import { copies, deletes, ownership, ranges, reads } from "./probe-reads.ts"
import type { ProbeableStore } from "./probe-removal.ts"
import { matchFormOf, nothingFound, type Finding, type Findings, type ProbeReport } from "./probe-report.ts"
import { completions, parts } from "./probe-uploads.ts"
import { measuredVersioning, versions } from "./probe-versions.ts"
import { checksums, creates, plainWrites, replaces } from "./probe-writes.ts"
import { scratchIn, type Scratch } from "./scratch.ts"

/** Where canaries are written: a prefix that the product's own events ignore. */
export const PROBE_PREFIX = ".bucketseal-probe/"

/** How to probe. */
export interface ProbeOptions {
  /** Told the prefix of the canaries before the first is written. */
  readonly announce?: (prefix: string) => void
  /** Once it is aborted nothing more is measured; what was written is removed, and its reason thrown. */
  readonly signal?: AbortSignal | undefined
}

/** Probes a bucket with at most 40 objects of at most 1 KiB, and removes them. Where they could not be removed again none is
 *  written. Throws `bucket-not-found`, and what the store throws where even a plain write or read fails, or it is overloaded. */
export async function probe(store: ProbeableStore, bucket: string, { announce, signal }: ProbeOptions = {}): Promise<ProbeReport> {
  const settings = await store.bucketSettings(bucket)
  if (!settings) throw new Failure("bucket-not-found", `there is no bucket ${bucket}`)
  const prefix = scratchPrefix(PROBE_PREFIX)
  const known = { ...nothingFound, bucket, prefix, settings }
  const unmeasured = unremovable(settings)
  if (unmeasured !== undefined) return { ...known, unmeasured, versioning: settings.versioning, requests: 1 }
  announce?.(prefix)
  const scratch = scratchIn(store, bucket, prefix, { keepsVersions: settings.versioning !== "off", signal })
  const { findings, canariesRemoved } = await cleared(scratch, () => measure(scratch, settings))
  return { ...known, versioning: settings.versioning, ...findings, canariesRemoved, requests: scratch.requests() + 1 }
}

/** What a state store needs, and no more: plain and conditional puts, reads, listings. `prefix` is the state's own. */
export async function probeState(store: ProbeableStore, bucket: string, prefix: string): Promise<Findings> {
  const scratch = scratchIn(store, bucket, scratchPrefix(`${prefix}${PROBE_PREFIX}`), { keepsVersions: true })
  const { findings, canariesRemoved } = await cleared(scratch, async () => {
    const plain = await plainWrites(scratch)
    return { ...plain, ...(await together([creates(scratch), replaces(scratch)])) }
  })
  return { ...nothingFound, ...findings, canariesRemoved }
}

const scratchPrefix = (prefix: string): string => `${prefix}${randomBytes(8).toString("hex")}/`

/** Why canaries would stay, as a sentence. */
function unremovable({ defaultRetention, mfaDelete }: BucketSettings): string | undefined {
  if (defaultRetention === true) return "Object Lock retains all that is written, so nothing was written to find out"
  return mfaDelete === true ? "removing versions takes MFA, so nothing was written to find out" : undefined
}

async function cleared<T>(scratch: Scratch, work: () => Promise<T>): Promise<{ findings: T; canariesRemoved: boolean }> {
  try {
    const findings = await work()
    return { findings, canariesRemoved: await scratch.clear() }
  } catch (error) {
    await scratch.clear()
    throw error
  }
}

async function measure(scratch: Scratch, settings: BucketSettings): Promise<Partial<ProbeReport>> {
  const { givesVersions, ...plain } = await plainWrites(scratch)
  if (!plain.notLocked) return plain // each further canary would stay, too
  const [findings, versioning] = await allOf([
    together([
      creates(scratch), replaces(scratch), reads(scratch), ranges(scratch),
      mayFail(ownership(scratch, settings)), mayFail(checksums(scratch)), mayFail(parts(scratch)),
    ]),
    measuredVersioning(scratch, settings, givesVersions),
  ])
  const found = { ...nothingFound, ...plain, ...findings, versionsAsSet: asSet(settings, versioning) }
  return { ...found, versioning, ...(await conditional(scratch, found, versioning)) }
}

/** What is asked for by an ETag in the form that the store wants. */
async function conditional(scratch: Scratch, found: Findings, versioning: Versioning | "unknown"): Promise<Partial<Findings>> {
  const known = matchFormOf(found)
  const form = known ?? "quoted"
  const keepsVersions = versioning === "enabled" || versioning === "suspended"
  return together([
    mayFail(completions(scratch, form)), mayFail(copies(scratch, form)), mayFail(deletes(scratch, form)),
    keepsVersions ? mayFail(versions(scratch, versioning, known)) : Promise.resolve({}),
  ])
}

function asSet({ versioning: set }: BucketSettings, measured: Versioning | "unknown"): Finding {
  return set === "unknown" || measured === "unknown" ? "unknown" : set === measured
}
