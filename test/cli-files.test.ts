import { execFileSync } from "node:child_process"
import { mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { withDraft } from "../cli/draft-file.ts"
import { readableFile, rewritableFile } from "../cli/file-store.ts"
import { once } from "../shared/objects/sealed.ts"
import { removeFolder } from "./stack-process.ts"

const ref = { bucket: "bucket", key: "key" }
const never = new AbortController().signal
let folder: string
let target: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bucketseal-cli-files-"))
  target = join(folder, "target")
})

afterEach(() => removeFolder(folder))

describe("a draft of a file", () => {
  it("is a file under its name only once it is published", async () => {
    await withDraft(target, false, async (draft) => {
      await draft.write(once(Buffer.from("text")), never)
      expect(await readdir(folder)).not.toContain("target")
      await draft.publish()
    })
    expect([await readdir(folder), await readFile(target, "utf8")]).toEqual([["target"], "text"])
  })

  it("replaces nothing that somebody else made meanwhile, unless told to", async () => {
    const publishing = (force: boolean) => withDraft(target, force, async (draft) => {
      await draft.write(once(Buffer.from("text")), never)
      await writeFile(target, "precious")
      await draft.publish()
    })
    await expect(publishing(false)).rejects.toMatchObject({ code: "conflict", message: `${target} is there already; --force replaces it` })
    expect([await readdir(folder), await readFile(target, "utf8")]).toEqual([["target"], "precious"])
    await publishing(true)
    expect([await readdir(folder), await readFile(target, "utf8")]).toEqual([["target"], "text"])
  })

  it("is gone where its source fails", async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from("text")
      throw new Error("the source fails")
    }
    await expect(withDraft(target, false, (draft) => draft.write(failing(), never))).rejects.toThrow("the source fails")
    expect(await readdir(folder)).toEqual([])
  })

  it("where there is no folder for it, says so", async () => {
    await writeFile(target, "text")
    for (const path of [join(folder, "none"), target]) {
      await expect(withDraft(join(path, "x"), false, () => Promise.resolve())).rejects.toMatchObject({ code: "not-found", message: `there is no folder ${path}` })
    }
  })

  it("never takes the place of a link", async () => {
    await writeFile(join(folder, "elsewhere"), "precious")
    await symlink("elsewhere", target)
    await expect(withDraft(target, true, () => Promise.resolve())).rejects.toMatchObject({ code: "conflict" })
  })
})

describe("a file as an object", () => {
  it("is no FIFO: that is refused without waiting for its writer", async () => {
    execFileSync("mkfifo", [target])
    await expect(readableFile(target)).rejects.toMatchObject({ code: "bad-field", message: `${target} is no regular file` })
  })
})

describe("a file as an object that is written anew", () => {
  const path = () => join(folder, "source")
  const sealedInto = async (change: () => Promise<void>) => withDraft(target, false, async (draft) => {
    const store = await rewritableFile(path(), draft, never)
    try {
      const before = await store.get(ref)
      await change()
      const written = await store.put(ref, Buffer.from("sealed"), { condition: { ifMatch: before?.etag ?? "" } })
      return { written, after: await store.get(ref) }
    } finally {
      await store.close()
    }
  })

  it("is read from the draft once it was written, and the source is as it was", async () => {
    await writeFile(path(), "text")
    const { written, after } = await sealedInto(() => Promise.resolve())
    expect(after).toMatchObject({ size: 6, etag: written.etag })
    expect(await readFile(path(), "utf8")).toBe("text")
  })

  it("is not written where the source was changed meanwhile", async () => {
    await writeFile(path(), "text")
    await expect(sealedInto(() => writeFile(path(), "other"))).rejects.toMatchObject({ code: "precondition-failed" })
  })
})
