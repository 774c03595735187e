/** `bucketseal register`: which bucket, or prefix of it, is sealed under which root key. */
import * as z from "zod/mini"
import { bucketCrn } from "../shared/iam/crn.ts"
import { openClient, type Client } from "./client.ts"
import type { ClientFlags } from "./client-settings.ts"
import { apiCommand, wholeNumber } from "./command.ts"
import { usageFailure } from "./exit.ts"
import { columns, print, type OutputOptions } from "./output.ts"
import { parseBucketPlace, placeText } from "./place.ts"
import { keyCrnOf } from "./root-key.ts"

type Options = ClientFlags & OutputOptions

interface RegisterOptions extends Options {
  readonly key?: string
  readonly source?: string
  readonly mode?: string
  readonly destination?: string
  readonly moved?: string
  readonly settle?: number
  readonly otherRegion?: true
  readonly replicated?: true
  readonly disable?: true
}

const registration = z.looseObject({
  bucket: z.string(), prefix: z.string(), rootKey: z.string(), source: z.string(),
  mode: z.union([z.string(), z.object({ destination: z.string() })]), settle: z.number(), enabled: z.boolean(),
  store: z.looseObject({ removeSource: z.string(), conditionalComplete: z.boolean(), unsafe: z.optional(z.string()) }),
})
const registrations = z.object({ registrations: z.array(registration) })
type Registration = z.infer<typeof registration>

const list = apiCommand("list", "all registrations").action(async (options: Options) => {
  const answer = await (await openClient(options)).call({ method: "GET", path: "/registrations" })
  const all = registrations.parse(answer).registrations
  const rows = all.map((one) => [placeText(one.bucket, one.prefix), stateOf(one), modeText(one), `settle ${one.settle}`, one.rootKey])
  const none = "nothing is registered yet: bucketseal register s3://bucket --key KEY"
  print(options, all, rows.length === 0 ? [none] : columns(rows))
})

const remove = apiCommand("remove", "forget a registration: what is sealed there can't be read without it")
  .argument("<place>", "s3://bucket or s3://bucket/prefix")
  .action(async (place: string, options: Options) => {
    const { bucket, prefix } = parseBucketPlace(place)
    await (await openClient(options)).call({ method: "DELETE", path: pathOf(bucket, prefix) })
    print(options, { bucket, prefix, done: "removed" }, [`removed ${placeText(bucket, prefix)}`])
  })

export const register = apiCommand("register", "have a bucket, or a prefix of it, sealed under a root key")
  .argument("<place>", "s3://bucket or s3://bucket/prefix")
  .option("--key <key>", "the root key: id or CRN")
  .option("--mode <in-place|vault>", "vault: what is sealed comes from other buckets (default: in-place)")
  .option("--destination <bucket>", "seal into that bucket, which is registered already, and remove objects here")
  .option("--settle <seconds>", "from an upload to its sealing (default: 5)", wholeNumber)
  .option("--moved <refuse|allow|reseal>", "objects sealed for another place: they do not open here, they do, they are sealed again (default: refuse)")
  .option("--other-region", "accept a root key of another region than the bucket's")
  .option("--replicated", "accept that a replica keeps plaintext")
  .option("--source <crn>", "of the bucket (default: made of BUCKETSEAL_ACCOUNT and BUCKETSEAL_STORE_INSTANCE)")
  .option("--disable", "stop sealing, and keep all else as it is: what is sealed stays readable")
  .addHelpText("after", "\nRegistering again replaces all options: one that isn't given goes back to its default.")
  .action(put)
for (const each of [list, remove]) register.addCommand(each)

async function put(place: string, options: RegisterOptions): Promise<void> {
  const { bucket, prefix } = parseBucketPlace(place)
  if (options.key === undefined && !options.disable) {
    throw usageFailure("name the root key by --key: bucketseal keys list shows them")
  }
  if (options.mode !== undefined && options.destination !== undefined) throw usageFailure("give --mode or --destination, not both")
  const client = await openClient(options)
  const path = pathOf(bucket, prefix)
  const body = options.disable ? await disabled(client, path) : await wanted(client, bucket, options)
  const made = registration.parse(await client.call({ method: "PUT", path, body }))
  print(options, made, [`${placeText(bucket, prefix)} is ${nowText(made)}`])
}

function nowText({ enabled, mode, rootKey, store }: Registration): string {
  if (!enabled) return "no longer sealed"
  const limit = store.conditionalComplete ? "" : "; objects over 5 GiB are parked, as this store completes uploads unconditionally"
  if (mode === "vault") return `a vault for what is sealed under ${rootKey}${limit}`
  if (typeof mode === "string") return `sealed under ${rootKey}${limit}`
  const kept = store.removeSource === "keep" ? "; objects stay here, as this store can't remove them safely" : ""
  return `sealed into s3://${mode.destination} under ${rootKey}${kept}`
}

const stateOf = ({ enabled, store }: Registration): string =>
  !enabled ? "disabled" : store.unsafe === undefined ? "enabled" : `unsafe: ${store.unsafe}`

const modeText = ({ mode }: Registration): string => (typeof mode === "string" ? mode : `into s3://${mode.destination}`)

async function wanted(client: Client, bucket: string, options: RegisterOptions) {
  const { key = "", moved, settle, otherRegion, replicated, destination } = options
  const mode = destination === undefined ? options.mode : { destination }
  const account = () => client.settings.needed("BUCKETSEAL_ACCOUNT")
  const source = options.source ?? bucketCrn(account(), client.settings.needed("BUCKETSEAL_STORE_INSTANCE"), bucket)
  const rootKey = await keyCrnOf(client, key)
  return { rootKey, source, mode, moved, settle, otherRegion, replicated } // JSON leaves out what isn't set
}

/** Of a request to disable the server takes nothing but that. */
async function disabled(client: Client, path: string) {
  const { rootKey, source }: Registration = registration.parse(await client.call({ method: "GET", path }))
  return { rootKey, source, enabled: false }
}

const pathOf = (bucket: string, prefix: string): string =>
  `/registrations/${encodeURIComponent(bucket)}${prefix === "" ? "" : `?prefix=${encodeURIComponent(prefix)}`}`
