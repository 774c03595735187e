/** The API as the demo calls it: a token, then plain HTTP. */
import type { Stack } from "../local/stack.ts"
import type { Settings } from "../shared/settings.ts"

/** What was read, or why not. */
export interface ReadResult {
  readonly status: number
  readonly bytes: Buffer
}

/** A caller with the owner's rights. Every method but `read` throws with the answer's text unless it succeeded. */
export interface DemoApi {
  createRootKey(name: string): Promise<{ readonly id: string; readonly crn: string }>
  rotate(keyId: string): Promise<void>
  /** Lets the account's buckets use the root key; gives the policy's id. */
  authorize(rootKey: string): Promise<string>
  revoke(policy: string): Promise<void>
  register(bucket: string, registration: { rootKey: string; source: string; settle: number }): Promise<void>
  read(bucket: string, key: string, range?: string): Promise<ReadResult>
  objectUrl(bucket: string, key: string): string
}

/** Gets a token for the owner and calls the stack with it. */
export async function demoApi({ url, ownerKey }: Stack, settings: Settings): Promise<DemoApi> {
  const authorization = `Bearer ${await tokenFor(url, await ownerKey())}`
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization, "bluemix-instance": settings.kmsInstance, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === "" ? undefined : JSON.parse(text)
  }
  const objectUrl = (bucket: string, key: string) => `${url}/objects/${bucket}?key=${encodeURIComponent(key)}`
  return {
    objectUrl,
    async createRootKey(name) {
      const answer = await call("POST", "/api/v2/keys", rootKeyRequest(name)) as { resources: { id: string; crn: string }[] }
      const [key] = answer.resources // one key was asked for
      if (!key) throw new Error("no root key came back")
      return key
    },
    rotate: async (keyId) => void await call("POST", `/api/v2/keys/${keyId}/actions/rotate`, {}),
    async authorize(rootKey) {
      return (await call("POST", "/v1/policies", authorizationFor(settings, rootKey)) as { id: string }).id
    },
    revoke: async (policy) => void await call("DELETE", `/v1/policies/${policy}`),
    register: async (bucket, registration) => void await call("PUT", `/registrations/${bucket}`, registration),
    async read(bucket, key, range) {
      const response = await fetch(objectUrl(bucket, key), { headers: { authorization, ...(range ? { range } : {}) } })
      return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) }
    },
  }
}

async function tokenFor(url: string, apikey: string): Promise<string> {
  const form = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey })
  const response = await fetch(`${url}/identity/token`, { method: "POST", body: form })
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`)
  return (await response.json() as { access_token: string }).access_token
}

function rootKeyRequest(name: string) {
  const type = "application/vnd.ibm.kms.key+json"
  return { metadata: { collectionType: type, collectionTotal: 1 }, resources: [{ type, name, extractable: false }] }
}

function authorizationFor({ account, storeInstance, kmsInstance }: Settings, rootKey: string) {
  const place = (serviceName: string, serviceInstance: string) => [
    { name: "accountId", value: account }, { name: "serviceName", value: serviceName },
    { name: "serviceInstance", value: serviceInstance },
  ]
  return {
    type: "authorization",
    subjects: [{ attributes: place("cloud-object-storage", storeInstance) }],
    roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }],
    resources: [{ attributes: [...place("kms", kmsInstance), { name: "resource", value: rootKey.split(":").at(-1) }] }],
  }
}
