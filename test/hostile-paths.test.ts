/** Whatever a bucket, key, upload, version or document is called: nothing is made outside the data folder. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import type { Store } from "../shared/ports.ts"
import { localStore } from "../shared/store/local.ts"
import { stateStore } from "../shared/store/state.ts"
import { count, pick, randoms, report, tries } from "./hostile.ts"
import { send, serveStore, type TestEndpoint } from "./s3-endpoint.ts"

let parent: string
let data: string
let store: Store & { close(): Promise<void> }
let endpoint: TestEndpoint
let before: readonly string[]

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "bucketseal-paths-"))
  data = join(parent, "data")
  await mkdir(join(parent, "sentinel"))
  await writeFile(join(parent, "sentinel", "secret"), "not to be read")
  store = await localStore(join(data, "objects"))
  endpoint = await serveStore(store)
  await store.createBucket("photos")
  await store.createBucket("versions")
  await store.setVersioning("versions", "enabled")
  before = await outside()
})
afterAll(async () => {
  await endpoint.close()
  await store.close()
  await rm(parent, { recursive: true, force: true })
})

/** All that lies beside the data folder, and what lies in it under a name that the store does not make. */
async function outside(): Promise<readonly string[]> {
  const all = await readdir(parent, { recursive: true })
  const made = /^data(\/objects(\/index(\/(data|lock)\.mdb)?|\/bodies(\/\d+-[0-9a-f]{8}-[0-9a-f]{32})?)?)?$/
  return all.filter((path) => !made.test(path)).toSorted()
}

const climbing = [
  "../sentinel/secret", "../../sentinel/secret", "../../../../../../../../tmp/x", "/etc/passwd", "//etc/passwd", "..", ".", "./x", "a/../../../x", "..\\..\\sentinel", "C:\\x", "\\\\host\\x",
  "%2e%2e%2fsentinel", "..%2f..%2fsentinel", "%252e%252e/", "..\u0000", "x\u0000/../y", "\u0000", "~/.ssh/authorized_keys", "$HOME/x", "`x`", "x\n../y", "....//....//x", "..;/x", "\u2025/x",
  "\uff0e\uff0e/x", "．．／x", "aux", "nul.txt", "index/data.mdb", "bodies/x", "lock.mdb", "k".repeat(1_024), "../".repeat(341), "-rf", "*", "|x", "🪣/../..",
]
const ids = [...climbing, "a".repeat(32), "0".repeat(32), "null", "", "__proto__", "x".repeat(5_000)]

const name = (random: () => number): string => {
  const one = pick(random, climbing)
  return random() < 0.5 ? one : `${one}${pick(random, ["/", "", ".", "\u0000"])}${pick(random, climbing)}`
}

/** What a call came to: its failure's code, or that it succeeded. */
const settled = (call: Promise<unknown>): Promise<string> =>
  call.then(() => "done", (error: unknown) => error instanceof Error && "code" in error ? String(error.code) : `no failure: ${String(error)}`)

it("by the store itself, under every operation", async () => {
  const counts: Record<string, number> = {}
  for (const random of randoms(tries(80, 7_500))) {
    const bucket = random() < 0.6 ? pick(random, ["photos", "versions"]) : name(random)
    const ref = { bucket, key: name(random) }
    const id = pick(random, ids)
    const body = Buffer.alloc(random() < 0.1 ? 20_000 : 3, "x") // the larger ones go into files of their own
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.put(ref, body), () => store.get(ref, { versionId: id }), () => store.head(ref), () => store.getTags(ref), () => store.createBucket(bucket),
      () => store.createUpload(ref), () => store.putPart(ref, id, 1, body), () => store.completeUpload(ref, id, [{ number: 1, etag: "x", size: 1 }]),
      () => store.abortUpload(ref, id), () => store.listParts(ref, id), () => store.list(bucket, { prefix: ref.key, token: id }), () => store.listVersions(bucket, { after: { key: ref.key, id } }),
      () => store.listUploads(bucket, { after: { key: ref.key, id } }), () => store.delete(ref, { versionId: id }), () => store.deleteBucket(bucket === "photos" || bucket === "versions" ? "x" : bucket),
    ]
    for (let left = 4; left > 0; left--) count(counts, await settled((async () => pick(random, calls)())()))
  }
  report("hostile names in the local store", counts)
  expect(Object.keys(counts).filter((one) => one.startsWith("no failure") || one === "internal" || /^E[A-Z]+$/.test(one))).toEqual([])
  expect(await outside()).toEqual(before)
})

it("by the S3 endpoint, under every operation and encoding", async () => {
  const counts: Record<string, number> = {}
  const raw = (text: string) => Buffer.from(text).toString("latin1").replace(/[^\x21-\x7e]|[#?]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`)
  for (const random of randoms(tries(150, 12_500))) {
    const encode = pick(random, [encodeURIComponent, raw])
    const bucket = random() < 0.7 ? "photos" : encode(name(random))
    const [id, key] = [encodeURIComponent(pick(random, ids)), encode(name(random))]
    const query = pick(random, ["", "", `?uploadId=${id}`, `?partNumber=1&uploadId=${id}`, `?versionId=${id}`, "?uploads", `?tagging&versionId=${id}`])
    const method = pick(random, ["GET", "PUT", "POST", "DELETE", "HEAD"])
    const copy = method === "PUT" && random() < 0.3 ? { headers: { "x-amz-copy-source": `${bucket}/${encodeURIComponent(name(random))}` } } : {}
    const { status, body } = await send(endpoint.server, { method, target: `/${bucket}/${key}${query}`, ...(method === "PUT" ? { body: Buffer.from("x") } : {}), ...copy })
    count(counts, status)
    expect([body.includes("not to be read"), status < 500 || status === 501]).toEqual([false, true])
  }
  report("hostile names at the S3 endpoint", counts)
  expect(counts["200"]).toBeGreaterThan(5)
  expect(await outside()).toEqual(before)
  expect(endpoint.logged).toEqual([])
})

it("by documents of the state, whose paths may not climb at all", async () => {
  const state = stateStore(store, { bucket: "photos", prefix: "state/" })
  for (const path of climbing) {
    const climbs = path.split("/").some((segment) => ["", ".", ".."].includes(segment))
    const outcome = await settled(Promise.resolve().then(() => state.create(path, {})))
    if (climbs) expect(outcome).toMatch(/^no failure: Error: not a path of a state document/)
    else expect([path.length, outcome]).toEqual([path.length, path.length > 1_000 ? "store-refused" : "done"])
  }
  const { objects } = await store.list("photos")
  expect(objects.filter(({ key }) => key.endsWith(".json"))).toEqual([])
  expect(await outside()).toEqual(before)
})
