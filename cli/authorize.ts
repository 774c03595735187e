/** `bucketseal authorize`: which service may use which root keys. */
import * as z from "zod/mini"
import type { Decision, PolicyAttribute } from "../shared/ports.ts"
import { roleCrn, roleOfCrn, roles, type Role } from "../shared/iam/roles.ts"
import { openClient, type Client } from "./client.ts"
import type { ClientFlags } from "./client-settings.ts"
import { apiCommand } from "./command.ts"
import { exits, usageFailure } from "./exit.ts"
import { authorizeCommand } from "./missing.ts"
import { columns, print, type OutputOptions } from "./output.ts"
import { keyIdOf } from "./root-key.ts"

type Options = ClientFlags & OutputOptions

interface CreateOptions extends Options {
  readonly service: string
  readonly role: string
  readonly bucketInstance?: string
  readonly keyInstance?: string
  readonly key?: string
}

const attributes = z.array(z.object({
  name: z.string(), value: z.string(), operator: z.exactOptional(z.enum(["stringEquals", "stringMatch"])),
}))
const authorization = z.object({
  id: z.string(), created_at: z.string(),
  subjects: z.array(z.object({ attributes })),
  roles: z.array(z.object({ role_id: z.string() })),
  resources: z.array(z.object({ attributes })),
})
const authorizations = z.object({ policies: z.array(authorization) })
type Authorization = z.infer<typeof authorization>

const list = apiCommand("list", "all authorizations of the account").action(async (options: Options) => {
  const all = await allAuthorizations(await openClient(options))
  const rows = all.map((one) => [one.id, rolesOf(one), `${placesOf(one.subjects)} → ${placesOf(one.resources)}`])
  print(options, all, rows.length === 0 ? ["no authorizations yet: bucketseal authorize"] : columns(rows))
})

const remove = apiCommand("remove", "take one away: what it allowed is refused, at the latest after the cache limit")
  .argument("<id>", "as list shows it")
  .action(async (id: string, options: Options) => {
    await (await openClient(options)).call({ method: "DELETE", path: `/v1/policies/${encodeURIComponent(id)}` })
    print(options, { id, done: "removed" }, [`removed ${id}`])
  })

const check = apiCommand("check", "may this be done? Exit code 0: allowed, 3: not")
  .argument("<action>", "for example kms.secrets.unwrap")
  .argument("<crn>", "of the root key, the bucket, …")
  .option("--subject <name>", "who: an IAM id, or the CRN of a service (default: you)")
  .action(async (action: string, resource: string, options: Options & { readonly subject?: string }) => {
    const body = { action, resource, ...(options.subject === undefined ? {} : { subject: options.subject }) }
    const client = await openClient(options)
    const decision = await client.call({ method: "POST", path: "/authorize", body }) as Decision // our own API's
    print(options, decision, decision.allowed ? [`allowed by ${decision.policy ?? "a policy"}`] : linesOf(decision))
    if (!decision.allowed) process.exitCode = exits.notAllowed
  })

export const authorize = apiCommand("authorize", "let the buckets' service use root keys, and print the id of that")
  .option("--service <name>", "whose buckets", "cloud-object-storage")
  .option("--bucket-instance <id>", "only of this instance of that service")
  .option("--key-instance <id>", "only keys of this key service instance")
  .option("--key <key>", "only this root key: id or CRN")
  .option("--role <role>", roles.join(", "), "Reader")
  .action(create)
for (const each of [list, remove, check]) authorize.addCommand(each)

/** One that is there already is not made again: two equal ones would have to be taken away twice. */
async function create(options: CreateOptions): Promise<void> {
  const client = await openClient(options)
  const wanted = newAuthorization(client, options)
  const present = (await allAuthorizations(client)).find((one) => isSame(one, wanted))
  const made = present ?? authorization.parse(await client.call({ method: "POST", path: "/v1/policies", body: wanted }))
  print(options, made, [made.id])
}

function newAuthorization(client: Client, { service, role, bucketInstance, keyInstance, key }: CreateOptions) {
  const account = { name: "accountId", value: client.settings.needed("BUCKETSEAL_ACCOUNT") }
  const instance = keyInstance ?? (key === undefined ? undefined : client.settings.needed("BUCKETSEAL_INSTANCE"))
  const source = [account, { name: "serviceName", value: service }, ...optional("serviceInstance", bucketInstance)]
  const target = [
    account, { name: "serviceName", value: "kms" }, ...optional("serviceInstance", instance),
    ...optional("resource", key === undefined ? undefined : keyIdOf(client, key)),
  ]
  return {
    type: "authorization", subjects: [{ attributes: source }], roles: [{ role_id: roleCrn(parseRole(role)) }],
    resources: [{ attributes: target }],
  }
}

const optional = (name: string, value: string | undefined): PolicyAttribute[] =>
  (value === undefined ? [] : [{ name, value }])

function parseRole(text: string): Role {
  const role = roles.find((one) => one.toLowerCase() === text.toLowerCase())
  if (role) return role
  throw usageFailure(`there is no role ${text}: ${roles.join(", ")}`)
}

async function allAuthorizations(client: Client): Promise<readonly Authorization[]> {
  const account = encodeURIComponent(client.settings.needed("BUCKETSEAL_ACCOUNT"))
  const path = `/v1/policies?type=authorization&account_id=${account}`
  return authorizations.parse(await client.call({ method: "GET", path })).policies
}

type Content = Pick<Authorization, "subjects" | "roles" | "resources">

const isSame = (one: Content, other: Content): boolean => contentOf(one) === contentOf(other)
const contentOf = ({ subjects, roles: held, resources }: Content): string =>
  JSON.stringify([subjects, held.map(({ role_id }) => role_id), resources])

const rolesOf = ({ roles: held }: Pick<Authorization, "roles">): string =>
  held.map(({ role_id }) => roleOfCrn(role_id) ?? role_id).join(", ")

const placesOf = (places: Authorization["subjects"]): string =>
  places.map(({ attributes: all }) => placeOf(all)).join(" or ")

function placeOf(all: readonly PolicyAttribute[]): string {
  const value = (name: string) => all.find((one) => one.name === name)?.value
  const rest = all.filter(({ name }) => !["accountId", "serviceName"].includes(name))
    .map(({ name, value: of }) => ` ${name} ${of}`)
  return `${value("serviceName") ?? "all services"}${rest.join("")}`
}

function linesOf({ missing }: Decision): string[] {
  const command = authorizeCommand(missing)
  return ["not allowed", ...(command === undefined ? [] : [`its authorization is missing: ${command}`])]
}
