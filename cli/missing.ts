/** A missing authorization, as the command that makes it. */
import * as z from "zod/mini"
import { roleOfCrn } from "../shared/iam/roles.ts"

const places = z.array(z.object({ attributes: z.array(z.object({ name: z.string(), value: z.string() })) }))
const missing = z.object({ subjects: places, roles: z.array(z.object({ role_id: z.string() })), resources: places })

/** The command that makes this authorization, for all buckets of the instance that needs it; `undefined` for what is
 *  none. */
export function authorizeCommand(authorization: unknown): string | undefined {
  const parsed = missing.safeParse(authorization)
  if (!parsed.success) return undefined
  const { subjects, roles, resources } = parsed.data
  const role = roleOfCrn(roles[0]?.role_id ?? "")
  return [
    "bucketseal authorize", ...option("--service", valueOf(subjects, "serviceName"), "cloud-object-storage"),
    ...option("--bucket-instance", valueOf(subjects, "serviceInstance")),
    ...option("--key-instance", valueOf(resources, "serviceInstance")),
    ...option("--key", valueOf(resources, "resource")), ...option("--role", role, "Reader"),
  ].join(" ")
}

/** The command to advise, whatever the authorization says. */
export const commandFor = (authorization: unknown): string => authorizeCommand(authorization) ?? "bucketseal authorize"

/** A line for each authorization that is missing for any of these, with the command that makes it. */
export function missingLines(items: readonly { readonly missing?: unknown }[]): string[] {
  const commands = items.flatMap(({ missing: one }) => (one === undefined ? [] : commandFor(one)))
  return [...new Set(commands)].map((command) => `an authorization is missing: ${command}`)
}

/** The same for an authorization in JSON. */
export function authorizeCommandIn(text: string): string | undefined {
  try {
    return authorizeCommand(JSON.parse(text))
  } catch {
    return undefined
  }
}

const option = (name: string, value: string | undefined, preset?: string): string[] =>
  value === undefined || value === preset ? [] : [`${name} ${value}`]

const valueOf = ([place]: z.infer<typeof places>, name: string): string | undefined =>
  place?.attributes.find((one) => one.name === name)?.value
