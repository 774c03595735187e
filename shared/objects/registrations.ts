/**
 * Registrations: which bucket, or which prefix of it, is sealed under which root key. All of a bucket's are one document,
 * `registrations/<bucket>.json`, replaced by compare-and-swap.
 */
import { z } from "zod/mini"
import { Failure } from "../errors.ts"
import type { Clock, StateStore } from "../ports.ts"

const limits = z.strictObject({
  objects: z.optional(z.number().check(z.int(), z.gte(1))),
  bytes: z.optional(z.number().check(z.int(), z.gte(1))),
  seconds: z.optional(z.number().check(z.int(), z.gte(1))),
})

/** What a caller says of a registration (design: contracts of our own). */
export const registrationRequest = z.strictObject({
  /** CRN or ARN of the root key. */
  rootKey: z.string().check(z.minLength(1), z.maxLength(1_024)),
  /** CRN of the bucket: on its behalf the root key is used. */
  source: z.string().check(z.minLength(1), z.maxLength(1_024)),
  mode: z._default(z.literal("in-place"), "in-place"),
  /** Whether an object that was sealed for another place opens here. */
  moved: z._default(z.enum(["refuse", "allow"]), "refuse"),
  /** Seconds from an upload to its sealing, for clients that look at what they wrote. */
  settle: z._default(z.number().check(z.gte(0), z.lte(86_400)), 5),
  otherRegion: z._default(z.boolean(), false),
  replicated: z._default(z.boolean(), false),
  limits: z.optional(limits),
  enabled: z._default(z.boolean(), true),
})

/** What the probe found that sealing goes by. */
const storeFacts = z.object({
  matchForm: z.enum(["quoted", "unquoted"]),
  etagIsMd5: z.boolean(),
  reportsTagCount: z.boolean(),
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
  const cache = new Map<string, { readonly until: number; readonly etag: string | undefined; readonly all: readonly Registration[] }>()

  let changes = 0 // a read that began before a change must not be remembered behind it

  async function cached(bucket: string): Promise<readonly Registration[]> {
    const known = cache.get(bucket)
    if (known && clock() < known.until) return known.all
    const until = clock() + cacheSeconds * 1_000 // counted from before the read: never older than the limit
    const before = changes
    const document = known?.etag === undefined
      ? await state.read(pathOf(bucket), bucketDocument)
      : await state.readIfChanged(pathOf(bucket), bucketDocument, known.etag)
    const entry = document === "unchanged" && known
      ? { ...known, until }
      : { until, etag: (document as Stored)?.etag, all: allIn((document as Stored)?.value) }
    if (cache.size >= CACHED_BUCKETS) cache.clear()
    if (before === changes) cache.set(bucket, entry)
    return entry.all
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
      changes += 1
      cache.delete(bucket)
      if (done !== undefined) return allIn(value)
    }
    throw new Failure("conflict", "others are changing this bucket's registrations; try again")
  }

  return {
    async find(bucket, key) {
      const fitting = (await cached(bucket)).filter(({ prefix }) => key.startsWith(prefix))
      return fitting.reduce<Registration | undefined>(
        (best, next) => (best && best.prefix.length >= next.prefix.length ? best : next), undefined,
      )
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

type Stored = { readonly etag: string; readonly value: BucketDocument } | undefined

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
