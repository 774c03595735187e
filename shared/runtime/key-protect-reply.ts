/** Replies of Key Protect's v2 API. */

/** A response with a JSON body, never kept by caches: it may hold a data key. */
export function json(body: unknown, status = 200): Response {
  const headers = { "content-type": "application/json", "cache-control": "no-store" }
  return new Response(JSON.stringify(body), { status, headers })
}

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
