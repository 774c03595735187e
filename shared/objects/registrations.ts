/**
 * Registrations: which bucket, or which prefix of it, is sealed under which root key. All of a bucket's are one document,
 * `registrations/<bucket>.json`, replaced by compare-and-swap.
 */
import * as z from "zod/mini"
import { Failure } from "../errors.ts"
import type { Clock, StateStore } from "../ports.ts"
import { isBucketName } from "./upload-event.ts"

const limits = z.strictObject({
  objects: z.optional(z.number().check(z.int(), z.gte(1))),
  bytes: z.optional(z.number().check(z.int(), z.gte(1))),
  seconds: z.optional(z.number().check(z.int(), z.gte(1))),
})

/** A bucket that may be registered (S3 user guide, "General purpose bucket naming rules"). */
export const registrableBucket = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

const bucketAlone = z.string().check(z.regex(registrableBucket, "must be the name of a bucket alone, without s3://"))
const modes = z.union(
  [z.enum(["in-place", "vault"]), z.strictObject({ destination: bucketAlone })],
  'must be "in-place", "vault" or {"destination": "the name of another bucket"}',
)

/** What a caller says of a registration (design: contracts of our own). */
export const registrationRequest = z.strictObject({
  /** CRN or ARN of the root key. */
  rootKey: z.string().check(z.minLength(1), z.maxLength(1_024)),
  /** CRN of the bucket: on its behalf the root key is used. */
  source: z.string().check(z.minLength(1), z.maxLength(1_024)),
  /** `in-place`: objects are sealed where they are. `{destination}`: they are sealed into that bucket, under the registration
   *  which that bucket has for the same key, and removed here. `vault`: sealed objects come from elsewhere; none is sealed here. */
  mode: z._default(modes, "in-place"),
  /** What becomes of an object that was sealed for another place: it does not open here; it does; it is sealed again for this
   *  place, where both are under one root key. */
  moved: z._default(z.enum(["refuse", "allow", "reseal"]), "refuse"),
  /** Seconds from an upload to its sealing, for clients that look at what they wrote. */
  settle: z._default(z.number().check(z.gte(0), z.lte(86_400)), 5),
  otherRegion: z._default(z.boolean(), false),
  replicated: z._default(z.boolean(), false),
  limits: z.optional(limits),
  enabled: z._default(z.boolean(), true),
})

/** What the probe found that sealing goes by. Documents of before a fact was known have its careful default. */
const storeFacts = z.object({
  matchForm: z.enum(["quoted", "unquoted"]),
  etagIsMd5: z.boolean(),
  reportsTagCount: z.boolean(),
  /** Whether the bucket keeps versions, as it was measured. */
  versioning: z._default(z.enum(["off", "enabled", "suspended"]), "off"),
  /** Conditions hold for the completion of a multipart upload. */
  conditionalComplete: z._default(z.boolean(), false),
  /** If-Match holds for a deletion. */
  conditionalDelete: z._default(z.boolean(), false),
  /** What may be deleted once the sealed object is written: exactly the source's version; the source on If-Match; nothing, as
   *  the write has replaced it, or as no deletion is safe and the source stays. A source that is the `null` version was
   *  replaced by a write to its own bucket while versioning is suspended: deleting `null` would then delete the sealed object. */
  removeSource: z._default(z.enum(["version", "if-match", "keep"]), "keep"),
  /** A wrong CRC-32 is refused where the body is bytes; where it is a stream. */
  refusesWrongChecksum: z._default(z.boolean(), false),
  refusesWrongStreamChecksum: z._default(z.boolean(), false),
  /** Why nothing may be sealed here any more, as a sentence: a later probe contradicted the one that allowed it. */
  unsafe: z.optional(z.string()),
  probed: z.string(),
})

const registration = z.object({
  ...registrationRequest.shape,
  bucket: z.string(),
  prefix: z.string(),
  store: storeFacts,
  created: z.string(),
  createdBy: z.string(),
  updated: z.optional(z.string()),
})

const bucketDocument = z.object({
  registrations: z.array(registration),
  /** Every root key that any registration of the bucket has had: what was sealed under it opens, where that is authorized. */
  rootKeys: z.array(z.string()),
})

type BucketDocument = z.infer<typeof bucketDocument>

/** What a caller asks for. */
export type RegistrationRequest = z.infer<typeof registrationRequest>

/** A registration as it is stored. */
export type StoredRegistration = z.infer<typeof registration>

/** A registration, and the root keys its bucket has had. */
export type Registration = StoredRegistration & { readonly rootKeys: readonly string[] }

/** Registrations of all buckets. */
export interface Registrations {
  /** The registration with the longest prefix of this key, at most the cache limit old. */
  find(bucket: string, key: string): Promise<Registration | undefined>
  /** As `find`, for whoever drops what is not registered: that there is none, or that it is not enabled, was so at most
   *  2 seconds ago. However many ask about however many buckets, that costs one listing of the registered buckets in 2
   *  seconds, and for each of these one conditional read. */
  findRecent(bucket: string, key: string): Promise<Registration | undefined>
  /** Exactly this one, read now. */
  get(bucket: string, prefix: string): Promise<Registration | undefined>
  /** All of one bucket, or of every bucket, read now. */
  list(bucket?: string): Promise<readonly Registration[]>
  /** Stores what `change` makes of the present one, and gives it. `change` may run several times. */
  put(bucket: string, prefix: string, change: (present: Registration | undefined) => StoredRegistration): Promise<Registration>
  /** True if there was one. */
  remove(bucket: string, prefix: string): Promise<boolean>
}

/** Registrations in a state store. `cacheSeconds`: how old a document that `find` goes by may be. */
export function registrations(state: StateStore, clock: Clock, cacheSeconds: number): Registrations {
  const cache = new Map<string, Remembered<Loaded>>()
  const listings = new Map<string, Remembered<ReadonlySet<string>>>()
  const limit = cacheSeconds * 1_000
  const recent = Math.min(RECENT_MS, limit)

  /** Age counts from before the request. What was asked before the clock was set back is too old. */
  function isYoung({ began }: Remembered<unknown>, most: number): boolean {
    const age = clock() - began
    return age >= 0 && age < most
  }

  /** An answer that is at most so many milliseconds old: one request for all who ask meanwhile. */
  async function remembered<T>(
    answers: Map<string, Remembered<T>>, name: string, most: number, ask: (known?: Remembered<T>) => Promise<T>,
  ): Promise<T> {
    const known = answers.get(name)
    if (known && isYoung(known, most)) return await known.answer
    const entry = { began: clock(), answer: ask(known) }
    if (answers.size >= CACHED_BUCKETS) answers.clear()
    answers.set(name, entry)
    try {
      return await entry.answer
    } catch (error) {
      if (answers.get(name) === entry) answers.delete(name)
      throw error
    }
  }

  const cached = async (bucket: string, most: number) =>
    (await remembered(cache, bucket, most, (known) => load(bucket, known))).all

  async function load(bucket: string, known: Remembered<Loaded> | undefined): Promise<Loaded> {
    const before = await known?.answer.catch(() => undefined)
    const document = before?.etag === undefined
      ? await state.read(pathOf(bucket), bucketDocument)
      : await state.readIfChanged(pathOf(bucket), bucketDocument, before.etag)
    if (document === "unchanged") return before ?? NOTHING
    return document ? { etag: document.etag, all: allIn(document.value) } : NOTHING
  }

  /** Paths of all documents there are. */
  const listed = () => remembered(listings, "", recent, async () => new Set(await allPaths(state)))

  /** What this instance has changed, it sees at once. */
  function forget(bucket: string): void {
    cache.delete(bucket)
    listings.clear()
  }

  async function change(
    bucket: string, edit: (all: readonly Registration[]) => readonly StoredRegistration[],
  ): Promise<readonly Registration[]> {
    for (let attempt = 0; attempt < CAS_ATTEMPTS; attempt++) {
      const document = await state.read(pathOf(bucket), bucketDocument)
      const present = allIn(document?.value)
      const edited = edit(present)
      if (edited === present) return present
      const had = [...document?.value.rootKeys ?? [], ...edited.map(({ rootKey }) => rootKey)]
      const value: BucketDocument = { registrations: edited.map(withoutRootKeys), rootKeys: [...new Set(had)] }
      const done = document
        ? await state.replace(pathOf(bucket), value, document.etag)
        : await state.create(pathOf(bucket), value)
      forget(bucket)
      if (done !== undefined) return allIn(value)
    }
    throw new Failure("conflict", "others are changing this bucket's registrations; try again")
  }

  return {
    // A bucket may be what an uploader wrote into a header: what can name none has no registration, and makes no path.
    find: async (bucket, key) => (isBucketName(bucket) ? longestFor(key, await cached(bucket, limit)) : undefined),
    async findRecent(bucket, key) {
      if (!isBucketName(bucket)) return undefined
      const known = cache.get(bucket)
      const found = known && isYoung(known, limit) ? longestFor(key, (await known.answer).all) : undefined
      if (found?.enabled) return found
      return (await listed()).has(pathOf(bucket)) ? longestFor(key, await cached(bucket, recent)) : undefined
    },
    async get(bucket, prefix) {
      const document = await state.read(pathOf(bucket), bucketDocument)
      return allIn(document?.value).find((one) => one.prefix === prefix)
    },
    async list(bucket) {
      const all: Registration[] = []
      for (const path of bucket === undefined ? await allPaths(state) : [pathOf(bucket)]) {
        all.push(...allIn((await state.read(path, bucketDocument))?.value))
      }
      return all
    },
    async put(bucket, prefix, make) {
      const all = await change(bucket, (present) =>
        [...present.filter((one) => one.prefix !== prefix), make(present.find((one) => one.prefix === prefix))])
      const made = all.find((one) => one.prefix === prefix)
      if (!made) throw new Error("a registration was made for another prefix")
      return made
    },
    async remove(bucket, prefix) {
      let found = false
      await change(bucket, (all) => {
        found = all.some((one) => one.prefix === prefix)
        return found ? all.filter((one) => one.prefix !== prefix) : all
      })
      return found
    },
  }
}

/** The registrations of a document, each with the bucket's root keys. */
const allIn = (document: BucketDocument | undefined): readonly Registration[] =>
  (document?.registrations ?? []).map((one) => ({ ...one, rootKeys: document?.rootKeys ?? [] }))

const withoutRootKeys = ({ rootKeys: _, ...stored }: StoredRegistration & { rootKeys?: unknown }): StoredRegistration => stored

/** The registration with the longest prefix of this key. */
export const longestFor = <T extends Pick<Registration, "prefix">>(key: string, all: readonly T[]): T | undefined =>
  all.filter(({ prefix }) => key.startsWith(prefix)).reduce<T | undefined>(
    (best, next) => (best && best.prefix.length >= next.prefix.length ? best : next), undefined,
  )

/** What was asked of the state store, and when; the answer may still be on its way. */
interface Remembered<T> {
  readonly began: number
  readonly answer: Promise<T>
}

interface Loaded {
  readonly etag: string | undefined
  readonly all: readonly Registration[]
}

const NOTHING: Loaded = { etag: undefined, all: [] }

const RECENT_MS = 2_000 // how long uploads may be missed after a registration elsewhere; what a flood costs
const CACHED_BUCKETS = 1_000 // an instance that meets more starts its cache anew
const CAS_ATTEMPTS = 20

const pathOf = (bucket: string): string => `registrations/${bucket}.json`

async function allPaths(state: StateStore): Promise<string[]> {
  const paths: string[] = []
  for (let more = true, startAfter = ""; more; ) {
    const page = await state.list("registrations/", startAfter === "" ? {} : { startAfter })
    paths.push(...page.paths)
    startAfter = page.paths.at(-1) ?? ""
    more = page.more && startAfter !== ""
  }
  return paths
}
