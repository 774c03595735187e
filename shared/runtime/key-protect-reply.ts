/** Replies of Key Protect's v2 API. */
import { json } from "./body.ts"

/** A JSON response that no cache keeps: it may hold a data key. */
export const uncachedJson = (status: number, value: unknown): Response =>
  json(status, value, { "cache-control": "no-store" })

/** A response without a body. */
export const noContent = (): Response => new Response(null, { status: 204 })

/** Key Protect's collection of resources. `kind` is the part of its media type after `application/vnd.ibm.kms.`. */
export function collection(
  kind: string,
  resources: readonly unknown[],
  metadata: Readonly<Record<string, unknown>> = {},
): unknown {
  const collectionType = `application/vnd.ibm.kms.${kind}+json`
  return { metadata: { collectionType, collectionTotal: resources.length, ...metadata }, resources }
}
