import { Failure } from "../errors.ts"
import { httpClient, type HttpClient } from "../net/request.ts"
import type { Credentials } from "../net/sigv4.ts"
import type { Clock, Store } from "../ports.ts"
import type { AddressOptions } from "./s3-address.ts"
import { s3Buckets } from "./s3-buckets.ts"
import { caller } from "./s3-call.ts"
import { s3Objects } from "./s3-objects.ts"
import { s3Uploads } from "./s3-uploads.ts"

/** Which S3 store, and who asks. */
export interface S3StoreOptions extends AddressOptions {
  /** Whether the endpoint may be plain HTTP. */
  readonly allowHttp: boolean
  /** Asked for each attempt; whoever gives them caches them. */
  readonly credentials: () => Promise<Credentials>
  /** The value of `X-Amzn-Trace-Id` to send along: on Lambda the current one, by which AWS finds functions that start
   *  themselves (Lambda developer guide, "Recursive loop detection"). */
  readonly traceHeader?: () => string | undefined
  /** Default: the system's clock. Wrong clocks are corrected by the store's. */
  readonly clock?: Clock
  /** What carries the requests. Default: a client with connections of its own. */
  readonly http?: HttpClient
}

/**
 * A store that speaks S3: AWS, IBM COS by HMAC keys, Ceph, MinIO. All keys of Unicode text work. A conditional write,
 * and the completion of an upload, is never sent twice once it may have reached the store: it throws `unavailable`, its
 * effect unknown. Streams are sent once. Throws `bad-field` at once for an endpoint that is none, or is not allowed.
 */
export function s3Store(options: S3StoreOptions): Store {
  if (!options.allowHttp && /^http:/i.test(options.endpoint)) {
    throw new Failure("bad-field", "the S3 endpoint must be https, or plain HTTP be allowed in the settings")
  }
  const send = caller({
    ...options,
    http: options.http ?? httpClient({ allowHttp: options.allowHttp }),
    traceHeader: options.traceHeader,
    clock: options.clock ?? Date.now,
  })
  return { ...s3Objects(send), ...s3Uploads(send), ...s3Buckets(send, options.region) }
}
