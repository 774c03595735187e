/**
 * State as JSON objects with compare-and-swap, over any object store that honours conditions.
 *
 *     {
 *       "write": "<random>",
 *       "value": { … }
 *     }
 *
 * `write` is another one in every write. So a writer whose answer was lost knows its own bytes when it looks, even
 * where somebody else wrote an equal value; and an ETag never comes back, on stores that make it from the bytes.
 */
import { randomUUID } from "node:crypto"
import { Failure, isFailure } from "../errors.ts"
import type { Document, EtagForm, ObjectStore, Parser, StateStore, StoredObject, WriteCondition } from "../ports.ts"

const DOCUMENT_LIMIT = 1024 * 1024 // bytes; every document is held in memory whole
const LIST_LIMIT = 1000 // (S3 API reference, ListObjectsV2)

/** Where the documents are, and how the store wants an ETag in If-Match. */
export interface StatePlace {
  readonly bucket: string
  /** What every key begins with, the `/` at its end included; empty for the whole bucket. */
  readonly prefix: string
  readonly form?: EtagForm
}

/** A state store over an object store. Writing more than 1 MiB throws `too-large`. A write whose effect stays unknown
 *  throws what the store threw: it may still happen. */
export function stateStore(store: ObjectStore, { bucket, prefix, form }: StatePlace): StateStore {
  const at = (path: string) => ({ bucket, key: prefix + checkedPath(path) })
  const write = (path: string, value: unknown, condition: WriteCondition) =>
    conditionalWrite(store, at(path), value, condition)
  return {
    read: async (path, parser) => {
      const object = await store.get(at(path))
      return object && readDocument(path, object, parser)
    },
    readIfChanged: async (path, parser, etag) => {
      try {
        const object = await store.get(at(path), { ifNoneMatch: etag })
        return object && (await readDocument(path, object, parser))
      } catch (error) {
        if (isFailure(error, "not-modified")) return "unchanged"
        throw error
      }
    },
    create: async (path, value) => write(path, value, { ifNoneMatch: "*" }),
    replace: async (path, value, etag) => write(path, value, { ifMatch: etag, ...(form && { form }) }),
    remove: async (path) => void (await store.delete(at(path))),
    list: async (under, { startAfter, limit = LIST_LIMIT } = {}) => {
      const after = startAfter === undefined ? {} : { startAfter: prefix + startAfter }
      const page = await store.list(bucket, { prefix: prefix + under, limit, ...after })
      return { paths: page.objects.map(({ key }) => key.slice(prefix.length)), more: page.next !== undefined }
    },
  }
}

/** Throws a plain `Error` for what no caller may give as a path: paths are made by this program, from checked parts. */
function checkedPath(path: string): string {
  const bad = path.split("/").some((segment) => segment === "" || segment === "." || segment === "..")
  if (bad) throw new Error(`not a path of a state document: ${JSON.stringify(path)}`)
  return path
}

type Place = { readonly bucket: string; readonly key: string }

/** Writes and gives the new ETag, or `undefined` where the condition does not hold. Each of these failures means
 *  "look": 412 may be the echo of an own write that took effect, and a lost answer may hide one. */
async function conditionalWrite(
  store: ObjectStore,
  place: Place,
  value: unknown,
  condition: WriteCondition,
): Promise<string | undefined> {
  const write = randomUUID()
  const bytes = Buffer.from(`${JSON.stringify({ write, value }, undefined, 2)}\n`)
  if (bytes.length > DOCUMENT_LIMIT) {
    throw new Failure("too-large", `a state document has at most ${DOCUMENT_LIMIT} bytes`)
  }
  try {
    return (await store.put(place, bytes, { condition, attributes: { contentType: "application/json" } })).etag
  } catch (error) {
    if (!isFailure(error, "precondition-failed", "conflict", "unavailable", "throttled")) throw error
    return await lookBack(store, place, write, condition, error)
  }
}

/** What became of a write: its ETag if it took effect; `undefined` if something else is there; else throws. What
 *  replaced the own write meanwhile can't be told from what was there instead of it: both give `undefined`. */
async function lookBack(
  store: ObjectStore,
  place: Place,
  write: string,
  condition: WriteCondition,
  error: Failure,
): Promise<string | undefined> {
  const object = await store.get(place)
  const unchanged = "ifMatch" in condition ? object?.etag === condition.ifMatch : !object
  if (object && !unchanged) return (await readEnvelope(object))?.write === write ? object.etag : undefined
  object?.cancel()
  if (!unchanged) return undefined
  if (error.code !== "precondition-failed") throw error
  if ("ifNoneMatch" in condition) return undefined // there was one, and it was removed since
  throw new Failure("unsafe-store", "the state store refuses a condition that holds", error)
}

async function readDocument<T>(path: string, object: StoredObject, parser: Parser<T>): Promise<Document<T>> {
  const envelope = await readEnvelope(object)
  if (!envelope) throw new Failure("internal", "a state document can't be read", { path })
  try {
    return { value: parser.parse(envelope.value), etag: object.etag }
  } catch (cause) {
    throw new Failure("internal", "a state document is not what it should be", { path, cause })
  }
}

/** The envelope in an object, or `undefined` for what is none. */
async function readEnvelope(object: StoredObject): Promise<{ write: unknown; value: unknown } | undefined> {
  if (object.size > DOCUMENT_LIMIT) return void object.cancel()
  const chunks: Uint8Array[] = []
  for await (const chunk of object.body) chunks.push(chunk)
  const envelope = parseJson(Buffer.concat(chunks).toString())
  if (typeof envelope !== "object" || envelope === null) return undefined
  return "write" in envelope && "value" in envelope ? envelope : undefined
}

/** The value of a JSON text, or `undefined`. The parser's own error would quote the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
