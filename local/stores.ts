/** Opens what the settings name: the object store, the state store, the master key. */
import { join } from "node:path"
import { credentialsFrom } from "../shared/contexts/credentials.ts"
import { remoteStore } from "../shared/contexts/remote-store.ts"
import { openState, stateLocation } from "../shared/contexts/state.ts"
import { Failure } from "../shared/errors.ts"
import { masterKeyFile } from "../shared/keys/master-key-file.ts"
import { parseMasterKey } from "../shared/keys/master-key.ts"
import type { StateStore, Store } from "../shared/ports.ts"
import type { Settings } from "../shared/settings.ts"
import { localStore } from "../shared/store/local.ts"
import { stateStore } from "../shared/store/state.ts"

/** Open stores. `where` says in words what is used, for whoever starts the stack. */
export interface Stores {
  readonly objects: Store
  readonly state: StateStore
  readonly where: { readonly objects: string; readonly state: string }
  close(): Promise<void>
}

/** Opens both stores. Throws `unsafe-store` where the state's bucket can't be trusted. */
export async function openStores(settings: Settings, environment: NodeJS.ProcessEnv): Promise<Stores> {
  const remote = settings.store === "s3" || settings.state !== "local" ? remoteStore(settings, credentialsFrom(environment)) : undefined
  const local = settings.store === "s3" ? undefined : await localStore(join(settings.data, "objects"))
  const kept = settings.state === "local"
    ? await localState(join(settings.data, "state"))
    : { state: await remoteState(remoteOf(remote), settings.state), close: () => Promise.resolve() }
  return {
    objects: local ?? remoteOf(remote),
    state: kept.state,
    where: {
      objects: settings.store === "s3" ? settings.s3Endpoint ?? "" : join(settings.data, "objects"),
      state: settings.state === "local" ? join(settings.data, "state") : settings.state,
    },
    async close() {
      await kept.close()
      await local?.close()
    },
  }
}

function remoteOf(remote: Store | undefined): Store {
  if (!remote) throw new Error("a remote store was not opened")
  return remote
}

const STATE_BUCKET = "state"

async function localState(folder: string) {
  const store = await localStore(folder)
  await store.createBucket(STATE_BUCKET)
  return { state: stateStore(store, { bucket: STATE_BUCKET, prefix: "" }), close: () => store.close() }
}

function remoteState(store: Store, location: string): Promise<StateStore> {
  const { bucket, prefix } = stateLocation(location)
  return openState(store, bucket, prefix)
}

/** The master keys: given by settings, or the file in the data folder, which is made only for a local state that is empty. */
export async function openMasterKeys(settings: Settings, state: StateStore): Promise<{ current: Uint8Array; old: Uint8Array[] }> {
  const old = settings.masterKeyOld === undefined ? [] : [parseMasterKey(settings.masterKeyOld, "masterKeyOld")]
  if (settings.masterKey !== undefined) return { current: parseMasterKey(settings.masterKey, "masterKey"), old }
  if (settings.masterKeyFile === undefined && settings.state !== "local") {
    throw new Failure("bad-field", "with state in a bucket the master key must be given: masterKey (BUCKETSEAL_MASTER_KEY) or masterKeyFile")
  }
  const empty = settings.state === "local" && (await state.list("", { limit: 1 })).paths.length === 0
  return { current: await masterKeyFile(settings.masterKeyFile ?? join(settings.data, "master.key"), { create: empty }), old }
}
