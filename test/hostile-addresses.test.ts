/** Addresses in tokens, registrations, policies, CRNs and a store's answers: no request goes to any of them. */
import fc from "fast-check"
import { SignJWT, exportJWK, generateKeyPair } from "jose"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { isFailure } from "../shared/errors.ts"
import { httpClient } from "../shared/net/request.ts"
import { addresses } from "../shared/store/s3-address.ts"
import { s3Store } from "../shared/store/s3.ts"
import { ACCOUNT, faultOf, hostWorld, KMS, STORE, type HostWorld } from "./host-world.ts"
import { pick, property, randoms, tries } from "./hostile.ts"
import { mutated } from "./mutations.ts"
import { networkGuard } from "./network-guard.ts"
import { answer, closeServers, scripted, type Step } from "./scripted-server.ts"

afterEach(closeServers)

const elsewhere = ["http://192.0.2.66/", "https://attacker.example/keys", "//attacker.example", "http://127.0.0.1:4242/", "http://169.254.169.254/latest/meta-data/", "http://[::1]:4242/", "file:///etc/passwd", "attacker.example", "192.0.2.66:80"]

/** Runs something while no connection but to these loopback ports can be made, and gives the others that were tried. */
async function guarded(run: () => Promise<void>, allowed: readonly number[] = []): Promise<readonly string[]> {
  const guard = networkGuard(allowed)
  try {
    await run()
  } finally {
    guard.release()
  }
  return guard.outgoing
}

it("the guard sees what would leave: connections, TLS, and look-ups of names", async () => {
  const tried = await guarded(async () => {
    for (const url of ["http://127.0.0.1:4242/", "https://127.0.0.1:4242/", "http://attacker.example/"]) await expect(fetch(url)).rejects.toThrow()
    const http = httpClient({ allowHttp: true, backOff: 1 })
    const origin = { protocol: "http:", hostname: "127.0.0.1", port: 2 } as const
    await expect(Promise.resolve().then(() => http({ origin, method: "GET", target: "/", headers: () => Promise.resolve([]), repeatable: false, body: undefined, signal: undefined }))).rejects.toThrow()
  })
  expect(tried).toHaveLength(4) // not by ports that fetch itself refuses, such as 1
})

describe("requests to the host", () => {
  let world: HostWorld
  beforeAll(async () => void (world = await hostWorld()))
  afterAll(() => world.close())

  const crn = (region: string, instance = KMS, service = "kms") => `crn:v1:bluemix:public:${service}:${region}:a/${ACCOUNT}:${instance}:key:0e1f2a3b-0000-4000-8000-000000000009`
  const crns = ["attacker.example", "192.0.2.66", "us-south.attacker.example/", "@attacker.example", "..", "us-south#"].flatMap((region) => [crn(region), crn("us-south", region), crn(region, KMS, region)])

  it("with addresses and hostile CRNs wherever a body has text are answered here", async () => {
    const source = `crn:v1:bluemix:public:cloud-object-storage:global:a/${ACCOUNT}:${STORE}:bucket:photos`
    const bodies = (text: string): readonly (readonly [string, string, object])[] => [
      ["PUT", "/registrations/photos", { rootKey: text, source }], ["PUT", "/registrations/photos", { rootKey: crn("us-south"), source: text }],
      ["POST", "/authorize", { subject: text, action: "kms.secrets.wrap", resource: crn("us-south") }], ["POST", "/authorize", { action: "kms.secrets.wrap", resource: text }],
      ["POST", "/v1/policies", { type: "authorization", subjects: [{ attributes: [{ name: "accountId", value: text }, { name: "serviceName", value: text }] }], roles: [{ role_id: text }], resources: [{ attributes: [{ name: "accountId", value: text }] }] }],
      ["POST", "/v1/serviceids", { name: text.slice(0, 100), acts_for: [text] }], ["POST", "/api/v2/keys", { metadata: {}, resources: [{ name: text, crn: text, endpoint: text }] }],
    ]
    const outgoing = await guarded(async () => {
      for (const text of [...elsewhere, ...crns]) {
        for (const [method, path, body] of bodies(text)) {
          const response = await world.call(method, path, body, { host: "attacker.example", "x-forwarded-host": "attacker.example", referer: text })
          expect([path, await faultOf(response)]).toEqual([path, undefined])
        }
      }
      for (const random of randoms(tries(50, 5_000))) {
        const [method, path, body] = pick(random, bodies(pick(random, elsewhere)))
        await world.call(method, path, JSON.stringify(mutated(body, random)))
      }
    })
    expect(outgoing).toEqual([])
  })

  it("with tokens that name other issuers, keys and certificates are refused here", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256")
    const jwk = await exportJWK(publicKey)
    const outgoing = await guarded(async () => {
      for (const url of elsewhere) {
        for (const iss of [url, `bucketseal:${ACCOUNT}`, "https://iam.cloud.ibm.com/identity"]) {
          const token = await new SignJWT({ iss, sub: "x", iam_id: "x", aud: url, jku: url }).setExpirationTime("1h")
            .setProtectedHeader({ alg: "RS256", kid: url, jku: url, x5u: url, jwk }).sign(privateKey)
          expect((await world.call("GET", "/v2/roles", undefined, { authorization: `Bearer ${token}` })).status).toBe(401)
          const form = new URLSearchParams({ grant_type: "urn:ibm:params:oauth:grant-type:iam-authz", access_token: token, desired_iam_id: url }).toString()
          expect((await world.call("POST", "/identity/token", form)).status).toBe(401)
        }
      }
    })
    expect(outgoing).toEqual([])
  })
})

describe("another issuer's keys", () => {
  it("come from the address that the settings name, and from nowhere that it redirects to", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256")
    const keys = { keys: [{ ...await exportJWK(publicKey), kid: "k", alg: "RS256", x5u: "http://192.0.2.66/" }] }
    const away: Step = answer(302, "", { location: "http://192.0.2.66/keys" })
    const { port, seen } = await scripted(away, answer(200, JSON.stringify(keys), { "content-type": "application/json" }))
    const world = await hostWorld({ issuer: "https://issuer.example", audience: "us", jwksUrl: `http://127.0.0.1:${port}/keys` })
    const token = await new SignJWT({ iss: "https://issuer.example", aud: "us", sub: "x" }).setExpirationTime("1h")
      .setProtectedHeader({ alg: "RS256", kid: "k", jku: "http://192.0.2.66/" }).sign(privateKey)
    const ask = async () => (await world.call("GET", "/v2/roles", undefined, { authorization: `Bearer ${token}` })).status
    const outgoing = await guarded(async () => expect([await ask(), await ask()]).toEqual([503, 200]), [port])
    expect(outgoing).toEqual([])
    expect(seen.map(({ url }) => url)).toEqual(["/keys", "/keys"])
    await world.close()
  })
})

describe("a store's answers", () => {
  const ref = { bucket: "bucket", key: "key" }
  const regions = ["us-south", "attacker.example", "192.0.2.66", "10", "169", "@attacker.example", "a/b", "a#", "a:80", "-", "x".repeat(33), "US-SOUTH", "us-south\u00e9", "localhost", ""]
  const answersOf = (statuses: readonly number[]): readonly Step[] => statuses.flatMap((status) => regions.map((region): Step => answer(
    status, `<Error><Code>${status === 400 ? "AuthorizationHeaderMalformed" : "PermanentRedirect"}</Code><Region>${region}</Region><Endpoint>192.0.2.66</Endpoint><Bucket>b</Bucket></Error>`,
    { location: pick(() => 0.5, elsewhere), "x-amz-bucket-region": region.replace(/[^\x21-\x7e]/g, "") || "x", refresh: "0;url=http://192.0.2.66/", "alt-svc": 'h2="192.0.2.66:443"', link: "<http://192.0.2.66/>; rel=canonical" },
  )))
  const statuses = [301, 307, 308, 302, 400, 403, 503]
  const few = process.env["SLOW"] ? statuses : [301, 307, 400] // those of which a named region is believed

  it.each([["eu-de", statuses], ["127", few], ["0", few], ["1", few]] as const)("that redirect, whatever they name, change no address: configured region %s", async (region, given) => {
    for (const redirect of answersOf(given)) {
      const { port, seen } = await scripted(redirect)
      const store = s3Store({
        endpoint: `http://127.0.0.1:${port}`, region, addressing: "path", allowHttp: true,
        credentials: () => Promise.resolve({ accessKeyId: "AKID", secretAccessKey: "secret" }),
        http: httpClient({ allowHttp: true, backOff: 1, attempts: 1 }),
      })
      const outgoing = await guarded(async () => {
        for (const call of [() => store.put(ref, Buffer.from("x")), () => store.get(ref), () => store.list("bucket")]) {
          await call().catch((error: unknown) => expect(isFailure(error)).toBe(true))
        }
      }, [port])
      expect(outgoing).toEqual([])
      expect(seen.length).toBeGreaterThanOrEqual(3)
      await closeServers()
    }
  })

  it("that name a region lead to no host beyond the last two labels of the endpoint's", () => {
    const endpoint = fc.constantFrom("https://s3.eu-de.example.com", "https://garage", "https://eu-de", "https://minio.lan:9000", "https://127.0.0.1", "https://eu-de.eu-de.eu-de", "https://s3.example.eu-de")
    const label = fc.stringMatching(/^[a-z0-9-]{1,32}$/)
    fc.assert(fc.property(endpoint, fc.oneof(fc.constantFrom("eu-de", "garage", "minio", "lan", "127", "1"), label), fc.oneof(label, fc.constantFrom("10", "169")), (url, configured, named) => {
      const { hostname } = new URL(url)
      const at = addresses({ endpoint: url, region: configured, addressing: "path" })(named, "bucket", "key").origin.hostname
      expect(at.split(".").slice(-2)).toEqual(hostname.split(".").slice(-2))
      expect(at.split(".")).toHaveLength(hostname.split(".").length)
      if (/^[\d.]+$/.test(hostname)) expect(at).toBe(hostname)
    }), property(1_000))
  })
})
