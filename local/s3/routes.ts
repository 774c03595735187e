/**
 * The operations, as data. S3 tells operations of one method apart by query parameters, so a parameter that is not
 * named here must never fall through to the plain verb: `DELETE /bucket?policy` is no `DELETE /bucket`.
 */
import {
  createBucket, deleteBucket, getBucketLocation, getBucketVersioning, headBucket, listBuckets, listParameters,
  putBucketVersioning,
} from "./buckets.ts"
import type { Answer, Call, Endpoint } from "./call.ts"
import { completeMultipartUpload } from "./complete.ts"
import { uploadPartCopy } from "./copy-part.ts"
import { copyObject } from "./copy.ts"
import { deleteObject, deleteObjects } from "./delete.ts"
import { S3Error, type FailureMeanings } from "./errors.ts"
import { listMultipartUploads, listParts } from "./list-uploads.ts"
import { listObjectVersions } from "./list-versions.ts"
import { listObjects, listObjectsV2 } from "./list.ts"
import { abortMultipartUpload, createMultipartUpload, uploadPart } from "./multipart.ts"
import { getObject, headObject, responseOverrides } from "./objects.ts"
import { v2Parameters } from "./presigned-v2.ts"
import { putObject } from "./put.ts"
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from "./tags.ts"
import { getObjectAcl, getUnset, unsetParameters } from "./unset.ts"

/** One operation of S3. */
export interface Route {
  readonly method: string
  readonly on: "service" | "bucket" | "object"
  /** The parameters that make it this operation. */
  readonly where?: readonly string[]
  /** The parameters that it may have beside. */
  readonly may?: readonly string[]
  /** The headers that only it may have; the first one makes it this operation. */
  readonly by?: readonly string[]
  /** The headers that it must not have, since what they ask is not done here. */
  readonly without?: readonly string[]
  /** What a store's failures mean here. */
  readonly failures?: FailureMeanings
  readonly run: (call: Call, endpoint: Endpoint) => Promise<Answer>
}

const listing = ["prefix", "delimiter", "max-keys", "encoding-type"]
const reading = ["versionId", "partNumber", ...responseOverrides]
const copying = ["", "-if-match", "-if-none-match", "-if-modified-since", "-if-unmodified-since"]
  .map((condition) => `x-amz-copy-source${condition}`)

const routes: readonly Route[] = [
  { method: "GET", on: "service", may: listParameters, run: listBuckets },

  {
    method: "PUT", on: "bucket", run: createBucket,
    failures: { conflict: "BucketAlreadyExists", "store-refused": "InvalidBucketName" },
  },
  { method: "HEAD", on: "bucket", run: headBucket },
  { method: "DELETE", on: "bucket", failures: { conflict: "BucketNotEmpty" }, run: deleteBucket },
  { method: "GET", on: "bucket", where: ["location"], run: getBucketLocation },
  { method: "GET", on: "bucket", where: ["versioning"], run: getBucketVersioning },
  { method: "PUT", on: "bucket", where: ["versioning"], run: putBucketVersioning },
  { method: "GET", on: "bucket", may: [...listing, "marker"], run: listObjects },
  {
    method: "GET", on: "bucket", where: ["list-type"], run: listObjectsV2,
    may: [...listing, "continuation-token", "start-after", "fetch-owner"],
    failures: { "store-refused": "InvalidArgument" }, // a token that is none
  },
  {
    method: "GET", on: "bucket", where: ["versions"], run: listObjectVersions,
    may: [...listing, "key-marker", "version-id-marker"],
    failures: { "store-refused": "InvalidArgument" }, // a marker that is none
  },
  {
    method: "GET", on: "bucket", where: ["uploads"], run: listMultipartUploads,
    may: ["prefix", "delimiter", "encoding-type", "max-uploads", "key-marker", "upload-id-marker"],
    failures: { "store-refused": "InvalidArgument" },
  },
  { method: "POST", on: "bucket", where: ["delete"], run: deleteObjects },
  ...unsetParameters.map((parameter): Route => ({ method: "GET", on: "bucket", where: [parameter], run: getUnset })),

  { method: "GET", on: "object", may: reading, run: getObject },
  { method: "HEAD", on: "object", may: reading, run: headObject },
  { method: "PUT", on: "object", by: copying, run: copyObject },
  { method: "PUT", on: "object", run: putObject },
  { method: "DELETE", on: "object", may: ["versionId"], without: ["if-none-match"], run: deleteObject },
  { method: "GET", on: "object", where: ["tagging"], may: ["versionId"], run: getObjectTagging },
  { method: "PUT", on: "object", where: ["tagging"], may: ["versionId"], run: putObjectTagging },
  { method: "DELETE", on: "object", where: ["tagging"], may: ["versionId"], run: deleteObjectTagging },
  { method: "GET", on: "object", where: ["acl"], may: ["versionId"], run: getObjectAcl },

  { method: "POST", on: "object", where: ["uploads"], run: createMultipartUpload },
  {
    method: "PUT", on: "object", where: ["partNumber", "uploadId"], run: uploadPartCopy,
    by: [...copying, "x-amz-copy-source-range"],
    failures: { "range-not-satisfiable": "InvalidArgument" },
  },
  { method: "PUT", on: "object", where: ["partNumber", "uploadId"], run: uploadPart },
  {
    method: "POST", on: "object", where: ["uploadId"], run: completeMultipartUpload,
    failures: { "store-refused": "InvalidPart" }, // all has been checked before, but a part may be replaced meanwhile
  },
  { method: "DELETE", on: "object", where: ["uploadId"], run: abortMultipartUpload },
  { method: "GET", on: "object", where: ["uploadId"], may: ["max-parts", "part-number-marker"], run: listParts },
]

/** The operation that a request asks for. Throws `NotImplemented` for another of S3's, `MethodNotAllowed` for none. */
export function routeOf(call: Pick<Call, "method" | "bucket" | "key" | "query" | "headers">): Route {
  const on = call.bucket === "" ? "service" : call.key === "" ? "bucket" : "object"
  const parameters = [...call.query.keys()].filter((name) => !isAboutTheRequest(name))
  const route = routes.find(({ method, on: level, where = [], may = [], by: [header] = [] }) =>
    method === call.method && level === on
    && (header === undefined || call.headers.has(header))
    && where.every((name) => parameters.includes(name))
    && parameters.every((name) => where.includes(name) || may.includes(name)))
  if (!route) throw new S3Error(isOfS3(call.method, on) ? "NotImplemented" : "MethodNotAllowed")
  refuseHeaders(call.headers, route)
  return route
}

/** Signature and headers of a presigned request, and the name of the operation that the AWS SDK adds. */
const isAboutTheRequest = (parameter: string): boolean =>
  /^x-amz-/i.test(parameter) || v2Parameters.includes(parameter) || parameter === "x-id"

const isOfS3 = (method: string, on: Route["on"]): boolean =>
  on === "service" ? method === "GET" : ["GET", "HEAD", "PUT", "POST", "DELETE"].includes(method)

// What would change the meaning of a request if it were overlooked.
const notImplemented = new RegExp(
  "^x-amz-(copy-source|server-side-encryption|(bucket-)?object-lock-|grant-|write-offset-bytes|mfa$|if-match-"
  + "|rename-source|bypass-governance-retention)",
)

// Canned ACLs that say what holds anyway: everything belongs to the bucket's owner.
const harmlessAcls = ["private", "bucket-owner-full-control"]

function refuseHeaders(headers: Call["headers"], route: Route): void {
  for (const [name, value] of headers) {
    if ((notImplemented.test(name) && !route.by?.includes(name)) || route.without?.includes(name)) {
      throw new S3Error("NotImplemented", undefined, [["Header", name]])
    }
    if (name === "x-amz-acl" && !harmlessAcls.includes(value)) throw new S3Error("AccessControlListNotSupported")
  }
}
