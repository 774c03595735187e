import { Failure, type FailureCode } from "../errors.ts"
import type { WriteCondition } from "../ports.ts"

/** An answer of the store that is no success. */
export interface Refusal {
  readonly status: number
  /** The `Code` of the error document; empty where there is none, as in every answer to HEAD. */
  readonly code: string
  readonly headers: Readonly<NodeJS.Dict<string | string[]>>
  /** What the error document says of the bucket's region. */
  readonly region: string | undefined
}

// S3 reference, "Error responses". Messages are not looked at: Ceph RGW leaves them empty.
const byCode: Readonly<Record<string, FailureCode>> = {
  NoSuchBucket: "bucket-not-found",
  NoSuchKey: "not-found",
  NoSuchVersion: "not-found",
  NoSuchUpload: "not-found",
  PreconditionFailed: "precondition-failed",
  ConditionalRequestConflict: "conflict",
  OperationAborted: "conflict",
  BucketAlreadyExists: "conflict",
  BucketNotEmpty: "conflict",
  InvalidObjectState: "archived",
  AccessDenied: "forbidden",
  InvalidRange: "range-not-satisfiable",
  SlowDown: "throttled",
  TooManyRequests: "throttled",
  RequestLimitExceeded: "throttled",
}

// Not 404, which without its code may come from anything on the way and says nothing about an object.
const byStatus: Readonly<Record<number, FailureCode>> = {
  304: "not-modified",
  401: "forbidden",
  403: "forbidden",
  409: "conflict",
  412: "precondition-failed",
  416: "range-not-satisfiable",
  429: "throttled",
  501: "store-refused",
}

/** What a refusal means: by its code, else by its status. 5xx is `unavailable`: a write's effect is then unknown. */
export function failureOf(refusal: Refusal): Failure {
  const { status, code } = refusal
  const otherwise = status >= 500 ? "unavailable" : "store-refused"
  const meaning = byCode[code] ?? byStatus[status] ?? otherwise
  const requestId = refusal.headers["x-amz-request-id"]
  return new Failure(meaning, messages[meaning] ?? "the store refused the request", { status, code, requestId })
}

/** As `failureOf` a write. A missing key under `ifMatch` is a condition that doesn't hold: AWS says 404 NoSuchKey, others
 *  412. */
export function writeFailure(refusal: Refusal, condition: WriteCondition | undefined): Failure {
  const missing = refusal.code === "NoSuchKey" && condition !== undefined
  return failureOf(missing ? { ...refusal, status: 412, code: "PreconditionFailed" } : refusal)
}

const messages: Partial<Record<FailureCode, string>> = {
  "bucket-not-found": "there is no such bucket",
  "not-found": "there is no such object or upload",
  "precondition-failed": "the object is not in the state that was asked for",
  conflict: "another change was made at the same time, or stands against it",
  archived: "the object is archived and must be restored first",
  forbidden: "the store does not allow it: check the credentials and the bucket's policy",
  "range-not-satisfiable": "the range lies outside the object",
  throttled: "the store asks for fewer requests: try again later",
  "not-modified": "the object has not changed",
  unavailable: "the store failed to answer; whether a write took effect is unknown",
}
