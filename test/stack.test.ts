import { randomBytes } from "node:crypto"
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { apiClient, s3ClientOf, tokenFor, type Api } from "./api.ts"
import { keystreamHash, keystreamReadable } from "./keystream.ts"
import { rgwFromEnvironment, rgwHarness, rgwSdk } from "./rgw.ts"
import { curl, removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const MIB = 2 ** 20
const GIB = 2 ** 30
const LARGEST_ON_RGW = process.env["SLOW"] === undefined ? 256 * MIB : GIB // it shares two cores with the host

/** A running stack, a client of its bucket, and what has to happen behind an upload that no store tells of. */
interface Place {
  readonly stack: StackProcess
  readonly s3: S3Client
  readonly bucket: string
  uploaded(key: string, size: number): Promise<void>
  close(): Promise<void>
}

async function onLocal(): Promise<Place> {
  const stack = await startStackProcess({ BUCKETSEAL_LOG_LEVEL: "warn" })
  const s3 = s3ClientOf(stack.env)
  await s3.send(new CreateBucketCommand({ Bucket: "uploads" }))
  return {
    stack, s3, bucket: "uploads", uploaded: async () => undefined,
    async close() {
      expect(await stack.stop()).toBe(0)
      await removeFolder(stack.folder)
    },
  }
}

const rgw = rgwFromEnvironment()

async function onRgw(): Promise<Place> {
  if (!rgw) throw new Error("no RGW is given")
  const harness = rgwHarness(rgw)
  const [bucket, state] = [await harness.bucket(), await harness.bucket()]
  const secret = randomBytes(24).toString("hex")
  const stack = await startStackProcess({
    BUCKETSEAL_STORE: "s3", BUCKETSEAL_STATE: `s3://${state}/of/bucketseal`, BUCKETSEAL_S3_ENDPOINT: rgw.endpoint,
    BUCKETSEAL_S3_REGION: rgw.region, BUCKETSEAL_S3_ALLOW_HTTP: "true", BUCKETSEAL_EVENTS_SECRET: secret,
    BUCKETSEAL_MASTER_KEY: randomBytes(32).toString("base64"), BUCKETSEAL_LOG_LEVEL: "warn",
    AWS_ACCESS_KEY_ID: rgw.accessKeyId, AWS_SECRET_ACCESS_KEY: rgw.secretAccessKey,
  })
  return {
    stack, s3: rgwSdk(rgw), bucket,
    async uploaded(key, size) {
      const record = { eventSource: "ceph:s3", eventName: "ObjectCreated:Put", s3: { bucket: { name: bucket }, object: { key, size } } }
      const response = await fetch(`${stack.env["BUCKETSEAL_URL"]}/events/${secret}`, { method: "POST", body: JSON.stringify({ Records: [record] }) })
      expect([response.status, await response.json()]).toEqual([202, { accepted: 1, ignored: 0, rejected: 0 }])
    },
    async close() {
      expect(await stack.stop()).toBe(0)
      await removeFolder(stack.folder)
      await harness.close()
    },
  }
}

describe.each([["the local store", GIB, onLocal], ...(rgw ? [["RGW", LARGEST_ON_RGW, onRgw] as const] : [])] as const)("npm start with %s", (_, largest, open) => {
  let place: Place
  let api: Api
  let token: string

  beforeAll(async () => {
    place = await open()
    const { BUCKETSEAL_URL = "", BUCKETSEAL_API_KEY = "" } = place.stack.env
    token = await tokenFor(BUCKETSEAL_URL, BUCKETSEAL_API_KEY)
    api = apiClient(place.stack.env, token)
    const rootKey = await api.createRootKey("uploads")
    await api.authorize()
    const registration = { rootKey: rootKey.crn, source: api.bucketCrn(place.bucket), settle: 0, otherRegion: true }
    const { status, text } = await api.call("PUT", `/registrations/${place.bucket}`, registration)
    expect(text && status).toBe(201)
  })
  afterAll(() => place.close())

  async function upload(key: string, size: number): Promise<void> {
    const Body = size <= MIB ? await keystreamReadable(size).toArray().then((all) => Buffer.concat(all as Buffer[])) : keystreamReadable(size)
    await place.s3.send(new PutObjectCommand({ Bucket: place.bucket, Key: key, Body, ContentLength: size, ContentType: "application/x-test" }))
    await place.uploaded(key, size)
  }

  async function sealed(key: string): Promise<boolean> {
    try {
      const { Metadata, Body } = await place.s3.send(new GetObjectCommand({ Bucket: place.bucket, Key: key, Range: "bytes=0-12" }))
      return Metadata?.["bucketseal"] === "1" && await Body?.transformToString() === "bucketseal/1\n"
    } catch (error) {
      if (error instanceof Error && error.name === "InvalidRange") return false // empty, hence not sealed yet
      throw error
    }
  }

  async function untilSealed(key: string): Promise<void> {
    for (let tries = 0; !await sealed(key); tries++) {
      if (tries > 2_400) throw new Error(`not sealed: ${place.stack.output()}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const sizes = [0, 1, 16_383, 16_384, 16_385, 5 * MIB + 1, 64 * MIB, largest]
  const peaks = new Map<number, number>()

  it.each(sizes)("an upload of %i bytes is sealed on its own, and reads back identical by curl, whole and by three ranges", async (size) => {
    const key = `size/${size} b+c%20é.bin`
    await upload(key, size)
    await untilSealed(key)
    const url = api.objectUrl(place.bucket, key)
    const headers = { Authorization: `Bearer ${token}` }
    expect(await curl(url, headers)).toEqual({ exit: 0, status: 200, length: size, sha256: await keystreamHash(0, size) })
    for (const [from, to] of [[0, 1], [Math.floor(size / 3), Math.floor(size / 2)], [Math.max(0, size - 20_000), size]] as const) {
      if (from >= to || to > size) continue
      const expected = { exit: 0, status: 206, length: to - from, sha256: await keystreamHash(from, to) }
      expect(await curl(url, { ...headers, Range: `bytes=${from}-${to - 1}` })).toEqual(expected)
    }
    peaks.set(size, await place.stack.peakMemory())
  }, 240_000)

  it(`peak memory while sealing and reading ${largest / MIB} MiB is below 160 MiB, and at most 15 MiB above that for 64 MiB`, () => {
    const [few = 0, many = 0] = [peaks.get(64 * MIB), peaks.get(largest)]
    process.stdout.write(`peak memory: ${few.toFixed(0)} MiB for 64 MiB, ${many.toFixed(0)} MiB for ${largest / MIB} MiB\n`)
    expect(many).toBeLessThan(160)
    expect(many - few).toBeLessThanOrEqual(15)
  })
})
