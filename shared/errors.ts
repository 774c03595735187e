/**
 * The one error class. `code` says what went wrong; the table below gives the HTTP status and, where the
 * Key Protect API has one, its reason code (Key Protect v2, error messages reference).
 */

const table = {
  "bad-body": [400, "BAD_BODY_ERR"],
  "no-body": [400, "NO_BODY_ERR"],
  "bad-field": [400, "INVALID_FIELD_ERR"],
  "bad-query": [400, "INVALID_QUERY_PARAM_ERR"],
  "collection-total": [400, "COLLECTION_TOTAL_MISMATCH_ERR"],
  "one-resource": [400, "NUM_COLLECTION_RESOURCE_ERR"],
  "not-a-root-key": [400, "KEY_ROOT_REQ_ERR"],
  "payload-required": [400, "KEY_PAYLOAD_REQ_ERR"],
  unauthorized: [401, "UNAUTHORIZED_ERR"],
  forbidden: [403, "FORBIDDEN_ERR"],
  "not-found": [404, "NOT_FOUND_ERR"],
  "key-not-found": [404, "KEY_NOT_FOUND_ERR"],
  "bucket-not-found": [404, "BUCKET_NOT_FOUND_ERR"],
  "method-not-allowed": [405, "METHOD_NOT_ALLOWED_ERR"],
  conflict: [409, "CONFLICT_ERR"],
  "key-state": [409, "KEY_ACTION_INVALID_STATE_ERR"],
  "key-in-use": [409, "PROTECTED_RESOURCE_ERR"],
  "key-rotation-too-early": [409, "KEY_ROTATION_NOT_PERMITTED"],
  moved: [409, "OBJECT_MOVED_ERR"],
  "unsafe-store": [409, "STORE_UNSAFE_ERR"],
  "key-deleted": [410, "KEY_DELETED_ERR"],
  "not-modified": [304, "NOT_MODIFIED"],
  "precondition-failed": [412, "PRECONDITION_FAILED_ERR"],
  "too-large": [413, "BODY_TOO_LARGE_ERR"],
  "range-not-satisfiable": [416, "RANGE_ERR"],
  undecryptable: [422, "UNPROCESSABLE_CIPHERTEXT_ERR"],
  archived: [409, "OBJECT_ARCHIVED_ERR"],
  throttled: [429, "TOO_MANY_REQUESTS_ERR"],
  internal: [500, "INTERNAL_ERR"],
  "not-implemented": [501, "NOT_IMPLEMENTED_ERR"],
  "store-refused": [502, "STORE_REFUSED_ERR"],
  unavailable: [503, "UNAVAILABLE_ERR"],
} as const satisfies Record<string, readonly [status: number, reason: string]>

/** What can go wrong, as a closed union. */
export type FailureCode = keyof typeof table

/**
 * An expected failure. `message` may be shown to a caller and says what to do; everything else (identifiers, a store's
 * answer, an inner error) goes in `cause`, which is logged and never sent. No message or cause holds key material.
 */
export class Failure extends Error {
  readonly code: FailureCode
  /** The request field or query parameter at fault, where there is one. */
  readonly target?: FailureTarget
  /** Headers that an HTTP answer must carry with this status (Allow, Content-Range). */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: FailureCode, message: string, cause?: unknown, target?: FailureTarget, headers: Readonly<Record<string, string>> = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = "Failure"
    this.code = code
    if (target) this.target = target
    this.headers = headers
  }
}

/** Which part of a request a failure is about (Key Protect's `target`). */
export interface FailureTarget {
  readonly type: "field" | "query_param" | "header"
  readonly name: string
}

/** The HTTP status of a code. */
export const statusOf = (code: FailureCode): number => table[code][0]

/** The reason code of a code, as Key Protect's error bodies carry it. */
export const reasonOf = (code: FailureCode): string => table[code][1]

/** True for a `Failure` with one of these codes. */
export function isFailure(error: unknown, ...codes: FailureCode[]): error is Failure {
  return error instanceof Failure && (codes.length === 0 || codes.includes(error.code))
}
