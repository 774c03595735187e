/** Root keys of our own: sealed under the master key, kept in the state store, with Key Protect's states and
 *  versions. */
import type { Clock, FieldSealer, KeyService, StateStore } from "../ports.ts"
import { rootKeyLifecycle, type RootKeyLifecycle } from "./root-key-lifecycle.ts"
import { rootKeyService } from "./root-key-service.ts"
import { rootKeyStore, type KeyInstance } from "./root-key-store.ts"

/** The root keys of one instance: using them (by CRN) and their life (by id). */
export interface RootKeys extends KeyService, RootKeyLifecycle {
  readonly instance: KeyInstance
}

/** What the embedded key service works with. */
export interface EmbeddedOptions {
  readonly state: StateStore
  readonly sealer: FieldSealer
  readonly instance: KeyInstance
  readonly clock: Clock
  /** Fresh random bytes of the size asked for, in memory of their own: they are overwritten after use. */
  readonly random: (size: number) => Uint8Array
  /** How old a key's document may be when the key is used, in seconds. `describe` and every change look at it as it
   *  is. */
  readonly cacheSeconds: number
  /** Seconds between two rotations (Key Protect: 3,600) and from disable to enable (30). */
  readonly waits: { readonly rotate: number; readonly enable: number }
}

/** Root keys in this state store, under this master key. Their material is in memory only while one operation uses
 *  it. */
export function embedded(options: EmbeddedOptions): RootKeys {
  const { state, instance, cacheSeconds, clock } = options
  const store = rootKeyStore(state, instance.id, cacheSeconds, clock)
  const tools = { ...options, store }
  return { instance, ...rootKeyService(tools), ...rootKeyLifecycle(tools) }
}
