/** The data folder of a stack on one machine: what was decided at its first start, and what its users need to know. */
import { randomBytes, randomUUID } from "node:crypto"
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { Failure } from "../shared/errors.ts"

/** Names and secrets made at the first start, in `settings.json` (mode 0600). */
export interface FirstStart {
  readonly account: string
  readonly kmsInstance: string
  readonly storeInstance: string
  readonly eventsSecret: string
}

/** Credentials of the local S3 endpoint, in `s3-credentials.json` (mode 0600). */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The settings in the folder, made where there are none. Throws `bad-field` for a file that is no JSON object. */
export async function readFirstStart(folder: string): Promise<FirstStart & Record<string, unknown>> {
  const made: FirstStart = {
    account: randomBytes(16).toString("hex"), // IBM's account ids are 32 hex digits
    kmsInstance: randomUUID(),
    storeInstance: randomUUID(),
    eventsSecret: randomBytes(16).toString("hex"), // 32 letters and digits: what Backblaze B2 takes as a signing secret
  }
  return readOrMake(join(folder, "settings.json"), made)
}

/** The local endpoint's credentials, made where there are none. */
export async function readS3Credentials(folder: string): Promise<S3Credentials> {
  const made = { accessKeyId: `BS${randomBytes(9).toString("hex").toUpperCase()}`, secretAccessKey: randomBytes(30).toString("base64url") }
  return readOrMake(join(folder, "s3-credentials.json"), made)
}

/** What the file holds, and of `made` what it lacks, which is then added to it: a name must not change at the next start. */
async function readOrMake<Made extends object>(path: string, made: Made): Promise<Made & Record<string, unknown>> {
  const present = await readObject(path)
  const all = { ...made, ...present }
  const lacks = Object.keys(made).some((name) => present === undefined || !(name in present))
  if (lacks) await writePrivate(path, `${JSON.stringify(all, null, 2)}\n`)
  return all
}

async function readObject(path: string): Promise<Record<string, unknown> | undefined> {
  const text = await readText(path)
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value }
  } catch {
    // said below
  }
  throw new Failure("bad-field", `${path} is no JSON object; mend it or bring it back from a backup`)
}

/** Makes the folder, readable by its owner only. Throws `bad-field` where it can't be written. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeWithParents(resolve(folder))
  } catch (cause) {
    throw new Failure("bad-field", `the data folder ${folder} can't be made; choose another by --data`, cause)
  }
}

/** Not `mkdir` with `recursive`: in Node 20 that goes on for ever where a parent exists and takes no folders (/proc). */
async function makeWithParents(folder: string): Promise<void> {
  if (await exists(folder)) return
  await makeWithParents(dirname(folder))
  await mkdir(folder, { mode: 0o700 })
}

/** True if there is something at this path. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false)
}

/** Writes a file whole or not at all, mode 0600. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`
  await writeFile(temporary, text, { mode: 0o600, flush: true })
  await rename(temporary, path)
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}
