/** What a function is given to work with, and nothing more: built once per host (or per container) and passed in. */
import { Failure } from "./errors.ts"
import type { Identities } from "./iam/identities.ts"
import type { Policies } from "./iam/policies.ts"
import type { Caller, TokenIssuer } from "./iam/tokens.ts"
import { bucketCrn } from "./iam/crn.ts"
import { dataKeys, type DataKeys } from "./keys/data-keys.ts"
import type { RootKeys } from "./keys/embedded.ts"
import type { Opener } from "./objects/open.ts"
import type { Registrar } from "./objects/register.ts"
import { registrations, type Registrations } from "./objects/registrations.ts"
import type { Sealer } from "./objects/seal.ts"
import type { Authority, Clock, KeyService, Log, StateStore, Store } from "./ports.ts"
import type { Settings } from "./settings.ts"
import { PROBE_PREFIX, probe, probeState, type ProbeOptions } from "./store/probe.ts"
import { removeLeftovers } from "./store/probe-removal.ts"
import type { ProbeReport } from "./store/probe-report.ts"
import { stateStore } from "./store/state.ts"
import { judged } from "./store/store-facts.ts"
import { isRefusal, stateFormFor } from "./store/strategy.ts"

export type { Action } from "./iam/actions.ts"
export type { Caller } from "./iam/tokens.ts"

/** What every function has. */
export interface BaseContext {
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
  readonly state: StateStore
  readonly authority: Authority
  /** The caller behind a bearer token; throws `unauthorized` for anything that does not hold. */
  authenticate(token: string): Promise<Caller>
}

/** What the Key Protect functions have besides. */
export interface KeysContext extends BaseContext {
  readonly rootKeys: RootKeys
  /** True while any registration has, or had, this root key: something may be sealed under it. */
  isInUse(rootKey: string): Promise<boolean>
}

/** What the IAM functions have besides. */
export interface IamContext extends BaseContext {
  readonly identities: Identities
  readonly policies: Policies
  readonly tokens: TokenIssuer
}

/** What the functions on objects have besides. */
export interface ObjectsContext extends BaseContext {
  readonly registrations: Registrations
  readonly registrar: Registrar
  readonly sealer: Sealer
  readonly opener: Opener
}

/** What the jobs on whole buckets have besides. */
export interface BucketsContext extends ObjectsContext {
  readonly store: Store
}

/** What the object functions are built on. */
export interface ObjectParts {
  readonly store: Store
  readonly keyService: KeyService
  readonly random: (size: number) => Uint8Array
}

const SEALING_LEASE_MS = 60_000 // after a crash a sealing that takes several writes waits this long; clocks may differ by a sixth

/** Adds what the functions on objects need. `close` zeroes the keys in memory. */
export function withObjects<Base extends BaseContext>(base: Base, parts: ObjectParts): Base & BucketsContext & { close(): void } {
  const { settings, state, clock, authority } = base
  const registered = registrations(state, clock, settings.cacheSeconds)
  const keyring = keyringOf(base, parts.keyService)
  const common = { store: parts.store, dataKeys: keyring, registrations: registered, authority }
  return {
    ...base,
    registrations: registered,
    registrar: registrarOf(base, parts, registered),
    sealer: {
      ...common, state, clock, log: base.log, random: parts.random, reopen: settings.reopen, scratchPrefix: PROBE_PREFIX,
      lease: SEALING_LEASE_MS, multipartBytes: settings.multipartBytes, partsMemory: settings.partsMemory,
    },
    opener: common,
    store: parts.store,
    close: () => keyring.close(),
  }
}

function keyringOf({ settings, state, clock }: BaseContext, keyService: KeyService): DataKeys {
  const limits = { objects: settings.dekObjects, bytes: settings.dekBytes, seconds: settings.dekSeconds }
  const cacheSeconds = settings.cacheSeconds - rootKeyCacheSeconds(settings)
  return dataKeys({ state, keyService, clock, limits, cacheSeconds, canUnwrap: true })
}

/** How old a root key's document may be when it is used. An unwrapped data key may be as old again as the rest of the limit:
 *  the two add up, and a disabled root key must open nothing once `cacheSeconds` have passed. */
export const rootKeyCacheSeconds = ({ cacheSeconds }: Settings): number => Math.min(1, cacheSeconds)

function registrarOf(base: BaseContext, { store, keyService }: ObjectParts, registered: Registrations): Registrar {
  const { settings, clock, authority } = base
  const stateAt = settings.state === "local" || settings.store === "local" ? undefined : stateLocation(settings.state)
  return {
    keyService, authority, clock,
    bucketSettings: (bucket) => store.bucketSettings(bucket),
    sourceOf: (bucket) => bucketCrn(settings.account, settings.storeInstance, bucket),
    holdsState: (bucket, prefix) =>
      stateAt?.bucket === bucket && (stateAt.prefix.startsWith(prefix) || prefix.startsWith(stateAt.prefix)),
    registrationsOf: (bucket) => registered.list(bucket),
    async probe(bucket, signal) {
      const announce = (prefix: string) => base.log.info("probing a bucket by canaries, which are removed again", { bucket, prefix })
      const report = await probeAndKeep(base, store, bucket, { announce, signal })
      return (use) => judged(report, use)
    },
  }
}

const LEFT_MS = 3_600_000 // a probe takes seconds: what is older was left by one that was killed

/** Probes a bucket, once what killed probes have left there is removed, and keeps the report, with its date, as
 *  `probes/<bucket>.json`. Throws as `probe`. */
export async function probeAndKeep(
  { state, clock }: Pick<BaseContext, "state" | "clock">, store: Store, bucket: string, options: ProbeOptions,
): Promise<ProbeReport & { readonly probed: string }> {
  await removeLeftovers(store, { bucket, prefix: PROBE_PREFIX }, clock() - LEFT_MS)
  const report = { ...await probe(store, bucket, options), probed: new Date(clock()).toISOString() }
  const path = `probes/${bucket}.json`
  const present = await state.read(path, { parse: (value) => value })
  await (present ? state.replace(path, report, present.etag) : state.create(path, report)) // a newer report by another instance stays
  return report
}

/** Where `s3://bucket/prefix` is. The prefix ends with a slash unless it is empty. */
export function stateLocation(text: string): { readonly bucket: string; readonly prefix: string } {
  const [bucket = "", ...segments] = text.slice("s3://".length).split("/")
  const prefix = segments.filter((segment) => segment !== "").join("/")
  return { bucket, prefix: prefix === "" ? "" : `${prefix}/` }
}

/**
 * The state store in a bucket. It is probed first: on a store that ignores conditions two instances would overwrite each
 * other's root keys, and a lifecycle rule that expires the keyring loses all data. Throws `unsafe-store` or
 * `bucket-not-found`, saying what it did and what to do.
 */
export async function openState(store: Store, bucket: string, prefix: string): Promise<StateStore> {
  const settings = await store.bucketSettings(bucket)
  if (!settings) throw new Failure("bucket-not-found", `there is no bucket ${bucket} for the state`)
  const rules = settings.lifecycle === "unknown" ? [] : settings.lifecycle
  const rule = rules.find((one) => one.prefix.startsWith(prefix) || prefix.startsWith(one.prefix))
  if (rule) throw refusedState(bucket, `a lifecycle rule on prefix "${rule.prefix}" ${rule.effect} what is in it`)
  if (settings.defaultRetention === true) throw refusedState(bucket, "Object Lock would retain each version of what is in it")
  const form = stateFormFor(await probeState(store, bucket, prefix))
  if (isRefusal(form)) throw refusedState(bucket, form.because)
  return stateStore(store, { bucket, prefix, form })
}

const refusedState = (bucket: string, why: string) =>
  new Failure("unsafe-store", `bucket ${bucket} can't hold the state: ${why}; give another bucket by BUCKETSEAL_STATE`)
