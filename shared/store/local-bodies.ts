/** The local store's body files: written and synced before the index names them, removed after it no longer does. */
import { createHash, randomBytes, type Hash } from "node:crypto"
import { existsSync, rmSync } from "node:fs"
import { mkdir, open, readdir, truncate, unlink, type FileHandle } from "node:fs/promises"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { Failure } from "../errors.ts"
import type { Body, StoredChecksum, WriteOptions } from "../ports.ts"
import type { Extent, Index } from "./local-index.ts"

/** Objects of at most this many bytes are kept in the index. */
const INLINE_LIMIT = 16 * 1024

const READ_SIZE = 256 * 1024 // bytes of one read, and of memory held by one reader

/** What is known of a body that was read: its MD5 in hex, and the checksum that its writer gave. */
export interface Digests {
  readonly md5: string
  readonly checksum?: StoredChecksum
}

/** What came of a body: its bytes where they are few, else the file they are in. */
export type Received = Digests & ({ readonly bytes: Uint8Array } | { readonly file: string })

type ReceiveOptions = Pick<WriteOptions, "signal" | "checksum">

/** The folder of body files, as this process uses it. */
export interface Bodies {
  /** Takes a whole body. A file is durable when the promise resolves; it must then be named in the index or removed.
   *  Throws `store-refused` for a wrong length, and for a wrong CRC-32; another checksum is taken as it is given. */
  receive(body: Body, options: ReceiveOptions): Promise<Received>
  /** Makes an empty file, durably. */
  create(): Promise<string>
  /** Writes a body into a file from `offset` on, durably. `undefined` if there is no such file. Throws as `receive`. */
  receiveAt(file: string, offset: number, body: Body, options: ReceiveOptions): Promise<Digests | undefined>
  /** Cuts a file off at `size`, where nothing behind that is named. What fails leaves it as long as it is. */
  shorten(file: string, size: number): Promise<void>
  /** Opens a file to read. `undefined` if there is none. */
  open(file: string): Promise<FileHandle | undefined>
  /** Whether the file is there. To be asked in the write transaction that names it in the index: `sweep` removes files
   *  in write transactions only, so that none is removed after it was found. */
  exists(file: string): boolean
  /** Removes files that the index no longer names. What fails is left to a later sweep. */
  remove(files: readonly string[]): Promise<void>
  /** Removes every file that neither the index names nor a living process may be writing. */
  sweep(index: Index): Promise<void>
  close(): void
}

const openHere = new Set<string>() // the writers of this process, to tell them from an earlier process of the same id

/** Opens the folder of body files, or makes it. */
export async function openBodies(folder: string): Promise<Bodies> {
  await mkdir(folder, { recursive: true })
  const writer = `${process.pid}-${randomBytes(4).toString("hex")}`
  openHere.add(writer)
  const path = (file: string) => join(folder, file)
  const create = async <T>(fill: (handle: FileHandle) => Promise<T>) => {
    const file = `${writer}-${randomBytes(16).toString("hex")}`
    const handle = await open(path(file), "wx")
    try {
      const filled = await fill(handle)
      await syncFolder(folder)
      return { ...filled, file }
    } catch (error) {
      await unlink(path(file)).catch(() => undefined) // the error before it says more; a later sweep removes the file
      throw error
    } finally {
      await handle.close()
    }
  }
  return {
    receive: (body, options) =>
      body.length <= INLINE_LIMIT
        ? receiveSmall(body, options)
        : create((handle) => writeBody(handle, 0, body, options)),
    create: async () => (await create(() => Promise.resolve({}))).file,
    receiveAt: async (file, offset, body, options) => {
      const handle = await openExisting(path(file), "r+")
      return handle && writeBody(handle, offset, body, options).finally(() => handle.close())
    },
    shorten: (file, size) => truncate(path(file), size).catch(() => undefined),
    open: (file) => openExisting(path(file), "r"),
    exists: (file) => existsSync(path(file)),
    remove: async (files) => {
      await Promise.allSettled(files.map((file) => unlink(path(file))))
    },
    sweep: (index) => sweep(folder, index),
    close: () => {
      openHere.delete(writer)
    },
  }
}

/** The bytes `start` to `end` (inclusive) of the object that lies in these extents, in order. Closes the handle. */
export async function* readExtents(
  handle: FileHandle,
  extents: readonly Extent[],
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, undefined> {
  try {
    let before = 0 // bytes of the object in earlier extents
    for (const [offset, size] of extents) {
      const from = Math.max(start - before, 0)
      const to = Math.min(end + 1 - before, size)
      for (let at = from; at < to; at += READ_SIZE) {
        yield await readFully(handle, offset + at, Math.min(READ_SIZE, to - at))
      }
      before += size
    }
  } finally {
    await handle.close()
  }
}

async function readFully(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(length) // the reader's to keep, so not from the shared pool
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await handle.read(chunk, filled, length - filled, position + filled)
    if (bytesRead === 0) throw new Failure("internal", "the object's file is shorter than its index says")
    filled += bytesRead
  }
  return chunk
}

async function receiveSmall(body: Body, options: ReceiveOptions): Promise<Received> {
  const bytes = Buffer.alloc(body.length)
  let filled = 0
  const digests = await consume(body, options, (chunk) => {
    bytes.set(chunk, filled)
    filled += chunk.length
  })
  return { ...digests, bytes }
}

async function writeBody(handle: FileHandle, offset: number, body: Body, options: ReceiveOptions): Promise<Digests> {
  let position = offset
  const digests = await consume(body, options, async (chunk) => {
    const at = position
    position += chunk.length
    await writeFully(handle, chunk, at)
  })
  await handle.datasync()
  return digests
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

/** Gives the body's chunks to `take`, one after another, and what is then known of it. Throws where it is not exactly as
 *  long as it says, or its CRC-32 is wrong; `take` never gets more. Hashes a chunk while `take` is busy with it. */
async function consume(
  body: Body,
  { signal, checksum }: ReceiveOptions,
  take: (chunk: Uint8Array) => Promise<void> | void,
): Promise<Digests> {
  const hash: Hash = createHash("md5")
  let received = 0
  let crc = 0
  for await (const chunk of body instanceof Uint8Array ? [body] : body.stream) {
    signal?.throwIfAborted()
    received += chunk.length
    if (received > body.length) throw new Failure("store-refused", "the body is longer than announced")
    const taken = take(chunk)
    hash.update(chunk)
    if (checksum) crc = crc32(chunk, crc)
    await taken
  }
  signal?.throwIfAborted()
  if (received < body.length) throw new Failure("store-refused", "the body is shorter than announced")
  const given = checksum?.()
  if (given && isWrong(given, crc)) throw new Failure("store-refused", "the body is not what its checksum says", "BadDigest")
  return { md5: hash.digest("hex"), ...(given && { checksum: given }) }
}

/** Only CRC-32 is checked: it costs a sixth of the MD5. Whoever gives another one has made it of the bytes. */
function isWrong({ algorithm, type, value }: StoredChecksum, crc: number): boolean {
  if (algorithm !== "crc32" || type !== "full") return false
  const right = Buffer.alloc(4)
  right.writeUInt32BE(crc)
  return right.toString("base64") !== value
}

async function openExisting(path: string, flags: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r")
  await handle.sync().finally(() => handle.close())
}

const FILE_NAME = /^((\d+)-[0-9a-f]{8})-[0-9a-f]{32}$/

async function sweep(folder: string, index: Index): Promise<void> {
  const abandoned = (await readdir(folder)).filter(isAbandoned)
  const orphans = index.read(() => abandoned.filter((file) => !index.files.doesExist(file)))
  if (orphans.length === 0) return
  await index.write(() => {
    for (const file of orphans) if (!index.files.doesExist(file)) rmSync(join(folder, file), { force: true })
  })
}

/** Whether nobody can be writing this file: it is a body file, and its writer is no longer there. Where the process id
 *  was given to another program meanwhile, the file stays until that one has ended too. */
function isAbandoned(file: string): boolean {
  const [, writer = "", pid] = FILE_NAME.exec(file) ?? []
  if (pid === undefined) return false
  if (Number(pid) === process.pid) return !openHere.has(writer)
  try {
    process.kill(Number(pid), 0) // asks whether it is there (kill(2), signal 0)
    return false
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH"
  }
}
