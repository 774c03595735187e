/**
 * What the `Store` port promises, as sentences that every implementation is held to. A store that is known to do
 * something else names the sentence in `differences`, with the reason; what it does instead is then asserted.
 */
import { afterAll, beforeAll, describe, it } from "vitest"
import type { EtagForm, Store } from "../shared/ports.ts"
import { bucketSentences } from "./store-contract-buckets.ts"
import { checksumSentences } from "./store-contract-checksums.ts"
import { conditionSentences } from "./store-contract-conditions.ts"
import { copySentences } from "./store-contract-copy.ts"
import { deleteSentences } from "./store-contract-deletes.ts"
import { listSentences } from "./store-contract-lists.ts"
import { objectSentences } from "./store-contract-objects.ts"
import { tagSentences } from "./store-contract-tags.ts"
import { uploadListSentences } from "./store-contract-upload-lists.ts"
import { uploadSentences } from "./store-contract-uploads.ts"
import { versionListSentences } from "./store-contract-version-lists.ts"
import { versionSentences } from "./store-contract-versions.ts"

/** A store under test. `bucket` makes a fresh bucket and sees to it that it is emptied and removed by `close`. */
export interface Harness {
  readonly store: Store
  bucket(): Promise<string>
  close(): Promise<void>
}

/** The sentences that a store may differ from; what is asserted then stands beside the sentence. */
type DifferenceName =
  | "complete-conditions" // conditions on completeUpload are ignored
  | "complete-twice" // completing a completed upload again succeeds
  | "complete-unknown" // completing an upload that is not there is answered as if the store had broken: unavailable
  | "left-out-parts" // completing must name every part that was stored
  | "upload-tags" // tags given to createUpload are lost
  | "versioned-conditions" // with versioning, ifNoneMatch * passes over an object, and the right ifMatch is refused
  | "suspended-version-id" // a write with versioning suspended reports no version id
  | "copy-conditions" // conditions on the target of a copy are ignored
  | "copy-tags" // a copy with attributes of its own has no tags
  | "delete-conditions" // conditions on delete are ignored
  | "delete-version-conditions" // conditions on the delete of a version are not taken
  | "checksums" // checksums are neither kept nor told
  | "wrong-checksum" // a checksum that is wrong is taken
  | "wrong-stream-checksum" // so is that of a stream
  | "object-checksums" // the checksum of an object is not told
  | "named-marker" // a delete marker that is named by its version id is not told from what is not there
  | "second-marker" // deleting what a delete marker hides already makes no other marker
  | "upload-order" // uploads are in the order of their keys' first letters only
  | "upload-prefixes" // prefixes of uploads that are rolled up are not told
  | "version-key-marker" // a listing of versions behind a key begins with the versions of that key

/** Which sentences differ, each with its reason, and how the store wants an ETag in If-Match. */
export type Differences = Partial<Record<DifferenceName, string>> & { readonly etagForm?: EtagForm }

/** What a group of sentences is given. */
export interface Subject {
  /** The store; only inside a test or hook. */
  readonly store: () => Store
  /** A fresh bucket. */
  readonly bucket: () => Promise<string>
  readonly etagForm: EtagForm
  /** A sentence of the port, or what the store is known to do instead of it. */
  readonly sentence: (
    name: DifferenceName,
    says: string,
    expected: () => Promise<void>,
    instead: () => Promise<void>,
  ) => void
}

/** Holds a store to the contract. */
export function storeContract(name: string, make: () => Promise<Harness>, differences: Differences = {}): void {
  describe(`Store: ${name}`, () => {
    let harness: Harness | undefined
    const opened = () => {
      if (!harness) throw new Error("the store was not made")
      return harness
    }
    beforeAll(async () => void (harness = await make()))
    afterAll(() => harness?.close())

    const subject: Subject = {
      store: () => opened().store,
      bucket: () => opened().bucket(),
      etagForm: differences.etagForm ?? "quoted",
      sentence: (difference, says, expected, instead) => {
        const reason = differences[difference]
        if (reason === undefined) it(says, expected)
        else it(`differs: ${says} (${difference}: ${reason})`, instead)
      },
    }
    describe("buckets", () => bucketSentences(subject))
    describe("objects", () => objectSentences(subject))
    describe("conditions", () => conditionSentences(subject))
    describe("copies", () => copySentences(subject))
    describe("deletes", () => deleteSentences(subject))
    describe("tags", () => tagSentences(subject))
    describe("checksums", () => checksumSentences(subject))
    describe("listings", () => listSentences(subject))
    describe("uploads in parts", () => uploadSentences(subject))
    describe("listings of uploads", () => uploadListSentences(subject))
    describe("versions", () => versionSentences(subject))
    describe("listings of versions", () => versionListSentences(subject))
  })
}
