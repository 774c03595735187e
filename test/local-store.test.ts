import { randomInt } from "node:crypto"
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { Store } from "../shared/ports.ts"
import { localStore } from "../shared/store/local.ts"
import { patterned, pieces } from "./bytes.ts"
import { sizeOf, writeOf } from "./processes/bodies.ts"
import { runToEnd, start, type Program } from "./processes/start.ts"
import { storeContract } from "./store-contract.ts"
import { bytesOf, failureOf, listAll, textOf } from "./store-contract-reads.ts"
import { localHarness } from "./stores.ts"

storeContract("local", localHarness)

const KILLS = 12

describe("a folder that is a store", () => {
  let folder = ""
  const started: Program[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "bucketseal-local-"))
  })
  afterEach(async () => {
    for (const program of started.splice(0)) await program.kill()
    await rm(folder, { recursive: true })
  })
  const run = (name: string, ...args: string[]) => {
    const program = start(name, ...args)
    started.push(program)
    return program
  }
  const bodyFiles = () => readdir(join(folder, "bodies"))

  /** Opens the store for as long as `use` takes. */
  const opened = async <T>(use: (store: Store) => Promise<T>): Promise<T> => {
    const store = await localStore(folder)
    try {
      return await use(store)
    } finally {
      await store.close()
    }
  }
  const withBuckets = (...names: string[]) =>
    opened(async (store) => {
      for (const name of names) await store.createBucket(name)
    })

  it("keeps everything when it is closed and opened again", async () => {
    const ref = { bucket: "kept", key: "k" }
    const bytes = patterned(300_000)
    await withBuckets("kept")
    const attributes = { contentType: "text/plain", metadata: { a: "1" } }
    const id = await opened(async (store) => {
      await store.put(ref, bytes, { attributes, tags: [["t", "v"]] })
      const upload = await store.createUpload({ ...ref, key: "u" })
      await store.putPart({ ...ref, key: "u" }, upload, 1, Buffer.from("part"))
      return upload
    })
    await opened(async (store) => {
      expect((await bytesOf(store, ref))?.equals(bytes)).toBe(true)
      expect(await store.head(ref)).toMatchObject({ ...attributes, tagCount: 1 })
      const { parts } = await store.listParts({ ...ref, key: "u" }, id)
      await store.completeUpload({ ...ref, key: "u" }, id, parts)
      expect(await textOf(store, { ...ref, key: "u" })).toBe("part")
    })
  })

  it("tells the number of tags, and the time by the clock it was given, in milliseconds", async () => {
    const lastModified = 1_234_567_890_123
    const store = await localStore(folder, { clock: () => lastModified })
    await store.createBucket("times")
    await store.put({ bucket: "times", key: "k" }, Buffer.from("x"), { tags: [["a", "1"], ["b", "2"]] })
    expect(await store.head({ bucket: "times", key: "k" })).toMatchObject({ lastModified, tagCount: 2 })
    await store.close()
  })

  it("refuses what it would not keep: metadata over 2 KiB, more than 10 tags, server-side encryption", async () => {
    await withBuckets("refusals")
    await opened(async (store) => {
      const put = (options: Parameters<Store["put"]>[2]) =>
        failureOf(store.put({ bucket: "refusals", key: "k" }, Buffer.from("x"), options))
      expect(await put({ attributes: { metadata: { a: "x".repeat(2048) } } })).toBe("store-refused")
      expect(await put({ tags: Array.from({ length: 11 }, (_, n) => [`t${n}`, ""] as const) })).toBe("store-refused")
      expect(await put({ encryption: { kind: "AES256" } })).toBe("store-refused")
      expect(await store.head({ bucket: "refusals", key: "k" })).toBeUndefined()
    })
  })

  it("keeps versions under the longest key in a bucket of the longest name", async () => {
    const ref = { bucket: "b".repeat(63), key: "k".repeat(1024) }
    await withBuckets(ref.bucket)
    await opened(async (store) => {
      await store.setVersioning(ref.bucket, "enabled")
      const { versionId = "" } = await store.put(ref, Buffer.from("1"))
      await store.put(ref, Buffer.from("2"))
      expect([await textOf(store, ref, { versionId }), await textOf(store, ref)]).toEqual(["1", "2"])
    })
  })

  it("keeps no file of what was replaced, deleted or refused, nor of an upload that was aborted", async () => {
    await withBuckets("files")
    await opened(async (store) => {
      const ref = { bucket: "files", key: "k" }
      for (let round = 0; round < 3; round++) await store.put(ref, patterned(20_000))
      expect((await bodyFiles()).length).toBe(1)
      const body = { length: 20_000, stream: pieces(patterned(20_000), 1000) }
      expect(await failureOf(store.put(ref, body, { condition: { ifNoneMatch: "*" } }))).toBe("precondition-failed")
      await expect(store.put(ref, { length: 20_001, stream: pieces(patterned(20_000), 1000) })).rejects.toThrow()
      const create = () => store.put({ ...ref, key: "new" }, patterned(20_000), { condition: { ifNoneMatch: "*" } })
      await Promise.all([create(), create(), create(), create()].map(failureOf))
      expect((await bodyFiles()).length).toBe(2)
      const id = await store.createUpload(ref)
      await store.putPart(ref, id, 1, patterned(20_000))
      expect((await bodyFiles()).length).toBe(3)
      await store.abortUpload(ref, id)
      await store.delete(ref)
      await store.delete({ ...ref, key: "new" })
      expect(await bodyFiles()).toEqual([])
    })
  })

  it("what it acknowledged survives kill -9 at any moment, whole; no orphan stays", { timeout: 200_000 }, async () => {
    let first = 0
    for (let kill = 0; kill < KILLS; kill++) {
      await withBuckets("whole", "parts")
      const acknowledged = await killedWriter(first)
      expect(acknowledged.length).toBeGreaterThan(0)
      for (const { n } of acknowledged) first = Math.max(first, n + 100) // beyond what it wrote without acknowledging
      await opened(async (store) => {
        for (const { n, ...ref } of acknowledged) {
          expect(writeOf((await bytesOf(store, ref)) ?? Buffer.alloc(0))).toBeGreaterThanOrEqual(n)
        }
        await removeAll(store, "parts") // with it go the uploads that were under way
        const whole = await allWrites(store, "whole")
        expect(Math.min(...whole)).toBeGreaterThanOrEqual(0)
        expect((await bodyFiles()).length).toBe(whole.filter((n) => sizeOf(n) > 16_384).length)
      })
    }
  })

  /** Has a process write and kills it; gives what it acknowledged. */
  const killedWriter = async (first: number) => {
    const program = run("write-until-killed", folder, String(first))
    const lines = [await program.line()]
    await new Promise((resolve) => setTimeout(resolve, randomInt(1, 300)))
    lines.push(...(await program.kill()))
    return lines.map((line) => {
      const [bucket = "", key = "", n] = line.split(" ")
      return { bucket, key, n: Number(n) }
    })
  }

  /** Which write each object of a bucket came by; -1 for one that is not whole. */
  const allWrites = async (store: Store, bucket: string) => {
    const writes: number[] = []
    for (const key of (await listAll(store, bucket)).flat()) {
      writes.push(writeOf((await bytesOf(store, { bucket, key })) ?? Buffer.alloc(0)))
    }
    return writes
  }

  const removeAll = async (store: Store, bucket: string) => {
    expect(await allWrites(store, bucket)).not.toContain(-1)
    for (const key of (await listAll(store, bucket)).flat()) await store.delete({ bucket, key })
    await store.deleteBucket(bucket)
  }

  it("of two processes that write under one condition at once exactly one wins", { timeout: 120_000 }, async () => {
    await withBuckets("race")
    const racers = [run("race-for-objects", folder), run("race-for-objects", folder)] as const
    const race = async (line: string) => {
      for (const racer of racers) racer.send(line)
      return Promise.all(racers.map(async (racer) => Number(await racer.line())))
    }
    for (const racer of racers) expect(await racer.line()).toBe("ready")
    const wins = [0, 0]
    for (let round = 0; round < 60; round++) {
      const won = await race(`create key-${round} ${round % 2 ? 100 : 30_000}`)
      expect(won[0] === 1 || won[0] === 0).toBe(true)
      expect((won[0] ?? 0) + (won[1] ?? 0)).toBe(1)
      for (const racer of [0, 1] as const) wins[racer] = (wins[racer] ?? 0) + (won[racer] ?? 0)
    }
    await opened(async (store) => {
      await store.put({ bucket: "race", key: "counter" }, Buffer.from("0"))
      expect(await race("count counter 50")).toEqual([50, 50])
      expect(await textOf(store, { bucket: "race", key: "counter" })).toBe("100")
    })
    for (const racer of racers) await racer.finish()
  })

  it("one process sees at once what another has put, also within one turn of its event loop", async () => {
    await withBuckets("race")
    await opened(async (store) => {
      const ref = { bucket: "race", key: "seen" }
      expect(await store.head(ref)).toBeUndefined()
      expect(runToEnd("race-for-objects", [folder], "create seen 100\n")).toBe("ready\n1\n")
      expect((await store.head(ref))?.size).toBe(100)
    })
  })

  it("opening it does not take the file that another living process is writing", async () => {
    await withBuckets("halves")
    const program = run("put-in-two-halves", folder)
    expect(await program.line()).toBe("half")
    await withBuckets("halves")
    expect((await bodyFiles()).length).toBe(1)
    program.send("go on")
    expect(await program.line()).toBe("done")
    await program.finish()
    await opened(async (store) => {
      expect((await bytesOf(store, { bucket: "halves", key: "k" }))?.equals(patterned(100_000))).toBe(true)
    })
  })

  it("opening it a second time in one process does not take the file that the first is writing", async () => {
    await withBuckets("twice")
    await opened(async (store) => {
      async function* stream() {
        yield patterned(50_000)
        await withBuckets("twice")
        yield patterned(50_000)
      }
      await store.put({ bucket: "twice", key: "k" }, { length: 100_000, stream: stream() })
      expect((await bytesOf(store, { bucket: "twice", key: "k" }))?.length).toBe(100_000)
    })
  })

  it("opening it removes the file of a process that was killed while it wrote", async () => {
    await withBuckets("halves")
    const program = run("put-in-two-halves", folder)
    expect(await program.line()).toBe("half")
    await program.kill()
    expect((await bodyFiles()).length).toBe(1)
    await withBuckets("halves")
    expect(await bodyFiles()).toEqual([])
  })

  it("a write whose file was taken all the same fails, and names no missing file", async () => {
    await withBuckets("taken")
    await opened(async (store) => {
      async function* stream() {
        yield patterned(50_000)
        for (const file of await bodyFiles()) await rm(join(folder, "bodies", file))
        yield patterned(50_000)
      }
      const put = store.put({ bucket: "taken", key: "k" }, { length: 100_000, stream: stream() })
      expect(await failureOf(put)).toBe("unavailable")
      expect(await store.get({ bucket: "taken", key: "k" })).toBeUndefined()
    })
  })

  it("gives back the room of parts that break off, all at once too, and cuts an upload's file when it completes it", async () => {
    const ref = { bucket: "rooms", key: "k" }
    await withBuckets(ref.bucket)
    await opened(async (store) => {
      const id = await store.createUpload(ref)
      const broken = () => ({ length: 5 * 1024 ** 3, stream: (async function* () {
        yield patterned(1000)
        throw new Error("the client is gone")
      })() })
      await store.putPart(ref, id, 1, patterned(20_000))
      for (let round = 0; round < 40; round++) { // 20 TiB: more than a file may have
        const tries = Array.from({ length: 100 }, () => failureOf(store.putPart(ref, id, 2, broken())))
        expect(new Set(await Promise.all(tries))).toEqual(new Set(["no Failure but Error: the client is gone"]))
      }
      await store.putPart(ref, id, 2, patterned(30_000))
      const { parts } = await store.listParts(ref, id)
      await store.completeUpload(ref, id, parts.slice(0, 1))
      const [file = ""] = await bodyFiles()
      expect((await stat(join(folder, "bodies", file))).size).toBe(20_000)
      expect((await bytesOf(store, ref))?.equals(patterned(20_000))).toBe(true)
    })
  })

  it("a part that breaks off takes no room of one that was stored meanwhile", async () => {
    const ref = { bucket: "meanwhile", key: "k" }
    await withBuckets(ref.bucket)
    await opened(async (store) => {
      const id = await store.createUpload(ref)
      const stored = async (number: number) => store.putPart(ref, id, number, Buffer.alloc(5 * 1024 ** 2, number))
      async function* stream() {
        yield patterned(1000)
        await stored(2)
        throw new Error("the client is gone")
      }
      await expect(store.putPart(ref, id, 1, { length: 5 * 1024 ** 2, stream: stream() })).rejects.toThrow("gone")
      for (const number of [1, 3]) await stored(number)
      await store.completeUpload(ref, id, (await store.listParts(ref, id)).parts)
      const whole = Buffer.concat([1, 2, 3].map((number) => Buffer.alloc(5 * 1024 ** 2, number)))
      expect((await bytesOf(store, ref))?.equals(whole)).toBe(true)
    })
  })

  it("opening it leaves files alone that are none of the store's", async () => {
    await withBuckets("own")
    await writeFile(join(folder, "bodies", "README"), "not ours")
    await withBuckets("own")
    expect(await bodyFiles()).toEqual(["README"])
  })
})
