/** `bucketseal approve`: let a job do what it only does where somebody has approved it. */
import * as z from "zod/mini"
import { openClient } from "./client.ts"
import type { ClientFlags } from "./client-settings.ts"
import { apiCommand, wholeNumber } from "./command.ts"
import { print, type OutputOptions } from "./output.ts"
import { parseBucketPlace, placeText } from "./place.ts"

type Options = ClientFlags & OutputOptions

interface FixOptions extends Options {
  readonly abortUploadsOlderThan?: number
  readonly expires?: number
}

const approval = z.looseObject({ id: z.string(), expires: z.string() })

const fix = apiCommand("fix", "let census --fix mend a bucket, or a prefix of it; prints the approval's id")
  .argument("<place>", "s3://bucket or s3://bucket/prefix")
  .option("--abort-uploads-older-than <seconds>", "abort others' uploads at rest so long, too (>= 86400)", wholeNumber)
  .option("--expires <seconds>", "how long it holds, at most 604800 (default: 86400)", wholeNumber)
  .action(async (place: string, { abortUploadsOlderThan, expires, ...options }: FixOptions) => {
    const scope = parseBucketPlace(place)
    // JSON leaves out what isn't set
    const body = { operation: "fix", scope, options: { abortUploadsOlderThan }, expiresIn: expires }
    const made = approval.parse(await (await openClient(options)).call({ method: "POST", path: "/approvals", body }))
    print(options, made, [made.id, `It holds for ${placeText(scope.bucket, scope.prefix)} until ${made.expires}.`])
  })

const withdraw = apiCommand("withdraw", "take an approval back: a job that is under way stops at its next page")
  .argument("<id>", "of the approval")
  .action(async (id: string, options: Options) => {
    await (await openClient(options)).call({ method: "DELETE", path: `/approvals/${encodeURIComponent(id)}` })
    print(options, { id, done: "withdrawn" }, [`withdrew ${id}`])
  })

export const approve = apiCommand("approve", "let a job do what somebody has to approve, for a time")
for (const each of [fix, withdraw]) approve.addCommand(each)
