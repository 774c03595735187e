/** `bucketseal keys`: root keys, over Key Protect's API. */
import { Command } from "commander"
import { STATE_NUMBERS } from "../shared/keys/key-resource.ts"
import { openClient, type ApiRequest, type Client } from "./client.ts"
import type { ClientFlags } from "./client-settings.ts"
import { apiCommand } from "./command.ts"
import { columns, print, type OutputOptions } from "./output.ts"
import { callKeys, keyIdOf, type ShownRootKey } from "./root-key.ts"

type Options = ClientFlags & OutputOptions

const PAGE = 1_000 // keys asked for at a time; Key Protect takes up to 5,000

const list = apiCommand("list", "all root keys but the deleted ones").action(async (options: Options) => {
  const keys = await allKeys(await openClient(options))
  const rows = keys.map((key) => [key.id, stateOf(key), key.creationDate, key.name])
  print(options, keys, rows.length === 0 ? ["no root keys yet: bucketseal keys create NAME"] : columns(rows))
})

const create = apiCommand("create", "make a root key, and print its CRN")
  .argument("<name>", "2 to 90 characters")
  .action(async (name: string, options: Options) => {
    const key = await oneKey(await openClient(options), { method: "POST", path: "/api/v2/keys", body: newKey(name) })
    print(options, key, [key.crn])
  })

const show = apiCommand("show", "a root key's names, state and dates").argument("<key>", "id or CRN")
  .action(async (name: string, options: Options) => {
    const client = await openClient(options)
    const key = await oneKey(client, { method: "GET", path: `/api/v2/keys/${keyIdOf(client, name)}/metadata` })
    print(options, key, columns([
      ["name", key.name], ["id", key.id], ["crn", key.crn], ["state", stateOf(key)], ["created", key.creationDate],
      ["rotated", key.lastRotateDate ?? "never"], ["version", key.keyVersion?.id ?? "-"],
    ]))
  })

const rotate = change("rotate", "make a new version, which wraps from now on; all versions go on unwrapping", "rotated")
const disable = change("disable", "suspend: nothing is wrapped or unwrapped until enable", "disabled")
const enable = change("enable", "end a suspension", "enabled")

const remove = apiCommand("delete", "destroy for all uses: what is sealed under it can't be read any more")
  .argument("<key>", "id or CRN")
  .option("--force", "also where buckets are registered with it")
  .action(async (name: string, options: Options & { readonly force?: true }) => {
    const client = await openClient(options)
    const id = keyIdOf(client, name)
    await callKeys(client, { method: "DELETE", path: `/api/v2/keys/${id}${options.force ? "?force=true" : ""}` })
    print(options, { id, done: "deleted" }, [`deleted ${id}`])
  })

export const keys = new Command("keys").description("root keys: create, list, show, rotate, disable, enable, delete")
for (const each of [list, create, show, rotate, disable, enable, remove]) keys.addCommand(each)

/** A command for one of Key Protect's actions on a key. */
function change(action: "rotate" | "disable" | "enable", description: string, done: string): Command {
  return apiCommand(action, description)
    .argument("<key>", "id or CRN")
    .action(async (name: string, options: Options) => {
      const client = await openClient(options)
      const id = keyIdOf(client, name)
      await callKeys(client, { method: "POST", path: `/api/v2/keys/${id}/actions/${action}`, body: {} })
      print(options, { id, done }, [`${done} ${id}`])
    })
}

async function oneKey(client: Client, request: Pick<ApiRequest, "method" | "path" | "body">): Promise<ShownRootKey> {
  const [key] = await callKeys(client, request)
  if (!key) throw new Error("the key service answered without the key")
  return key
}

async function allKeys(client: Client): Promise<ShownRootKey[]> {
  const all: ShownRootKey[] = []
  for (let more = true; more; ) {
    const page = await callKeys(client, { method: "GET", path: `/api/v2/keys?limit=${PAGE}&offset=${all.length}` })
    all.push(...page)
    more = page.length === PAGE
  }
  return all
}

/** Key Protect's collection of the one key to be made. */
function newKey(name: string) {
  const type = "application/vnd.ibm.kms.key+json"
  return { metadata: { collectionType: type, collectionTotal: 1 }, resources: [{ type, name, extractable: false }] }
}

const stateOf = ({ state }: ShownRootKey): string =>
  Object.entries(STATE_NUMBERS).find(([, number]) => number === state)?.[0] ?? String(state)
