/** What only a real S3 server can show of carrying things over: server-side encryption, and who owns the result. */
import { createHash, randomBytes } from "node:crypto"
import { HeadObjectCommand, PutBucketVersioningCommand, PutObjectCommand, type PutObjectCommandInput, type S3Client } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeWorld, type World } from "./object-fixtures.ts"
import { rgwFromEnvironment, rgwHarness, rgwSdk, withoutRgw } from "./rgw.ts"
import type { Harness } from "./store-contract.ts"

const rgw = rgwFromEnvironment()

describe.skipIf(!rgw)(`sealing on Ceph RGW (${rgw ? rgw.endpoint : withoutRgw})`, () => {
  let harness: Harness
  let world: World
  let sdk: S3Client
  beforeAll(async () => {
    if (!rgw) return
    harness = rgwHarness(rgw)
    world = await makeWorld(harness.store, await harness.bucket())
    sdk = rgwSdk(rgw)
  })
  afterAll(() => harness.close())

  const put = (Key: string, input: Partial<PutObjectCommandInput>) => sdk.send(new PutObjectCommand({ Bucket: world.bucket, Key, Body: "hello", ...input }))

  it("SSE-KMS is asked for again, with the same key", async () => {
    await put("kms", { ServerSideEncryption: "aws:kms", SSEKMSKeyId: "testkey-1" })
    expect(await world.seal("kms")).toMatchObject({ outcome: "sealed" })
    const head = await sdk.send(new HeadObjectCommand({ Bucket: world.bucket, Key: "kms" }))
    expect([head.ServerSideEncryption, head.SSEKMSKeyId]).toEqual(["aws:kms", "testkey-1"])
    expect((await world.plaintext("kms"))?.toString()).toBe("hello")
  })

  it("SSE-C is parked, and left as it was", async () => {
    const key = randomBytes(32)
    const customer = { SSECustomerAlgorithm: "AES256", SSECustomerKey: key.toString("base64"), SSECustomerKeyMD5: createHash("md5").update(key).digest("base64") }
    await put("customer", customer)
    expect(await world.seal("customer")).toEqual({ outcome: "parked", reason: "sse-c" })
    expect((await sdk.send(new HeadObjectCommand({ Bucket: world.bucket, Key: "customer", ...customer }))).ContentLength).toBe(5)
  })

  it("a bucket that keeps versions is refused at registration", async () => {
    const versioned = await harness.bucket()
    await sdk.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration: { Status: "Enabled" } }))
    await expect(world.register(versioned)).rejects.toMatchObject({ code: "unsafe-store", message: expect.stringContaining("can't be sealed in place") })
  })

  it("S3: versioning that is switched on behind the probe is noticed: RGW 16 then refuses the right condition, and nothing is written", async () => {
    const bucket = await harness.bucket()
    const later = await makeWorld(harness.store, bucket)
    await sdk.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: "Enabled" } }))
    await sdk.send(new PutObjectCommand({ Bucket: bucket, Key: "k", Body: "hello" }))
    const result = await later.seal("k")
    expect(result).toEqual({ outcome: "parked", reason: "condition-misbehaves" })
    expect((await later.stored("k"))?.toString()).toBe("hello")
  })
})
