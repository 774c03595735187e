/** What the tests of objects share: a sealing and opening world over any store, with real keys, policies and registrations. */
import { randomBytes } from "node:crypto"
import { authority } from "../shared/iam/authority.ts"
import { bucketCrn } from "../shared/iam/crn.ts"
import { policies } from "../shared/iam/policies.ts"
import { dataKeys } from "../shared/keys/data-keys.ts"
import { openObject, type Opener } from "../shared/objects/open.ts"
import { collect } from "../shared/objects/reading.ts"
import { checkedRegistration, type Registrar } from "../shared/objects/register.ts"
import { registrationRequest, registrations, type Registration } from "../shared/objects/registrations.ts"
import { sealObject, type Sealer } from "../shared/objects/seal.ts"
import type { ObjectRef, Store, Subject } from "../shared/ports.ts"
import { PROBE_PREFIX, probe } from "../shared/store/probe.ts"
import { judged } from "../shared/store/store-facts.ts"
import { memoryState } from "./memory-state.ts"
import { counted, instance, makeRootKeys, setClock } from "./key-fixtures.ts"

export const ACCOUNT = "acc1"
export const STORE_INSTANCE = "5a0b6c1e-0000-4000-8000-000000000001"
const OWNER: Subject = { iamId: "IBMid-owner", account: ACCOUNT }

/** How to deviate from a world that caches no decision. */
export interface WorldOptions {
  /** What the bucket is registered with, over the defaults. */
  readonly register?: object
  readonly canUnwrap?: boolean
  /** How long registrations, policies, root keys and data keys are remembered. */
  readonly cacheSeconds?: number
}

export type World = Awaited<ReturnType<typeof makeWorld>>

/** Everything for one bucket: its root key made, its authorization given, the bucket registered with `settle` 0. */
export async function makeWorld(store: Store, bucket: string, options: WorldOptions = {}) {
  const clock = setClock(Date.now())
  const state = counted(memoryState())
  const { cacheSeconds = 0 } = options
  const rootKeys = makeRootKeys({ state, clock, cacheSeconds })
  const keyService = counted(rootKeys)
  const kept = policies(state, cacheSeconds, clock)
  const decide = authority(kept)
  const lines: string[] = []
  const write = (message: string, fields?: object) => void lines.push(JSON.stringify([message, fields]))
  const log = { info: write, warn: write, error: write }
  const registered = registrations(state, clock, cacheSeconds)
  const limits = { objects: 1024, bytes: 2 ** 40, seconds: 3600 }
  const makeKeyring = (canUnwrap: boolean) => dataKeys({ state, keyService, clock, limits, cacheSeconds: 300, canUnwrap })
  const common = { registrations: registered, authority: decide }
  const sealer: Sealer = {
    ...common, store, dataKeys: makeKeyring(options.canUnwrap ?? true), clock, log, random: randomBytes,
    reopen: true, scratchPrefix: PROBE_PREFIX, state, lease: 60_000, multipartBytes: 512 * 2 ** 20, partsMemory: 32 * 2 ** 20,
  }
  const opener: Opener = { ...common, store, dataKeys: makeKeyring(true) }
  const registrar: Registrar = {
    keyService, authority: decide, clock,
    bucketSettings: (name) => store.bucketSettings(name),
    registrationsOf: (name) => registered.list(name),
    async probe(name) {
      const report = await probe(store, name)
      return (use) => judged(report, use)
    },
    sourceOf: (name) => bucketCrn(ACCOUNT, STORE_INSTANCE, name),
    holdsState: () => false,
  }
  const rootKey = await rootKeys.create({ name: "root key", tags: [] }, OWNER.iamId)
  const grant = await kept.create(ACCOUNT, authorization(), OWNER.iamId)

  async function register(name: string, request: object = {}, prefix = ""): Promise<Registration> {
    const parsed = registrationRequest.parse({
      rootKey: rootKey.crn, source: bucketCrn(ACCOUNT, STORE_INSTANCE, name), settle: 0, otherRegion: true, ...request,
    })
    const remembering = { ...registrar, probe: (one: string) => knownJudgement(store, one) }
    return registered.put(name, prefix, await checkedRegistration(remembering, { bucket: name, prefix, by: OWNER.iamId }, parsed))
  }
  await register(bucket, options.register)

  return {
    store, bucket, state, keyService, rootKeys, rootKey, policies: kept, grant, registrations: registered, register, registrar,
    sealer, opener, clock, lines, authorization, readAuthorization, makeKeyring,
    sealAt: (ref: ObjectRef) => sealObject(sealer, ref, { uploaded: 0 }),
    ref: (key: string): ObjectRef => ({ bucket, key }),
    seal: (key: string, hint: { size?: number; uploaded?: number } = {}, by: Sealer = sealer) =>
      sealObject(by, { bucket, key }, { uploaded: 0, ...hint }),
    stored: async (key: string) => {
      const object = await store.get({ bucket, key })
      return object && collect(object.body)
    },
    async plaintext(key: string, from?: number, to?: number) {
      const opened = await openObject(opener, { bucket, key }, OWNER)
      return opened && collect(opened.read(from ?? 0, to ?? opened.size - 1))
    },
  }
}

const judgements = new WeakMap<Store, Map<string, ReturnType<Registrar["probe"]>>>()

/** What a probe says of a bucket; buckets of one store that are set alike are probed once, as each probe is many requests. */
async function knownJudgement(store: Store, bucket: string): ReturnType<Registrar["probe"]> {
  const known = judgements.get(store) ?? new Map<string, ReturnType<Registrar["probe"]>>()
  judgements.set(store, known)
  const settings = JSON.stringify(await store.bucketSettings(bucket))
  const judgement = known.get(settings) ?? probe(store, bucket).then((report) => (use) => judged(report, use))
  known.set(settings, judgement)
  return judgement
}

/** cloud-object-storage → kms, Reader, in the test account. */
function authorization() {
  const place = (serviceName: string, serviceInstance: string): { name: "accountId" | "serviceName" | "serviceInstance"; value: string }[] => [
    { name: "accountId", value: ACCOUNT }, { name: "serviceName", value: serviceName }, { name: "serviceInstance", value: serviceInstance },
  ]
  return {
    type: "authorization" as const,
    subjects: [{ attributes: place("cloud-object-storage", STORE_INSTANCE) }],
    roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }],
    resources: [{ attributes: place("kms", instance.id) }],
  }
}

/** cloud-object-storage → cloud-object-storage, Reader: buckets may read each other. */
function readAuthorization() {
  const given = authorization()
  return { ...given, resources: given.subjects }
}
