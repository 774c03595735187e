/** Root keys in the words of Key Protect's API: the resource it answers with, and the one it creates keys from. */
import * as z from "zod/mini"
import { decodeBase64 } from "../crypto/base64.ts"
import { Failure, type FailureCode } from "../errors.ts"
import type { RootKeyState } from "./root-key-document.ts"
import type { NewRootKey, RootKey } from "./root-key-lifecycle.ts"

/** Key Protect's numbers for the states of a key. There is no 4. */
export const STATE_NUMBERS: Readonly<Record<RootKeyState, number>> = {
  active: 1, suspended: 2, deactivated: 3, destroyed: 5,
}

const KEY_TYPE = "application/vnd.ibm.kms.key+json"

/** A key as `GET /keys/:id` shows it. `deleted` is there even when false: the Go client's users dereference it. */
export function keyResourceOf(key: RootKey): Record<string, unknown> {
  const newest = key.versions.at(-1)
  return {
    type: KEY_TYPE, id: key.id, name: key.name, description: key.description, tags: key.tags, aliases: [],
    crn: key.crn, keyRingID: "default", extractable: false, imported: key.imported,
    state: STATE_NUMBERS[key.state], expirationDate: key.expires,
    deleted: key.state === "destroyed", deletionDate: key.deleted, deletedBy: key.deletedBy,
    creationDate: key.created, createdBy: key.createdBy, lastUpdateDate: key.updated, lastRotateDate: key.rotated,
    algorithmType: "AES", algorithmMetadata: { bitLength: String(newest?.bits), mode: "GCM" },
    algorithmMode: "Deprecated",
    keyVersion: newest && { id: newest.id, creationDate: newest.created },
    dualAuthDelete: { enabled: false },
  }
}

const text = (least: number, most: number) => z.string().check(z.minLength(least), z.maxLength(most))
const tag = text(1, 30).check(z.regex(/^[^<>,:&|]*$/, "must hold none of < > , : & |"))

/** Member names are lower-case here: clients differ in case. */
const createBody = z.object({
  metadata: z.object({ collectiontype: text(1, 100), collectiontotal: z.number() }),
  resources: z.array(z.record(z.string(), z.unknown())),
})
const createResource = z.object({
  name: text(2, 90),
  description: z.optional(text(0, 240)),
  tags: z.optional(z.array(tag).check(z.maxLength(30))),
  aliases: z.optional(z.array(z.string())),
  expirationdate: z.optional(z.iso.datetime({ offset: true })),
  extractable: z.boolean(),
  payload: z.optional(z.string()),
  encryptednonce: z.optional(z.string()),
})

/** What a create or import asks for, from a body with lower-case member names. Throws the zod error of a wrong shape,
 *  `collection-total`, `one-resource`, `bad-field`, and `not-implemented` for what is not offered. The caller zeroes
 *  `material`. */
export function parseNewRootKey(body: unknown, now: number): NewRootKey {
  const { metadata, resources } = createBody.parse(body)
  const [resource] = resources
  if (metadata.collectiontotal !== resources.length) {
    throw new Failure("collection-total", "metadata.collectionTotal isn't the number of resources")
  }
  if (resource === undefined || resources.length > 1) throw new Failure("one-resource", "give exactly one key")
  return toNewRootKey(createResource.parse(resource), now)
}

function toNewRootKey(resource: z.infer<typeof createResource>, now: number): NewRootKey {
  if (resource.extractable) throw wrong("extractable", "standard keys aren't offered: give false", "not-implemented")
  if (resource.encryptednonce !== undefined) throw wrong("encryptedNonce", "isn't offered", "not-implemented")
  if ((resource.aliases ?? []).length > 0) throw wrong("aliases", "aren't offered", "not-implemented")
  const { name, description, tags = [], expirationdate, payload } = resource
  return {
    name,
    tags,
    ...(description === undefined ? {} : { description }),
    ...(expirationdate === undefined ? {} : { expires: futureDate(expirationdate, now) }),
    ...(payload === undefined ? {} : { material: materialOf(payload) }),
  }
}

function futureDate(date: string, now: number): string {
  if (Date.parse(date) > now) return new Date(date).toISOString()
  throw wrong("expirationDate", "must be in the future")
}

/** Imported root key material from a `payload` field. Throws `bad-field` for what is not base64. */
export function materialOf(payload: string): Uint8Array {
  const material = decodeBase64(payload)
  if (material) return material
  throw wrong("payload", "must be base64")
}

function wrong(name: string, rule: string, code: FailureCode = "bad-field"): Failure {
  return new Failure(code, `${name}: ${rule}`, undefined, { type: "field", name })
}
