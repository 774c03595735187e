/** Who asks a remote store. */
import type { Credentials } from "../shared/net/sigv4.ts"

/** The environment's keys; where it has none, AWS's own chain of providers, loaded only then. */
export function credentialsFrom(environment: NodeJS.ProcessEnv): () => Promise<Credentials> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
    const keys = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
    return () => Promise.resolve(AWS_SESSION_TOKEN ? { ...keys, sessionToken: AWS_SESSION_TOKEN } : keys)
  }
  const provider = import("@aws-sdk/credential-provider-node").then(({ defaultProvider }) => defaultProvider())
  return async () => (await provider)()
}
