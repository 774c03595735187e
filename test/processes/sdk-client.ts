/** AWS's SDK as a client of an S3 endpoint, as a process: sdk-client.ts ENDPOINT. Each line that it reads is a JSON
 *  list, an operation with its arguments, and is answered by a line of JSON. */
import { createReadStream, createWriteStream } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand,
  DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, paginateListObjectsV2,
  PutObjectCommand, S3Client, UploadPartCommand,
} from "@aws-sdk/client-s3"

const PART = 8 * 1024 * 1024 // bytes
const [endpoint = ""] = process.argv.slice(2)
const s3 = new S3Client({ endpoint, forcePathStyle: true })

async function list(Bucket: string, more: { Prefix?: string; Delimiter?: string } = {}) {
  const [keys, prefixes]: [string[], string[]] = [[], []]
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, ...more })) {
    keys.push(...(page.Contents ?? []).map(({ Key = "" }) => Key))
    prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix = "" }) => Prefix))
  }
  return { keys, prefixes }
}

async function upload(file: string, Bucket: string, Key: string): Promise<void> {
  const { size } = await stat(file)
  if (size > PART) return uploadParts(file, size, { Bucket, Key })
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: createReadStream(file), ContentLength: size }))
}

async function uploadParts(file: string, size: number, place: { Bucket: string; Key: string }): Promise<void> {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place))
  const Parts: { PartNumber: number; ETag: string | undefined; ChecksumCRC32: string | undefined }[] = []
  for (let start = 0; start < size; start += PART) {
    const PartNumber = Parts.length + 1
    const end = Math.min(start + PART, size) - 1
    const Body = createReadStream(file, { start, end })
    const { ETag, ChecksumCRC32 } = await s3.send(
      new UploadPartCommand({ ...place, UploadId, PartNumber, Body, ContentLength: end - start + 1 }))
    Parts.push({ PartNumber, ETag, ChecksumCRC32 })
  }
  await s3.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }))
}

async function download(Bucket: string, Key: string, file: string): Promise<void> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
  if (!(Body instanceof Readable)) throw new Error("no body")
  await pipeline(Body, createWriteStream(file))
}

/** The keys in a folder, each with its name there. */
async function below(bucket: string, prefix: string) {
  const { keys } = await list(bucket, { Prefix: `${prefix}/` })
  return keys.map((key) => [key, key.slice(prefix.length + 1)] as const)
}

type Operation = (first: string, second: string, third: string) => Promise<unknown>

const operations: Readonly<Record<string, Operation>> = {
  "make-bucket": (Bucket) => s3.send(new CreateBucketCommand({ Bucket })),
  upload, download,
  async "upload-folder"(folder, bucket, prefix) {
    for (const name of await readdir(folder)) await upload(join(folder, name), bucket, `${prefix}/${name}`)
  },
  async "download-folder"(bucket, prefix, folder) {
    for (const [key, name] of await below(bucket, prefix)) await download(bucket, key, join(folder, name))
  },
  async "copy-folder"(Bucket, prefix, target) {
    for (const [key, name] of await below(Bucket, prefix)) {
      const CopySource = `${Bucket}/${key.split("/").map(encodeURIComponent).join("/")}`
      await s3.send(new CopyObjectCommand({ Bucket, Key: `${target}/${name}`, CopySource }))
    }
  },
  async list(bucket, Delimiter) {
    const { keys, prefixes } = await list(bucket, Delimiter === "" ? {} : { Delimiter })
    return [...keys, ...prefixes]
  },
  size: async (Bucket, Key) => (await s3.send(new HeadObjectCommand({ Bucket, Key }))).ContentLength,
  async range(Bucket, Key) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=5-9" }))
    return Body?.transformToString()
  },
  remove: (Bucket, Key) => s3.send(new DeleteObjectCommand({ Bucket, Key })),
  async "remove-folder"(Bucket, prefix) {
    const Objects = (await below(Bucket, prefix)).map(([Key]) => ({ Key }))
    const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    if (Errors.length > 0) throw new Error(JSON.stringify(Errors))
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [operation = "", first = "", second = "", third = ""] = JSON.parse(line) as string[]
  const run = operations[operation]
  if (!run) throw new Error(`no such operation: ${operation}`)
  process.stdout.write(`${JSON.stringify(await run(first, second, third) ?? null)}\n`)
}
