/** Root key documents in the state store: read through a cache with a time limit, changed by compare-and-swap. */
import { Failure } from "../errors.ts"
import type { Clock, Document, StateStore } from "../ports.ts"
import { rootKeyDocument, type RootKeyDocument } from "./root-key-document.ts"

/** The Key Protect instance whose keys these are. */
export interface KeyInstance {
  /** Its GUID, as the header `Bluemix-Instance` names it. */
  readonly id: string
  readonly region: string
  readonly crn: string
  keyCrn(keyId: string): string
}

/** Root key documents of one instance, by key id. What is not there throws `key-not-found`. */
export interface RootKeyStore {
  pathOf(id: string): string
  /** The document as it was at most the cache limit ago. */
  recent(id: string): Promise<RootKeyDocument>
  /** The document as it is now: one read, conditional where it is cached. */
  fresh(id: string): Promise<RootKeyDocument>
  add(document: RootKeyDocument): Promise<void>
  /** Applies `change` to the document as it is now, again on whatever others made of it meanwhile; what it throws
   *  ends it without a change. Throws `conflict` when others kept changing it. */
  change(id: string, change: (document: RootKeyDocument) => RootKeyDocument): Promise<RootKeyDocument>
  /** All documents, in ascending order of their ids, read as they come. */
  all(): AsyncIterable<RootKeyDocument>
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const CACHED = 1_000 // documents, of about 1 KiB each; they hold sealed material only
const ATTEMPTS = 32 // each lost one means that another writer won: enough for 32 at once
const READ_AT_ONCE = 16

interface Cached extends Document<RootKeyDocument> {
  /** When it was known to be current: before the read was sent. */
  readonly checked: number
}

/** `cacheSeconds` 0 reads each time. */
export function rootKeyStore(state: StateStore, instance: string, cacheSeconds: number, clock: Clock): RootKeyStore {
  const cache = new Map<string, Cached>()
  const loading = new Map<string, Promise<Document<RootKeyDocument>>>() // callers of one moment share one read
  const pathOf = (id: string) => `root-keys/${instance}/${id}.json`

  function remember(id: string, document: Document<RootKeyDocument>, checked: number): Document<RootKeyDocument> {
    cache.delete(id)
    cache.set(id, { ...document, checked })
    const [oldest] = cache.keys()
    if (oldest !== undefined && cache.size > CACHED) cache.delete(oldest)
    return document
  }

  async function load(id: string): Promise<Document<RootKeyDocument>> {
    if (!UUID.test(id)) throw notFound(id) // never becomes a path
    const checked = clock()
    const cached = cache.get(id)
    const answer = cached
      ? await state.readIfChanged(pathOf(id), rootKeyDocument, cached.etag)
      : await state.read(pathOf(id), rootKeyDocument)
    if (answer === "unchanged" && cached) return remember(id, cached, checked)
    cache.delete(id)
    if (!answer || answer === "unchanged") throw notFound(id)
    if (answer.value.id !== id) throw new Failure("internal", "a root key's document is in the wrong place", pathOf(id))
    return remember(id, answer, checked)
  }

  return {
    pathOf,
    async recent(id) {
      const cached = cache.get(id)
      if (cached && clock() - cached.checked < cacheSeconds * 1000) return cached.value
      const pending = loading.get(id) ?? load(id).finally(() => loading.delete(id))
      loading.set(id, pending)
      return (await pending).value
    },
    fresh: async (id) => (await load(id)).value,
    async add(document) {
      const checked = clock()
      const etag = await state.create(pathOf(document.id), document)
      if (etag === undefined) throw new Error("a root key with this new id exists already")
      remember(document.id, { value: document, etag }, checked)
    },
    async change(id, change) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const current = await load(id)
        const value = change(current.value)
        const checked = clock()
        const etag = await state.replace(pathOf(id), value, current.etag)
        if (etag !== undefined) return remember(id, { value, etag }, checked).value
      }
      throw new Failure("conflict", "others keep changing this root key: try again")
    },
    async *all() {
      for (let startAfter = "", more = true; more; ) {
        const page = await state.list(`root-keys/${instance}/`, { startAfter, limit: READ_AT_ONCE })
        const documents = await Promise.all(page.paths.map((path) => state.read(path, rootKeyDocument)))
        for (const document of documents) if (document) yield document.value
        startAfter = page.paths.at(-1) ?? startAfter
        more = page.more && page.paths.length > 0
      }
    },
  }
}

const notFound = (id: string) => new Failure("key-not-found", "there is no such root key", { id })
