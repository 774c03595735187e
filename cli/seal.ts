/** `bucketseal seal`: objects now, without waiting for an event, or a file for a place where it will be. */
import { encryptObject } from "../functions/encrypt-object.ts"
import type { LocalContext } from "../local/context.ts"
import { Failure } from "../shared/errors.ts"
import { sealObject } from "../shared/objects/seal.ts"
import type { SealResult } from "../shared/objects/outcome.ts"
import type { ObjectRef } from "../shared/ports.ts"
import { command } from "./command.ts"
import { withDraft } from "./draft-file.ts"
import { exits, usageFailure } from "./exit.ts"
import { rewritableFile } from "./file-store.ts"
import { cleanUpOnSignals, interrupted } from "./interrupt.ts"
import { commandFor } from "./missing.ts"
import { print, type OutputOptions } from "./output.ts"
import { isPlace, parseObjectPlace, placeText } from "./place.ts"
import { withServerContext } from "./server-context.ts"

interface SealOptions extends OutputOptions {
  readonly data?: string
  readonly for?: string
  readonly output?: string
  readonly force?: true
}

export const seal = command("seal", "seal objects now, or a file for a place in a bucket")
  .argument("<what...>", "s3://bucket/key …, or one FILE with --for")
  .option("--data <folder>", "the server's data folder (default: BUCKETSEAL_DATA, else ./data)")
  .option("--for <place>", "the s3://bucket/key that FILE will be put to: it opens there only")
  .option("-o, --output <file>", "where the sealed file goes (default: FILE.sealed)")
  .option("--force", "replace that file if it is there")
  .addHelpText("after", `
It works on the server's stores itself, by its settings (BUCKETSEAL_*), and may run beside it. Exit codes: 0 every
object is sealed now (or was, or need not be), 3 none is and an authorization is missing, 4 some are, 1 none is.`)
  .action(run)

async function run(what: readonly string[], options: SealOptions): Promise<void> {
  const [first = ""] = what
  if (options.for !== undefined) {
    if (what.length > 1 || isPlace(first)) throw usageFailure("--for takes one FILE")
    return sealFile(first, parseObjectPlace(options.for), options)
  }
  const file = what.find((one) => !isPlace(one))
  if (file !== undefined) throw usageFailure(`${file} is no s3:// place; a file takes --for s3://bucket/key`)
  if (options.output !== undefined || options.force) throw usageFailure("--output and --force go with FILE and --for")
  return sealObjects(what.map(parseObjectPlace), options)
}

/** What became of one object. */
interface Item extends ObjectRef {
  readonly outcome: string
  readonly reason?: string
  readonly missing?: unknown
}

async function sealObjects(refs: readonly ObjectRef[], options: SealOptions): Promise<void> {
  cleanUpOnSignals()
  const items = await withServerContext(options, async (context) => {
    const done: Item[] = []
    for (const ref of refs) done.push(await sealOne(context, ref))
    return done
  })
  print(options, items, items.flatMap(linesOf))
  process.exitCode = exitCodeFor(items)
}

async function sealOne(context: LocalContext, ref: ObjectRef): Promise<Item> {
  const upload = { ...ref, time: 0 } // so it has settled long ago
  const { items: [item] } = await encryptObject.run({ uploads: [upload] }, context, interrupted)
  if (!item) throw new Error("the job says nothing of an object that it was given")
  return item
}

function linesOf({ bucket, key, outcome, reason, missing }: Item): string[] {
  const line = `${outcome} ${placeText(bucket, key)}${reason === undefined ? "" : ` (${reason})`}`
  if (missing !== undefined) return [line, `  its authorization is missing: ${commandFor(missing)}`]
  return outcome === "not-registered" ? [line, `  no registration covers it: ${registerCommand(bucket)}`] : [line]
}

const registerCommand = (bucket: string): string => `bucketseal register ${placeText(bucket)} --key KEY`

const endedWell = ({ outcome }: Item): boolean => ["sealed", "already-sealed", "ignored"].includes(outcome)

function exitCodeFor(items: readonly Item[]): number {
  if (items.every(endedWell)) return exits.ok
  if (items.some(endedWell)) return exits.partly
  return items.every(({ reason }) => reason === "not-authorized") ? exits.notAllowed : exits.failed
}

async function sealFile(path: string, ref: ObjectRef, options: SealOptions): Promise<void> {
  cleanUpOnSignals()
  const target = options.output ?? `${path}.sealed`
  const force = options.force ?? false
  const size = await withServerContext(options, (context) => withDraft(target, force, async (draft) => {
    const store = await rewritableFile(path, draft, interrupted)
    try {
      const result = await sealObject({ ...context.sealer, store: { ...context.sealer.store, ...store }, alone: true }, ref, { uploaded: 0 }, interrupted)
      const { size: sealedSize } = demandSealed(result, path, ref)
      await draft.publish()
      return sealedSize
    } finally {
      await store.close()
    }
  }))
  print(options, { file: target, ...ref, size }, [`sealed ${target} for ${placeText(ref.bucket, ref.key)}`])
}

type Sealed = Extract<SealResult, { outcome: "sealed" }>

function demandSealed(result: SealResult, path: string, { bucket, key }: ObjectRef): Sealed {
  const place = placeText(bucket, key)
  if (result.outcome === "sealed") return result
  if (result.outcome === "not-registered") {
    throw new Failure("not-found", `no registration covers ${place}: ${registerCommand(bucket)}`)
  }
  if (result.outcome === "already-sealed") throw new Failure("conflict", `${path} is sealed for ${place} already`)
  if (result.outcome === "superseded") throw new Failure("conflict", `${path} was changed while it was read; try again`)
  if (result.outcome === "parked" && result.missing) {
    throw new Failure("forbidden", `an authorization is missing: ${commandFor(result.missing)}`)
  }
  const why = "reason" in result ? result.reason : result.outcome
  throw new Failure("conflict", `${path} can't be sealed for ${place}: ${why}`)
}
