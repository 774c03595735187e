/**
 * What the model knows: a store with one key in one or two buckets, the state store, the network, two sealers, a user, and a
 * ledger that no part of the real system has. Every value is immutable; equal states are equal as JSON.
 *
 * Bytes are names ("u1", "u2", …): equal names are equal bytes, with equal ETags. Sealing `u1` with the salt `s1` gives the
 * ETag `s1(u1)`; its commitment makes it unlike any other sealing.
 */
import type { End, Memory, Sealing, Setting, Step, Target } from "../../shared/objects/protocol.ts"

/** A stored version. A delete marker has no bytes (""); what a user wrote has no salt (""). */
export interface Version {
  readonly id: string
  readonly bytes: string
  readonly salt: string
  /** Metadata and tags, as a number that the user counts up. */
  readonly description: number
  /** Seconds on a clock of which only equality counts. */
  readonly lastModified: number
  /** Which of the user's uploads this is, or was looked at to seal it. No store knows this. */
  readonly upload: number
}

/** One key of a bucket: its versions, the oldest first. Without versioning there is one at most, called `null`. */
export interface Bucket {
  readonly versioning: "off" | "enabled" | "suspended"
  readonly versions: readonly Version[]
}

/** One part of an upload: the slice of these bytes, sealed with this salt. */
export interface Part {
  readonly bytes: string
  readonly salt: string
}

/** A multipart upload of ours, of two parts. */
export interface Upload {
  readonly id: string
  readonly description: number
  readonly parts: readonly [Part | null, Part | null]
}

/** The progress document. One that is not authentic was made by somebody without the data key. */
export interface Document {
  readonly authentic: boolean
  readonly sealing: Sealing
}

/** Everything outside of the sealers. */
export interface World {
  readonly source: Bucket
  /** The other bucket in destination mode; in place the source is the target. */
  readonly vault: Bucket | null
  readonly uploads: readonly Upload[]
  /** Whether the upload which a user has under way in the target is still there. */
  readonly usersUpload: boolean
  readonly progress: Document | null
  /** Requests whose answer nobody waits for any more; each may take effect at any time, or never. */
  readonly network: readonly Request[]
  /** How many versions, salts and uploads there have been. */
  readonly made: { readonly versions: number; readonly salts: number; readonly uploads: number }
}

/** A condition on what is current; `undefined` is none. */
export type Condition = { readonly ifMatch: string; readonly orAbsent?: boolean } | { readonly ifNoneMatch: "*" } | undefined

/** What the writer could know of the source when it wrote, for the ledger. */
export interface Knowledge {
  /** Which of the user's uploads its last look saw. */
  readonly seen: number
  /** Whether it looked again after the last part. */
  readonly again: boolean
}

/** A request that changes something. */
export type Request =
  | { readonly do: "put"; readonly where: Where; readonly content: Part; readonly upload: number; readonly description: number; readonly condition: Condition; readonly knows: Knowledge }
  | { readonly do: "create-upload"; readonly description: number }
  | { readonly do: "send-part"; readonly id: string; readonly number: 0 | 1; readonly part: Part }
  | { readonly do: "complete"; readonly id: string; readonly where: Where; readonly upload: number; readonly condition: Condition; readonly knows: Knowledge }
  | { readonly do: "abort"; readonly id: string }
  | { readonly do: "delete"; readonly where: Where; readonly condition: Condition; readonly knows: Knowledge }
  | { readonly do: "delete-version"; readonly where: Where; readonly id: string }
  /** Replaces the document that was seen last: void as soon as there is another one. */
  | { readonly do: "store-progress"; readonly progress: Document | null; readonly unconditional: boolean }

/** A bucket, as a sealer sees it. */
export type Where = "source" | "target"

/** How well a sealer knows the progress document: it is the one it read, or the one it wrote (the lease), or neither. */
export type Grip = "none" | "read" | "held"

/** One run of the protocol. What is beside memory and step is what carries out the steps. */
export interface Run {
  readonly memory: Memory
  readonly next: Step
  /** How far the step is that takes several requests. */
  readonly at: number
  readonly grip: Grip
  /** The salt of what was written without a document. */
  readonly salt: string
  /** The first look at the source: its description and which upload it was. */
  readonly looked: { readonly description: number; readonly upload: number }
  readonly knows: Knowledge
  /** Versions that a step still has to remove, or has listed. */
  readonly listed: readonly string[]
  /** An upload that was made and is not recorded yet. */
  readonly madeUpload: string
  /** A target that was noted at the wrong time; only a seeded bug has one. */
  readonly lateTarget?: Target
}

/** What nobody but the checker knows: what the user did, and what became of it. */
export interface Ledger {
  /** The user's last word: the bytes, or a deletion (""), and the description. */
  readonly bytes: string
  readonly description: number
  /** Each upload's bytes. */
  readonly uploads: readonly string[]
  /** Salt → bytes it has sealed. */
  readonly sealed: Readonly<Record<string, string>>
  /** Uploads whose id once stood in an authentic progress document. */
  readonly recorded: readonly string[]
  /** Plaintext versions that a sealed version was written over: [its ETag, id of the version under it]. */
  readonly remnants: readonly (readonly [string, string])[]
  /** Destination mode: the newest upload that was ever in the vault; the newest that the user deleted there. */
  readonly shown: number
  readonly deleted: number
  /** Destination mode: whether what was written to the vault last may still be met as unwritten. */
  readonly unsettled: boolean
  /** Destination mode: the user removed the last upload where it was uploaded, before or after it was sealed. */
  readonly withdrawn: boolean
  /** Documents that an attacker of the state store may put back. Kept only where there is one. */
  readonly documents: readonly Document[]
}

/** How much may still happen. */
export interface Budget {
  readonly starts: number
  readonly faults: number
  readonly actions: number
  readonly attacks: number
}

/** One state of everything. */
export interface State {
  readonly world: World
  readonly runs: readonly [Run | null, Run | null]
  readonly budget: Budget
  readonly ledger: Ledger
  /** What the last move broke, or met of the windows that are known to be open. Not part of the state. */
  readonly broken?: Breach
  readonly window?: Window
  /** How a run ended by the last move. */
  readonly ended?: End
}

/** A promise that was broken, and how. */
export interface Breach {
  readonly promise: PromiseName
  readonly how: string
}

/** Promises 1 to 3 of the design's section 10, the retry rule of the encryption's section 9, and rule S7. */
export type PromiseName =
  | "1: the latest bytes are never lost" | "2: no delete is undone, no overwrite rolled back"
  | "3: one sealed object, nothing left, no loop" | "S8: no description is lost" | "retry rule: one salt, one content"
  | "S7: only uploads of our own are aborted"

/** Windows that are known to be open. */
export type Window =
  | "the description changed between the last look and the write, or the removal"
  | "the vault's object deleted between its write and the note of it"
  | "the same bytes put again after a delete in the vault, before the removal on If-Match"
  | "a sealed object copied onto itself while an unexpected version lay under it"
  | "a write still under way arrives after what another run wrote was deleted in the vault"
  | "an upload made whose id was never recorded"

/** A move and where it leads. */
export interface Move {
  readonly label: string
  readonly state: State
}

/** What is explored: a way of sealing, and how much may happen. */
export interface Scenario extends Budget {
  readonly name: string
  readonly setting: Setting
  readonly versioning: Bucket["versioning"]
  /** The vault's, in destination mode. */
  readonly vaultVersioning?: Bucket["versioning"]
  /** Bytes that are sealed as multipart uploads. */
  readonly multipart: boolean
  /** But for the first upload, which alone is large. */
  readonly smallAgain?: boolean
  /** Whether the answer to a write proves what is stored. */
  readonly answersProve: boolean
  /** All writes within one second: Last-Modified tells nothing apart. */
  readonly sameSecond?: boolean
  /** What the user does; all of `actions` together at most. */
  readonly user: readonly UserAction[]
}

export type UserAction = "put-new" | "put-first-again" | "delete" | "describe" | "delete-in-vault" | "put-marked" | "uploads-vanish" | "enable-versioning"

/** What a user wrote or what is there, as opposed to a delete marker or nothing. */
export function current(bucket: Bucket): Version | undefined {
  const newest = bucket.versions.at(-1)
  return newest && newest.bytes !== "" ? newest : undefined
}

/** MD5 of the bytes, as it were. */
export const etagOf = ({ bytes, salt }: Pick<Version, "bytes" | "salt">): string => (salt === "" ? bytes : `${salt}(${bytes})`)

/** The bucket that is written to. */
export const targetOf = ({ source, vault }: World): Bucket => vault ?? source

/** The bucket as a sealer calls it. */
export const bucketAt = (world: World, where: Where): Bucket => (where === "source" ? world.source : targetOf(world))

/** The world with that bucket changed. */
export const withBucket = (world: World, where: Where, bucket: Bucket): World =>
  where === "target" && world.vault ? { ...world, vault: bucket } : { ...world, source: bucket }
