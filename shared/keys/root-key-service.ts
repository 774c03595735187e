/** The `KeyService` port over root key documents. */
import { IV_SIZE } from "../crypto/aead.ts"
import { Failure, isFailure } from "../errors.ts"
import type { Clock, FieldSealer, KeyService } from "../ports.ts"
import { openEnvelope, parseEnvelope, sealEnvelope, undecryptable, type Envelope } from "./envelope.ts"
import {
  demandState, newestVersion, stateOf, withMaterial,
  type RootKeyDocument, type RootKeyState, type RootKeyVersion,
} from "./root-key-document.ts"
import type { KeyInstance, RootKeyStore } from "./root-key-store.ts"

/** What using root keys takes. */
export interface RootKeyServiceTools {
  readonly store: RootKeyStore
  readonly sealer: FieldSealer
  readonly instance: KeyInstance
  readonly clock: Clock
  readonly random: (size: number) => Uint8Array
}

const WRAPPING: readonly RootKeyState[] = ["active"]
const UNWRAPPING: readonly RootKeyState[] = ["active", "deactivated"] // Key Protect, key states
const DATA_KEY_SIZE = 32 // bytes that Key Protect makes for a wrap without plaintext
const FOREIGN_HANDLES_TRIED = 16 // newest versions of an imported key; each costs two AES-GCM openings of a few bytes

/** Wraps and unwraps with the keys in this store. A `rootKey` that is no key CRN of the instance throws `bad-field`. */
export function rootKeyService(tools: RootKeyServiceTools): KeyService {
  const { store, sealer, instance, clock, random } = tools

  function idOf(rootKey: string): string {
    const prefix = instance.keyCrn("")
    if (rootKey.startsWith(prefix)) return rootKey.slice(prefix.length)
    throw new Failure("bad-field", `the root key must be a key of ${instance.crn}`)
  }

  /** No refusal is decided on an old document: somebody may have enabled the key since. */
  async function inState(id: string, states: readonly RootKeyState[]): Promise<RootKeyDocument> {
    const recent = await store.recent(id)
    return states.includes(stateOf(recent, clock())) ? recent : freshInState(id, states)
  }

  async function freshInState(id: string, states: readonly RootKeyState[]): Promise<RootKeyDocument> {
    const fresh = await store.fresh(id)
    demandState(fresh, clock(), states)
    return fresh
  }

  function wrapUnderNewest(document: RootKeyDocument, plaintext: Uint8Array, aad: readonly string[]) {
    const newest = newestVersion(document)
    const ciphertext = withMaterial(sealer, store.pathOf(document.id), newest, (material) =>
      sealEnvelope(material, newest.id, random(IV_SIZE), aad, plaintext))
    return { ciphertext, keyVersion: newest.id }
  }

  /** A version that the document does not have may be one that another instance has just made: looks once more. */
  async function openWithAny(rootKey: string, ciphertext: string, aad: readonly string[]) {
    const id = idOf(rootKey)
    const recent = await inState(id, UNWRAPPING)
    const envelope = parseEnvelope(ciphertext)
    const document = versionNamed(recent, envelope) ? recent : await freshInState(id, UNWRAPPING)
    for (const version of candidates(document, envelope)) {
      const plaintext = openUnder(document, version, envelope, aad)
      if (plaintext) return { document, plaintext, keyVersion: version.id }
    }
    throw undecryptable("no version of this root key opens it")
  }

  function openUnder(document: RootKeyDocument, version: RootKeyVersion, envelope: Envelope, aad: readonly string[]) {
    return withMaterial(sealer, store.pathOf(document.id), version, (material) => {
      try {
        return openEnvelope(material, envelope, aad)
      } catch (error) {
        if (isFailure(error, "undecryptable")) return undefined
        throw error
      }
    })
  }

  return {
    async describe(rootKey) {
      const document = await store.fresh(idOf(rootKey))
      return {
        id: rootKey, state: stateOf(document, clock()), keyVersion: newestVersion(document).id, region: instance.region,
      }
    },
    async generate(rootKey, aad) {
      const document = await inState(idOf(rootKey), WRAPPING)
      const plaintext = random(DATA_KEY_SIZE)
      return givingOut(plaintext, () => ({ ...wrapUnderNewest(document, plaintext, aad), plaintext }))
    },
    async wrap(rootKey, plaintext, aad) {
      return wrapUnderNewest(await inState(idOf(rootKey), WRAPPING), plaintext, aad)
    },
    async unwrap(rootKey, ciphertext, aad) {
      const { document, plaintext, keyVersion } = await openWithAny(rootKey, ciphertext, aad)
      if (keyVersion === newestVersion(document).id) return { plaintext, keyVersion }
      return givingOut(plaintext, () => {
        return { plaintext, keyVersion, rewrapped: wrapUnderNewest(document, plaintext, aad) }
      })
    },
    async rewrap(rootKey, ciphertext, aad) {
      const { document, plaintext, keyVersion } = await openWithAny(rootKey, ciphertext, aad)
      try {
        return { ...wrapUnderNewest(document, plaintext, aad), previousVersion: keyVersion }
      } finally {
        plaintext.fill(0)
      }
    },
  }
}

/** Zeroes a plaintext that `make` failed to hand on. */
function givingOut<T>(plaintext: Uint8Array, make: () => T): T {
  try {
    return make()
  } catch (error) {
    plaintext.fill(0)
    throw error
  }
}

const versionNamed = (document: RootKeyDocument, { handle }: Envelope) =>
  document.versions.find((version) => version.id === handle)

/** The version that the handle names, and no other. A handle of another key can only fit where both were imported
 *  from the same material; a generated key shares its material with none. */
function candidates(document: RootKeyDocument, envelope: Envelope): readonly RootKeyVersion[] {
  const named = versionNamed(document, envelope)
  if (named) return [named]
  return document.imported ? document.versions.slice(-FOREIGN_HANDLES_TRIED).reverse() : []
}
