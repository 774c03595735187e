/** `bucketseal status`: is the server well, and what does it wait for? */
import * as z from "zod/mini"
import { openClient } from "./client.ts"
import type { ClientFlags } from "./client-settings.ts"
import { apiCommand } from "./command.ts"
import { columns, print, type OutputOptions } from "./output.ts"

const more = z.exactOptional(z.literal(true))
const answer = z.object({
  inbox: z.object({ waiting: z.number(), oldest: z.exactOptional(z.string()), more }),
  parked: z.object({ total: z.number(), reasons: z.record(z.string(), z.number()), more }),
  unreadableEvents: z.object({ total: z.number(), more }),
  registrations: z.object({ buckets: z.number(), more }),
  lastSweep: z.nullable(z.string()),
  lastSweepOf: z.exactOptional(z.number()),
})
const health = z.object({ status: z.string(), version: z.string() })

export const status = apiCommand("status", "is the server well, and what does it wait for?")
  .action(async (options: ClientFlags & OutputOptions) => {
    const client = await openClient(options)
    const server = health.parse(await client.call({ method: "GET", path: "/health" }))
    const now = answer.parse(await client.call({ method: "GET", path: "/status" }))
    print(options, { url: client.settings.url.origin, health: server, ...now }, columns([
      ["server", `${client.settings.url.origin}, version ${server.version}: ${server.status}`],
      ["registrations", `buckets that have or had one: ${counted(now.registrations.buckets, now.registrations)}`],
      ["waiting uploads", `${counted(now.inbox.waiting, now.inbox)}${dueText(now.inbox.oldest)}`],
      ["parked objects", `${counted(now.parked.total, now.parked)}${reasonsText(now.parked.reasons)}`],
      ["unreadable events", counted(now.unreadableEvents.total, now.unreadableEvents)],
      ["last sweep", sweepText(now)],
    ]))
  })

const dueText = (oldest: string | undefined): string => (oldest === undefined ? "" : `, the first due ${oldest}`)

/** Of several buckets: of the one whose last sweep is longest ago. */
function sweepText({ lastSweep, lastSweepOf }: Pick<z.infer<typeof answer>, "lastSweep" | "lastSweepOf">): string {
  const of = lastSweepOf === undefined ? "" : `, of the first ${lastSweepOf} buckets`
  if (lastSweep === null) return "never: what no event told of isn't sealed (bucketseal sweep)"
  return `${ageText(Date.now() - Date.parse(lastSweep))} ago, ${lastSweep}${of}`
}

const units = [["days", 86_400_000], ["hours", 3_600_000], ["minutes", 60_000]] as const

/** The largest unit of which there are two or more. */
function ageText(milliseconds: number): string {
  const [unit, size] = units.find((one) => milliseconds >= 2 * one[1]) ?? ["seconds", 1_000]
  return `${Math.max(0, Math.floor(milliseconds / size))} ${unit}`
}

const counted = (number: number, { more: further }: { readonly more?: true }): string =>
  `${number}${further ? "+" : ""}`

const reasonsText = (reasons: Readonly<Record<string, number>>): string =>
  Object.entries(reasons).map(([reason, number]) => `, ${number} ${reason}`).join("")
