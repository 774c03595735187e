/** The local S3 endpoint as its users have it: the built stack in a process of its own, on the Node that measures. */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { readS3Credentials } from "../local/data-folder.ts"
import { s3Store } from "../shared/store/s3.ts"

/** Starts the stack in a folder of its own, with a bucket that nobody has registered. `npm run build` comes before. */
export async function startEndpoint() {
  const built = process.env["BENCH_PRODUCT"] ?? ""
  if (!existsSync(built)) throw new Error("the product is not built: npm run build")
  const folder = await mkdtemp(join(tmpdir(), "bucketseal-bench-"))
  const flags = ["serve", "--data", folder, "--port", "0", "--s3-port", "0"]
  const child = spawn(process.execPath, [built, ...flags], { env: { BUCKETSEAL_LOG_LEVEL: "error" }, stdio: ["ignore", "pipe", "inherit"] })
  const exited = once(child, "exit")
  const endpoint = await urlFrom(child.stdout)
  const credentials = await readS3Credentials(folder)
  const store = s3Store({
    endpoint, region: "us-east-1", addressing: "path", allowHttp: true, credentials: () => Promise.resolve(credentials),
  })
  const bucket = "bench"
  await store.createBucket(bucket)
  return {
    store, bucket,
    async close() {
      child.kill("SIGTERM")
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The endpoint's address, from the greeting. */
function urlFrom(output: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let greeting = ""
    output.on("data", (bytes: Buffer) => {
      greeting += bytes.toString()
      const [, url] = /^\s*S3\s+(http:\S+)$/m.exec(greeting) ?? []
      if (url !== undefined) resolve(url)
    })
    output.once("end", () => reject(new Error(`the stack did not start: ${greeting}`)))
  })
}
