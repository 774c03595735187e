/** The master key: it seals the secret fields of state documents, and each sealed field names it. */
import { createHmac } from "node:crypto"
import { IV_SIZE, openSecret, sealSecret } from "../crypto/aead.ts"
import { decodeBase64, encodeBase64 } from "../crypto/base64.ts"
import { Failure, isFailure } from "../errors.ts"
import type { FieldSealer, StateStore } from "../ports.ts"

/** Bytes of a master key. */
export const MASTER_KEY_SIZE = 32

/** What sealed fields call a master key: it identifies the key and tells nothing about it. */
export function masterKeyId(masterKey: Uint8Array): string {
  const id = createHmac("sha256", masterKey).update("bucketseal/master-key-id").digest()
  return id.toString("hex", 0, 8) // `SealedField`'s promise
}

/** A master key as settings and files hold it: one line of base64 of 32 bytes. Throws `bad-field` naming `source`. */
export function parseMasterKey(text: string, source: string): Uint8Array {
  const masterKey = decodeBase64(text.trim())
  if (masterKey?.length === MASTER_KEY_SIZE) return masterKey
  masterKey?.fill(0)
  throw new Failure("bad-field", `${source} must be base64 of ${MASTER_KEY_SIZE} bytes (openssl rand -base64 32)`)
}

/** Seals under `current` with IVs from `random` (fresh random bytes of the size asked for); opens under `current`
 *  and `old`. */
export function fieldSealer(
  current: Uint8Array,
  old: readonly Uint8Array[],
  random: (size: number) => Uint8Array,
): FieldSealer {
  const masterKeys = new Map([...old, current].map((masterKey) => [masterKeyId(masterKey), masterKey] as const))
  const masterKey = masterKeyId(current)
  return {
    seal(plaintext, path, version) {
      const iv = random(IV_SIZE)
      const ciphertext = sealSecret(current, iv, fieldAad(path, version), plaintext)
      return { masterKey, sealed: encodeBase64(Buffer.concat([iv, ciphertext])) }
    },
    open(field, path, version) {
      const named = masterKeys.get(field.masterKey)
      if (!named) throw brokenField(`${path} is sealed under master key ${field.masterKey}, which was not given`)
      const bytes = decodeBase64(field.sealed) ?? Buffer.alloc(0)
      try {
        return openSecret(named, bytes.subarray(0, IV_SIZE), fieldAad(path, version), bytes.subarray(IV_SIZE))
      } catch (cause) {
        throw isFailure(cause) ? brokenField(`a sealed field of ${path}, version ${version}, does not open`) : cause
      }
    },
  }
}

/** Design §6: no sealed field opens in another document or version. */
const fieldAad = (path: string, version: string) => Buffer.from(JSON.stringify(["bucketseal/state", path, version]))

function brokenField(why: string): Failure {
  return new Failure("internal", "a secret of this server can't be opened; its log says which", why)
}

const CHECKED = 20 // documents a folder: enough to meet a foreign key, few enough to start quickly

/**
 * Refuses to go on with the wrong master key: looks at the first documents of `root-keys/` and `signing-keys/`, reads
 * only, and throws `bad-field` if one names a master key other than these. An empty state store passes.
 */
export async function refuseForeignState(state: StateStore, masterKeys: readonly Uint8Array[]): Promise<void> {
  const given = masterKeys.map(masterKeyId)
  for (const folder of ["root-keys/", "signing-keys/"]) {
    const { paths } = await state.list(folder, { limit: CHECKED })
    for (const path of paths) {
      const document = await state.read(path, { parse: (value) => value })
      const foreign = masterKeysIn(document?.value).find((id) => !given.includes(id))
      if (foreign) throw foreignState(path, foreign, given)
    }
  }
}

/** The names of all master keys in a document, wherever its sealed fields stand. */
function masterKeysIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    name === "masterKey" && typeof member === "string" ? [member] : masterKeysIn(member))
}

function foreignState(path: string, foreign: string, given: readonly string[]): Failure {
  return new Failure("bad-field", [
    `wrong master key: ${path} is sealed under master key ${foreign}, given is ${given.join(" and ")}.`,
    "Give this state store's own master key (MASTER_KEY or MASTER_KEY_FILE), or a former one as MASTER_KEY_OLD.",
    "Nothing was changed.",
  ].join(" "))
}
