import { randomUUID } from "node:crypto"
import { s3Store } from "../shared/store/s3.ts"
import { credentials, openEndpoint, region } from "./s3-endpoint.ts"
import { storeContract, type Differences, type Harness } from "./store-contract.ts"

/** What the store does otherwise when it is reached through its S3 endpoint. */
const differences: Differences = {
  "delete-version-conditions": "the endpoint answers NotImplemented to If-Match with a version id",
  // x-amz-checksum-mode on a read of an object under a KMS key wants the right to use that key (S3 reference, HeadObject).
  "object-checksums": "our client does not ask for them",
  "wrong-stream-checksum": "our client sends none with a stream",
}

async function harness(): Promise<Harness> {
  const endpoint = await openEndpoint()
  const place = { endpoint: endpoint.server.url, region, addressing: "path", allowHttp: true } as const
  const store = s3Store({ ...place, credentials: async () => credentials })
  return {
    store,
    bucket: async () => {
      const bucket = `test-${randomUUID()}`
      await store.createBucket(bucket)
      return bucket
    },
    close: () => endpoint.close(),
  }
}

storeContract("local, through its S3 endpoint", harness, differences)
