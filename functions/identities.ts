/** Service ids and API keys: further identities beside the account's owner. */
import * as z from "zod/mini"
import type { Caller, IamContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import type { ApiKey } from "../shared/iam/api-keys.ts"
import { iamCrn } from "../shared/iam/authority.ts"
import { badField } from "../shared/iam/bad-field.ts"
import { formatCrn } from "../shared/iam/crn.ts"
import type { Identities, Identity } from "../shared/iam/identities.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"

const MAX_BODY = 16 * 1024
const name = z.string().check(z.minLength(1), z.maxLength(100))
const description = z._default(z.string().check(z.maxLength(1000)), "")
const account_id = z.optional(z.string())
const crns = z.array(z.string().check(z.minLength(1), z.maxLength(1000))).check(z.maxLength(100))

/** IAM's fields, and our own `acts_for`: CRNs that the service id may act for. */
const newServiceId = z.object({ account_id, name, description, acts_for: z._default(crns, []) })
const newApiKey = z.object({ account_id, name, iam_id: z.string() })

/** All of this happens in the caller's own account. */
const ownAccount = ({ caller }: Call<unknown>) => iamCrn(caller.subject.account, "identity")

const createServiceId = endpoint({
  method: "POST", path: "/v1/serviceids", action: "iam.identity.write", resource: ownAccount,
  maxBody: MAX_BODY, errors: "iam", body: { kind: "json", parser: newServiceId },
  async run({ caller, body }, { identities }: IamContext) {
    const { account } = caller.subject
    checkAccount(body.account_id, account)
    if (body.acts_for.length > 0 && !(await isOwner(caller, identities))) {
      throw new Failure("forbidden", "not allowed: acts_for is for the account's owner to say")
    }
    const { name, description, acts_for: actsFor } = body
    const identity = await identities.create({ kind: "service-id", name, description, account, actsFor })
    return json(201, shownServiceId(identity))
  },
})

const getServiceId = endpoint({
  method: "GET", path: "/v1/serviceids/:id", action: "iam.identity.read", resource: ownAccount,
  maxBody: 0, errors: "iam",
  run: async (call, { identities }: IamContext) => json(200, shownServiceId(await serviceIdOf(call, identities))),
})

const deleteServiceId = endpoint({
  method: "DELETE", path: "/v1/serviceids/:id", action: "iam.identity.write", resource: ownAccount,
  maxBody: 0, errors: "iam",
  async run(call, { identities }: IamContext) {
    await identities.delete((await serviceIdOf(call, identities)).id)
    return new Response(null, { status: 204 })
  },
})

const createApiKey = endpoint({
  method: "POST", path: "/v1/apikeys", action: "iam.identity.write", resource: ownAccount,
  maxBody: MAX_BODY, errors: "iam", body: { kind: "json", parser: newApiKey },
  async run({ caller, body }, { identities }: IamContext) {
    checkAccount(body.account_id, caller.subject.account)
    const identity = await identities.get(body.iam_id)
    await checkHolder(caller, body.iam_id, identities)
    if (identity?.account !== caller.subject.account) throw notFound("identity")
    const { apiKey, secret } = await identities.createKey(identity, body.name)
    return json(201, { ...shownApiKey(apiKey), apikey: secret }, { "cache-control": "no-store" })
  },
})

/** Whoever shows the API key itself may see what it is. */
const getApiKey = endpoint({
  method: "GET", path: "/v1/apikeys/details", action: "any-caller", maxBody: 0, errors: "iam",
  async run({ request }, { identities }: IamContext) {
    const secret = request.headers.get("iam-apikey")
    if (!secret) throw noKey()
    const apiKey = await identities.findKey({ secret })
    if (!apiKey) throw notFound("API key")
    return json(200, shownApiKey(apiKey))
  },
})

const deleteApiKey = endpoint({
  method: "DELETE", path: "/v1/apikeys/:id", action: "iam.identity.write", resource: ownAccount,
  maxBody: 0, errors: "iam",
  async run({ caller, params }, { identities }: IamContext) {
    const apiKey = await identities.getKey(params["id"] ?? "")
    if (apiKey?.account !== caller.subject.account) throw notFound("API key")
    await checkHolder(caller, apiKey.iamId, identities)
    await identities.deleteKey(apiKey.id)
    return new Response(null, { status: 204 })
  },
})

/** The part of IamIdentityV1 that a second identity needs: `/v1/serviceids` and `/v1/apikeys`. */
export const identities: readonly AnyRoute<IamContext>[] = [
  createServiceId, getServiceId, deleteServiceId, createApiKey, getApiKey, deleteApiKey,
]

/** Whoever makes a key can become its identity, and whoever removes one can lock it out: that is for itself and the
 *  owner. */
async function checkHolder(caller: Caller, iamId: string, known: Identities): Promise<void> {
  if (caller.subject.iamId === iamId || (await isOwner(caller, known))) return
  throw new Failure("forbidden", "not allowed: an API key is for its own identity and the account's owner to manage")
}

async function isOwner({ subject }: Caller, known: Identities): Promise<boolean> {
  const identity = await known.get(subject.iamId)
  return identity?.kind === "user" && identity.account === subject.account
}

async function serviceIdOf({ params, caller }: Call<unknown>, known: Identities): Promise<Identity> {
  const id = params["id"] ?? ""
  const identity = await known.get(id.startsWith("iam-") ? id : `iam-${id}`) // IAM's paths have the id without `iam-`
  if (identity?.kind === "service-id" && identity.account === caller.subject.account) return identity
  throw notFound("service id")
}

function checkAccount(given: string | undefined, account: string): void {
  if (given === undefined || given === account) return
  throw badField("account_id", "must be your own account")
}

const noKey = () =>
  new Failure("bad-query", "the header IAM-ApiKey is needed", undefined, { type: "header", name: "IAM-ApiKey" })

const notFound = (what: string) => new Failure("not-found", `there is no such ${what} in your account`)

const crnOf = (account: string, type: string, resource: string) =>
  formatCrn({ service: "iam-identity", region: "", account, instance: "", type, resource })

function shownServiceId({ id: iam_id, name, description, account: account_id, actsFor, created }: Identity) {
  const id = iam_id.replace(/^iam-/, "")
  const crn = crnOf(account_id, "serviceid", id)
  const dates = { created_at: created, modified_at: created }
  return { id, iam_id, crn, account_id, name, description, acts_for: actsFor, locked: false, ...dates }
}

function shownApiKey({ id, name, iamId: iam_id, account: account_id, created }: ApiKey) {
  const crn = crnOf(account_id, "apikey", id)
  return { id, crn, iam_id, account_id, name, locked: false, created_at: created, modified_at: created }
}
