/** What the functions on objects are given. */
import type { FunctionContext, JobsContext } from "../context.ts"
import { bucketCrn } from "../iam/crn.ts"
import { dataKeys, type DataKeys } from "../keys/data-keys.ts"
import type { Registrar } from "../objects/register.ts"
import { registrations, type Registrations } from "../objects/registrations.ts"
import type { KeyService, Store } from "../ports.ts"
import { PROBE_PREFIX, probe, type ProbeOptions } from "../store/probe.ts"
import { removeLeftovers } from "../store/probe-removal.ts"
import type { ProbeReport } from "../store/probe-report.ts"
import { judged } from "../store/store-facts.ts"
import { rootKeyCacheSeconds } from "./root-keys.ts"
import { stateLocation } from "./state.ts"

/** What the object functions are built on. */
export interface ObjectParts {
  readonly store: Store
  readonly keyService: KeyService
  readonly random: (size: number) => Uint8Array
}

const SEALING_LEASE_MS = 60_000 // after a crash a sealing that takes several writes waits this long; clocks may differ by a sixth

/** Adds what the functions on objects need. `close` zeroes the keys in memory. */
export function withObjects<Base extends FunctionContext>(base: Base, parts: ObjectParts): Base & JobsContext & { close(): void } {
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

function keyringOf({ settings, state, clock }: FunctionContext, keyService: KeyService): DataKeys {
  const limits = { objects: settings.dekObjects, bytes: settings.dekBytes, seconds: settings.dekSeconds }
  const cacheSeconds = settings.cacheSeconds - rootKeyCacheSeconds(settings)
  return dataKeys({ state, keyService, clock, limits, cacheSeconds, canUnwrap: true })
}

function registrarOf(base: FunctionContext, { store, keyService }: ObjectParts, registered: Registrations): Registrar {
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
  { state, clock }: Pick<FunctionContext, "state" | "clock">, store: Store, bucket: string, options: ProbeOptions,
): Promise<ProbeReport & { readonly probed: string }> {
  await removeLeftovers(store, { bucket, prefix: PROBE_PREFIX }, clock() - LEFT_MS)
  const report = { ...await probe(store, bucket, options), probed: new Date(clock()).toISOString() }
  const path = `probes/${bucket}.json`
  const present = await state.read(path, { parse: (value) => value })
  await (present ? state.replace(path, report, present.etag) : state.create(path, report)) // a newer report by another instance stays
  return report
}
