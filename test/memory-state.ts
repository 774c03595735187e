/** A `StateStore` in memory: for tests of what is kept in one. Several instances may work on it at once. */
import { Failure } from "../shared/errors.ts"
import type { Document, Parser, StateStore } from "../shared/ports.ts"

/** A state store whose documents die with it, and how many requests it has answered. */
export interface MemoryState extends StateStore {
  readonly requests: () => number
}

const PAGE = 1_000 // paths, as S3 lists them

/** Every request takes at least one turn of the event loop, as with a real store, so that callers interleave. */
export function memoryState(): MemoryState {
  const documents = new Map<string, { readonly text: string; readonly etag: string }>()
  let written = 0
  let requests = 0

  async function arrive(path: string): Promise<void> {
    requests++
    const isOutside = path.split("/").some((segment) => segment === "." || segment === "..")
    if (isOutside) throw new Error(`no path of a document: ${path}`)
    await new Promise((resolve) => void setImmediate(resolve))
  }

  function look<T>(path: string, parser: Parser<T>): Document<T> | undefined {
    const found = documents.get(path)
    return found && { value: parsed(path, found.text, parser), etag: found.etag }
  }

  function write(path: string, value: unknown): string {
    const etag = String(++written)
    documents.set(path, { text: JSON.stringify(value), etag })
    return etag
  }

  return {
    requests: () => requests,
    async read(path, parser) {
      await arrive(path)
      return look(path, parser)
    },
    async readIfChanged(path, parser, etag) {
      await arrive(path)
      return documents.get(path)?.etag === etag ? "unchanged" : look(path, parser)
    },
    async create(path, value) {
      await arrive(path)
      return documents.has(path) ? undefined : write(path, value)
    },
    async replace(path, value, etag) {
      await arrive(path)
      return documents.get(path)?.etag === etag ? write(path, value) : undefined
    },
    async remove(path) {
      await arrive(path)
      documents.delete(path)
    },
    async list(prefix, { startAfter = "", limit = PAGE } = {}) {
      await arrive(prefix)
      const isWanted = (path: string) => path.startsWith(prefix) && byBytes(path, startAfter) > 0
      const all = [...documents.keys()].filter(isWanted).sort(byBytes)
      return { paths: all.slice(0, limit), more: all.length > limit }
    },
  }
}

const byBytes = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right))

function parsed<T>(path: string, text: string, parser: Parser<T>): T {
  try {
    return parser.parse(JSON.parse(text))
  } catch (cause) {
    throw new Failure("internal", "a document of the state store is broken", new Error(path, { cause }))
  }
}
