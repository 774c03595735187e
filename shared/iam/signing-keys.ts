/** The key pairs that sign tokens, in the state store: private halves are sealed under the master key. */
import { randomBytes } from "node:crypto"
import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from "jose"
import * as z from "zod/mini"
import type { Clock, FieldSealer, StateStore } from "../ports.ts"
import { timedCache } from "./cache.ts"

/** A private key to sign with, and the id under which its public half is found. */
export interface SigningKey {
  readonly kid: string
  readonly key: CryptoKey
}

/** The keys that our tokens may be signed with. */
export interface VerificationKeys {
  /** The public key with this id, or `undefined` if there is none. */
  find(kid: string): Promise<CryptoKey | undefined>
  /** All of them, as they are now, in the form of a JWKS (RFC 7517): one listing and one state read a key. */
  all(): Promise<readonly JWK[]>
}

const FOLDER = "signing-keys/"
const KID = /^\d{8}T\d{6}Z-[0-9a-f]{16}$/
const CACHED = 100 // ids asked for, unknown ones included, which anybody can make up

const document = z.object({
  kid: z.string(),
  publicKey: z.object({ kty: z.literal("RSA"), n: z.string(), e: z.string() }),
  privateKey: z.object({ masterKey: z.string(), sealed: z.string() }),
})
type SigningKeyDocument = z.infer<typeof document>

/** Reads public halves; needs no master key. A removed key is gone at the latest when the cache limit has passed. */
export function verificationKeys(state: StateStore, cacheSeconds: number, clock: Clock): VerificationKeys {
  const keys = timedCache<CryptoKey | undefined>(cacheSeconds, CACHED, clock)
  const documentOf = async (path: string) => (await state.read(path, document))?.value

  async function load(kid: string): Promise<CryptoKey | undefined> {
    const found = await documentOf(pathOf(kid))
    if (!found) return undefined
    const key = await importJWK(found.publicKey, "RS256")
    return key instanceof Uint8Array ? undefined : key // an RSA key never is bytes
  }

  return {
    find: async (kid) => (KID.test(kid) ? keys.get(kid, () => load(kid)) : undefined),
    async all() {
      const documents = await Promise.all((await pathsOf(state)).map(documentOf))
      return documents.flatMap((each) => (each ? [{ ...each.publicKey, kid: each.kid, alg: "RS256", use: "sig" }] : []))
    },
  }
}

/** Gives the newest signing key, and makes the first one. Instances that race make one each; all are verified with, and
 *  all sign with the newest from the next cache period on. */
export function signingKeys(
  state: StateStore, sealer: FieldSealer, cacheSeconds: number, clock: Clock,
): () => Promise<SigningKey> {
  const cache = timedCache<SigningKey>(cacheSeconds, 1, clock)

  async function newest(last: SigningKey | undefined): Promise<SigningKey> {
    const path = (await pathsOf(state)).at(-1)
    if (last && path === pathOf(last.kid)) return last
    const found = path === undefined ? undefined : await state.read(path, document)
    return openKey(found?.value ?? (await makeKey()), sealer)
  }

  async function makeKey(): Promise<SigningKeyDocument> {
    const kid = `${new Date(clock()).toISOString().replace(/[-:]|\.\d+/g, "")}-${randomBytes(8).toString("hex")}`
    const made = await sealedKey(kid, sealer)
    if ((await state.create(pathOf(kid), made)) === undefined) throw new Error("the random name of a key was taken")
    return made
  }

  return () => cache.get("newest", newest)
}

const pathOf = (kid: string) => `${FOLDER}${kid}.json`

/** Paths of all signing keys, the newest last: their names begin with the time. */
async function pathsOf(state: StateStore): Promise<string[]> {
  const all: string[] = []
  for (let more = true; more; ) {
    const startAfter = all.at(-1)
    const page = await state.list(FOLDER, startAfter === undefined ? {} : { startAfter })
    all.push(...page.paths)
    more = page.more && page.paths.length > 0
  }
  return all
}

/** RSA of 2,048 bits: what RS256 asks for at least (RFC 7518, section 3.3). The private half is sealed as PKCS #8,
 *  whose bytes can be zeroed; a JWK would leave strings behind. */
async function sealedKey(kid: string, sealer: FieldSealer): Promise<SigningKeyDocument> {
  const pair = await generateKeyPair("RS256", { extractable: true, modulusLength: 2048 })
  const { n = "", e = "" } = await exportJWK(pair.publicKey)
  const bytes = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey))
  try {
    return { kid, publicKey: { kty: "RSA", n, e }, privateKey: sealer.seal(bytes, pathOf(kid), kid) }
  } finally {
    bytes.fill(0)
  }
}

async function openKey({ kid, privateKey }: SigningKeyDocument, sealer: FieldSealer): Promise<SigningKey> {
  const bytes = sealer.open(privateKey, pathOf(kid), kid)
  try {
    const rs256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
    return { kid, key: await crypto.subtle.importKey("pkcs8", bytes, rs256, false, ["sign"]) }
  } finally {
    bytes.fill(0)
  }
}
