/** A file that appears under its name whole or not at all: written beside it, synced, and renamed at the end. */
import { randomBytes } from "node:crypto"
import { link, lstat, open, rename, unlink, writeFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { Failure } from "../shared/errors.ts"

/** A file under way. */
export interface Draft {
  /** Where it is meanwhile. */
  readonly path: string
  /** Writes all of it and syncs it. A piece may use the memory of the one before. */
  write(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>
  /** Gives it its name. */
  publish(): Promise<void>
}

/** Lends a draft of the file to `work`, and removes what was not published. Its owner alone may read it. Throws
 *  `conflict` where there is something already, unless `force` says to replace it; what is no regular file is never
 *  replaced. */
export async function withDraft<T>(target: string, force: boolean, work: (draft: Draft) => Promise<T>): Promise<T> {
  await demandReplaceable(target, force)
  const path = join(dirname(target), `.${basename(target).slice(0, 64)}.${randomBytes(8).toString("hex")}.part`)
  const file = await open(path, "wx", 0o600)
  try {
    return await work({
      path,
      async write(pieces, signal) {
        await writeFile(file, pieces, { signal })
        await file.sync()
      },
      publish: () => publish(path, target, force),
    })
  } finally {
    await file.close()
    await unlink(path).catch(() => undefined) // published, it is gone
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
  const folder = await open(dirname(target), "r") // a new name is durable only once its folder is
  await folder.sync().finally(() => folder.close())
}

const isThere = (target: string) => new Failure("conflict", `${target} is there already; --force replaces it`)

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined)
