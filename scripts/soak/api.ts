/** The API of whichever host runs, as its users call it. */
import { pause } from "./pause.ts"
import { sha256 } from "./bodies.ts"

/** What a stack's `local.env` says, as far as it stays the same on all of its hosts. */
export type ClientVariables = Readonly<Record<string, string>>

/** What was read: the SHA-256 of the body of a 200, in hex. */
export interface Read {
  readonly status: number
  readonly sha256: string
  readonly text: string
}

/** A caller with the owner's rights. */
export interface Api {
  /** Makes a root key, lets the account's buckets use it, and gives its CRN. */
  makeRootKey(): Promise<string>
  register(bucket: string, registration: Readonly<Record<string, unknown>>): Promise<void>
  /** Reads an object. Throws where no host answered to the end. */
  read(bucket: string, key: string): Promise<Read>
}

const TOKEN_MS = 30 * 60_000 // a token holds for an hour

/** Calls the host that `url` names at that moment. */
export function apiOf(url: () => Promise<string>, variables: ClientVariables): Api {
  const { BUCKETSEAL_API_KEY = "", BUCKETSEAL_INSTANCE = "", BUCKETSEAL_ACCOUNT, BUCKETSEAL_STORE_INSTANCE } = variables
  let token: { readonly text: Promise<string>; readonly made: number } | undefined

  async function newToken(): Promise<string> {
    const body = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: BUCKETSEAL_API_KEY })
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(`${await url()}/identity/token`, { method: "POST", body })
        const answer: unknown = await response.json()
        if (response.ok && typeof answer === "object" && answer && "access_token" in answer) return String(answer.access_token)
        throw new Error(`no token: ${response.status}`)
      } catch (error) {
        if (attempt > 100) throw error
        await pause(200)
      }
    }
  }

  async function headers(): Promise<Record<string, string>> {
    if (!token || Date.now() - token.made > TOKEN_MS) token = { text: newToken(), made: Date.now() }
    return { authorization: `Bearer ${await token.text}`, "bluemix-instance": BUCKETSEAL_INSTANCE, "content-type": "application/json" }
  }

  async function call(method: string, path: string, body: unknown): Promise<string> {
    const response = await fetch(`${await url()}${path}`, { method, headers: await headers(), body: JSON.stringify(body) })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text
  }

  const place = (serviceName: string) => [{ name: "accountId", value: BUCKETSEAL_ACCOUNT }, { name: "serviceName", value: serviceName }]

  return {
    async makeRootKey() {
      const type = "application/vnd.ibm.kms.key+json"
      const text = await call("POST", "/api/v2/keys", {
        metadata: { collectionType: type, collectionTotal: 1 }, resources: [{ type, name: "soak", extractable: false }],
      })
      const [, crn] = /"crn":"([^"]+)"/.exec(text) ?? []
      if (crn === undefined) throw new Error("no root key came back")
      await call("POST", "/v1/policies", {
        type: "authorization", subjects: [{ attributes: place("cloud-object-storage") }],
        roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }], resources: [{ attributes: place("kms") }],
      })
      return crn
    },
    async register(bucket, registration) {
      const source = `crn:v1:bluemix:public:cloud-object-storage:global:a/${BUCKETSEAL_ACCOUNT ?? ""}:${BUCKETSEAL_STORE_INSTANCE ?? ""}:bucket:${bucket}`
      await call("PUT", `/registrations/${bucket}`, { source, otherRegion: true, ...registration })
    },
    async read(bucket, key) {
      const response = await fetch(`${await url()}/objects/${bucket}?key=${encodeURIComponent(key)}`, { headers: await headers() })
      const bytes = new Uint8Array(await response.arrayBuffer())
      return { status: response.status, sha256: sha256(bytes), text: response.ok ? "" : Buffer.from(bytes).toString() }
    },
  }
}
