/**
 * The interfaces between the core and the outside: stores, state, key services, decisions, log, clock.
 * Their comments are obligations on whoever implements them; `test/*-contract.ts` checks these on every implementation.
 */

// ---------------------------------------------------------------------------------------------------- object stores

/** Where an object stands. `key` is the raw key: any UTF-8 of 1 to 1,024 bytes, never URL-encoded. */
export interface ObjectRef {
  readonly bucket: string
  readonly key: string
}

/** What a store keeps beside the bytes and gives back unchanged. Absent members were not set. */
export interface Attributes {
  readonly contentType?: string
  readonly cacheControl?: string
  readonly contentDisposition?: string
  readonly contentEncoding?: string
  readonly contentLanguage?: string
  /** The HTTP date as given, not parsed. */
  readonly expires?: string
  readonly websiteRedirect?: string
  /** User metadata: lower-case names without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>
  /** Absent means the store's default class. */
  readonly storageClass?: string
}

/** Server-side encryption that the store reports for an object. */
export interface ServerSideEncryption {
  /** `AES256`, `aws:kms` or `aws:kms:dsse` as the store says; `customer` for SSE-C. */
  readonly kind: string
  readonly keyId?: string
}

/** The checksums that S3 defines beside the ETag (S3 user guide, "Checking object integrity"). */
export type ChecksumAlgorithm = "crc32" | "crc32c" | "crc64nvme" | "sha1" | "sha256"

/** How the checksum of an object is made: `full` over its bytes, `composite` over the checksums of its parts. */
export interface ChecksumKind {
  readonly algorithm: ChecksumAlgorithm
  readonly type: "full" | "composite"
}

/** A checksum as S3 writes it: base64, big-endian for a CRC; with `-` and the number of parts behind it if composite. */
export interface StoredChecksum extends ChecksumKind {
  readonly value: string
}

/** One stored object version, without its bytes. */
export interface ObjectInfo extends Attributes {
  /** Bytes of the whole object, also when only a range was asked for. */
  readonly size: number
  /** Opaque, without quotes. */
  readonly etag: string
  /** Milliseconds since the epoch. Whole seconds on most stores. */
  readonly lastModified: number
  /** Present only where the bucket has, or had, versioning. */
  readonly versionId?: string
  /** How many tags it has; `undefined` where the store does not say (then ask `getTags`). */
  readonly tagCount?: number
  readonly encryption?: ServerSideEncryption
  /** True where the store reports an Object Lock retention or legal hold. */
  readonly locked?: boolean
  /** What it was written with; absent where there was none, or the store was not asked or keeps none. */
  readonly checksum?: StoredChecksum
}

/** An object opened for reading. */
export interface StoredObject extends ObjectInfo {
  /** The bytes that were asked for. Fails if the store drops it half-way; never ends early without failing.
   *  A chunk may be a view of a larger buffer, and is the reader's to keep. */
  readonly body: AsyncIterable<Uint8Array>
  /** The range delivered (`end` inclusive), where one was asked for; `undefined` when the whole object is delivered. */
  readonly range?: { readonly start: number; readonly end: number }
  /** Gives up reading and frees the connection. Harmless after the end or twice. */
  cancel(): void
}

/** A byte range as HTTP has it (RFC 9110, section 14.1): `end` is inclusive; `suffix` counts from the end. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly suffix: number }

/** Options that every request to a store takes. */
export interface RequestOptions {
  /** Aborts the request and its retries. */
  readonly signal?: AbortSignal
}

/** Which version to read, and under which condition. A condition that does not hold throws `precondition-failed`
 *  (`ifMatch`) or `not-modified` (`ifNoneMatch`). */
export interface ReadOptions extends RequestOptions {
  readonly versionId?: string
  readonly ifMatch?: string
  readonly ifNoneMatch?: string
}

/** A read of bytes. A range that starts at or after the end throws `range-not-satisfiable`. */
export interface GetOptions extends ReadOptions {
  readonly range?: ByteRange
}

/** A write happens only if the current version is absent (`ifNoneMatch`) or has this ETag (`ifMatch`). */
export type WriteCondition =
  | { readonly ifNoneMatch: "*" }
  | {
      /** The ETag without quotes. */
      readonly ifMatch: string
      /** How it goes into the If-Match header. AWS wants it quoted, Ceph RGW 16 unquoted; the probe tells. Default quoted. */
      readonly form?: EtagForm
    }

/** How a store wants an ETag written in If-Match. */
export type EtagForm = "quoted" | "unquoted"

/** What a write carries beside its bytes. */
export interface WriteOptions extends RequestOptions {
  readonly condition?: WriteCondition
  /** The checksum of the bytes, to be kept beside them; called once, when they have been read to their end. A store that
   *  keeps none, or would need it sooner, ignores it; one that checks it throws `store-refused` where it is wrong. */
  readonly checksum?: () => StoredChecksum | undefined
  readonly attributes?: Partial<Attributes>
  readonly tags?: readonly Tag[]
  readonly encryption?: ServerSideEncryption
}

/** A tag: name, value. */
export type Tag = readonly [name: string, value: string]

/** The bytes of a write. A stream is read once, in order; its `length` in bytes is exact: a stream that is longer or
 *  shorter, or fails, makes the write fail, and nothing is stored. A chunk that a stream gave may be reused by it as
 *  soon as it is asked for the next one. */
export type Body = Uint8Array | { readonly length: number; readonly stream: AsyncIterable<Uint8Array> }

/** What a store answers to a write. */
export interface WriteResult {
  /** Opaque, without quotes. */
  readonly etag: string
  readonly versionId?: string
}

/** One entry of a listing. */
export interface ListedObject {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly lastModified: number
  readonly storageClass?: string
}

/** One version of an object, or a delete marker, in a listing. */
export interface ListedVersion extends ListedObject {
  /** `null` as text for what was written without versioning. */
  readonly versionId: string
  /** Whether it is the newest of its key. */
  readonly latest: boolean
  /** A delete marker: its size is 0 and its ETag empty. */
  readonly marker: boolean
  /** As `BucketSettings` names one; absent where the store does not say. */
  readonly owner?: string
}

/** Where a listing of versions or of uploads goes on: behind this version or upload, or, without one, behind the key. */
export interface ListMarker {
  readonly key: string
  readonly id?: string
}

/** What to list of versions or uploads. */
export interface MarkedListOptions extends RequestOptions {
  readonly prefix?: string
  readonly delimiter?: string
  readonly after?: ListMarker
  /** At most this many entries, prefixes included, 1 to 1,000 (the default). */
  readonly limit?: number
}

/** One page of versions: by key in the order of UTF-8 bytes, the newest of a key first. */
export interface VersionPage {
  readonly versions: readonly ListedVersion[]
  /** With a delimiter: the prefixes rolled up. */
  readonly prefixes: readonly string[]
  /** Give it as `after` to get the next page; absent on the last one. Its key is a prefix where one was rolled up last. */
  readonly next?: ListMarker
}

/** A delete marker. */
export interface DeleteMarker {
  readonly versionId: string
  /** Milliseconds since the epoch; absent where the store does not say. */
  readonly lastModified?: number
}

/** What a delete did. */
export interface DeleteResult {
  /** The version that is gone or, where a delete marker was made, the marker's. Absent without versioning. */
  readonly versionId?: string
  /** True where a delete marker was made, or the version removed was one. */
  readonly marker: boolean
}

/** Which version to delete, and on which condition: `ifMatch` is the ETag of the current version. */
export interface DeleteOptions extends RequestOptions {
  readonly versionId?: string
  readonly condition?: Extract<WriteCondition, { ifMatch: string }>
}

/** What a copy takes over, and on which conditions. Tags are kept always. */
export interface CopyOptions extends RequestOptions {
  /** The ETag that the source must have. */
  readonly ifMatch?: string
  /** On the current version of the target. */
  readonly condition?: WriteCondition
  /** Written instead of all the source's attributes; where this is absent they are kept, but for storage class and
   *  redirect, which each write names for itself (S3 reference, CopyObject). */
  readonly attributes?: Partial<Attributes>
}

/** One page of a listing, in ascending order of the keys' UTF-8 bytes. */
export interface ListPage {
  readonly objects: readonly ListedObject[]
  /** With a delimiter: the prefixes rolled up, each ending with the delimiter. */
  readonly prefixes: readonly string[]
  /** Give it as `token` to get the next page; absent on the last one. */
  readonly next?: string
}

/** What to list. */
export interface ListOptions extends RequestOptions {
  readonly prefix?: string
  readonly delimiter?: string
  /** Only keys after this one (by UTF-8 bytes); where it is a prefix that the delimiter rolls up, only what is behind it. */
  readonly startAfter?: string
  readonly token?: string
  /** At most this many entries, 1 to 1,000 (the default). */
  readonly limit?: number
}

/**
 * An object store as sealing and reading need it. Absent is `undefined`; refused and broken throw a `Failure`:
 * `bucket-not-found`, `forbidden`, `precondition-failed`, `archived`, `throttled`, `unavailable` (no answer, or 5xx after
 * all retries: the effect of a write is then unknown), `store-refused` (any other answer).
 */
export interface ObjectStore {
  /** Opens the object for reading, or gives `undefined` if there is none, or its current version is a delete marker. */
  get(ref: ObjectRef, options?: GetOptions): Promise<StoredObject | undefined>
  /** The object without its bytes, or `undefined` as `get`. */
  head(ref: ObjectRef, options?: ReadOptions): Promise<ObjectInfo | undefined>
  /** Stores the object whole or not at all; readers see the old or the new one, never a mixture. A condition that does not
   *  hold throws `precondition-failed`, also when the key is missing under `ifMatch`; one that lost a race may throw
   *  `conflict`. Must not answer before the bytes are durable. A write with a condition is never blindly repeated. */
  put(ref: ObjectRef, body: Body, options?: WriteOptions): Promise<WriteResult>
  /** Makes the target of the source's bytes, attributes and tags, whole or not at all; `undefined` if there is no source. A
   *  condition that does not hold, on either, throws `precondition-failed`; so may a missing source where one is given.
   *  `conflict` as for `put`. Stores without these conditions copy all the same. */
  copy(
    source: ObjectRef & { readonly versionId?: string }, target: ObjectRef, options?: CopyOptions,
  ): Promise<WriteResult | undefined>
  /** Removes the object, or exactly the version named. Removing what is not there succeeds. A condition that does not hold
   *  throws `precondition-failed`, also when there is no object; stores without this condition delete all the same. */
  delete(ref: ObjectRef, options?: DeleteOptions): Promise<DeleteResult>
  /** One page of the current objects. */
  list(bucket: string, options?: ListOptions): Promise<ListPage>
  /** One page of all versions and delete markers. */
  listVersions(bucket: string, options?: MarkedListOptions): Promise<VersionPage>
  /** The delete marker that is the version named, or that hides the object; `undefined` where there is none. */
  deleteMarker(ref: ObjectRef, options?: RequestOptions & { readonly versionId?: string }): Promise<DeleteMarker | undefined>
  /** The tags of the object, in any order; `undefined` if there is no object. */
  getTags(ref: ObjectRef, options?: RequestOptions & { readonly versionId?: string }): Promise<readonly Tag[] | undefined>
  /** Replaces all tags, by none where the list is empty. Bytes and ETag stay. Gives the version that has them now, where the
   *  bucket has versions; `undefined` if there is no object. */
  putTags(
    ref: ObjectRef, tags: readonly Tag[], options?: RequestOptions & { readonly versionId?: string },
  ): Promise<{ readonly versionId?: string } | undefined>
}

/** One part of a multipart upload. */
export interface Part {
  /** 1 to 10,000. */
  readonly number: number
  /** Without quotes. */
  readonly etag: string
  readonly size: number
  /** Milliseconds since the epoch; absent where the store does not say. */
  readonly lastModified?: number
  readonly checksum?: StoredChecksum
}

/** An upload under way. */
export interface ListedUpload {
  readonly key: string
  readonly uploadId: string
  /** Milliseconds since the epoch. */
  readonly initiated: number
  readonly storageClass?: string
  /** The checksum that it was begun with. */
  readonly checksum?: ChecksumKind
}

/** One page of uploads: by key in the order of UTF-8 bytes, the oldest of a key first. */
export interface UploadPage {
  readonly uploads: readonly ListedUpload[]
  readonly prefixes: readonly string[]
  /** As in `VersionPage`. */
  readonly next?: ListMarker
}

/** Which parts to list: all, or those of higher numbers than `after`, and at most `limit`, 1 or more. */
export interface PartListOptions extends RequestOptions {
  readonly after?: number
  readonly limit?: number
}

/** Multipart uploads (S3's rules: parts of 5 MiB or more but for the last, at most 10,000). */
export interface MultipartStore {
  createUpload(ref: ObjectRef, options?: CreateUploadOptions): Promise<string>
  /** Stores one part; the same number again replaces it. Throws `not-found` if there is no such upload. */
  putPart(
    ref: ObjectRef, uploadId: string, number: number, body: Body, options?: Pick<WriteOptions, "signal" | "checksum">,
  ): Promise<{ etag: string }>
  /** Makes the object from these parts, whole or not at all. `condition` as for `put`, where the store honours it. */
  completeUpload(
    ref: ObjectRef,
    uploadId: string,
    parts: readonly Part[],
    options?: Pick<WriteOptions, "signal" | "condition" | "checksum">,
  ): Promise<WriteResult>
  /** Forgets the upload and its parts. An unknown one succeeds, in a bucket that is there. */
  abortUpload(ref: ObjectRef, uploadId: string, options?: RequestOptions): Promise<void>
  /** The parts stored so far, by number, and what the upload was begun with. Throws `not-found` if there is no such upload. */
  listParts(
    ref: ObjectRef, uploadId: string, options?: PartListOptions,
  ): Promise<Pick<ListedUpload, "checksum" | "storageClass"> & { readonly parts: readonly Part[] }>
  /** One page of the uploads under way in a bucket. */
  listUploads(bucket: string, options?: MarkedListOptions): Promise<UploadPage>
}

/** What an upload is begun with. */
export interface CreateUploadOptions extends Omit<WriteOptions, "condition" | "checksum"> {
  /** The checksum that its parts will carry, and how that of the object is made from them. */
  readonly checksum?: ChecksumKind
}

/** Whether a bucket keeps versions. */
export type Versioning = "off" | "enabled" | "suspended"

/** What a bucket is set to, as far as sealing in it depends on it. `unknown`: the store refused to say. */
export interface BucketSettings {
  readonly versioning: Versioning | "unknown"
  /** Whether removing a version takes a code that only a person has. */
  readonly mfaDelete: boolean | "unknown"
  readonly objectLock: boolean | "unknown"
  /** Whether what is written is locked without asking for it. */
  readonly defaultRetention: boolean | "unknown"
  readonly replicated: boolean | "unknown"
  /** Whether writes are told to somebody. */
  readonly notifies: boolean | "unknown"
  /** Whether the bucket has a policy. */
  readonly policy: boolean | "unknown"
  /** The store's name for the bucket's owner; absent where it does not say. */
  readonly owner?: string
  /** The location constraint or region the store reports; absent where it reports none. */
  readonly location?: string
  /** Rules that expire objects or move them to an archive class: the prefix of each. */
  readonly lifecycle: readonly { readonly prefix: string; readonly effect: "expires" | "archives" }[] | "unknown"
}

/** Buckets themselves. */
export interface BucketStore {
  /** Makes a bucket. One of our own with that name already: succeeds. Somebody else's: `conflict`. */
  createBucket(bucket: string): Promise<void>
  /** Throws `conflict` if it is not empty. */
  deleteBucket(bucket: string): Promise<void>
  listBuckets(): Promise<readonly { readonly name: string; readonly created: number }[]>
  /** `undefined` if there is no such bucket. */
  bucketSettings(bucket: string): Promise<BucketSettings | undefined>
  setVersioning(bucket: string, versioning: "enabled" | "suspended"): Promise<void>
}

/** A whole store: what both implementations give. */
export type Store = ObjectStore & MultipartStore & BucketStore

// ------------------------------------------------------------------------------------------------------------ state

/** Turns what was stored into a typed value, or throws. A zod schema is one. */
export interface Parser<T> {
  parse(value: unknown): T
}

/** A stored JSON document and the tag to replace it by. */
export interface Document<T> {
  readonly value: T
  readonly etag: string
}

/** JSON documents with compare-and-swap. Paths are relative, `/`-separated, without `.` or `..` segments. */
export interface StateStore {
  /** The document, or `undefined` if there is none. What does not parse throws `internal`. */
  read<T>(path: string, parser: Parser<T>): Promise<Document<T> | undefined>
  /** As `read`, but answers `"unchanged"` if the document still has this tag: one request, no body. */
  readIfChanged<T>(path: string, parser: Parser<T>, etag: string): Promise<Document<T> | "unchanged" | undefined>
  /** Stores a new document and gives its tag, or gives `undefined` and changes nothing if one is there. */
  create(path: string, value: unknown): Promise<string | undefined>
  /** Replaces the document with this tag and gives the new tag, or gives `undefined` and changes nothing if it is another. */
  replace(path: string, value: unknown, etag: string): Promise<string | undefined>
  /** Removes the document. Unconditional; for what only its owner writes. Removing what is not there succeeds. */
  remove(path: string): Promise<void>
  /** One page of paths under a prefix, ascending, complete for all that was written before the call began. */
  list(prefix: string, options?: { startAfter?: string; limit?: number }): Promise<{ paths: readonly string[]; more: boolean }>
}

// ----------------------------------------------------------------------------------------------------- key services

/** What a key service says about a root key. */
export interface RootKeyInfo {
  /** The resolved name that documents keep: a CRN or an ARN, never an alias. */
  readonly id: string
  /** Only an active key wraps; an active or deactivated one unwraps (Key Protect, key states). */
  readonly state: "active" | "suspended" | "deactivated" | "destroyed"
  /** The newest version; absent where the service has none (AWS KMS). */
  readonly keyVersion?: string
  /** Where the key lives, to compare with a bucket's location; absent where it has no region. */
  readonly region?: string
}

/** A data key wrapped by a root key. */
export interface WrappedKey {
  /** Opaque text, to be stored and given back as it is. */
  readonly ciphertext: string
  /** The root key version that wrapped it; absent where the service has none. */
  readonly keyVersion?: string
}

/**
 * Root keys as sealing and reading use them. `rootKey` is a CRN or an ARN. Throws `key-not-found`, `key-state`,
 * `key-deleted`, `not-a-root-key`, `forbidden`, `throttled`, `unavailable`, and for whatever is wrong with a ciphertext or
 * its AAD the one `undecryptable`. AAD is a list of strings of at most 255 characters, equal in content and order.
 */
export interface KeyService {
  describe(rootKey: string): Promise<RootKeyInfo>
  /** Makes a fresh 32-byte key and wraps it. The caller zeroes `plaintext`. */
  generate(rootKey: string, aad: readonly string[]): Promise<WrappedKey & { readonly plaintext: Uint8Array }>
  wrap(rootKey: string, plaintext: Uint8Array, aad: readonly string[]): Promise<WrappedKey>
  /** Unwraps with any version of the key. `keyVersion` is the version that had wrapped it; where that is not the newest,
   *  `rewrapped` is the same key under the newest version. The caller zeroes `plaintext`. */
  unwrap(rootKey: string, ciphertext: string, aad: readonly string[]): Promise<UnwrappedKey>
  /** Wraps anew under the newest version, without giving out the plaintext. */
  rewrap(rootKey: string, ciphertext: string, aad: readonly string[]): Promise<WrappedKey & { readonly previousVersion?: string }>
}

/** What `unwrap` gives. */
export interface UnwrappedKey {
  readonly plaintext: Uint8Array
  readonly keyVersion?: string
  readonly rewrapped?: WrappedKey
}

// -------------------------------------------------------------------------------------------------------- decisions

/** Who asks: an IAM id (`IBMid-…`, `iam-ServiceId-…`) or a service CRN, in an account. */
export interface Subject {
  readonly iamId: string
  readonly account: string
  /** The CRN of the acting resource, for a service that acts for itself. */
  readonly crn?: string
}

/** The answer to "may this subject do this to this resource?". */
export interface Decision {
  readonly allowed: boolean
  /** The policy that allowed it. */
  readonly policy?: string
  /** The authorization that would allow it, where a service asked. */
  readonly missing?: MissingAuthorization
}

/** An authorization policy that is not there: what to create (IAM's `/v1/policies`, type authorization). */
export interface MissingAuthorization {
  readonly type: "authorization"
  readonly subjects: readonly { readonly attributes: readonly PolicyAttribute[] }[]
  readonly roles: readonly { readonly role_id: string }[]
  readonly resources: readonly { readonly attributes: readonly PolicyAttribute[] }[]
}

/** One attribute of a policy's subject or resource. */
export interface PolicyAttribute {
  readonly name: string
  readonly value: string
  readonly operator?: "stringEquals" | "stringMatch"
}

/** Decides by policies. Must not answer from policies older than the cache limit. */
export interface Authority {
  decide(subject: Subject, action: string, resource: string): Promise<Decision>
}

// ---------------------------------------------------------------------------------------------------- log and clock

/** One JSON line an entry. Never given key material, tokens or plaintext. */
export interface Log {
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

/** Milliseconds since the epoch. */
export type Clock = () => number

// -------------------------------------------------------------------------------------------------- sealed state

/** A secret field of a state document, sealed under the master key. */
export interface SealedField {
  /** Which master key: hex of the first 8 bytes of HMAC-SHA-256(key, "bucketseal/master-key-id"). */
  readonly masterKey: string
  /** Base64: 12-byte IV, AES-256-GCM ciphertext, 16-byte tag. */
  readonly sealed: string
}

/** Seals secret fields of state documents. The AAD is `["bucketseal/state", path, version]`, so that no field opens in
 *  another document or version. Opening throws `internal` for a field of a master key that was not given, or tampered. */
export interface FieldSealer {
  seal(plaintext: Uint8Array, path: string, version: string): SealedField
  /** The caller zeroes what it gets. */
  open(field: SealedField, path: string, version: string): Uint8Array
}
