/** A warm sealing instance over a real S3 store: the product's own wiring and presets, its state in memory. */
import { randomBytes } from "node:crypto"
import { withObjects } from "../shared/contexts/objects.ts"
import { authority } from "../shared/iam/authority.ts"
import { bucketCrn, formatCrn, keyCrn } from "../shared/iam/crn.ts"
import { policies } from "../shared/iam/policies.ts"
import type { PolicyDraft } from "../shared/iam/policy.ts"
import { embedded } from "../shared/keys/embedded.ts"
import { fieldSealer } from "../shared/keys/master-key.ts"
import { httpClient, type HttpClient } from "../shared/net/request.ts"
import { checkedRegistration } from "../shared/objects/register.ts"
import { registrationRequest, type Registration } from "../shared/objects/registrations.ts"
import { sealObject, type Sealer } from "../shared/objects/seal.ts"
import type { ObjectRef, Store } from "../shared/ports.ts"
import { parseSettings } from "../shared/settings.ts"
import { s3Store } from "../shared/store/s3.ts"
import { memoryState } from "../test/memory-state.ts"

const account = "bench"
const storeInstance = "5a0b6c1e-0000-4000-8000-000000000001"
const kmsInstance = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11"

/** Where the benchmark's S3 store is. */
export function endpoint() {
  const { S3_TEST_ENDPOINT, S3_TEST_REGION = "us-east-1", S3_TEST_ACCESS_KEY_ID, S3_TEST_SECRET_ACCESS_KEY } = process.env
  if (!S3_TEST_ENDPOINT || !S3_TEST_ACCESS_KEY_ID || !S3_TEST_SECRET_ACCESS_KEY) throw new Error("no S3 store is named")
  const credentials = { accessKeyId: S3_TEST_ACCESS_KEY_ID, secretAccessKey: S3_TEST_SECRET_ACCESS_KEY }
  return { endpoint: S3_TEST_ENDPOINT, region: S3_TEST_REGION, credentials }
}

/** Our client of that store, and how many requests it has sent. */
export function ownStore() {
  const { credentials, ...where } = endpoint()
  const plain = httpClient({ allowHttp: true })
  let requests = 0
  const http: HttpClient = (request) => {
    requests++
    return plain(request)
  }
  const store = s3Store({ ...where, addressing: "path", allowHttp: true, credentials: async () => credentials, http })
  return { store, requests: () => requests }
}

/** A sealer for the bucket: root key made, use of it authorized, the bucket probed and registered with `settle` 0. */
export async function sealingIn(store: Store, bucket: string): Promise<Sealer> {
  const state = memoryState()
  const settings = parseSettings({ account, storeInstance, kmsInstance, s3AllowHttp: "true" }) // everything else as preset
  const { region, cacheSeconds } = settings
  const rootKeys = embedded({
    state, sealer: fieldSealer(randomBytes(32), [], randomBytes), clock: Date.now, random: randomBytes, cacheSeconds,
    instance: {
      id: kmsInstance, region, keyCrn: (id) => keyCrn(region, account, kmsInstance, id),
      crn: formatCrn({ service: "kms", region, account, instance: kmsInstance, type: "", resource: "" }),
    },
    waits: { rotate: 0, enable: 0 },
  })
  const kept = policies(state, cacheSeconds, Date.now)
  const quiet = () => undefined
  const base = {
    settings, state, clock: Date.now, log: { info: quiet, warn: console.error, error: console.error }, authority: authority(kept),
    authenticate: () => Promise.reject(new Error("nobody calls a benchmark")),
  }
  const { sealer, registrar, registrations } = withObjects(base, { store, keyService: rootKeys, random: randomBytes })
  const rootKey = await rootKeys.create({ name: "root key", tags: [] }, "IBMid-bench")
  await kept.create(account, grant(), "IBMid-bench")
  const request = registrationRequest.parse({
    rootKey: rootKey.crn, source: bucketCrn(account, storeInstance, bucket), settle: 0, otherRegion: true,
  })
  await registrations.put(bucket, "", await checkedRegistration(registrar, { bucket, prefix: "", by: "IBMid-bench" }, request))
  return sealer
}

/** The bucket's service may use the root keys. */
function grant(): PolicyDraft {
  const place = (serviceName: string, serviceInstance: string) => [
    { name: "accountId" as const, value: account }, { name: "serviceName" as const, value: serviceName },
    { name: "serviceInstance" as const, value: serviceInstance },
  ]
  return {
    type: "authorization",
    subjects: [{ attributes: place("cloud-object-storage", storeInstance) }],
    roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }],
    resources: [{ attributes: place("kms", kmsInstance) }],
  }
}

/** Bytes of a part where parts are measured, and how many of them are in memory at a time. */
export const PART = 8 * 2 ** 20
export const PARTS_AT_ONCE = 4

/** One that sends what is longer than a part in parts. RGW 16 ignores conditions on completion, so the product would refuse
 *  this there: it is told otherwise, to be measured. */
export async function multipartSealingIn(store: Store, bucket: string): Promise<Sealer> {
  const sealer = withFacts(await sealingIn(store, bucket), { conditionalComplete: true })
  return { ...sealer, multipartBytes: PART, partsMemory: PARTS_AT_ONCE * PART }
}

/** The same sealer, whose registration says that the store's ETag is no MD5 of an object's bytes. */
export const withoutMd5 = (sealer: Sealer): Sealer => withFacts(sealer, { etagIsMd5: false })

/** The same sealer, which takes the answer to a write for proof: `always` also where it is not told how to make one. */
export function unproven(sealer: Sealer, always = false): Sealer {
  const store: Sealer["store"] = { ...sealer.store, put: (ref, body, { checksum: _, ...options } = {}) => sealer.store.put(ref, body, options) }
  return withFacts({ ...sealer, store }, { etagIsMd5: false, refusesWrongStreamChecksum: always })
}

/** The same sealer, whose registration says something else of the store. */
export function withFacts(sealer: Sealer, facts: Partial<Registration["store"]>): Sealer {
  return {
    ...sealer,
    registrations: {
      ...sealer.registrations,
      async find(bucket, key) {
        const found = await sealer.registrations.find(bucket, key)
        return found && { ...found, store: { ...found.store, ...facts } }
      },
    },
  }
}

/** Seals one object in place; anything but success fails the benchmark. */
export async function seal(sealer: Sealer, ref: ObjectRef): Promise<void> {
  const result = await sealObject(sealer, ref, { uploaded: 0 })
  if (result.outcome !== "sealed") throw new Error(`sealing ended as ${JSON.stringify(result)}`)
}

/** What a program with our client does at least that rewrites an object: reads it, and writes the stream back. */
export async function copyByUs(store: Store, ref: ObjectRef): Promise<void> {
  const object = await store.get(ref)
  if (!object) throw new Error("the object is gone")
  await store.put(ref, { length: object.size, stream: object.body })
}
