import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { httpClient } from "../shared/net/request.ts"
import { signHeaders } from "../shared/net/sigv4.ts"
import { patterned, pieces } from "./bytes.ts"
import { rgwFromEnvironment, rgwHarness, rgwStore, withoutRgw, type Rgw } from "./rgw.ts"
import { failureOf } from "./store-contract-reads.ts"
import { storeContract, type Differences } from "./store-contract.ts"

/** What Ceph RGW 16.2 does otherwise, each with its reason. */
const differences: Differences = {
  etagForm: "unquoted", // it compares the header's text with the bare ETag, so that the quoted one never matches
  "complete-conditions": "RGW 16 reads no condition on CompleteMultipartUpload",
  "complete-unknown": "RGW 16 takes an unknown upload for one that is just being completed: 500 InternalError",
  "left-out-parts": "RGW 16 wants every stored part named: InvalidPart",
  "upload-tags": "RGW 16 ignores x-amz-tagging on CreateMultipartUpload",
  "complete-twice": "a completed upload's parts are remembered, and completing it again answers 200",
  "versioned-conditions": "RGW 16 does not find the current version when it looks whether a condition holds",
  "copy-conditions": "RGW 16 reads no condition on the target of CopyObject",
  "copy-tags": "RGW 16 ignores x-amz-tagging-directive, and drops tags where metadata is replaced",
  "wrong-checksum": "RGW 16 knows none of the x-amz-checksum headers",
  "wrong-stream-checksum": "our client sends none with a stream",
  "delete-conditions": "RGW 16 reads no condition on DeleteObject",
  "delete-version-conditions": "RGW 16 reads no condition on DeleteObject",
  checksums: "RGW 16 knows none of the x-amz-checksum headers",
  "object-checksums": "RGW 16 knows none of the x-amz-checksum headers",
  "named-marker": "RGW 16 answers 404 for a delete marker that is named, as for a version that is not there",
  "second-marker": "RGW 16 answers 204 without a version id",
  "upload-order": "RGW 16 lists by key, a dot, and the upload's id, which is random",
  "upload-prefixes": "RGW 16 leaves CommonPrefixes out of ListMultipartUploads",
  "version-key-marker": "RGW 16 takes key-marker alone for the place before the key's versions",
  "suspended-version-id": "RGW 16 sends x-amz-version-id only while versioning is enabled",
}

const rgw = rgwFromEnvironment()
if (rgw) {
  storeContract("Ceph RGW", () => Promise.resolve(rgwHarness(rgw)), differences)
  describe("Ceph RGW", () => rgwFacts(rgw))
} else {
  describe("Store: Ceph RGW", () => it.skip(withoutRgw, () => {}))
}

/** What our rules rest on, and only a real store can show. */
function rgwFacts(rgw: Rgw) {
  const harness = rgwHarness(rgw)
  const { store } = harness
  let bucket = ""
  beforeAll(async () => void (bucket = await harness.bucket()))
  afterAll(() => harness.close())

  /** A request by hand, its headers given as bytes. */
  async function rawRequest(method: "PUT" | "HEAD", key: string, more: [string, string][] = []) {
    const { hostname, port, host } = new URL(rgw.endpoint)
    const path = `/${bucket}/${key}`
    const fixed = [["host", host], ["content-length", "0"], ...more] as const
    const wire = { method, path, query: "", headers: fixed }
    const how = { region: rgw.region, service: "s3", credentials: rgw, payloadHash: "UNSIGNED-PAYLOAD" }
    const headers = () => Promise.resolve([...fixed, ...signHeaders(wire, { ...how, now: Date.now() })])
    const origin = { protocol: "http:", hostname, port: Number(port) } as const
    const request = { origin, method, target: path, headers, body: undefined, repeatable: true, signal: undefined }
    const response = await httpClient({ allowHttp: true })(request)
    response.body.resume()
    expect(response.status).toBe(200)
    return response
  }

  it.each([["UTF-8", "Gr\xc3\xbc\xc3\x9fe"], ["no UTF-8", "\x80a\xff"]])(
    "shows metadata that another client wrote as %s the same, byte for byte, after a read and a write of ours",
    async (_, bytes) => {
      const [from, to] = [{ bucket, key: "from" }, { bucket, key: "to" }]
      await rawRequest("PUT", from.key, [["x-amz-meta-v", bytes]])
      const metadata = (await store.head(from))?.metadata ?? {}
      await store.put(to, Buffer.from("x"), { attributes: { metadata } })
      const shown = (await rawRequest("HEAD", from.key)).headers["x-amz-meta-v"]
      expect((await rawRequest("HEAD", to.key)).headers["x-amz-meta-v"]).toBe(shown)
    },
  )

  it("tells the number of tags with the object, and nothing where there is none", async () => {
    const ref = { bucket, key: "tags" }
    for (const count of [0, 1, 10]) {
      const tags = Array.from({ length: count }, (_, n) => [`t${n}`, "v"] as const)
      await store.put(ref, Buffer.from("x"), { tags })
      const object = await store.get(ref)
      object?.cancel()
      expect([object?.tagCount, (await store.head(ref))?.tagCount]).toEqual([count || undefined, count || undefined])
    }
  })

  it("asks for the body of a large stream, and refuses it under a condition as it should", async () => {
    const ref = { bucket, key: "large" }
    const put = () => {
      const body = { length: 3_000_000, stream: pieces(patterned(3_000_000), 65_536) }
      return store.put(ref, body, { condition: { ifNoneMatch: "*" } })
    }
    await put()
    expect(await failureOf(put())).toBe("precondition-failed")
    expect((await store.head(ref))?.size).toBe(3_000_000)
  })

  it("corrects a clock that is hours off", async () => {
    const late = rgwStore(rgw, { clock: () => Date.now() - 7_200_000 })
    expect(await late.head({ bucket, key: "absent" })).toBeUndefined()
    expect((await late.list(bucket)).next).toBeUndefined()
  })
}
