/** A data key as the state store keeps it: `data-keys/<id>.json`. Losing one loses objects: nothing here removes
 *  any. */
import * as z from "zod/mini"

/** The stored document: all strings, nothing secret. */
export const dataKeyDocument = z.object({
  id: z.string(),
  bucket: z.string(),
  /** Of the registration that it was made for. */
  prefix: z.string(),
  /** The resolved name of the root key, never an alias. */
  rootKey: z.string(),
  /** The root key version that wrapped it, where the key service has versions. */
  keyVersion: z.optional(z.string()),
  ciphertext: z.string(),
  /** RFC 3339, UTC. */
  created: z.string(),
})

export type DataKeyDocument = z.infer<typeof dataKeyDocument>

/** Which data key a sealed object's header names, and what the registration allows. */
export interface WantedDataKey {
  readonly id: string
  /** The bucket that the header names. */
  readonly bucket: string
  /** The root keys that the registration has or had. */
  readonly rootKeys: readonly string[]
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Where the document of a data key is, or `undefined` for an id that is no canonical lower-case UUID. */
export const dataKeyPath = (id: string): string | undefined => (UUID.test(id) ? `data-keys/${id}.json` : undefined)

/** What a data key is wrapped with: it can't stand in for another one, nor in another bucket. */
export const dataKeyAad = (id: string, bucket: string): readonly string[] => ["bucketseal/1", id, bucket]

/** True for a document that is the wanted one. The prefix is not compared: a registration may be redrawn, and its
 *  root keys say what belongs to it. */
export function isWanted(document: DataKeyDocument, { id, bucket, rootKeys }: WantedDataKey): boolean {
  return document.id === id && document.bucket === bucket && rootKeys.includes(document.rootKey)
}

/** True for two documents with the same content. */
export function sameDocument(one: DataKeyDocument, other: DataKeyDocument): boolean {
  const content = (document: DataKeyDocument) => JSON.stringify(Object.entries(document).sort())
  return content(one) === content(other)
}
