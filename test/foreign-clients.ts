/** Five clients that are not ours, each as a process with its default settings and an environment made from scratch. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"

/** An S3 endpoint, who asks, and a folder that is the clients' home. */
export interface Surroundings {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly home: string
}

/** What a client does: each is a run of its program, or, for a library, a request to its process. Throws what the
 *  program wrote where it fails. */
export interface ForeignClient {
  makeBucket(bucket: string): Promise<unknown>
  upload(file: string, bucket: string, key: string): Promise<unknown>
  download(bucket: string, key: string, file: string): Promise<unknown>
  /** Every file of a folder, as `prefix/name`; a large one in parts, where the client does so or is told to. */
  uploadFolder(folder: string, bucket: string, prefix: string): Promise<unknown>
  downloadFolder(bucket: string, prefix: string, folder: string): Promise<unknown>
  /** Every object below a prefix, to another prefix of the bucket. */
  copyFolder(bucket: string, from: string, to: string): Promise<unknown>
  /** All keys of a bucket. */
  list(bucket: string): Promise<readonly string[]>
  /** Keys and prefixes of the first level. */
  listTop(bucket: string): Promise<readonly string[]>
  sizeOf(bucket: string, key: string): Promise<number>
  remove(bucket: string, key: string): Promise<unknown>
  removeFolder(bucket: string, prefix: string): Promise<unknown>
  /** The bytes 5 to 9; absent where the client reads no ranges. */
  range?(bucket: string, key: string): Promise<string>
  /** A URL to read the object; absent where the client makes none. */
  presign?(bucket: string, key: string): Promise<string>
  /** Ends its process. */
  close?(): Promise<unknown>
}

/** Each client, with what stands against its running here, and the names that it cannot carry, with the reason. */
export const foreignClients: readonly {
  readonly name: string
  readonly missing: string | undefined
  readonly cannotName?: Readonly<Record<string, string>>
  /** How it refuses to download or copy a large object of its own once that is sealed. */
  readonly mistrustsSealed?: RegExp
  readonly open: (surroundings: Surroundings) => Promise<ForeignClient>
}[] = [
  { name: "aws", missing: absent("/usr/bin/aws", "awscli"), open: awsClient },
  {
    name: "rclone", missing: absent("/usr/bin/rclone", "rclone"), open: rcloneClient,
    cannotName: { "a//b": "it takes // in a path for /" },
    // What it uploads in parts has the file's MD5 in its metadata, which sealing carries over.
    mistrustsSealed: /large: corrupted on transfer: md5 hash differ/,
  },
  { name: "s3cmd", missing: absent("/usr/bin/s3cmd", "s3cmd"), open: s3cmdClient },
  {
    name: "boto3", missing: withoutBoto3(),
    async open(place) {
      const { client, call } = scripted(place, "/usr/bin/python3", [script("boto3_client.py")])
      return { ...client, presign: async (bucket, key) => String(await call("presign", bucket, key)) }
    },
  },
  {
    name: "AWS SDK v3", missing: undefined, // signing URLs is another package of it
    async open(place) {
      const program = ["--import", import.meta.resolve("tsx"), script("processes/sdk-client.ts")]
      return scripted(place, process.execPath, program).client
    },
  },
]

function absent(path: string, packageName: string): string | undefined {
  return existsSync(path) ? undefined : `apt-get install ${packageName}`
}

function withoutBoto3(): string | undefined {
  try {
    execFileSync("/usr/bin/python3", ["-c", "import boto3"], { stdio: "ignore" })
    return undefined
  } catch {
    return "apt-get install python3-boto3"
  }
}

const script = (name: string): string => new URL(name, import.meta.url).pathname

const environment = (home: string, more: Variables) =>
  ({ PATH: "/usr/bin:/bin", HOME: home, LANG: "C.UTF-8", ...more })

type Variables = Readonly<Record<string, string>>

/** Runs a program to its end and gives what it wrote. */
async function run(command: string, args: readonly string[], home: string, more: Variables): Promise<string> {
  const env = environment(home, more)
  const child = spawn(command, args, { env, cwd: home, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 })
  let [output, errors] = ["", ""]
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (output += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (errors += text))
  const [code] = await once(child, "close") as [number | null]
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${errors}${output}`)
  return output
}

const awsVariables = ({ region, accessKeyId, secretAccessKey }: Surroundings) => ({
  AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey,
  AWS_DEFAULT_REGION: region, AWS_REGION: region,
})

/** The texts in lists of any depth. */
function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap(textsIn) : typeof value === "string" ? [value] : []
}

async function awsClient(place: Surroundings): Promise<ForeignClient> {
  const settings = ["--endpoint-url", place.endpoint, "--output", "json"]
  const aws = (...args: string[]) => run("/usr/bin/aws", [...settings, ...args], place.home, awsVariables(place))
  const copy = (from: string, to: string, ...more: string[]) => aws("s3", "cp", "--only-show-errors", from, to, ...more)
  const names = ["--query", "[Contents[].Key, CommonPrefixes[].Prefix]"]
  const keys = async (bucket: string, ...more: string[]) =>
    textsIn(JSON.parse(await aws("s3api", "list-objects-v2", "--bucket", bucket, ...names, ...more)))
  const object = (bucket: string, key: string) => ["--bucket", bucket, "--key", key]
  return {
    makeBucket: (bucket) => aws("s3", "mb", `s3://${bucket}`),
    upload: (file, bucket, key) => copy(file, `s3://${bucket}/${key}`),
    download: (bucket, key, file) => copy(`s3://${bucket}/${key}`, file),
    uploadFolder: (folder, bucket, prefix) => copy(folder, `s3://${bucket}/${prefix}/`, "--recursive"),
    downloadFolder: (bucket, prefix, folder) => copy(`s3://${bucket}/${prefix}/`, folder, "--recursive"),
    list: (bucket) => keys(bucket),
    listTop: (bucket) => keys(bucket, "--delimiter", "/"),
    sizeOf: async (bucket, key) =>
      Number(await aws("s3api", "head-object", ...object(bucket, key), "--query", "ContentLength")),
    copyFolder: (bucket, from, to) => copy(`s3://${bucket}/${from}/`, `s3://${bucket}/${to}/`, "--recursive"),
    remove: (bucket, key) => aws("s3", "rm", `s3://${bucket}/${key}`),
    removeFolder: (bucket, prefix) => aws("s3", "rm", "--recursive", `s3://${bucket}/${prefix}/`),
    async range(bucket, key) {
      const file = join(place.home, "range")
      await aws("s3api", "get-object", ...object(bucket, key), "--range", "bytes=5-9", file)
      return readFile(file, "utf8")
    },
    presign: async (bucket, key) => (await aws("s3", "presign", `s3://${bucket}/${key}`)).trim(),
  }
}

async function rcloneClient(place: Surroundings): Promise<ForeignClient> {
  const settings = {
    TYPE: "s3", PROVIDER: "Other", ENDPOINT: place.endpoint, REGION: place.region,
    ACCESS_KEY_ID: place.accessKeyId, SECRET_ACCESS_KEY: place.secretAccessKey,
  }
  const variables = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`RCLONE_CONFIG_S_${name}`, value]))
  const rclone = (...args: string[]) => run("/usr/bin/rclone", args, place.home, variables)
  const lines = async (...args: string[]) => (await rclone(...args)).split("\n").filter((line) => line !== "")
  return {
    makeBucket: (bucket) => rclone("mkdir", `s:${bucket}`),
    upload: (file, bucket, key) => rclone("copyto", file, `s:${bucket}/${key}`),
    download: (bucket, key, file) => rclone("copyto", `s:${bucket}/${key}`, file),
    // It sends up to 200 MiB at once unless told otherwise.
    uploadFolder: (folder, bucket, prefix) =>
      rclone("copy", "--s3-upload-cutoff", "5M", folder, `s:${bucket}/${prefix}`),
    downloadFolder: (bucket, prefix, folder) => rclone("copy", `s:${bucket}/${prefix}`, folder),
    list: (bucket) => lines("lsf", "-R", "--files-only", `s:${bucket}`),
    listTop: (bucket) => lines("lsf", `s:${bucket}`),
    sizeOf: async (bucket, key) => Number((await rclone("lsf", "--format", "s", `s:${bucket}/${key}`)).trim()),
    copyFolder: (bucket, from, to) => rclone("copy", `s:${bucket}/${from}`, `s:${bucket}/${to}`),
    remove: (bucket, key) => rclone("deletefile", `s:${bucket}/${key}`),
    removeFolder: (bucket, prefix) => rclone("delete", `s:${bucket}/${prefix}`),
    range: (bucket, key) => rclone("cat", "--offset", "5", "--count", "5", `s:${bucket}/${key}`),
    presign: async (bucket, key) => (await rclone("link", `s:${bucket}/${key}`)).trim(),
  }
}

async function s3cmdClient(place: Surroundings): Promise<ForeignClient> {
  const { host } = new URL(place.endpoint)
  await writeFile(join(place.home, ".s3cfg"), [
    "[default]", `access_key = ${place.accessKeyId}`, `secret_key = ${place.secretAccessKey}`,
    `host_base = ${host}`, `host_bucket = ${host}`, "use_https = False", `bucket_location = ${place.region}`, "",
  ].join("\n"))
  const s3cmd = (...args: string[]) => run("/usr/bin/s3cmd", args, place.home, {})
  const listed = async (bucket: string, ...more: string[]) => {
    const root = `s3://${bucket}/`
    const lines = (await s3cmd("ls", ...more, root)).split("\n").filter((line) => line.includes(root))
    return lines.map((line) => line.slice(line.indexOf(root) + root.length))
  }
  return {
    makeBucket: (bucket) => s3cmd("mb", `s3://${bucket}`),
    upload: (file, bucket, key) => s3cmd("put", file, `s3://${bucket}/${key}`),
    download: (bucket, key, file) => s3cmd("get", `s3://${bucket}/${key}`, file),
    uploadFolder: (folder, bucket, prefix) => s3cmd("put", "--recursive", `${folder}/`, `s3://${bucket}/${prefix}/`),
    downloadFolder: (bucket, prefix, folder) => s3cmd("get", "--recursive", `s3://${bucket}/${prefix}/`, `${folder}/`),
    list: (bucket) => listed(bucket, "--recursive"),
    listTop: (bucket) => listed(bucket),
    sizeOf: async (bucket, key) =>
      Number(/File size:\s+(\d+)/.exec(await s3cmd("info", `s3://${bucket}/${key}`))?.[1]),
    copyFolder: (bucket, from, to) =>
      s3cmd("cp", "--recursive", `s3://${bucket}/${from}/`, `s3://${bucket}/${to}/`),
    remove: (bucket, key) => s3cmd("del", `s3://${bucket}/${key}`),
    removeFolder: (bucket, prefix) => s3cmd("del", "--recursive", "--force", `s3://${bucket}/${prefix}/`),
    presign: async (bucket, key) => (await s3cmd("signurl", `s3://${bucket}/${key}`, "+600")).trim(),
  }
}

/** A library, in a small program of its language that reads operations, a line each, and ends where one fails. */
function scripted(place: Surroundings, command: string, program: readonly string[]) {
  const env = environment(place.home, awsVariables(place))
  const child = spawn(command, [...program, place.endpoint], { env, cwd: place.home, stdio: ["pipe", "pipe", "pipe"] })
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (errors += text))
  child.stdin.on("error", () => undefined) // it has ended: the answer that does not come tells so
  const closed = once(child, "close")
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const call = async (...request: string[]): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    const { value } = await answers.next() as { readonly value?: string }
    if (value !== undefined) return JSON.parse(value) as unknown
    await closed
    throw new Error(`${command} ended at ${request.join(" ")}: ${errors}`)
  }
  const client: ForeignClient = {
    makeBucket: (...args) => call("make-bucket", ...args),
    upload: (...args) => call("upload", ...args),
    download: (...args) => call("download", ...args),
    uploadFolder: (...args) => call("upload-folder", ...args),
    downloadFolder: (...args) => call("download-folder", ...args),
    copyFolder: (...args) => call("copy-folder", ...args),
    list: async (bucket) => textsIn(await call("list", bucket, "")),
    listTop: async (bucket) => textsIn(await call("list", bucket, "/")),
    sizeOf: async (...args) => Number(await call("size", ...args)),
    remove: (...args) => call("remove", ...args),
    removeFolder: (...args) => call("remove-folder", ...args),
    range: async (...args) => String(await call("range", ...args)),
    async close() {
      child.stdin.end()
      await closed
    },
  }
  return { client, call }
}
