/** The state store in a bucket. */
import * as z from "zod/mini"
import { Failure } from "../errors.ts"
import type { Clock, EtagForm, StateStore, Store } from "../ports.ts"
import { probeState } from "../store/probe.ts"
import { stateStore } from "../store/state.ts"
import { isRefusal, stateFormFor } from "../store/strategy.ts"

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
  return stateStore(store, { bucket, prefix, form: await probedForm(store, bucket, prefix) })
}

const PROBED = "state-probe.json"
const DAY_MS = 86_400_000 // as often as every bucket's probe is repeated

const probedBefore = z.object({ form: z.enum(["quoted", "unquoted"]), probed: z.string() })

/** As `openState`, for instances that start often: what a probe found is kept beside the state for a day, so that most
 *  starts cost one request. */
export async function openProbedState(store: Store, bucket: string, prefix: string, clock: Clock): Promise<StateStore> {
  const known = await stateStore(store, { bucket, prefix }).read(PROBED, probedBefore)
  const age = known ? clock() - Date.parse(known.value.probed) : Number.NaN
  if (known && age >= 0 && age < DAY_MS) return stateStore(store, { bucket, prefix, form: known.value.form })
  const form = await probedForm(store, bucket, prefix)
  const state = stateStore(store, { bucket, prefix, form })
  const found = { form, probed: new Date(clock()).toISOString() }
  await (known ? state.replace(PROBED, found, known.etag) : state.create(PROBED, found)) // another instance's, if any, stays
  return state
}

async function probedForm(store: Store, bucket: string, prefix: string): Promise<EtagForm> {
  const settings = await store.bucketSettings(bucket)
  if (!settings) throw new Failure("bucket-not-found", `there is no bucket ${bucket} for the state`)
  const rules = settings.lifecycle === "unknown" ? [] : settings.lifecycle
  const rule = rules.find((one) => one.prefix.startsWith(prefix) || prefix.startsWith(one.prefix))
  if (rule) throw refusedState(bucket, `a lifecycle rule on prefix "${rule.prefix}" ${rule.effect} what is in it`)
  if (settings.defaultRetention === true) throw refusedState(bucket, "Object Lock would retain each version of what is in it")
  const form = stateFormFor(await probeState(store, bucket, prefix))
  if (isRefusal(form)) throw refusedState(bucket, form.because)
  return form
}

const refusedState = (bucket: string, why: string) =>
  new Failure("unsafe-store", `bucket ${bucket} can't hold the state: ${why}; give another bucket by BUCKETSEAL_STATE`)
