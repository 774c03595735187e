/** What must hold before a bucket is registered, and the registration's document. */
import { Failure } from "../errors.ts"
import type { Authority, BucketSettings, Clock, KeyService } from "../ports.ts"
import { longestFor, type Registration, type RegistrationRequest, type StoredRegistration } from "./registrations.ts"
import { sourceOf } from "./sealed.ts"

/** What a bucket is used for: objects are sealed where they are, sealed objects come from elsewhere, or they are sealed into
 *  another bucket from here. */
export type StoreUse = "in-place" | "vault" | "source"

/** What a probe says of one use: facts to go by, or, as a sentence, why it isn't safe. `measured`: whether the store was seen
 *  to do something wrong, or could not be asked. */
export type Judgement =
  | { readonly facts: Omit<StoredRegistration["store"], "probed" | "unsafe">; readonly refused?: undefined }
  | { readonly refused: string; readonly measured: boolean }

/** What registering needs. */
export interface Registrar {
  readonly keyService: KeyService
  readonly authority: Authority
  readonly clock: Clock
  bucketSettings(bucket: string): Promise<BucketSettings | undefined>
  /** Measures a bucket now, and gives what follows for a use of it. Where the signal stops it, what it wrote is removed, and
   *  the signal's reason thrown. */
  probe(bucket: string, signal?: AbortSignal): Promise<(use: StoreUse) => Judgement>
  /** All registrations of a bucket, read now. */
  registrationsOf(bucket: string): Promise<readonly Registration[]>
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
  if (typeof request.mode === "object") await checkDestination(registrar, target, request.mode.destination, rootKey)
  const facts = await checkStore(registrar, target.bucket, useOf(request))
  const { bucket, prefix } = target
  const now = new Date(registrar.clock()).toISOString()
  return (present: Registration | undefined): StoredRegistration => ({
    ...request, rootKey, bucket, prefix, store: { ...facts, probed: now },
    created: present?.created ?? now, createdBy: present?.createdBy ?? target.by,
    ...(present ? { updated: now } : {}),
  })
}

/** What a registration uses its bucket for. */
export const useOf = ({ mode }: Pick<RegistrationRequest, "mode">): StoreUse => (typeof mode === "object" ? "source" : mode)

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

/** A vault holds no plaintext that could be kept by what keeps objects. */
function checkBucket(settings: BucketSettings, request: RegistrationRequest): void {
  if (useOf(request) === "vault") return
  if (settings.objectLock === true) {
    const message = "the bucket has Object Lock: plaintext could not be removed, so it can't be registered but with mode: vault"
    throw new Failure("unsafe-store", message)
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

/** Every key of the prefix must be covered there, by a registration that takes what is sealed here. */
async function checkDestination(
  registrar: Registrar, { bucket, prefix }: RegistrationTarget, destination: string, rootKey: string,
): Promise<void> {
  if (destination === bucket) throw field("mode", "the destination must be another bucket; to seal here use mode: in-place")
  const all = await registrar.registrationsOf(destination)
  const covering = longestFor(prefix, all)
  if (!covering) {
    throw field("mode", `bucket ${destination} isn't registered for what begins with "${prefix}"; register it first, with mode: vault`)
  }
  for (const one of [covering, ...all.filter((other) => other.prefix.startsWith(prefix))]) checkTakes(one, rootKey)
  const judgement = (await registrar.probe(destination))("vault")
  if (judgement.refused === undefined) return
  throw new Failure("unsafe-store", `bucket ${destination} can't be the destination: ${judgement.refused}`)
}

function checkTakes({ bucket, prefix, enabled, mode, rootKey: its }: Registration, rootKey: string): void {
  const where = `the registration of bucket ${bucket}${prefix === "" ? "" : ` with prefix ${prefix}`}`
  if (!enabled) throw field("mode", `${where} is disabled; enable it first`)
  if (typeof mode === "object") throw field("mode", `${where} has a destination itself; it must be in-place or a vault`)
  if (its !== rootKey) throw field("rootKey", `${where} has another root key, ${its}; both must have the same`)
}

async function checkStore(registrar: Registrar, bucket: string, use: StoreUse) {
  const judgement = (await registrar.probe(bucket))(use)
  if (judgement.refused !== undefined) throw new Failure("unsafe-store", `${refusals[use]}: ${judgement.refused}`)
  return judgement.facts
}

const refusals: Readonly<Record<StoreUse, string>> = {
  "in-place": "the bucket can't be sealed in place",
  vault: "the bucket can't be a vault",
  source: "the bucket can't be sealed into another one",
}

const field = (name: string, message: string) => new Failure("bad-field", message, undefined, { type: "field", name })
