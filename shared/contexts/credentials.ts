/** Who asks a remote store. */
import type { Credentials } from "../net/sigv4.ts"

/** The keys among an environment's or an action's variables; where there are none, AWS's own chain of providers, loaded only then. */
export function credentialsFrom(variables: Readonly<Record<string, unknown>>): () => Promise<Credentials> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = variables
  if (isText(AWS_ACCESS_KEY_ID) && isText(AWS_SECRET_ACCESS_KEY)) {
    const keys = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
    return () => Promise.resolve(isText(AWS_SESSION_TOKEN) ? { ...keys, sessionToken: AWS_SESSION_TOKEN } : keys)
  }
  const provider = import("@aws-sdk/credential-provider-node").then(({ defaultProvider }) => defaultProvider())
  return async () => (await provider)()
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""
