import { randomUUID } from "node:crypto"
import { s3Store } from "../shared/store/s3.ts"
import { credentials, openEndpoint, region } from "./s3-endpoint.ts"
import { storeContract, type Differences, type Harness } from "./store-contract.ts"

/** What the store does otherwise when it is reached through its S3 endpoint: nothing. */
const differences: Differences = {}

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
