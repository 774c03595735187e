/** A root key as the state store keeps it: `root-keys/<instance>/<id>.json`, all versions in one document, so that
 *  compare-and-swap on it keeps every version. */
import * as z from "zod/mini"
import { Failure } from "../errors.ts"
import type { FieldSealer, RootKeyInfo } from "../ports.ts"

const version = z.object({
  id: z.string(),
  created: z.string(),
  /** Of the key material: 128, 192 or 256. */
  bits: z.number(),
  material: z.object({ masterKey: z.string(), sealed: z.string() }),
})

/** The stored document. Dates are RFC 3339 in UTC; `versions` are oldest first, and the first one's id is the key's. */
export const rootKeyDocument = z.object({
  id: z.string(),
  name: z.string(),
  description: z.optional(z.string()),
  tags: z.array(z.string()),
  imported: z.boolean(),
  /** As last set by somebody; whether the key has expired besides is `stateOf`'s to say. */
  state: z.enum(["active", "suspended", "destroyed"]),
  created: z.string(),
  createdBy: z.string(),
  updated: z.optional(z.string()),
  rotated: z.optional(z.string()),
  suspended: z.optional(z.string()),
  deleted: z.optional(z.string()),
  deletedBy: z.optional(z.string()),
  expires: z.optional(z.string()),
  versions: z.array(version).check(z.minLength(1)),
})

export type RootKeyDocument = z.infer<typeof rootKeyDocument>
/** One version of a root key: its material is sealed under the master key. */
export type RootKeyVersion = z.infer<typeof version>
/** The states a root key can be in (Key Protect, key states). */
export type RootKeyState = RootKeyInfo["state"]

/** The state at a moment (milliseconds since the epoch): a key past its expiry date is deactivated. */
export function stateOf(document: RootKeyDocument, now: number): RootKeyState {
  const expired = document.expires !== undefined && Date.parse(document.expires) <= now
  return expired && document.state !== "destroyed" ? "deactivated" : document.state
}

/** Throws `key-deleted` for a destroyed key and `key-state` for one in a state that is not among these. */
export function demandState(document: RootKeyDocument, now: number, states: readonly RootKeyState[]): void {
  const state = stateOf(document, now)
  if (states.includes(state)) return
  if (state === "destroyed") throw new Failure("key-deleted", "the root key is deleted")
  throw new Failure("key-state", `the root key is ${state}; this needs it ${states.join(" or ")}`)
}

/** The version that wraps. */
export function newestVersion(document: RootKeyDocument): RootKeyVersion {
  const newest = document.versions.at(-1)
  if (!newest) throw new Error("a root key without a version")
  return newest
}

/** Lends the material of a version to `use` and zeroes it afterwards: it is in memory for no longer than one operation.
 *  Throws `internal` where it does not open at this path. */
export function withMaterial<T>(
  sealer: FieldSealer,
  path: string,
  of: RootKeyVersion,
  use: (material: Uint8Array) => T,
): T {
  const material = sealer.open(of.material, path, of.id)
  try {
    return use(material)
  } finally {
    material.fill(0)
  }
}
