/** The product's own wiring and presets over a store and a state that several processes share. */
import { randomBytes } from "node:crypto"
import { withObjects } from "../../shared/contexts/objects.ts"
import { authority } from "../../shared/iam/authority.ts"
import { bucketCrn, formatCrn, keyCrn } from "../../shared/iam/crn.ts"
import { policies } from "../../shared/iam/policies.ts"
import { embedded } from "../../shared/keys/embedded.ts"
import { fieldSealer } from "../../shared/keys/master-key.ts"
import { registrationRequest } from "../../shared/objects/registrations.ts"
import type { Clock, StateStore, Store, Subject } from "../../shared/ports.ts"
import { parseSettings } from "../../shared/settings.ts"

const account = "acc1"
const storeInstance = "5a0b6c1e-0000-4000-8000-000000000001"
const kmsInstance = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11"

/** Who reads what was sealed. */
export const OWNER: Subject = { iamId: "IBMid-owner", account }

/** What a process brings with it. */
export interface Given {
  readonly store: Store
  readonly state: StateStore
  /** 32 bytes, the same in all processes. */
  readonly masterKey: Uint8Array
  readonly clock: Clock
}

/** Sealer, opener and what they stand on. */
export function wired({ store, state, masterKey, clock }: Given) {
  const settings = parseSettings({ account, storeInstance, kmsInstance }) // everything else as preset
  const { region, cacheSeconds } = settings
  const rootKeys = embedded({
    state, sealer: fieldSealer(masterKey, [], randomBytes), clock, random: randomBytes, cacheSeconds,
    instance: {
      id: kmsInstance, region, keyCrn: (id) => keyCrn(region, account, kmsInstance, id),
      crn: formatCrn({ service: "kms", region, account, instance: kmsInstance, type: "", resource: "" }),
    },
    waits: { rotate: 0, enable: 0 },
  })
  const kept = policies(state, cacheSeconds, clock)
  const quiet = () => undefined
  const base = {
    settings, state, clock, authority: authority(kept), log: { info: quiet, warn: console.error, error: console.error },
    authenticate: () => Promise.reject(new Error("nobody calls")),
  }
  return { ...withObjects(base, { store, keyService: rootKeys, random: randomBytes }), rootKeys, policies: kept }
}

/** Makes a root key, authorizes the bucket's service, and registers the bucket as one on a store that honours conditions on
 *  the completion of uploads and answers a write with its MD5. */
export async function registerWith({ rootKeys, policies: kept, registrations }: ReturnType<typeof wired>, bucket: string): Promise<void> {
  const rootKey = await rootKeys.create({ name: "root key", tags: [] }, OWNER.iamId)
  await kept.create(account, grant(), OWNER.iamId)
  const request = registrationRequest.parse({ rootKey: rootKey.crn, source: bucketCrn(account, storeInstance, bucket), settle: 0 })
  const now = new Date().toISOString()
  const store = {
    matchForm: "quoted", etagIsMd5: true, reportsTagCount: true, versioning: "off", conditionalComplete: true,
    conditionalDelete: true, removeSource: "keep", refusesWrongChecksum: true, refusesWrongStreamChecksum: true, probed: now,
  } as const
  await registrations.put(bucket, "", () => ({ ...request, bucket, prefix: "", store, created: now, createdBy: OWNER.iamId }))
}

function grant() {
  const place = (serviceName: string, serviceInstance: string) => [
    { name: "accountId" as const, value: account }, { name: "serviceName" as const, value: serviceName },
    { name: "serviceInstance" as const, value: serviceInstance },
  ]
  return {
    type: "authorization" as const,
    subjects: [{ attributes: place("cloud-object-storage", storeInstance) }],
    roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }],
    resources: [{ attributes: place("kms", kmsInstance) }],
  }
}
