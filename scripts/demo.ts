/**
 * `npm run demo [FILE]`: the main job, on this machine, in a temporary folder: a file lands in a bucket, is sealed in
 * place, and only an authorized reader gets it back. Exits with 1 if any check did not hold.
 */
import { createHash } from "node:crypto"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { readFirstStart, readS3Credentials } from "../local/data-folder.ts"
import { version } from "../local/version.ts"
import { startStack, type Stack } from "../local/stack.ts"
import { bucketCrn } from "../shared/iam/crn.ts"
import { jsonLog } from "../shared/runtime/log.ts"
import { demoApi, type DemoApi } from "./demo-api.ts"
import { parseSettings, type Settings } from "../shared/settings.ts"

const BUCKET = "demo"
const started = performance.now()
let failed = 0

function step(text: string): void {
  process.stdout.write(`${((performance.now() - started) / 1000).toFixed(2).padStart(6)} s  ${text}\n`)
}

function check(text: string, holds: boolean): void {
  if (!holds) failed += 1
  step(`${holds ? "ok    " : "FAILED"} ${text}`)
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const begins = (bytes: Uint8Array) => JSON.stringify(Buffer.from(bytes.subarray(0, 48)).toString("latin1"))

/** What every scene works on. */
interface Stage {
  readonly stack: Stack
  readonly api: DemoApi
  readonly s3: S3Client
  readonly key: string
  readonly plaintext: Buffer
}

async function main(file: string | undefined): Promise<void> {
  const plaintext = file === undefined ? sampleText() : await readFile(file)
  const key = file === undefined ? "hello.txt" : basename(file)
  const folder = await mkdtemp(join(tmpdir(), "bucketseal-demo-"))
  try {
    const settings = parseSettings({ ...await readFirstStart(folder), data: folder, port: 0, s3Port: 0, cacheSeconds: 0 })
    const log = jsonLog(() => undefined, "silent", Date.now)
    const stack = await startStack(settings, { log, version, environment: {} })
    try {
      step(`the stack runs: API ${stack.url}, S3 ${stack.s3Url ?? ""}`)
      await play({ stack, api: await demoApi(stack, settings), s3: await s3Client(stack, settings), key, plaintext }, settings)
    } finally {
      await stack.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** 100 kB that read well. */
function sampleText(): Buffer {
  return Buffer.from("A line from an uploader who changed nothing, and whose object is sealed all the same.\n".repeat(1_200))
}

async function s3Client({ s3Url = "" }: Stack, settings: Settings): Promise<S3Client> {
  const credentials = await readS3Credentials(settings.data)
  return new S3Client({ endpoint: s3Url, region: settings.s3Region, forcePathStyle: true, credentials })
}

async function play(stage: Stage, settings: Settings): Promise<void> {
  const { rootKey, policy } = await setUp(stage, settings)
  const sealed = await uploadAndSeal(stage)
  await readBack(stage)
  await tamper(stage, sealed)
  await rotate(stage, rootKey, sealed)
  await revoke(stage, policy)
}

async function setUp({ api, s3 }: Stage, settings: Settings): Promise<{ rootKey: string; policy: string }> {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const rootKey = await api.createRootKey("demo root key")
  step(`a root key is made: ${rootKey.id}`)
  const policy = await api.authorize(rootKey.crn)
  step("an authorization is made: cloud-object-storage → kms, Reader")
  const source = bucketCrn(settings.account, settings.storeInstance, BUCKET)
  await api.register(BUCKET, { rootKey: rootKey.crn, source, settle: 0 })
  step(`bucket ${BUCKET} is registered with that key`)
  return { rootKey: rootKey.id, policy }
}

async function uploadAndSeal(stage: Stage): Promise<Buffer> {
  const { plaintext } = stage
  step(`a client puts ${plaintext.length} bytes, which begin ${begins(plaintext)}`)
  await put(stage, plaintext)
  const sealed = await stored(stage)
  step(`stored are ${sealed.length} bytes, which begin       ${begins(sealed)}`)
  check("what is stored is sealed", sealed.subarray(0, 13).equals(Buffer.from("bucketseal/1\n")))
  return sealed
}

async function readBack({ api, key, plaintext }: Stage): Promise<void> {
  const whole = await api.read(BUCKET, key)
  check(`read back whole: ${whole.status}, SHA-256 equal`, sha256(whole.bytes) === sha256(plaintext))
  const from = Math.floor(plaintext.length / 3)
  const part = await api.read(BUCKET, key, `bytes=${from}-${from + 9_999}`)
  check(`read back a range: ${part.status}, equal`, plaintext.length === 0 || part.bytes.equals(plaintext.subarray(from, from + 10_000)))
  check("without a token: 401", (await fetch(api.objectUrl(BUCKET, key))).status === 401)
}

async function tamper(stage: Stage, sealed: Buffer): Promise<void> {
  const tampered = Buffer.from(sealed)
  tampered[sealed.length - 1] = (tampered[sealed.length - 1] ?? 0) ^ 1
  await put(stage, tampered)
  const { status } = await stage.api.read(BUCKET, stage.key)
  check(`one byte tampered with: reading is refused with ${status}`, status === 422)
  await put(stage, sealed)
}

async function rotate(stage: Stage, rootKey: string, sealed: Buffer): Promise<void> {
  await stage.api.rotate(rootKey)
  const { bytes } = await stage.api.read(BUCKET, stage.key)
  check("root key rotated: reads as before", sha256(bytes) === sha256(stage.plaintext))
  check("and the object was not touched", (await stored(stage)).equals(sealed))
}

async function revoke(stage: Stage, policy: string): Promise<void> {
  await stage.api.revoke(policy)
  const { status } = await stage.api.read(BUCKET, stage.key)
  check(`authorization removed: reading is refused with ${status}`, status === 403)
  await put(stage, stage.plaintext)
  check("and the next upload stays as it is: parked", (await stored(stage)).equals(stage.plaintext))
}

/** Uploads, and waits until the event of it was handled. */
async function put({ s3, stack, key }: Stage, bytes: Buffer): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes }))
  await stack.idle()
}

async function stored({ s3, key }: Stage): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
  return Buffer.from(await Body?.transformToByteArray() ?? [])
}

main(process.argv[2]).then(
  () => {
    step(failed === 0 ? "every check held" : `${failed} checks did NOT hold`)
    process.exitCode = failed === 0 ? 0 : 1
  },
  (error: unknown) => {
    process.stderr.write(`the demo failed: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  },
)
