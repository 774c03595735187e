/** Stores with one lie each, over an honest one: what the probe is to find out. */
import { setTimeout as pause } from "node:timers/promises"
import { Failure } from "../shared/errors.ts"
import type {
  BucketSettings, DeleteOptions, GetOptions, ListedVersion, ObjectInfo, ObjectRef, Store, StoredObject, Versioning, WriteCondition,
} from "../shared/ports.ts"
import type { Property } from "../shared/store/probe-report.ts"

/** What a bucket of the lying store may still be used for. `large`: objects of over 5 GiB, in place. `removed`: sources of
 *  another bucket are deleted, and not kept. */
export type Allowed = "in-place" | "large" | "vault" | "source" | "removed"

export interface Lie {
  /** After "a store that …". */
  readonly does: string
  readonly versioning?: Versioning
  readonly tell: (store: Store) => Partial<Store>
  /** The property that the probe must find wanting. */
  readonly breaks: Property
  readonly allowed: readonly Allowed[]
}

const everything = ["in-place", "large", "vault", "source", "removed"] as const
const reading = ["source", "removed"] as const
const small = ["in-place", "vault", "source", "removed"] as const

type Options = { readonly condition?: WriteCondition } | undefined

const isCreate = (options: Options) => options?.condition !== undefined && "ifNoneMatch" in options.condition
const isMatch = (options: Options) => options?.condition !== undefined && "ifMatch" in options.condition

function without<T extends object, K extends keyof T>(options: T | undefined, ...names: K[]): Omit<T, K> {
  const rest = { ...options } as T
  for (const name of names) delete rest[name]
  return rest
}

const refuse = () => Promise.reject(new Failure("precondition-failed", "no"))

/** Refuses an ETag in that form, and takes the other one. */
const refusing = (form: "quoted" | "unquoted") => (store: Store): Partial<Store> => {
  const isWrong = (options: Options) => options?.condition !== undefined && "ifMatch" in options.condition
    && (options.condition.form ?? "quoted") === form
  return {
    put: (ref, body, options) => isWrong(options) ? refuse() : store.put(ref, body, options),
    completeUpload: (ref, id, parts, options) => isWrong(options) ? refuse() : store.completeUpload(ref, id, parts, options),
    copy: (source, target, options) => isWrong(options) ? refuse() : store.copy(source, target, options),
    delete: (ref, options) => isWrong(options) ? refuse() : store.delete(ref, options),
  }
}

/** Looks whether a condition holds, and only then begins to write, without it. */
async function checkThen<T>(store: Store, ref: ObjectRef, options: Options, act: () => Promise<T>): Promise<T> {
  const now = await store.head(ref)
  const { condition } = options ?? {}
  if (condition && !("ifMatch" in condition ? now?.etag === condition.ifMatch : !now)) return refuse()
  await pause(20) // long enough for all that came at once to have looked
  return act()
}

const withBody = (object: StoredObject, bytes: Uint8Array): StoredObject =>
  ({ ...object, body: (async function* () { yield bytes })() })

async function current(store: Store, ref: ObjectRef): Promise<ListedVersion | undefined> {
  return (await store.listVersions(ref.bucket, { prefix: ref.key })).versions.find(({ key }) => key === ref.key)
}

const isHidden = async (store: Store, ref: ObjectRef) => (await current(store, ref))?.marker === true

const settingsOf = (store: Store, change: Partial<BucketSettings>): Partial<Store> => ({
  async bucketSettings(bucket) {
    const settings = await store.bucketSettings(bucket)
    return settings && { ...settings, ...change }
  },
})

const locked = <T extends ObjectInfo>(info: T | undefined): T | undefined => info && { ...info, locked: true }

export const lies: readonly Lie[] = [
  // ------------------------------------------------------------------------------------------------- conditional puts
  {
    does: "ignores If-None-Match", breaks: "createRefusesExisting", allowed: reading,
    tell: (store) => ({ put: (ref, body, options) => store.put(ref, body, isCreate(options) ? without(options, "condition") : options) }),
  },
  {
    does: "says yes to a refused create, and writes nothing", breaks: "createRefusesExisting", allowed: reading,
    tell: (store) => ({
      put: (ref, body, options) => store.put(ref, body, options)
        .catch((error: unknown) => { if (isCreate(options)) return { etag: "0".repeat(32) }; throw error }),
    }),
  },
  {
    does: "ignores If-Match", breaks: "staleMatchRefused", allowed: reading,
    tell: (store) => ({ put: (ref, body, options) => store.put(ref, body, isMatch(options) ? without(options, "condition") : options) }),
  },
  {
    does: "takes an unquoted ETag for no condition", breaks: "staleMatchRefused", allowed: reading,
    tell: (store) => ({
      put: (ref, body, options) => store.put(ref, body,
        options?.condition && "ifMatch" in options.condition && options.condition.form === "unquoted" ? without(options, "condition") : options),
    }),
  },
  {
    does: "writes where nothing is under If-Match", breaks: "missingMatchRefused", allowed: reading,
    tell: (store) => ({
      put: async (ref, body, options) =>
        store.put(ref, body, isMatch(options) && !(await store.head(ref)) ? without(options, "condition") : options),
    }),
  },
  { does: "wants the ETag unquoted", breaks: "quotedMatchAccepted", allowed: everything, tell: refusing("quoted") },
  { does: "wants the ETag quoted", breaks: "unquotedMatchAccepted", allowed: everything, tell: refusing("unquoted") },
  {
    does: "refuses every If-Match", breaks: "quotedMatchAccepted", allowed: reading,
    tell: (store) => ({ put: (ref, body, options) => isMatch(options) ? refuse() : store.put(ref, body, options) }),
  },
  {
    does: "says yes to a right If-Match, and writes nothing", breaks: "quotedMatchAccepted", allowed: reading,
    tell: (store) => ({
      async put(ref, body, options) {
        const now = await store.head(ref)
        const holds = options?.condition && "ifMatch" in options.condition && now?.etag === options.condition.ifMatch
        return holds ? { etag: "0".repeat(32) } : store.put(ref, body, options)
      },
    }),
  },
  {
    does: "checks a create, then acts", breaks: "createHasOneWinner", allowed: reading,
    tell: (store) => ({
      put: (ref, body, options) => isCreate(options)
        ? checkThen(store, ref, options, () => store.put(ref, body, without(options, "condition"))) : store.put(ref, body, options),
    }),
  },
  {
    does: "says yes to all creates at once, and keeps the first", breaks: "createHasOneWinner", allowed: reading,
    tell: (store) => ({
      async put(ref, body, options) {
        const before = isCreate(options) ? await store.head(ref) : undefined
        return store.put(ref, body, options)
          .catch((error: unknown) => { if (isCreate(options) && !before) return { etag: "0".repeat(32) }; throw error })
      },
    }),
  },
  {
    does: "checks an If-Match, then acts", breaks: "replaceHasOneWinner", allowed: reading,
    tell: (store) => ({
      put: (ref, body, options) => isMatch(options)
        ? checkThen(store, ref, options, () => store.put(ref, body, without(options, "condition"))) : store.put(ref, body, options),
    }),
  },
  // ------------------------------------------------------------------------------------------------------ completions
  {
    does: "completes whatever If-None-Match says", breaks: "completeRefusesExisting", allowed: small,
    tell: (store) => ({
      completeUpload: (ref, id, parts, options) => store.completeUpload(ref, id, parts, isCreate(options) ? without(options, "condition") : options),
    }),
  },
  {
    does: "completes whatever If-Match says", breaks: "staleCompleteRefused", allowed: small,
    tell: (store) => ({
      completeUpload: (ref, id, parts, options) => store.completeUpload(ref, id, parts, isMatch(options) ? without(options, "condition") : options),
    }),
  },
  {
    does: "completes where nothing is under If-Match", breaks: "missingCompleteRefused", allowed: small,
    tell: (store) => ({
      completeUpload: async (ref, id, parts, options) => store.completeUpload(ref, id, parts,
        isMatch(options) && !(await store.head(ref)) ? without(options, "condition") : options),
    }),
  },
  {
    does: "refuses to complete under any If-Match", breaks: "rightCompleteAccepted", allowed: small,
    tell: (store) => ({
      completeUpload: (ref, id, parts, options) => isMatch(options) ? refuse() : store.completeUpload(ref, id, parts, options),
    }),
  },
  {
    does: "checks a completion, then acts", breaks: "completeHasOneWinner", allowed: small,
    tell: (store) => ({
      completeUpload: (ref, id, parts, options) =>
        checkThen(store, ref, options, () => store.completeUpload(ref, id, parts, without(options, "condition"))),
    }),
  },
  {
    does: "says yes to a completion, and makes nothing", breaks: "rightCompleteAccepted", allowed: small,
    tell: (store) => ({
      async completeUpload(ref, id, parts, options) {
        const now = await store.head(ref)
        const holds = options?.condition && "ifMatch" in options.condition && now?.etag === options.condition.ifMatch
        if (!holds) return store.completeUpload(ref, id, parts, options)
        await store.abortUpload(ref, id)
        return { etag: "0".repeat(32) }
      },
    }),
  },
  // ----------------------------------------------------------------------------------------------- copies and deletes
  {
    does: "copies whatever the source's ETag is", breaks: "copySourceMatchHonoured", allowed: everything,
    tell: (store) => ({ copy: (source, target, options) => store.copy(source, target, without(options, "ifMatch")) }),
  },
  {
    does: "copies over any target", breaks: "copyTargetMatchHonoured", allowed: everything,
    tell: (store) => ({ copy: (source, target, options) => store.copy(source, target, without(options, "condition")) }),
  },
  {
    does: "drops tags from a copy", breaks: "copyKeepsTags", allowed: everything,
    tell: (store) => ({
      async copy(source, target, options) {
        const made = await store.copy(source, target, options)
        await store.putTags(target, [])
        return made
      },
    }),
  },
  {
    does: "drops metadata from a copy", breaks: "copyKeepsMetadata", allowed: everything,
    tell: (store) => ({ copy: (source, target, options) => store.copy(source, target, { ...options, attributes: {} }) }),
  },
  {
    does: "deletes whatever If-Match says", breaks: "staleDeleteRefused", allowed: ["in-place", "large", "vault", "source"],
    tell: (store) => ({ delete: (ref, options) => store.delete(ref, without(options, "condition")) }),
  },
  {
    does: "says yes to a delete under If-Match, and deletes nothing", breaks: "rightDeleteAccepted", allowed: ["in-place", "large", "vault", "source"],
    tell: (store) => ({
      async delete(ref, options) {
        const now = await store.head(ref)
        return options?.condition && now?.etag === options.condition.ifMatch ? { marker: false } : store.delete(ref, options)
      },
    }),
  },
  // ------------------------------------------------------------------------------------------------------------ reads
  {
    does: "ignores If-Match on GET", breaks: "getMatchHonoured", allowed: [],
    tell: (store) => ({ get: (ref, options) => store.get(ref, without(options, "ifMatch")) }),
  },
  {
    does: "ignores If-Match on HEAD", breaks: "headMatchHonoured", allowed: everything,
    tell: (store) => ({ head: (ref, options) => store.head(ref, without(options, "ifMatch")) }),
  },
  {
    does: "gives what was there before a write", breaks: "readAfterWrite", allowed: [],
    tell: (store) => ({
      async get(ref, options) {
        const object = await store.get(ref, options)
        return object && withBody(object, Buffer.from("old"))
      },
    }),
  },
  {
    does: "lists nothing new", breaks: "listAfterWrite", allowed: ["vault"],
    tell: () => ({ list: async () => ({ objects: [], prefixes: [] }) }),
  },
  {
    does: "cuts ranges short", breaks: "rangesExact", allowed: [],
    tell: (store) => ({
      async get(ref, options: GetOptions = {}) {
        const object = await store.get(ref, options)
        return object && options.range && "suffix" in options.range ? withBody(object, Buffer.from("cut")) : object
      },
    }),
  },
  {
    does: "ignores ranges", breaks: "rangesExact", allowed: [],
    tell: (store) => ({ get: (ref, options) => store.get(ref, without(options, "range")) }),
  },
  {
    does: "takes bytes with a wrong CRC-32", breaks: "checksumRefused", allowed: everything,
    tell: (store) => ({ put: (ref, body, options) => store.put(ref, body, body instanceof Uint8Array ? without(options, "checksum") : options) }),
  },
  {
    does: "takes a stream with a wrong CRC-32", breaks: "streamChecksumRefused", allowed: everything,
    tell: (store) => ({ put: (ref, body, options) => store.put(ref, body, body instanceof Uint8Array ? options : without(options, "checksum")) }),
  },
  {
    does: "doesn't say how many tags there are", breaks: "reportsTagCount", allowed: everything,
    tell: (store) => ({
      async get(ref, options) {
        const object = await store.get(ref, options)
        return object && without(object, "tagCount")
      },
    }),
  },
  {
    does: "gives other ETags than MD5", breaks: "etagIsMd5", allowed: everything,
    tell: (store) => {
      const others = (etag: string) => Buffer.from(etag, "hex").toString("base64")
      const own = (etag: string) => Buffer.from(etag, "base64").toString("hex")
      const shown = <T extends { etag: string }>(one: T | undefined) => one && { ...one, etag: others(one.etag) }
      const asked = (options: { readonly condition?: WriteCondition; readonly ifMatch?: string } | undefined) => ({
        ...options, ...(options?.ifMatch === undefined ? {} : { ifMatch: own(options.ifMatch) }),
        ...(options?.condition && "ifMatch" in options.condition
          ? { condition: { ...options.condition, ifMatch: own(options.condition.ifMatch) } } : {}),
      })
      return {
        put: async (ref, body, options) => { const made = await store.put(ref, body, asked(options)); return { ...made, etag: others(made.etag) } },
        completeUpload: (ref, id, parts, options) => store.completeUpload(ref, id, parts, asked(options)),
        copy: async (source, target, options) => shown(await store.copy(source, target, asked(options))),
        delete: (ref, options) => store.delete(ref, asked(options) as DeleteOptions),
        get: async (ref, options) => shown(await store.get(ref, asked(options))),
        head: async (ref, options) => shown(await store.head(ref, asked(options))),
      }
    },
  },
  {
    does: "gives other ETags of parts than MD5", breaks: "partEtagIsMd5", allowed: everything,
    tell: (store) => {
      const turned = (etag: string) => [...etag].reverse().join("")
      return {
        putPart: async (...given) => ({ etag: turned((await store.putPart(...given)).etag) }),
        completeUpload: (ref, id, parts, options) =>
          store.completeUpload(ref, id, parts.map((part) => ({ ...part, etag: turned(part.etag) })), options),
      }
    },
  },
  // --------------------------------------------------------------------------------------------------- whose, and how long
  {
    does: "locks what is written, though nobody asked for it", breaks: "notLocked", allowed: [],
    tell: (store) => ({ get: async (ref, options) => locked(await store.get(ref, options)) }),
  },
  {
    does: "gives what is written to another account", breaks: "ownerReads", allowed: reading,
    tell: (store) => ({
      ...settingsOf(store, { owner: "alice" }),
      async listVersions(bucket, options) {
        const page = await store.listVersions(bucket, options)
        return { ...page, versions: page.versions.map((version) => ({ ...version, owner: "bob" })) }
      },
    }),
  },
  // --------------------------------------------------------------------------------------------------------- versions
  {
    does: "gives versions, though its settings say off", versioning: "enabled", breaks: "versionsAsSet", allowed: [],
    tell: (store) => settingsOf(store, { versioning: "off" }),
  },
  {
    does: "leaves delete markers, though its settings say off", versioning: "suspended", breaks: "versionsAsSet", allowed: [],
    tell: (store) => settingsOf(store, { versioning: "off" }),
  },
  {
    does: "keeps no versions, though its settings say enabled", breaks: "versionsAsSet", allowed: [],
    tell: (store) => settingsOf(store, { versioning: "enabled" }),
  },
  {
    does: "writes over a delete marker under If-Match", versioning: "enabled", breaks: "markerMatchRefused", allowed: reading,
    tell: (store) => ({
      put: async (ref, body, options) =>
        store.put(ref, body, isMatch(options) && await isHidden(store, ref) ? without(options, "condition") : options),
    }),
  },
  {
    does: "does so while versioning is suspended", versioning: "suspended", breaks: "markerMatchRefused", allowed: ["source"],
    tell: (store) => ({
      put: async (ref, body, options) =>
        store.put(ref, body, isMatch(options) && await isHidden(store, ref) ? without(options, "condition") : options),
    }),
  },
  {
    does: "completes over a delete marker under If-Match", versioning: "enabled", breaks: "markerCompleteRefused", allowed: small,
    tell: (store) => ({
      completeUpload: async (ref, id, parts, options) => store.completeUpload(ref, id, parts,
        isMatch(options) && await isHidden(store, ref) ? without(options, "condition") : options),
    }),
  },
  {
    does: "refuses If-None-Match over a delete marker", versioning: "enabled", breaks: "createOverMarkerAccepted", allowed: reading,
    tell: (store) => ({
      put: async (ref, body, options) => isCreate(options) && await isHidden(store, ref) ? refuse() : store.put(ref, body, options),
    }),
  },
  {
    does: "ignores versionId on GET", versioning: "enabled", breaks: "getVersionHonoured", allowed: ["vault", "source"],
    tell: (store) => ({ get: (ref, options) => store.get(ref, without(options, "versionId")) }),
  },
  {
    does: "ignores versionId on HEAD", versioning: "enabled", breaks: "headVersionHonoured", allowed: everything,
    tell: (store) => ({ head: (ref, options) => store.head(ref, without(options, "versionId")) }),
  },
  {
    does: "writes a version between", versioning: "enabled", breaks: "versionDirectlyAbove", allowed: ["vault", ...reading],
    tell: (store) => ({
      async put(ref, body, options) {
        const made = await store.put(ref, body, options)
        return isMatch(options) ? store.put(ref, body, without(options, "condition")) : made
      },
    }),
  },
  {
    does: "lays a new version below the one it replaced", versioning: "enabled", breaks: "versionDirectlyAbove", allowed: ["vault", "source"],
    tell: (store) => ({
      async listVersions(bucket, options) {
        const page = await store.listVersions(bucket, options)
        return { ...page, versions: [...page.versions].reverse() }
      },
    }),
  },
  {
    does: "deletes the newest version, whichever is named", versioning: "enabled", breaks: "versionDeleteExact", allowed: ["vault", "source"],
    tell: (store) => ({
      async delete(ref, options) {
        const newest = options?.versionId === undefined ? undefined : await current(store, ref)
        return store.delete(ref, newest ? { versionId: newest.versionId } : options)
      },
    }),
  },
  {
    does: "deletes all older versions along with the one that is named", versioning: "enabled", breaks: "versionDeleteExact", allowed: ["vault", "source"],
    tell: (store) => ({
      async delete(ref, options) {
        if (options?.versionId === undefined) return store.delete(ref, options)
        const { versions } = await store.listVersions(ref.bucket, { prefix: ref.key })
        const own = versions.filter(({ key }) => key === ref.key)
        const from = own.findIndex(({ versionId }) => versionId === options.versionId)
        for (const { versionId } of from < 0 ? [] : own.slice(from)) await store.delete(ref, { versionId })
        return { marker: false, versionId: options.versionId }
      },
    }),
  },
  {
    does: "hides a version that is deleted, and keeps it", versioning: "enabled", breaks: "versionDeleteExact", allowed: ["vault", "source"],
    tell: (store) => {
      const hidden = new Set<string>()
      return {
        async delete(ref, options) {
          const isOld = options?.versionId !== undefined && (await current(store, ref))?.versionId !== options.versionId
          if (!isOld) return store.delete(ref, options)
          hidden.add(options.versionId ?? "")
          return { marker: false }
        },
        get: async (ref, options) => options?.versionId !== undefined && hidden.has(options.versionId) ? undefined : store.get(ref, options),
      }
    },
  },
  {
    does: "deletes the null version, whichever is named", versioning: "suspended", breaks: "versionDeleteExact", allowed: ["vault", "source"],
    tell: (store) => ({ delete: (ref, options) => store.delete(ref, options?.versionId === undefined ? options : { versionId: "null" }) }),
  },
  {
    does: "gives the null version, whichever is named", versioning: "suspended", breaks: "getVersionHonoured", allowed: ["vault", "source"],
    tell: (store) => ({ get: (ref, options) => store.get(ref, without(options, "versionId")) }),
  },
]

/** The honest store, but for the lie. */
export const lying = (store: Store, { tell }: Pick<Lie, "tell">): Store => ({ ...store, ...tell(store) })

/** A store that fails in the middle, once it was asked so often. */
export function failingAfter(store: Store, calls: number): Store {
  let left = calls
  const count = () => {
    if (left-- <= 0) throw new Failure("unavailable", "overloaded")
  }
  return {
    ...store,
    put: async (...given) => { count(); return store.put(...given) },
    get: async (...given) => { count(); return store.get(...given) },
  }
}

