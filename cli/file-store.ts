/** A file as a store of one object, so that it is sealed and opened by the very code that objects are. */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { open, type FileHandle } from "node:fs/promises"
import { Failure } from "../shared/errors.ts"
import type { Body, GetOptions, ObjectInfo, ObjectStore, StoredObject } from "../shared/ports.ts"
import type { Draft } from "./draft-file.ts"

/** Reads a file as the object of any name. Throws `not-found` where there is none, `bad-field` for what is no regular
 *  file. */
export async function readableFile(path: string): Promise<Pick<ObjectStore, "get"> & { close(): Promise<void> }> {
  const file = await openRegular(path)
  return { get: async (_, options = {}) => objectIn(file, await infoOf(file), options), close: () => file.close() }
}

/** Reads a file as an object, and writes that object anew into a draft: once it has been written, it is read from
 *  there. */
export async function rewritableFile(
  path: string, draft: Draft, signal: AbortSignal,
): Promise<Pick<ObjectStore, "get" | "put" | "getTags"> & { close(): Promise<void> }> {
  let file = await openRegular(path)
  let written: { readonly etag: string } | undefined
  return {
    get: async (_, options = {}) => objectIn(file, { ...await infoOf(file), ...written }, options),
    getTags: () => Promise.resolve([]),
    async put(_, body, { condition } = {}) {
      const md5 = createHash("md5") // as the ETag that a registration may have found on its store
      await draft.write(hashed(body, md5), signal)
      const { etag } = await infoOf(file)
      if (condition && "ifMatch" in condition && condition.ifMatch !== etag) throw changed(path)
      await file.close()
      file = await openRegular(draft.path)
      return written = { etag: md5.digest("hex") }
    },
    close: () => file.close(),
  }
}

const NO_WAIT = constants.O_NONBLOCK // else opening a FIFO waits for its writer, and nothing can interrupt that

async function openRegular(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | NO_WAIT).catch((cause: unknown) => {
    throw new Failure("not-found", `${path} can't be read: ${cause instanceof Error ? cause.message : ""}`, cause)
  })
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new Failure("bad-field", `${path} is no regular file`)
}

/** The ETag changes with whatever a change of the file changes. */
async function infoOf(file: FileHandle): Promise<ObjectInfo> {
  const { size, mtimeNs, ctimeNs, ino } = await file.stat({ bigint: true })
  const lastModified = Number(mtimeNs / 1_000_000n)
  return { size: Number(size), etag: `${ino}-${size}-${mtimeNs}-${ctimeNs}`, lastModified, metadata: {} }
}

function objectIn(file: FileHandle, info: ObjectInfo, { range, ifMatch }: GetOptions): StoredObject {
  if (ifMatch !== undefined && ifMatch !== info.etag) throw changed("the file")
  if (!range || !("start" in range)) return { ...info, body: piecesOf(file, 0, info.size), cancel: () => undefined }
  if (range.start >= info.size) throw new Failure("range-not-satisfiable", "the range starts behind the end")
  const span = { start: range.start, end: Math.min(range.end ?? Infinity, info.size - 1) }
  return { ...info, range: span, body: piecesOf(file, span.start, span.end + 1), cancel: () => undefined }
}

const PIECE = 256 * 1024 // bytes read at a time

async function* piecesOf(file: FileHandle, from: number, end: number): AsyncGenerator<Uint8Array, void> {
  for (let position = from; position < end; ) {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, end - position))
    const { bytesRead } = await file.read(piece, 0, piece.length, position)
    if (bytesRead === 0) throw changed("the file") // it has become shorter
    yield piece.subarray(0, bytesRead)
    position += bytesRead
  }
}

async function* hashed(body: Body, md5: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array, void> {
  for await (const piece of body instanceof Uint8Array ? [body] : body.stream) {
    md5.update(piece)
    yield piece
  }
}

const changed = (path: string) => new Failure("precondition-failed", `${path} was changed while it was read; try again`)
