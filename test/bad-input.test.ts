import { randomUUID } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { CreateBucketCommand } from "@aws-sdk/client-s3"
import { generateKeyPair, SignJWT } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { apiClient, s3ClientOf, tokenFor, type Api } from "./api.ts"
import { program, removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

/** One request that must be refused: what is wrong, the request, and status and reason code of the answer. */
type Row = readonly [what: string, method: string, path: string, body: unknown, status: number, code: string | RegExp]

const collection = (resource: object, total = 1) => ({
  metadata: { collectionType: "application/vnd.ibm.kms.key+json", collectionTotal: total },
  resources: [{ type: "application/vnd.ibm.kms.key+json", name: "bad input", extractable: false, ...resource }],
})
const UNKNOWN = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11"
const policy = (change: object) => ({
  type: "authorization", subjects: [{ attributes: [{ name: "accountId", value: "A" }, { name: "serviceName", value: "cloud-object-storage" }] }],
  roles: [{ role_id: "crn:v1:bluemix:public:iam::::serviceRole:Reader" }],
  resources: [{ attributes: [{ name: "accountId", value: "A" }, { name: "serviceName", value: "kms" }] }], ...change,
})
const big = "x".repeat(300_000)

/** `KEY` stands for an active root key's id, `OFF` for a disabled one's, `BUCKET` for a bucket that is there. */
const rows: readonly Row[] = [
  ["broken JSON", "POST", "/api/v2/keys", "{", 400, "BAD_BODY_ERR"],
  ["a list for an object", "POST", "/api/v2/keys", [], 400, "BAD_BODY_ERR"],
  ["no resource", "POST", "/api/v2/keys", { metadata: collection({}).metadata, resources: [] }, 400, /NUM_COLLECTION_RESOURCE_ERR|COLLECTION_TOTAL_MISMATCH_ERR/],
  ["a wrong total", "POST", "/api/v2/keys", collection({}, 2), 400, "COLLECTION_TOTAL_MISMATCH_ERR"],
  ["a name of the wrong type", "POST", "/api/v2/keys", collection({ name: 5 }), 400, /BAD_BODY_ERR|INVALID_FIELD_ERR/],
  ["a name that is too short", "POST", "/api/v2/keys", collection({ name: "x" }), 400, /BAD_BODY_ERR|INVALID_FIELD_ERR/],
  ["imported material of 15 bytes", "POST", "/api/v2/keys", collection({ payload: Buffer.alloc(15).toString("base64") }), 400, "INVALID_FIELD_ERR"],
  ["a body that is too large", "POST", "/api/v2/keys", collection({ description: big }), 413, "BODY_TOO_LARGE_ERR"],
  ["an unknown key", "GET", `/api/v2/keys/${UNKNOWN}`, undefined, 404, "KEY_NOT_FOUND_ERR"],
  ["a path that climbs", "GET", "/api/v2/keys/%2e%2e%2fx", undefined, 404, "KEY_NOT_FOUND_ERR"],
  ["a limit of 0", "GET", "/api/v2/keys?limit=0", undefined, 400, "INVALID_QUERY_PARAM_ERR"],
  ["a wrong method", "PATCH", "/api/v2/keys/KEY/actions/wrap", {}, 405, "METHOD_NOT_ALLOWED_ERR"],
  ["an unknown path", "GET", "/api/v3/keys", undefined, 404, "NOT_FOUND_ERR"],
  ["wrap: an unknown key", "POST", `/api/v2/keys/${UNKNOWN}/actions/wrap`, {}, 404, "KEY_NOT_FOUND_ERR"],
  ["wrap: plaintext that is no base64", "POST", "/api/v2/keys/KEY/actions/wrap", { plaintext: "%%%" }, 400, "INVALID_FIELD_ERR"],
  ["wrap: AAD of the wrong type", "POST", "/api/v2/keys/KEY/actions/wrap", { aad: "text" }, 400, "INVALID_FIELD_ERR"],
  ["wrap: an AAD string of 256 characters", "POST", "/api/v2/keys/KEY/actions/wrap", { aad: ["x".repeat(256)] }, 400, "INVALID_FIELD_ERR"],
  ["wrap: a body that is too large", "POST", "/api/v2/keys/KEY/actions/wrap", { plaintext: big }, 413, "BODY_TOO_LARGE_ERR"],
  ["wrap: a disabled key", "POST", "/api/v2/keys/OFF/actions/wrap", {}, 409, "KEY_ACTION_INVALID_STATE_ERR"],
  ["unwrap: no ciphertext", "POST", "/api/v2/keys/KEY/actions/unwrap", {}, 400, /BAD_BODY_ERR|INVALID_FIELD_ERR/],
  ["unwrap: a ciphertext that is none", "POST", "/api/v2/keys/KEY/actions/unwrap", { ciphertext: Buffer.from("no").toString("base64") }, 422, "UNPROCESSABLE_CIPHERTEXT_ERR"],
  ["rewrap: a ciphertext that is no base64", "POST", "/api/v2/keys/KEY/actions/rewrap", { ciphertext: "-" }, 400, "INVALID_FIELD_ERR"],
  ["rotate: a disabled key", "POST", "/api/v2/keys/OFF/actions/rotate", {}, 409, "KEY_ACTION_INVALID_STATE_ERR"],
  ["registration: not registered", "GET", "/registrations/BUCKET", undefined, 404, "NOT_FOUND_ERR"],
  ["registration: no such bucket name", "PUT", "/registrations/No_Bucket", { rootKey: "x", source: "SOURCE" }, 400, "INVALID_QUERY_PARAM_ERR"],
  ["registration: no body", "PUT", "/registrations/BUCKET", undefined, 400, "BAD_BODY_ERR"],
  ["registration: an extra field", "PUT", "/registrations/BUCKET", { rootKey: "x", source: "SOURCE", colour: "red" }, 400, "BAD_BODY_ERR"],
  ["registration: another bucket's source", "PUT", "/registrations/BUCKET", { rootKey: "CRN", source: "SOURCE-of-another" }, 400, "INVALID_FIELD_ERR"],
  ["registration: a root key that is no CRN", "PUT", "/registrations/BUCKET", { rootKey: "x", source: "SOURCE" }, 400, "INVALID_FIELD_ERR"],
  ["registration: an unknown root key", "PUT", "/registrations/BUCKET", { rootKey: "UNKNOWN-CRN", source: "SOURCE" }, 404, "KEY_NOT_FOUND_ERR"],
  ["registration: a disabled root key", "PUT", "/registrations/BUCKET", { rootKey: "OFF-CRN", source: "SOURCE" }, 409, "KEY_ACTION_INVALID_STATE_ERR"],
  ["registration: no authorization", "PUT", "/registrations/BUCKET", { rootKey: "CRN", source: "SOURCE" }, 403, "FORBIDDEN_ERR"],
  ["registration: a settle of the wrong type", "PUT", "/registrations/BUCKET", { rootKey: "CRN", source: "SOURCE", settle: "5" }, 400, "BAD_BODY_ERR"],
  ["object: no key", "GET", "/objects/BUCKET", undefined, 400, "INVALID_QUERY_PARAM_ERR"],
  ["object: none there", "GET", "/objects/BUCKET?key=x", undefined, 404, "NOT_FOUND_ERR"],
  ["object: no such bucket", "GET", "/objects/nowhere-here?key=x", undefined, 404, "BUCKET_NOT_FOUND_ERR"],
  ["authorize: an extra field", "POST", "/authorize", { action: "kms.secrets.wrap", resource: "CRN", more: 1 }, 400, "BAD_BODY_ERR"],
  ["authorize: no such action", "POST", "/authorize", { action: "kms.secrets.sing", resource: "CRN" }, 400, "INVALID_FIELD_ERR"],
  ["authorize: a resource that is no CRN", "POST", "/authorize", { action: "kms.secrets.wrap", resource: "x" }, 400, "INVALID_FIELD_ERR"],
  ["events: a wrong secret", "POST", "/events/wrong", {}, 401, ""],
  ["policies: broken JSON", "POST", "/v1/policies", "{", 400, /BXNIM|^/],
  ["policies: another account's", "POST", "/v1/policies", policy({}), 400, /BXNIM|^/],
  ["policies: no subjects", "POST", "/v1/policies", policy({ subjects: [] }), 400, /BXNIM|^/],
  ["policies: an unknown one", "GET", `/v1/policies/${UNKNOWN}`, undefined, 404, /BXNIM|^/],
  ["policies: a list without its account", "GET", "/v1/policies", undefined, 400, /BXNIM|^/],
  ["service ids: no name", "POST", "/v1/serviceids", {}, 400, /BXNIM|^/],
  ["API keys: of an unknown identity", "POST", "/v1/apikeys", { name: "k", iam_id: "iam-ServiceId-none" }, 404, /BXNIM|^/],
]

describe("bad input", () => {
  let stack: StackProcess
  let api: Api
  let token: string
  const replace: Record<string, string> = {}
  const secrets: string[] = []

  beforeAll(async () => {
    stack = await startStackProcess({ BUCKETSEAL_LOG_LEVEL: "debug" })
    const { BUCKETSEAL_URL = "", BUCKETSEAL_API_KEY = "", AWS_SECRET_ACCESS_KEY = "" } = stack.env
    token = await tokenFor(BUCKETSEAL_URL, BUCKETSEAL_API_KEY)
    api = apiClient(stack.env, token)
    await s3ClientOf(stack.env).send(new CreateBucketCommand({ Bucket: "uploads" }))
    const [key, off] = [await api.createRootKey("active"), await api.createRootKey("disabled")]
    expect((await api.call("POST", `/api/v2/keys/${off.id}/actions/disable`)).status).toBe(204)
    Object.assign(replace, {
      "UNKNOWN-CRN": key.crn.replace(key.id, UNKNOWN), "OFF-CRN": off.crn, "SOURCE-of-another": api.bucketCrn("another"),
      SOURCE: api.bucketCrn("uploads"), CRN: key.crn, KEY: key.id, OFF: off.id, BUCKET: "uploads",
    })
    const wrapped = (await api.call("POST", `/api/v2/keys/${key.id}/actions/wrap`, {})).json as { plaintext: string }
    const masterKey = (await readFile(join(stack.folder, "master.key"), "utf8")).trim()
    const { eventsSecret } = JSON.parse(await readFile(join(stack.folder, "settings.json"), "utf8")) as { eventsSecret: string }
    secrets.push(BUCKETSEAL_API_KEY, AWS_SECRET_ACCESS_KEY, token, token.split(".")[2] ?? "", masterKey, eventsSecret, wrapped.plaintext)
    secrets.push(...[masterKey, wrapped.plaintext].map((text) => Buffer.from(text, "base64").toString("hex")))
  })
  afterAll(async () => {
    expect(await stack.stop()).toBe(0)
    await removeFolder(stack.folder)
  })

  const filled = (text: string) => Object.entries(replace).reduce((result, [name, value]) => result.replaceAll(new RegExp(`(?<![A-Za-z-])${name}(?![A-Za-z-])`, "g"), value), text)

  it.each(rows)("%s: %s %s is refused with a clear error", async (_, method, path, body, status, code) => {
    const sent = body === undefined || typeof body === "string" ? body : JSON.parse(filled(JSON.stringify(body))) as unknown
    const reply = await api.call(method, filled(path), sent)
    expect([reply.status, reply.text]).toEqual([status, expect.any(String)])
    expect(codeOf(reply.json)).toMatch(typeof code === "string" ? new RegExp(`^${code}$`) : code)
    expect(messageOf(reply.json).length).toBeGreaterThan(10)
    expect(reply.text).not.toMatch(/\bat .*\.(ts|cjs):\d+|node_modules/)
  })

  const protectedPaths = ["/api/v2/keys", "/api/v2/keys/KEY/versions", "/registrations", "/objects/BUCKET?key=x", `/v1/policies?account_id=x`]

  it.each(protectedPaths)("%s without a token, with an expired, a forged, or another's token is refused with 401", async (path) => {
    const { privateKey } = await generateKeyPair("RS256")
    const [header = "", payload = ""] = token.split(".")
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as { iss: string; iam_id: string; sub: string }
    const sign = (expires: string) => new SignJWT({ ...claims }).setProtectedHeader({ alg: "RS256", kid: (JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string }).kid }).setExpirationTime(expires).sign(privateKey)
    const none = `${Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url")}.${payload}.`
    const flipped = token.slice(0, -2) + (token.endsWith("A") ? "B" : "A") + token.slice(-1)
    for (const authorization of ["", "Bearer", "Basic eDp5", "Bearer x", `Bearer ${none}`, `Bearer ${flipped}`, `Bearer ${await sign("1h")}`, `Bearer ${await sign("-1h")}`]) {
      const reply = await api.call("GET", filled(path), undefined, { authorization })
      expect([authorization.slice(0, 12), reply.status]).toEqual([authorization.slice(0, 12), 401])
    }
  })

  it("a second identity without rights gets nothing, and with Reader on the keys just that", async () => {
    const service = (await api.call("POST", "/v1/serviceids", { name: "reader", account_id: stack.env["BUCKETSEAL_ACCOUNT"] })).json as { iam_id: string }
    const made = (await api.call("POST", "/v1/apikeys", { name: "k", iam_id: service.iam_id, account_id: stack.env["BUCKETSEAL_ACCOUNT"] })).json as { apikey: string }
    secrets.push(made.apikey)
    const theirs = apiClient(stack.env, await tokenFor(stack.env["BUCKETSEAL_URL"] ?? "", made.apikey))
    const path = filled("/api/v2/keys/KEY/actions/wrap")
    expect((await theirs.call("POST", path, {})).status).toBe(401)
    expect((await theirs.call("GET", "/registrations")).status).toBe(403)
  })

  it("an API key that is none gets no token, in IAM's words", async () => {
    const body = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:apikey", apikey: randomUUID() })
    const response = await fetch(`${stack.env["BUCKETSEAL_URL"]}/identity/token`, { method: "POST", body })
    expect([response.status, await response.json()]).toMatchObject([400, { errorCode: "BXNIM0415E", context: { requestId: expect.any(String) } }])
  })

  it("no log line holds any of the keys, tokens and secrets that were used", () => {
    expect(stack.output().length).toBeGreaterThan(1_000)
    expect(secrets.every((secret) => secret.length > 15)).toBe(true)
    expect(secrets.filter((secret) => stack.output().includes(secret))).toEqual([])
  })

  it.each([
    ["--port=x", 2, "port (BUCKETSEAL_PORT)"], ["--prot=1", 2, "--prot"], ["extra", 2, "extra"], ["--data=settings.json/x", 2, "data folder"],
  ])("npm start with %s ends with %i and says what is wrong", async (flag, code, words) => {
    const { spawnSync } = await import("node:child_process")
    const { status, stderr } = spawnSync(process.execPath, [program, "serve", flag], { encoding: "utf8", cwd: stack.folder, timeout: 20_000 })
    expect([status, stderr]).toEqual([code, expect.stringContaining(words)])
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+/)
  })

  it.each(["--port", "--s3-port"])("npm start with %s of a port that is taken says so", async (flag) => {
    const { spawnSync } = await import("node:child_process")
    const port = new URL(stack.env["BUCKETSEAL_URL"] ?? "").port
    const other = flag === "--port" ? "--s3-port" : "--port"
    const flags = ["--data", "elsewhere", flag, port, other, "0"]
    const { status, stderr } = spawnSync(process.execPath, [program, "serve", ...flags], { encoding: "utf8", cwd: stack.folder, timeout: 20_000 })
    expect([status, stderr]).toEqual([1, `port ${port} is taken; choose another one\n`])
  })
})

interface KeyProtectError { resources: [{ errorMsg: string; reasons?: [{ code: string }] }] }
interface IamError { errorCode: string; errorMessage: string }

const codeOf = (body: unknown): string =>
  (body as Partial<KeyProtectError>).resources?.[0].reasons?.[0].code ?? (body as Partial<IamError>).errorCode ?? ""

const messageOf = (body: unknown): string =>
  (body as Partial<KeyProtectError>).resources?.[0].errorMsg ?? (body as Partial<IamError>).errorMessage ?? ""
