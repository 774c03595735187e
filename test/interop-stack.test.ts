/** Recovery without this project: the Python program, the master key file and the state open what the running stack
 *  sealed, and the running stack opens what the program sealed. */
import { spawnSync } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parseHeader } from "../shared/crypto/header.ts"
import { collect } from "../shared/objects/reading.ts"
import { localStore } from "../shared/store/local.ts"
import { apiClient, s3ClientOf, tokenFor, type Api } from "./api.ts"
import { patterned } from "./bytes.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const python = "/usr/bin/python3"
const program = fileURLToPath(new URL("./interop/bucketseal_format.py", import.meta.url))
const hasPython = spawnSync(python, ["-c", "import cryptography"]).status === 0
const bucket = "recovery"
const sizes = [0, 1, 16_384, 5_242_881]

interface StackDek { readonly id: string; readonly hex: string }

describe.skipIf(!hasPython)("the running stack and the Python program (needs apt-get install python3-cryptography)", () => {
  let stack: StackProcess
  let s3: S3Client
  let api: Api
  let token: string

  beforeAll(async () => {
    stack = await startStackProcess({ BUCKETSEAL_LOG_LEVEL: "warn" })
    const { BUCKETSEAL_URL = "", BUCKETSEAL_API_KEY = "" } = stack.env
    token = await tokenFor(BUCKETSEAL_URL, BUCKETSEAL_API_KEY)
    api = apiClient(stack.env, token)
    s3 = s3ClientOf(stack.env)
    await s3.send(new CreateBucketCommand({ Bucket: bucket }))
    const rootKey = await api.createRootKey("recovery")
    await api.authorize()
    const registered = await api.call("PUT", `/registrations/${bucket}`, { rootKey: rootKey.crn, source: api.bucketCrn(bucket), settle: 0 })
    expect(registered.status).toBe(201)
  })
  afterAll(async () => {
    expect(await stack.stop()).toBe(0)
    await removeFolder(stack.folder)
  })

  function run(args: string[], input: string | Uint8Array): Buffer {
    const { status, stdout, stderr } = spawnSync(python, [program, ...args], { input, maxBuffer: 64 << 20 })
    if (status !== 0) throw new Error(stderr.toString())
    return stdout
  }

  const put = (Key: string, Body: Buffer) => s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }))
  async function stored(Key: string): Promise<Buffer> {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }))
    return Buffer.from(await Body?.transformToByteArray() ?? [])
  }

  async function sealed(key: string): Promise<Buffer> {
    for (let tries = 0; tries < 1_000; tries++) {
      const bytes = await stored(key)
      if (parseHeader(bytes).kind === "header") return bytes
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`not sealed: ${stack.output()}`)
  }

  /** The data key of an object, found by its header in nothing but the master key file and the state. */
  async function recoverDek(object: Buffer): Promise<StackDek> {
    const parsed = parseHeader(object)
    if (parsed.kind !== "header") throw new Error("not sealed")
    const state = await localStore(join(stack.folder, "state"))
    try {
      const read = async (path: string) => {
        const found = await state.get({ bucket: "state", key: path })
        if (!found) throw new Error(`no ${path}`)
        return (await collect(found.body)).toString()
      }
      const { id, ciphertext, rootKey } = (JSON.parse(await read(`data-keys/${parsed.header.dek}.json`)) as { value: { id: string; ciphertext: string; rootKey: string } }).value
      const [instance = "", , keyId = ""] = rootKey.split(":").slice(-3)
      const path = `root-keys/${instance}/${keyId}.json`
      const { handle } = JSON.parse(Buffer.from(ciphertext, "base64").toString()) as { handle: string }
      const material = run(["root-key", "--master-key", join(stack.folder, "master.key"), "--path", path, "--version", handle], await read(path)).toString().trim()
      const aad = ["bucketseal/1", id, parsed.header.bucket].flatMap((text) => ["--aad", text])
      return { id, hex: run(["unwrap", "--root-key", material, ...aad], ciphertext).toString().trim() }
    } finally {
      await state.close()
    }
  }

  it.each(sizes)("Python opens an object of %i bytes that the stack sealed", async (size) => {
    const key = `stack ${size}/ü🪣`
    await put(key, patterned(size))
    const object = await sealed(key)
    const dek = await recoverDek(object)
    expect(run(["open", "--dek", dek.hex, "--bucket", bucket, "--key", key], object).equals(patterned(size))).toBe(true)
  })

  it.each(sizes)("the stack opens an object of %i bytes that Python sealed", async (size) => {
    await put("for a data key", Buffer.from("x"))
    const dek = await recoverDek(await sealed("for a data key"))
    const key = `python ${size}`
    const file = join(stack.folder, "plaintext")
    await writeFile(file, patterned(size))
    const object = run(["seal", "--dek", dek.hex, "--id", dek.id, "--bucket", bucket, "--key", key, file], "")
    await put(key, object)
    const response = await fetch(api.objectUrl(bucket, key), { headers: { authorization: `Bearer ${token}` } })
    expect(Buffer.from(await response.arrayBuffer()).equals(patterned(size))).toBe(true)
    expect((await stored(key)).equals(object)).toBe(true)
  })
})
