/** The master key as a file of its owner, for one machine. The only file of this folder that touches a disk. */
import { randomBytes } from "node:crypto"
import { link, open, readFile, stat, unlink } from "node:fs/promises"
import { dirname } from "node:path"
import { encodeBase64 } from "../crypto/base64.ts"
import { Failure } from "../errors.ts"
import { MASTER_KEY_SIZE, parseMasterKey } from "./master-key.ts"

/**
 * Reads the master key file: one line of base64. Where there is none: makes it with mode 0600 if `create` (say so
 * only when the state store is local and empty: a new key opens nothing that is there), else throws `bad-field`.
 * Throws `bad-field` also for a file that others may read and for one that holds no master key. Of several processes
 * that start at once, one makes the file and all give its key.
 */
export async function masterKeyFile(path: string, options: { readonly create: boolean }): Promise<Uint8Array> {
  const mode = await modeOf(path)
  if (mode === undefined) {
    if (!options.create) throw missing(path)
    await createFile(path)
    return masterKeyFile(path, { create: false })
  }
  if ((mode & 0o077) !== 0 && process.platform !== "win32") {
    throw new Failure("bad-field", `${path} may be read or written by others than its owner: chmod 600 it`)
  }
  return parseMasterKey(await readFile(path, "latin1"), path)
}

function missing(path: string): Failure {
  return new Failure("bad-field", `there is no master key in ${path}: bring it back from a backup, or give MASTER_KEY`)
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}

/** Written whole under another name and then linked: the file is never seen half-written, and a link replaces
 *  nothing. */
async function createFile(path: string): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString("hex")}`
  const masterKey = randomBytes(MASTER_KEY_SIZE)
  try {
    await writeDurably(draft, `${encodeBase64(masterKey)}\n`)
    await link(draft, path).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error // else another process was first: its key is the key
    })
  } finally {
    masterKey.fill(0)
    await unlink(draft).catch(() => undefined)
  }
  await sync(dirname(path))
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A new name is durable only once its folder is. */
async function sync(folder: string): Promise<void> {
  const handle = await open(folder, "r")
  await handle.sync().finally(() => handle.close())
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined)
