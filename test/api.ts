/** The API as tests call it over HTTP, and the S3 endpoint beside it. */
import { S3Client } from "@aws-sdk/client-s3"

/** What came back: the status, and the body as JSON where it is some. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

/** A caller of a stack; `env` is what its `local.env` says. */
export function apiClient(env: Readonly<Record<string, string>>, token: string) {
  const url = env["BUCKETSEAL_URL"] ?? ""
  const instance = env["BUCKETSEAL_INSTANCE"] ?? ""
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "bluemix-instance": instance, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      // not every body is JSON
    }
    return { status: response.status, headers: response.headers, text, json }
  }
  return {
    call,
    objectUrl: (bucket: string, key: string) => `${url}/objects/${bucket}?key=${encodeURIComponent(key)}`,
    async createRootKey(name: string) {
      const type = "application/vnd.ibm.kms.key+json"
      const { status, json, text } = await call("POST", "/api/v2/keys", {
        metadata: { collectionType: type, collectionTotal: 1 }, resources: [{ type, name, extractable: false }],
      })
      if (status !== 201) throw new Error(text)
      return (json as { resources: [{ id: string; crn: string }] }).resources[0]
    },
    bucketCrn: (bucket: string) =>
      `crn:v1:bluemix:public:cloud-object-storage:global:a/${env["BUCKETSEAL_ACCOUNT"]}:${env["BUCKETSEAL_STORE_INSTANCE"]}:bucket:${bucket}`,
    /** cloud-object-storage → kms, Reader; gives the policy's id. */
    async authorize(): Promise<string> {
      const place = (serviceName: string) => [{ name: "accountId", value: env["BUCKETSEAL_ACCOUNT"] }, { name: "serviceName", value: serviceName }]
      const { status, json, text } = await call("POST", "/v1/policies", {
        type: "authorization", subjects: [{ attributes: place("cloud-object-storage") }],
        roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }], resources: [{ attributes: place("kms") }],
      })
      if (status !== 201) throw new Error(text)
      return (json as { id: string }).id
    },
  }
}

export type Api = ReturnType<typeof apiClient>

/** A token for an API key. */
export async function tokenFor(url: string, apikey: string): Promise<string> {
  const body = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey })
  const response = await fetch(`${url}/identity/token`, { method: "POST", body })
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json() as { access_token: string }).access_token
}

/** AWS's client, with its presets, on a stack's local S3 endpoint. */
export function s3ClientOf(env: Readonly<Record<string, string>>): S3Client {
  const { AWS_ENDPOINT_URL_S3: endpoint = "", AWS_REGION: region = "", AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = env
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } })
}
