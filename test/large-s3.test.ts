/** Objects above 5 GiB, the most that one request carries, through the local S3 endpoint and our own client. `SLOW=1` only. */
import { createHash } from "node:crypto"
import { mkdtemp, rm, statfs } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openObject } from "../shared/objects/open.ts"
import { sealObject } from "../shared/objects/seal.ts"
import type { Part, Store } from "../shared/ports.ts"
import { localStore } from "../shared/store/local.ts"
import { s3Store } from "../shared/store/s3.ts"
import { stateStore } from "../shared/store/state.ts"
import { generated, generatedHash } from "./large/generated.ts"
import { OWNER, registerWith, wired } from "./large/wiring.ts"
import { credentials, region, serveStore, type TestEndpoint } from "./s3-endpoint.ts"

const MIB = 2 ** 20
const SIZE = 5 * 1024 * MIB + 123_456_789
const PART = 64 * MIB
const ROOM = 3 * SIZE // the object and its sealed one stand side by side for a moment; the rest is left to others

const { bavail, bsize } = await statfs(tmpdir())
const why = process.env["SLOW"] === undefined ? "left out: set SLOW=1"
  : bavail * bsize < ROOM ? `left out: ${tmpdir()} has less than ${Math.ceil(ROOM / 1024 / MIB)} GiB free` : undefined

describe.skipIf(why !== undefined)(`an object above 5 GiB on the local S3 endpoint${why === undefined ? "" : ` (${why})`}`, () => {
  const ref = { bucket: "uploads", key: "disk.img" }
  let folder: string
  let local: Awaited<ReturnType<typeof localStore>>
  let endpoint: TestEndpoint
  let store: Store
  let world: ReturnType<typeof wired>
  let plainEtag: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bucketseal-large-s3-"))
    local = await localStore(folder)
    endpoint = await serveStore(local)
    const where = { endpoint: endpoint.server.url, region, addressing: "path", allowHttp: true } as const
    store = s3Store({ ...where, credentials: () => Promise.resolve(credentials) })
    await store.createBucket(ref.bucket)
    await store.createBucket("state")
    const state = stateStore(store, { bucket: "state", prefix: "" })
    world = wired({ store, state, masterKey: Buffer.alloc(32, 7), clock: Date.now })
    await registerWith(world, ref.bucket)
    await upload()
  }, 1_800_000)
  afterAll(async () => {
    await endpoint.close()
    await local.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Uploads the object in parts, as its owner. */
  async function upload(): Promise<void> {
    const id = await store.createUpload(ref, { attributes: { contentType: "application/x-disk" } })
    const parts: Part[] = []
    for (let from = 0; from < SIZE; from += PART) {
      const size = Math.min(PART, SIZE - from)
      const number = parts.length + 1
      const { etag } = await store.putPart(ref, id, number, { length: size, stream: generated(from, from + size) })
      parts.push({ number, etag, size })
    }
    plainEtag = (await store.completeUpload(ref, id, parts)).etag
  }

  const uploadsLeft = async () => (await store.listUploads(ref.bucket)).uploads

  it("is sealed by a multipart upload on condition, and reads back whole and by range", async () => {
    const began = performance.now()
    expect(await sealObject(world.sealer, ref, { uploaded: 0 })).toMatchObject({ outcome: "sealed" })
    const seconds = (performance.now() - began) / 1_000
    console.log([
      `${(SIZE / 1024 / MIB).toFixed(2)} GiB sealed in ${seconds.toFixed(0)} s, ${(SIZE / MIB / seconds).toFixed(0)} MiB/s,`,
      `RSS of client and server in one process at most ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`,
    ].join(" "))
    expect(await uploadsLeft()).toEqual([])
    expect((await store.head(ref))?.contentType).toBe("application/x-disk")
    const opened = await openObject(world.opener, ref, OWNER)
    expect(opened?.size).toBe(SIZE)
    for (const [from, end] of [[5 * 1024 * MIB - 100, 5 * 1024 * MIB + 100], [SIZE - 1, SIZE], [0, SIZE]] as const) {
      const hash = createHash("sha256")
      for await (const piece of opened?.read(from, end - 1) ?? []) hash.update(piece)
      expect(hash.digest("hex"), `plaintext from ${from}`).toBe(await generatedHash(from, end))
    }
  }, 3_600_000)

  it("is not replaced by an upload on the condition that it is what it was before", async () => {
    const before = await store.head(ref)
    const id = await store.createUpload(ref)
    const { etag } = await store.putPart(ref, id, 1, Buffer.from("other bytes"))
    const parts = [{ number: 1, etag, size: 11 }]
    await expect(store.completeUpload(ref, id, parts, { condition: { ifMatch: plainEtag } })).rejects.toMatchObject({ code: "precondition-failed" })
    await store.abortUpload(ref, id)
    expect(await store.head(ref)).toEqual(before)
  })

  it("leaves alone what its owner has written anew while the parts were sent, and keeps nothing of the upload", async () => {
    const other = { ...ref, key: "written meanwhile" }
    await store.put(other, { length: 40 * MIB, stream: generated(0, 40 * MIB) })
    const meanwhile: Store = {
      ...store,
      async completeUpload(at, id, parts, options) {
        await store.put(other, Buffer.from("newer"))
        return store.completeUpload(at, id, parts, options)
      },
    }
    const sealer = { ...world.sealer, multipartBytes: 8 * MIB, store: meanwhile }
    expect(await sealObject(sealer, other, { uploaded: 0 })).toEqual({ outcome: "superseded" })
    expect((await store.head(other))?.size).toBe(5)
    expect(await uploadsLeft()).toEqual([])
  })
})
