/** The AWS SDK on a fresh endpoint, as the tests of one topic need it. */
import {
  CreateBucketCommand, GetObjectCommand, PutBucketVersioningCommand, PutObjectCommand, S3ServiceException,
  type GetObjectCommandInput, type PutObjectCommandInput, type S3Client,
} from "@aws-sdk/client-s3"
import { openEndpoint, sdkClient, send, type RawAnswer, type RawRequest, type TestEndpoint } from "./s3-endpoint.ts"

/** An endpoint with one client and one bucket. */
export interface TestClient {
  readonly endpoint: TestEndpoint
  readonly s3: S3Client
  /** A request as the test writes it. */
  readonly ask: (raw: RawRequest) => Promise<RawAnswer>
  readonly put: (
    Key: string, Body: string | Uint8Array, more?: Partial<PutObjectCommandInput>,
  ) => Promise<{ readonly ETag?: string | undefined; readonly VersionId?: string | undefined }>
  readonly textOf: (Key: string, more?: Partial<GetObjectCommandInput>) => Promise<string | undefined>
  readonly createBucket: (Bucket: string, versioning?: "versioned") => Promise<void>
  readonly close: () => Promise<void>
}

/** Opens an endpoint and makes the bucket. */
export async function openClient(Bucket: string, versioning?: "versioned"): Promise<TestClient> {
  const endpoint = await openEndpoint()
  const s3 = sdkClient(endpoint.server)
  const createBucket: TestClient["createBucket"] = async (name, versions) => {
    await s3.send(new CreateBucketCommand({ Bucket: name }))
    if (!versions) return
    const VersioningConfiguration = { Status: "Enabled" } as const
    await s3.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }))
  }
  await createBucket(Bucket, versioning)
  return {
    endpoint, s3, createBucket,
    ask: (raw) => send(endpoint.server, raw),
    put: (Key, Body, more = {}) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more })),
    textOf: async (Key, more = {}) =>
      (await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))).Body?.transformToString(),
    close: async () => {
      s3.destroy()
      await endpoint.close()
    },
  }
}

/** The status and name of a refusal, or "ok". */
export async function outcome(request: Promise<unknown>): Promise<string> {
  return request.then(() => "ok", (error: unknown) => {
    if (!(error instanceof S3ServiceException)) throw error
    return `${error.$metadata.httpStatusCode} ${error.name}`
  })
}
