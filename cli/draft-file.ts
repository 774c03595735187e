/** A file that appears under its name whole or not at all: written beside it, synced, and renamed at the end. */
import { randomBytes } from "node:crypto"
import { unlinkSync } from "node:fs"
import { link, lstat, open, rename, writeFile, type FileHandle } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { Failure } from "../shared/errors.ts"
import { syncFolder } from "../shared/store/local-bodies.ts"
import { remark } from "./output.ts"

/** A file under way. */
export interface Draft {
  /** Where it is meanwhile. */
  readonly path: string
  /** Writes all of it and syncs it. A piece may use the memory of the one before. */
  write(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>
  /** Gives it its name. */
  publish(): Promise<void>
}

/** Lends a draft of the file to `work`, and removes what was not published, also where the process exits meanwhile. Its
 *  owner alone may read it. Throws `not-found` where there is no folder for it, `conflict` where there is something
 *  already, unless `force` says to replace it; what is no regular file is never replaced. */
export async function withDraft<T>(target: string, force: boolean, work: (draft: Draft) => Promise<T>): Promise<T> {
  await demandReplaceable(target, force)
  const path = join(dirname(target), `.${basename(target).slice(0, 64)}.${randomBytes(8).toString("hex")}.part`)
  const file = await create(path)
  const discard = () => remove(path)
  process.on("exit", discard) // an exit waits for no `finally`
  try {
    return await work({
      path,
      async write(pieces, signal) {
        await writeFile(file, pieces, { signal })
        await file.sync()
        signal.throwIfAborted()
      },
      publish: () => publish(path, target, force),
    })
  } finally {
    discard()
    process.off("exit", discard)
    await file.close().catch(() => undefined) // what was published was synced before; an error of `work` goes on
  }
}

async function create(path: string): Promise<FileHandle> {
  return open(path, "wx", 0o600).catch((cause: unknown) => {
    const folder = dirname(path)
    const code = codeOf(cause)
    if (code === "ENOENT" || code === "ENOTDIR") throw new Failure("not-found", `there is no folder ${folder}`, cause)
    throw new Failure("conflict", `no file can be made in the folder ${folder}: ${code}`, cause)
  })
}

/** Removes it at once; published by renaming, it is gone already. */
function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (codeOf(error) !== "ENOENT") remark(`${path} is left over and can't be removed: ${codeOf(error)}`)
  }
}

async function demandReplaceable(target: string, force: boolean): Promise<void> {
  const present = await lstat(target).catch(() => undefined)
  if (present && !present.isFile()) {
    throw new Failure("conflict", `${target} is there and is no regular file; name another one`)
  }
  if (present && !force) throw isThere(target)
}

/** A link replaces nothing, whoever made the file meanwhile. */
async function publish(path: string, target: string, force: boolean): Promise<void> {
  if (force) await rename(path, target)
  else await link(path, target).catch((cause: unknown) => {
    if (codeOf(cause) === "EEXIST") throw isThere(target)
    throw new Failure("conflict", `${target} can't be made by linking; --force makes it by renaming`, cause)
  })
  await syncFolder(dirname(target)).catch((error: unknown) => {
    remark(`${target} is there, but a loss of power now may undo that: its folder can't be synced: ${codeOf(error)}`)
  })
}

const isThere = (target: string) => new Failure("conflict", `${target} is there already; --force replaces it`)

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "")
