/** The life of root keys: create, rotate, disable, enable, delete (Key Protect, key states and key rotation). */
import { randomUUID } from "node:crypto"
import { Failure, type FailureCode } from "../errors.ts"
import type { Clock, FieldSealer } from "../ports.ts"
import {
  demandState, stateOf, type RootKeyDocument, type RootKeyState, type RootKeyVersion,
} from "./root-key-document.ts"
import type { KeyInstance, RootKeyStore } from "./root-key-store.ts"

/** What a new root key is to be. The texts are checked by whoever took them in. */
export interface NewRootKey {
  readonly name: string
  readonly description?: string
  readonly tags: readonly string[]
  /** RFC 3339; from then on the key unwraps only. */
  readonly expires?: string
  /** Imported key material of 16, 24 or 32 bytes; without it 32 random bytes are made. The caller zeroes it. */
  readonly material?: Uint8Array
}

/** A root key without its material. */
export interface RootKey extends Omit<RootKeyDocument, "versions" | "state"> {
  readonly crn: string
  readonly state: RootKeyState
  /** Oldest first. */
  readonly versions: readonly Omit<RootKeyVersion, "material">[]
}

/** What can happen to root keys. `id` is a key's UUID, `by` the IAM id of who did it. An unknown key throws
 *  `key-not-found`, a state that does not allow the change `key-state` or `key-deleted`. Other instances see a
 *  change within the cache limit. */
export interface RootKeyLifecycle {
  /** Throws `bad-field` for material of another size. */
  create(wanted: NewRootKey, by: string): Promise<RootKey>
  /** The key as it is now. */
  get(id: string): Promise<RootKey>
  /** All keys, in ascending order of ids. */
  list(): AsyncIterable<RootKey>
  /** Adds a version, which wraps from now on; all versions go on unwrapping. Material must be given for an imported
   *  key, and only for one (`payload-required`, `bad-query`). Throws `key-rotation-too-early` before the waiting
   *  time is over. */
  rotate(id: string, material?: Uint8Array): Promise<RootKey>
  disable(id: string): Promise<RootKey>
  /** Throws `key-state` before the waiting time since `disable` is over. */
  enable(id: string): Promise<RootKey>
  /** Destroys the key for all uses. Its sealed material stays in the document, so that it can be restored. */
  delete(id: string, by: string): Promise<RootKey>
}

/** What the life of root keys takes. */
export interface LifecycleTools {
  readonly store: RootKeyStore
  readonly sealer: FieldSealer
  readonly instance: KeyInstance
  readonly clock: Clock
  readonly random: (size: number) => Uint8Array
  /** Seconds. */
  readonly waits: { readonly rotate: number; readonly enable: number }
}

const GENERATED_SIZE = 32 // a generated root key has 256 bits (Key Protect)

/** The life of the keys in this store. */
export function rootKeyLifecycle(tools: LifecycleTools): RootKeyLifecycle {
  const { store, sealer, instance, clock, waits } = tools
  const timestamp = () => new Date(clock()).toISOString()

  function newVersion(keyId: string, id: string, material: Uint8Array): RootKeyVersion {
    const bits = material.length * 8
    return { id, created: timestamp(), bits, material: sealer.seal(material, store.pathOf(keyId), id) }
  }

  /** Lends the given material, or fresh material that is zeroed afterwards. */
  async function withNewMaterial<T>(
    given: Uint8Array | undefined,
    use: (material: Uint8Array) => Promise<T>,
  ): Promise<T> {
    const made = given ? undefined : tools.random(GENERATED_SIZE)
    try {
      return await use(checkedMaterial(given ?? made))
    } finally {
      made?.fill(0)
    }
  }

  function view(document: RootKeyDocument): RootKey {
    const versions = document.versions.map(({ id, created, bits }) => ({ id, created, bits }))
    return { ...document, crn: instance.keyCrn(document.id), state: stateOf(document, clock()), versions }
  }

  async function change(
    id: string,
    states: readonly RootKeyState[],
    make: (old: RootKeyDocument) => Partial<RootKeyDocument>,
  ): Promise<RootKey> {
    return view(await store.change(id, (old) => {
      demandState(old, clock(), states)
      return { ...old, ...make(old), updated: timestamp() }
    }))
  }

  return {
    create: ({ material: given, ...texts }, by) => withNewMaterial(given, async (material) => {
      const id = randomUUID()
      const document: RootKeyDocument = {
        ...texts, id, tags: [...texts.tags], imported: given !== undefined, state: "active",
        created: timestamp(), createdBy: by, versions: [newVersion(id, id, material)],
      }
      await store.add(document)
      return view(document)
    }),
    get: async (id) => view(await store.fresh(id)),
    async *list() {
      for await (const document of store.all()) yield view(document)
    },
    rotate: (id, given) => withNewMaterial(given, (material) => change(id, ["active", "deactivated"], (old) => {
      demandSameOrigin(old, given !== undefined)
      demandWaited(old.rotated, waits.rotate, clock(), "key-rotation-too-early")
      return { versions: [...old.versions, newVersion(id, randomUUID(), material)], rotated: timestamp() }
    })),
    disable: (id) => change(id, ["active"], () => ({ state: "suspended", suspended: timestamp() })),
    enable: (id) => change(id, ["suspended"], (old) => {
      demandWaited(old.suspended, waits.enable, clock(), "key-state")
      return { state: "active" }
    }),
    delete: (id, by) => change(id, ["active", "suspended", "deactivated"], () => ({
      state: "destroyed", deleted: timestamp(), deletedBy: by,
    })),
  }
}

const PAYLOAD = { type: "field", name: "payload" } as const

function checkedMaterial(material: Uint8Array | undefined): Uint8Array {
  if (material && [16, 24, 32].includes(material.length)) return material
  throw new Failure("bad-field", "payload: root key material must have 16, 24 or 32 bytes", undefined, PAYLOAD)
}

function demandSameOrigin({ imported }: RootKeyDocument, given: boolean): void {
  if (imported === given) return
  if (imported) throw new Failure("payload-required", "rotating an imported key needs a payload", undefined, PAYLOAD)
  throw new Failure("bad-query", "a generated key is rotated without a payload", undefined, PAYLOAD)
}

function demandWaited(since: string | undefined, wait: number, now: number, code: FailureCode): void {
  if (since === undefined || now - Date.parse(since) >= wait * 1000) return
  throw new Failure(code, `too early: at least ${wait} seconds must pass since the last time`)
}
