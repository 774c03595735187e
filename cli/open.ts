/** `bucketseal open`: the plaintext of a sealed object, by a server, or of a sealed file, by a server's settings. */
import { createReadStream } from "node:fs"
import { MAX_HEADER_SIZE, parseHeader } from "../shared/crypto/header.ts"
import { Failure } from "../shared/errors.ts"
import { chunksOf } from "../shared/net/answer-body.ts"
import { openObject } from "../shared/objects/open.ts"
import { collect } from "../shared/objects/reading.ts"
import type { ObjectRef } from "../shared/ports.ts"
import { spanOf } from "../shared/runtime/range.ts"
import { openClient } from "./client.ts"
import type { ClientFlags } from "./client-settings.ts"
import { apiCommand } from "./command.ts"
import { withDraft } from "./draft-file.ts"
import { usageFailure } from "./exit.ts"
import { readableFile } from "./file-store.ts"
import { cleanUpOnSignals, interrupted } from "./interrupt.ts"
import { print, type OutputOptions } from "./output.ts"
import { isPlace, parseObjectPlace, placeText } from "./place.ts"
import { byteRange } from "./range.ts"
import { withServerContext } from "./server-context.ts"
import { writeToStandardOutput } from "./standard-output.ts"

interface OpenOptions extends ClientFlags, OutputOptions {
  readonly range?: string
  readonly output?: string
  readonly force?: true
  readonly for?: string
  readonly data?: string
}

export const open = apiCommand("open", "read a sealed object, or a sealed file, in plaintext")
  .argument("<what>", "s3://bucket/key, or FILE")
  .option("--range <bytes>", "only FROM-TO (both included), FROM- or -LAST", byteRange)
  .option("-o, --output <file>", "write there, once all of it was verified (default: standard output)")
  .option("--force", "replace that file if it is there")
  .option("--for <place>", "FILE must be sealed for this s3://bucket/key (default: for whichever it says)")
  .option("--data <folder>", "with FILE: the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
  .addHelpText("after", `
An object is opened by the server, with your rights. A file is opened here, by a server's settings (BUCKETSEAL_*).
Standard output gets each piece when it was verified: only exit code 0 says that it was all of it.`)
  .action(run)

async function run(what: string, options: OpenOptions): Promise<void> {
  if (options.json && options.output === undefined) {
    throw usageFailure("--json goes with --output: standard output has the plaintext")
  }
  cleanUpOnSignals()
  if (!isPlace(what)) return openFile(what, options)
  if (options.for !== undefined || options.data !== undefined) throw usageFailure("--for and --data go with FILE")
  return openRemote(parseObjectPlace(what), options)
}

async function openRemote({ bucket, key }: ObjectRef, options: OpenOptions): Promise<void> {
  const client = await openClient(options)
  const response = await client.send({
    method: "GET", path: `/objects/${bucket}?key=${encodeURIComponent(key)}`, signal: interrupted,
    headers: options.range === undefined ? {} : { range: options.range },
  })
  if (options.range !== undefined && response.status !== 206) {
    response.body.destroy()
    throw new Failure("range-not-satisfiable", "the server didn't take the range")
  }
  await write(chunksOf(response.body), placeText(bucket, key), options)
}

async function openFile(path: string, options: OpenOptions): Promise<void> {
  const ref = options.for === undefined ? await placeIn(path) : parseObjectPlace(options.for)
  await withServerContext(options, async (context) => {
    const store = await readableFile(path)
    try {
      const nobody = { iamId: "", account: "" } // whoever has the master key needs no right, but moves no file either
      const opened = await openObject({ ...context.opener, store }, ref, nobody, { signal: interrupted })
      if (!opened) throw new Error("a file that was opened is there")
      const { start, end } = spanOf(options.range ?? null, opened.size) ?? { start: 0, end: opened.size - 1 }
      await write(opened.read(start, end, interrupted), path, options)
    } finally {
      await store.close()
    }
  })
}

/** The place that a sealed file says it is for. What it says is proven when it opens. */
async function placeIn(path: string): Promise<ObjectRef> {
  const file = await readableFile(path)
  await file.close()
  const parsed = parseHeader(await collect(createReadStream(path, { end: MAX_HEADER_SIZE - 1 })))
  if (parsed.kind === "header") return parsed.header
  const why = parsed.kind === "none" ? "isn't sealed" : "is sealed in a format that this version doesn't know"
  throw new Failure("conflict", `${path} ${why}`)
}

async function write(pieces: AsyncIterable<Uint8Array>, from: string, options: OpenOptions): Promise<void> {
  const { output, force = false } = options
  if (output === undefined) return writeToStandardOutput(pieces, interrupted)
  await withDraft(output, force, async (draft) => {
    await draft.write(pieces, interrupted)
    await draft.publish()
  })
  print(options, { from, file: output }, [])
}
