/** What must hold before a bucket is registered, and the registration's document. */
import { Failure } from "../errors.ts"
import type { Authority, BucketSettings, Clock, EtagForm, KeyService } from "../ports.ts"
import type { Registration, RegistrationRequest, StoredRegistration } from "./registrations.ts"
import { sourceOf } from "./sealed.ts"

/** What the probe found, as far as registering goes by it. */
export interface ProbedStore {
  /** Why conditional sealing in place is not safe there, as a sentence; absent where it is. */
  readonly unsafe?: string
  readonly matchForm?: EtagForm
  readonly etagIsMd5: boolean
  readonly reportsTagCount: boolean
  readonly givesVersions: boolean
}

/** What registering needs. */
export interface Registrar {
  readonly keyService: KeyService
  readonly authority: Authority
  readonly clock: Clock
  bucketSettings(bucket: string): Promise<BucketSettings | undefined>
  probe(bucket: string): Promise<ProbedStore>
  /** The CRN that `source` must be. */
  sourceOf(bucket: string): string
  /** True where the state store lies in this bucket under, or above, this prefix. */
  holdsState(bucket: string, prefix: string): boolean
}

/** What is being registered. */
export interface RegistrationTarget {
  readonly bucket: string
  readonly prefix: string
  /** The IAM id of who asks. */
  readonly by: string
}

/** Checks everything and gives a function that makes the document from the present one. Throws `bad-field`,
 *  `bucket-not-found`, `key-not-found`, `key-state`, `forbidden` or `unsafe-store`, each saying what to do. */
export async function checkedRegistration(registrar: Registrar, target: RegistrationTarget, request: RegistrationRequest) {
  checkTarget(registrar, target, request)
  if (!request.enabled) return paused(registrar)
  const settings = await registrar.bucketSettings(target.bucket)
  if (!settings) throw new Failure("bucket-not-found", `there is no bucket ${target.bucket}`)
  checkBucket(settings, request)
  const rootKey = await checkKey(registrar, settings, request)
  const store = await checkStore(registrar, target.bucket)
  const { bucket, prefix } = target
  const now = new Date(registrar.clock()).toISOString()
  return (present: Registration | undefined): StoredRegistration => ({
    ...request, rootKey, bucket, prefix, store: { ...store, probed: now },
    created: present?.created ?? now, createdBy: present?.createdBy ?? target.by,
    ...(present ? { updated: now } : {}),
  })
}

/** Pausing asks nothing of key, authorization and store, which may be why it is done: only `enabled` changes. */
function paused({ clock }: Registrar) {
  return (present: Registration | undefined): StoredRegistration => {
    if (!present) throw new Failure("not-found", "there is no such registration to be paused")
    return { ...present, enabled: false, updated: new Date(clock()).toISOString() }
  }
}

function checkTarget(registrar: Registrar, { bucket, prefix }: RegistrationTarget, request: RegistrationRequest): void {
  const expected = registrar.sourceOf(bucket)
  if (request.source !== expected) throw field("source", `source must be the CRN of this bucket: ${expected}`)
  if (registrar.holdsState(bucket, prefix)) {
    throw field("prefix", "the state store lies in this bucket and prefix; register another prefix, or move the state to a bucket of its own")
  }
}

function checkBucket(settings: BucketSettings, request: RegistrationRequest): void {
  if (settings.versioning === "enabled" || settings.versioning === "suspended") {
    throw new Failure("unsafe-store", "the bucket keeps versions: sealing would leave the plaintext as a noncurrent version, so it can't be registered")
  }
  if (settings.objectLock === true) {
    throw new Failure("unsafe-store", "the bucket has Object Lock: plaintext could not be replaced, so it can't be registered")
  }
  if (settings.replicated !== false && !request.replicated) {
    const what = settings.replicated === true ? "the bucket is replicated" : "the store doesn't say whether the bucket is replicated"
    throw new Failure("unsafe-store", `${what}, and a replica would keep plaintext; accept that with replicated: true`)
  }
}

async function checkKey(registrar: Registrar, settings: BucketSettings, request: RegistrationRequest): Promise<string> {
  const key = await registrar.keyService.describe(request.rootKey)
  if (key.state !== "active") throw new Failure("key-state", `the root key is ${key.state}; it must be active`)
  const { location } = settings
  if (!request.otherRegion && location && key.region && !location.startsWith(key.region)) {
    throw new Failure("bad-field", `the bucket is in ${location} and the root key in ${key.region}; accept that with otherRegion: true`)
  }
  const decision = await registrar.authority.decide(sourceOf(request), "kms.secrets.wrap", key.id)
  if (!decision.allowed) {
    throw new Failure("forbidden", `the bucket's service may not use the root key; create this authorization first: ${JSON.stringify(decision.missing)}`)
  }
  return key.id
}

async function checkStore(registrar: Registrar, bucket: string) {
  const { unsafe, matchForm, etagIsMd5, reportsTagCount, givesVersions } = await registrar.probe(bucket)
  if (unsafe || !matchForm) throw new Failure("unsafe-store", `the store can't be sealed in place: ${unsafe ?? "it refuses right conditions"}`)
  if (givesVersions) throw new Failure("unsafe-store", "the bucket keeps versions, whatever its settings say, so it can't be registered")
  return { matchForm, etagIsMd5, reportsTagCount }
}

const field = (name: string, message: string) => new Failure("bad-field", message, undefined, { type: "field", name })
