/** What the tests of the census share: the job in a world, approvals, progress documents, and stores that interfere. */
import { randomBytes, randomUUID } from "node:crypto"
import { census, type CensusResult } from "../functions/census.ts"
import type { JobsContext } from "../shared/context.ts"
import { identities } from "../shared/iam/identities.ts"
import { roleCrn } from "../shared/iam/roles.ts"
import { approvalRequest, approvals } from "../shared/objects/approvals.ts"
import { progressPath, signProgress, type ProgressFields } from "../shared/objects/progress.ts"
import type { ObjectRef, Store } from "../shared/ports.ts"
import { parseSettings } from "../shared/settings.ts"
import { instance } from "./key-fixtures.ts"
import { ACCOUNT, STORE_INSTANCE, type World } from "./object-fixtures.ts"

/** What a test may put in the place of the world's own. */
export interface Deviation {
  readonly store?: Store
  readonly canUnwrap?: boolean
  readonly signal?: AbortSignal
}

/** The job's context in this world, with a keyring that remembers nothing: as in a function of its own. */
function censusContext(world: World, { store = world.store, canUnwrap = true }: Deviation = {}): JobsContext {
  return {
    settings: parseSettings({ account: ACCOUNT, kmsInstance: instance.id, storeInstance: STORE_INSTANCE }),
    clock: world.clock, log: world.sealer.log, state: world.state, authority: world.sealer.authority,
    registrations: world.registrations, registrar: world.registrar, opener: world.opener, store,
    sealer: { ...world.sealer, store, dataKeys: world.makeKeyring(canUnwrap) },
  }
}

/** One run of the job on the world's bucket. */
export const take = (world: World, input: object = {}, deviation: Deviation = {}): Promise<CensusResult> =>
  census.run(census.input.parse({ bucket: world.bucket, ...input }), censusContext(world, deviation), deviation.signal ?? new AbortController().signal)

type Sums = Pick<CensusResult, "counts" | "bytes" | "fixed"> & { readonly runs: number }

/** Runs until it is done, and adds up; at most 200 runs. */
export async function takeAll(world: World, input: object = {}, each: (result: CensusResult) => Deviation = () => ({})): Promise<Sums> {
  const sums = { counts: {}, bytes: {}, fixed: {} }
  let result: CensusResult = await take(world, input, {})
  for (let runs = 1; runs <= 200; runs++) {
    for (const name of ["counts", "bytes", "fixed"] as const) addTo(sums[name], result[name])
    if (result.done) return { ...sums, runs }
    result = await take(world, { ...input, cursor: result.cursor }, each(result))
  }
  throw new Error("the census comes to no end")
}

function addTo(sums: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, number] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + number
}

/** Somebody new who may approve, as his identity and his policy say. */
export async function approver({ state, clock, policies }: World) {
  const identity = await identities(state, 0, clock).create({ kind: "service-id", name: "approver", description: "", account: ACCOUNT, actsFor: [] })
  const policy = await policies.create(ACCOUNT, {
    type: "access", subjects: [{ attributes: [{ name: "iam_id", value: identity.id }] }], roles: [{ role_id: roleCrn("Manager") }],
    resources: [{ attributes: [{ name: "accountId", value: ACCOUNT }, { name: "serviceName", value: "bucketseal" }] }],
  }, identity.id)
  return { by: identity.id, isOurs: true, policy: policy.id }
}

/** The id of an approval in this world, by default of all that `fix` may do in its bucket, by somebody who may approve it. */
export async function approve(world: World, request: object = {}, by?: Awaited<ReturnType<typeof approver>>): Promise<string> {
  const wanted = { operation: "fix", scope: { bucket: world.bucket }, ...request }
  return (await approvals(world.state, world.clock).create(approvalRequest.parse(wanted), by ?? await approver(world))).id
}

/** Writes the progress document of a sealing that somebody has begun, signed by its data key, and gives its path. */
export async function beginProgress(world: World, ref: ObjectRef, fields: Partial<ProgressFields> = {}): Promise<string> {
  const registration = await world.registrations.find(fields.target?.bucket ?? ref.bucket, ref.key)
    ?? await world.registrations.find(ref.bucket, ref.key)
  if (!registration) throw new Error("not registered")
  const { id, dek } = await world.sealer.dataKeys.forSealing(registration, 0)
  const document = signProgress({
    bucket: ref.bucket, key: ref.key, holder: randomUUID(), until: world.clock() + 60_000,
    source: { etag: "0".repeat(32), size: 1, lastModified: 0 }, plaintextSize: fields.source?.size ?? 1, target: { bucket: ref.bucket },
    dek: id, salt: randomBytes(24).toString("base64"), ...fields,
  }, dek)
  dek.fill(0)
  await world.state.create(progressPath(ref), document)
  return progressPath(ref)
}

/** The store with some of its methods in front of it. */
export const withMethods = (store: Store, methods: (store: Store) => Partial<Store>): Store => ({ ...store, ...methods(store) })

/** Ids of the uploads under way. */
export const uploadsIn = async ({ store, bucket }: World): Promise<string[]> =>
  (await store.listUploads(bucket)).uploads.map(({ uploadId }) => uploadId)
