/**
 * The local store's index: one LMDB environment, shared by every process that opened the folder.
 *
 *     buckets   name                            →  when it was made, versioning
 *     current   bucket 00 key                   →  the current version, where that is an object
 *     older     bucket 00 key 00 (2^48-1 - n)   →  every other version and every delete marker, newest first
 *     nulls     bucket 00 key                   →  n of the null version, where that is in `older`
 *     bodies    id                              →  the bytes of a small object
 *     files     file name                       →  where in it the object's bytes are; what has no entry is an orphan
 *     uploads   bucket 00 key 00 upload id      →  an upload in parts; the id begins with the time, so the oldest first
 *     parts     upload id, number (16 bits)     →  one part of it
 *     counters  "sequence"                      →  n of the newest version
 *
 * How keys are written, `local-keys.ts` says: so that all entries of one stand together. A key whose newest version is a
 * delete marker has no entry in `current`, and `current` and `older` merged are all versions in the order of a listing.
 * So a listing reads only what it gives.
 */
import { open, type Database } from "lmdb"
import { Failure } from "../errors.ts"
import type { Attributes, ChecksumKind, StoredChecksum, Tag, Versioning } from "../ports.ts"

/** A bucket. */
export interface BucketRecord {
  /** Milliseconds since the epoch. */
  readonly created: number
  readonly versioning: Versioning
}

/** One version of an object. */
export interface Version {
  readonly kind: "object"
  /** `null` as text for what was written without versioning. */
  readonly versionId: string
  /** Its place among all versions of the store, ascending. */
  readonly sequence: number
  readonly lastModified: number
  readonly size: number
  readonly etag: string
  readonly attributes: Attributes
  readonly tags: readonly Tag[]
  readonly checksum?: StoredChecksum
  readonly body: { readonly inline: string } | { readonly file: string }
}

/** A delete marker. */
export type Marker = Pick<Version, "versionId" | "sequence" | "lastModified"> & { readonly kind: "marker" }

/** Bytes `offset` to `offset + size` of a file. */
export type Extent = readonly [offset: number, size: number]

/** An upload in parts. All parts are in one file, each where there was room when it began. */
export interface Upload {
  readonly attributes: Attributes
  readonly tags: readonly Tag[]
  /** What its parts and the object are to carry. */
  readonly checksum?: ChecksumKind
  readonly file: string
  /** Where the next part may begin. */
  readonly end: number
  /** Room before the end that parts gave back, where it is not certain that something of a part follows it. */
  readonly gaps?: readonly Extent[]
}

/** A part, and where it is in the upload's file. */
export interface StoredPart {
  readonly etag: string
  readonly lastModified: number
  readonly checksum?: StoredChecksum
  readonly extent: Extent
}

/** The tables, and the two ways to use them. */
export interface Index {
  readonly buckets: Database<BucketRecord, string>
  readonly current: Database<Version, Uint8Array>
  readonly older: Database<Version | Marker, Uint8Array>
  readonly nulls: Database<number, Uint8Array>
  readonly bodies: Database<Uint8Array, string>
  readonly files: Database<readonly Extent[], string>
  readonly uploads: Database<Upload, Uint8Array>
  readonly parts: Database<StoredPart, Uint8Array>
  readonly counters: Database<number, string>
  /** Looks at one state of all tables: the newest one, whichever process made it. */
  read<T>(look: () => T): T
  /** Changes tables, alone among all processes; what `change` throws undoes it. Durable when the promise resolves. */
  write<T>(change: () => T): Promise<T>
  /** Waits for all writes. */
  close(): Promise<void>
}

/** Opens the index in a folder, or makes it. */
export function openIndex(path: string): Index {
  // Without overlappingSync a commit is on disk before it is visible, so nobody acts on what a power cut would undo.
  const root = open({ path, overlappingSync: false, maxDbs: 9 })
  const byBytes = { keyEncoding: "binary", encoding: "json" } as const
  const byText = { encoding: "json" } as const
  root.readerCheck() // a killed process leaves its place in the table of readers, which has few
  return {
    buckets: root.openDB("buckets", byText),
    current: root.openDB("current", byBytes),
    older: root.openDB("older", byBytes),
    nulls: root.openDB("nulls", byBytes),
    bodies: root.openDB("bodies", { encoding: "binary" }),
    files: root.openDB("files", byText),
    uploads: root.openDB("uploads", byBytes),
    parts: root.openDB("parts", byBytes),
    counters: root.openDB("counters", byText),
    read: (look) => {
      root.resetReadTxn() // else a read sees what was newest at an earlier read of the same event loop turn
      return look()
    },
    ...groupCommit(root),
  }
}

/** Whether a table has a key from `start` to before `end`. (`getKeysCount` counts on past its `limit`: lmdb 3.5.6.) */
export function hasKeys(table: Database<unknown, Uint8Array>, range: { start: Uint8Array; end: Uint8Array }): boolean {
  return [...table.getKeys({ ...range, limit: 1 })].length > 0
}

/**
 * All changes asked for in one turn of the event loop share one commit, and so one wait for the disk. Each is a nested
 * transaction, undone alone if it throws. (lmdb's asynchronous transactions never called back: 3.5.6, Node 20, seen.)
 */
function groupCommit(root: Database): Pick<Index, "write" | "close"> {
  let waiting: Change[] = []
  const commit = () => {
    const group = waiting
    waiting = []
    try {
      root.transactionSync(() => group.forEach((change) => change.run(root)))
    } catch (cause) {
      for (const change of group) change.settle(new Failure("unavailable", "the local store can't commit", cause))
      return
    }
    for (const change of group) change.settle()
  }
  return {
    write: (change) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(commit)
        waiting.push(pending(change, resolve, reject))
      }),
    close: async () => {
      while (waiting.length > 0) await new Promise((resolve) => setImmediate(resolve))
      await root.close()
    },
  }
}

interface Change {
  run(root: Database): void
  /** Tells who asked; with a failure of the whole commit, that. */
  settle(failure?: Failure): void
}

function pending<T>(change: () => T, resolve: (value: T) => void, reject: (reason: unknown) => void): Change {
  let settled = () => reject(new Error("a change was settled before it ran"))
  return {
    run: (root) => {
      try {
        const value = root.transactionSync(change) // nested: a transaction of its own inside the group's
        settled = () => resolve(value)
      } catch (error) {
        settled = () => reject(error instanceof Error ? error : new Error(String(error)))
      }
    },
    settle: (failure) => (failure ? reject(failure) : settled()),
  }
}
