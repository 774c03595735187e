/** The errors that the endpoint answers with, as the S3 reference ("Error responses") names them. */
import { Failure, type FailureCode } from "../../shared/errors.ts"
import type { Element } from "./xml.ts"

const table = {
  AccessControlListNotSupported: [400, "The bucket does not allow ACLs."],
  AccessDenied: [403, "Access Denied"],
  AuthorizationHeaderMalformed: [400, "The authorization header that you provided is not valid."],
  AuthorizationQueryParametersError: [400, "The query parameters of the presigned request are not valid."],
  BadDigest: [400, "The Content-MD5 or checksum value that you specified did not match what the server received."],
  BadRequest: [400, "Bad Request"],
  BucketAlreadyExists: [409, "The requested bucket name is not available."],
  BucketNotEmpty: [409, "The bucket that you tried to delete is not empty."],
  ConditionalRequestConflict: [409, "A conflicting operation occurred during the request. Retry the request."],
  EntityTooLarge: [400, "Your proposed upload exceeds the maximum allowed object size."],
  EntityTooSmall: [400, "Your proposed upload is smaller than the minimum allowed object size."],
  ExpiredToken: [400, "The provided token has expired."],
  IllegalLocationConstraintException: [400, "The location constraint is not this endpoint's region."],
  IncompleteBody: [400, "You did not provide the number of bytes specified by the Content-Length HTTP header."],
  InternalError: [500, "An internal error occurred. Try again."],
  InvalidAccessKeyId: [403, "The access key ID that you provided does not exist in our records."],
  InvalidArgument: [400, "Invalid Argument"],
  InvalidBucketName: [400, "The specified bucket is not valid."],
  InvalidDigest: [400, "The Content-MD5 value that you specified is not valid."],
  InvalidObjectState: [403, "The operation is not valid for the object's storage class."],
  InvalidPart: [400, "One or more of the specified parts could not be found, or has another entity tag."],
  InvalidPartNumber: [416, "The requested partnumber is not satisfiable"],
  InvalidPartOrder: [400, "The list of parts was not in ascending order."],
  InvalidRange: [416, "The requested range is not satisfiable."],
  InvalidRequest: [400, "Invalid Request"],
  InvalidStorageClass: [400, "The storage class that you specified is not valid."],
  InvalidTag: [400, "The tag provided was not a valid tag."],
  InvalidURI: [400, "The specified URI couldn't be parsed."],
  KeyTooLongError: [400, "Your key is too long."],
  MalformedTrailerError: [400, "The request's trailers were not well-formed or did not match x-amz-trailer."],
  MalformedXML: [400, "The XML that you provided was not well-formed or is not what this operation takes."],
  MaxMessageLengthExceeded: [400, "Your request was too large."],
  MetadataTooLarge: [400, "Your metadata headers exceed the maximum allowed metadata size."],
  MethodNotAllowed: [405, "The specified method is not allowed against this resource."],
  MissingContentLength: [411, "You must provide the Content-Length HTTP header."],
  NoSuchBucket: [404, "The specified bucket does not exist."],
  NoSuchKey: [404, "The specified key does not exist."],
  NoSuchUpload: [404, "The specified multipart upload does not exist."],
  NoSuchVersion: [404, "The specified version does not exist."],
  NoSuchBucketPolicy: [404, "The bucket policy does not exist"],
  NoSuchCORSConfiguration: [404, "The CORS configuration does not exist"],
  NoSuchLifecycleConfiguration: [404, "The lifecycle configuration does not exist"],
  NotImplemented: [501, "The request needs something that this endpoint does not implement."],
  ObjectLockConfigurationNotFoundError: [404, "Object Lock configuration does not exist for this bucket"],
  PreconditionFailed: [412, "At least one of the preconditions that you specified did not hold."],
  ReplicationConfigurationNotFoundError: [404, "The replication configuration was not found"],
  RequestTimeTooSkewed: [403, "The difference between the request time and the server's time is too large."],
  ServiceUnavailable: [503, "Service is unable to handle request."],
  SignatureDoesNotMatch: [403, "The signature that was calculated does not match the one that you provided."],
  XAmzContentSHA256Mismatch: [400, "The provided x-amz-content-sha256 header does not match what was computed."],
} as const satisfies Record<string, readonly [status: number, message: string]>

/** The error codes of the S3 reference that this endpoint gives. */
export type S3Code = keyof typeof table

type Headers = Readonly<Record<string, string | undefined>>

/** A request refused in S3's words. `details` become further elements of the answer's XML, `headers` its headers. */
export class S3Error extends Error {
  readonly code: S3Code
  readonly status: number
  readonly details: readonly Element[]
  readonly headers: Headers

  constructor(code: S3Code, message: string = table[code][1], details: readonly Element[] = [], headers: Headers = {}) {
    super(message)
    this.name = "S3Error"
    this.code = code
    this.status = table[code][0]
    this.details = details
    this.headers = headers
  }
}

/** What a store's failure means at an operation, where it is not what `ofStore` says. */
export type FailureMeanings = Partial<Record<FailureCode, S3Code>>

const ofStore: FailureMeanings = {
  "bucket-not-found": "NoSuchBucket",
  "not-found": "NoSuchUpload",
  "precondition-failed": "PreconditionFailed",
  "range-not-satisfiable": "InvalidRange",
  conflict: "ConditionalRequestConflict",
  forbidden: "AccessDenied",
  archived: "InvalidObjectState",
  "bad-body": "InvalidArgument",
  "bad-field": "InvalidArgument",
  "bad-query": "InvalidArgument",
  "too-large": "EntityTooLarge",
  "not-implemented": "NotImplemented",
  "store-refused": "InvalidRequest",
  throttled: "ServiceUnavailable",
  unavailable: "ServiceUnavailable",
}

const saysLittle: readonly S3Code[] = ["InvalidArgument", "InvalidRequest"]

/** Any error as an S3 error; what was not expected becomes `InternalError` and tells nothing more. */
export function s3ErrorOf(error: unknown, meanings: FailureMeanings = {}): S3Error {
  if (error instanceof S3Error) return error
  if (!(error instanceof Failure)) return new S3Error("InternalError")
  const code = meanings[error.code] ?? ofStore[error.code] ?? "InternalError"
  return saysLittle.includes(code) ? new S3Error(code, error.message) : new S3Error(code)
}
