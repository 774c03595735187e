/** Root keys as the command line names them: by id or by CRN. */
import * as z from "zod/mini"
import { parseCrn } from "../shared/iam/crn.ts"
import type { ApiRequest, Client } from "./client.ts"
import { usageFailure } from "./exit.ts"

const rootKey = z.object({
  id: z.string(), crn: z.string(), name: z.string(), state: z.number(),
  creationDate: z.string(), lastRotateDate: z.optional(z.string()), deletionDate: z.optional(z.string()),
  keyVersion: z.optional(z.object({ id: z.string() })),
})
const collection = z.object({ resources: z.array(rootKey) })

/** A root key, as the key service shows it. */
export type ShownRootKey = z.infer<typeof rootKey>

/** Calls Key Protect's API and gives the root keys in its answer. */
export async function callKeys(
  client: Client, request: Pick<ApiRequest, "method" | "path" | "body">,
): Promise<readonly ShownRootKey[]> {
  const headers = { "bluemix-instance": client.settings.needed("BUCKETSEAL_INSTANCE") }
  const answer = await client.call({ ...request, headers })
  return answer === undefined ? [] : collection.parse(answer).resources
}

/** The id in an id or CRN. Throws `bad-field` for what is neither, and for a key of another instance. */
export function keyIdOf(client: Client, name: string): string {
  const id = name.startsWith("crn:") ? idInCrn(client, name) : name
  if (/^[0-9a-fA-F-]{36}$/.test(id)) return id
  throw usageFailure("a root key is named by its id or its CRN: bucketseal keys list shows them")
}

function idInCrn(client: Client, name: string): string {
  const crn = parseCrn(name)
  if (crn?.service !== "kms" || crn.type !== "key") return ""
  if (crn.instance === client.settings.needed("BUCKETSEAL_INSTANCE")) return crn.resource
  throw usageFailure("this root key is of another key service instance than BUCKETSEAL_INSTANCE")
}

/** The CRN of a root key. An id is looked up, which throws `not-found` where there is none. */
export async function keyCrnOf(client: Client, name: string): Promise<string> {
  if (name.startsWith("crn:")) return name
  const [key] = await callKeys(client, { method: "GET", path: `/api/v2/keys/${keyIdOf(client, name)}/metadata` })
  if (!key) throw new Error("the key service answered without the key")
  return key.crn
}
