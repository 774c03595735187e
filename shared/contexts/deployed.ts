/** What every deployed function begins with: its settings, and the stores that they name. It keeps nothing on its own machine. */
import { randomBytes } from "node:crypto"
import { Failure } from "../errors.ts"
import { fieldSealer, parseMasterKey } from "../keys/master-key.ts"
import type { Clock, FieldSealer, Log, StateStore, Store } from "../ports.ts"
import { jsonLog } from "../runtime/log.ts"
import { parseSettings, settingsFrom, type Settings } from "../settings.ts"
import { credentialsFrom } from "./credentials.ts"
import { remoteStore } from "./remote-store.ts"
import { openProbedState, stateLocation } from "./state.ts"

/** By the names of an environment: `BUCKETSEAL_…`, and `AWS_…` for credentials. */
export type Variables = Readonly<Record<string, unknown>>

/** What the contexts of deployed functions are built on. */
export interface Deployed {
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
  readonly state: StateStore
  readonly store: Store
}

/** Opens it. The log goes to standard error. Throws `bad-field` for settings that are wrong, or name a folder of this machine;
 *  `unsafe-store` or `bucket-not-found` where the state's bucket can't be trusted. */
export async function openDeployed(variables: Variables): Promise<Deployed> {
  const settings = parseSettings(settingsFrom(variables))
  if (settings.store !== "s3" || settings.state === "local") {
    throw new Failure("bad-field", "a deployed function keeps nothing of its own: set BUCKETSEAL_STORE=s3 and BUCKETSEAL_STATE=s3://bucket/prefix")
  }
  const clock = Date.now
  const log = jsonLog((line) => void process.stderr.write(`${line}\n`), settings.logLevel, clock)
  const store = remoteStore(settings, credentialsFrom(variables))
  const { bucket, prefix } = stateLocation(settings.state)
  return { settings, clock, log, store, state: await openProbedState(store, bucket, prefix, clock) }
}

/** Opens sealed fields of the state. Throws `bad-field` where the master key is not given, or is none. */
export function sealerOf({ masterKey, masterKeyOld }: Settings): FieldSealer {
  if (masterKey === undefined) throw new Failure("bad-field", "masterKey (BUCKETSEAL_MASTER_KEY) is needed: the root keys are sealed under it")
  const old = masterKeyOld === undefined ? [] : [parseMasterKey(masterKeyOld, "masterKeyOld")]
  return fieldSealer(parseMasterKey(masterKey, "masterKey"), old, randomBytes)
}
