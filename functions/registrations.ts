/** Endpoint: which bucket, or prefix of it, is sealed under which root key. */
import { createHash } from "node:crypto"
import type { ObjectsContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { bucketCrn, storeCrn } from "../shared/iam/crn.ts"
import { demandStillTaken } from "../shared/objects/destinations.ts"
import { checkedRegistration } from "../shared/objects/register.ts"
import { registrableBucket, registrationRequest, type Registration, type RegistrationRequest } from "../shared/objects/registrations.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"

const bucketResource = ({ params }: Call<unknown>, { settings }: ObjectsContext) =>
  bucketCrn(settings.account, settings.storeInstance, params["bucket"] ?? "")

const storeResource = (_: Call<unknown>, { settings }: ObjectsContext) =>
  storeCrn(settings.account, settings.storeInstance)

const put = endpoint({
  method: "PUT", path: "/registrations/:bucket", action: "bucketseal.registrations.write", resource: bucketResource,
  maxBody: 16 * 1024, body: { kind: "json", parser: registrationRequest }, errors: "own",
  async run(call: Call<RegistrationRequest>, context: ObjectsContext) {
    const target = { ...targetOf(call), by: call.caller.subject.iamId }
    await checkRightThere(call, context)
    await checkSources(call, context, call.body)
    const make = await checkedRegistration(context.registrar, target, call.body)
    let status = 201
    const stored = await context.registrations.put(target.bucket, target.prefix, (present) => {
      if (present) status = 200
      checkCondition(call.request.headers, present)
      return make(present)
    })
    context.log.info("a bucket was registered", { bucket: target.bucket, prefix: target.prefix, rootKey: stored.rootKey })
    return json(status, stored, { etag: `"${etagOf(stored)}"` })
  },
})

/** Where objects are to be sealed into another bucket, its registration is used, too. */
async function checkRightThere({ body: { mode }, caller }: Call<RegistrationRequest>, context: ObjectsContext): Promise<void> {
  if (typeof mode !== "object") return
  const { settings: { account, storeInstance }, authority } = context
  const destination = bucketCrn(account, storeInstance, mode.destination)
  const { allowed } = await authority.decide(caller.subject, "bucketseal.registrations.write", destination)
  if (!allowed) throw new Failure("forbidden", `not allowed: bucketseal.registrations.write on ${destination}`)
}

/** Where other buckets are sealed into this one, it may not become something else meanwhile. Without `next` it is to be removed. */
async function checkSources(call: Call<unknown>, { registrations }: ObjectsContext, next?: RegistrationRequest): Promise<void> {
  const { bucket, prefix } = targetOf(call)
  const all = await registrations.list()
  const rest = all.filter((one) => one.bucket === bucket && one.prefix !== prefix)
  demandStillTaken(all, bucket, next ? [...rest, { ...next, prefix }] : rest)
}

const get = endpoint({
  method: "GET", path: "/registrations/:bucket", action: "bucketseal.registrations.read", resource: bucketResource,
  maxBody: 0, errors: "own",
  async run(call, { registrations }: ObjectsContext) {
    const { bucket, prefix } = targetOf(call)
    const stored = await registrations.get(bucket, prefix)
    if (!stored) throw notRegistered(bucket, prefix)
    return json(200, stored, { etag: `"${etagOf(stored)}"` })
  },
})

const remove = endpoint({
  method: "DELETE", path: "/registrations/:bucket", action: "bucketseal.registrations.write", resource: bucketResource,
  maxBody: 0, errors: "own",
  async run(call, context: ObjectsContext) {
    const { bucket, prefix } = targetOf(call)
    await checkSources(call, context)
    if (!(await context. registrations.remove(bucket, prefix))) throw notRegistered(bucket, prefix)
    return new Response(null, { status: 204 })
  },
})

const list = endpoint({
  method: "GET", path: "/registrations", action: "bucketseal.registrations.read", resource: storeResource,
  maxBody: 0, errors: "own",
  run: async (_, { registrations }: ObjectsContext) => json(200, { registrations: await registrations.list() }),
})

export const registrations: readonly AnyRoute<ObjectsContext>[] = [put, get, remove, list]

/** If-Match: only this version is replaced; If-None-Match: *: nothing is. */
function checkCondition(headers: Headers, present: Registration | undefined): void {
  const match = headers.get("if-match")
  const holds = (match === null || (present !== undefined && [`"${etagOf(present)}"`, "*"].includes(match)))
    && (headers.get("if-none-match") !== "*" || present === undefined)
  if (!holds) throw new Failure("precondition-failed", "the registration is another one than If-Match or If-None-Match says")
}

function targetOf({ params, query }: Call<unknown>) {
  const bucket = params["bucket"] ?? ""
  if (!registrableBucket.test(bucket)) throw new Failure("bad-query", "this is no bucket name")
  return { bucket, prefix: query.get("prefix") ?? "" }
}

const notRegistered = (bucket: string, prefix: string) =>
  new Failure("not-found", `bucket ${bucket} isn't registered${prefix ? ` with prefix ${prefix}` : ""}`)

const etagOf = (stored: Registration): string => createHash("sha256").update(JSON.stringify(stored)).digest("hex").slice(0, 32)
