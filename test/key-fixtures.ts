/** What the tests of keys share: a look into state, counting, a clock to be set, an embedded key service. */
import { randomBytes, randomUUID } from "node:crypto"
import { keyCrn } from "../shared/iam/crn.ts"
import { embedded, type EmbeddedOptions, type RootKeys } from "../shared/keys/embedded.ts"
import { fieldSealer } from "../shared/keys/master-key.ts"
import type { KeyService, StateStore } from "../shared/ports.ts"
import { memoryState } from "./memory-state.ts"

/** A stored document as JSON gives it. */
export async function stored(state: StateStore, path: string): Promise<Record<string, string>> {
  return (await state.read(path, { parse: (value) => value as Record<string, string> }))?.value ?? {}
}

/** Puts another document in the place of a stored one, as whoever may write the state store could. */
export async function overwrite(state: StateStore, path: string, value: unknown): Promise<void> {
  const present = await state.read(path, { parse: (any) => any })
  if (!present || !(await state.replace(path, value, present.etag))) throw new Error(`nothing to overwrite at ${path}`)
}

/** All documents under a prefix (at most 1,000), by path. */
export async function allStored(state: StateStore, prefix: string): Promise<Record<string, unknown>> {
  const { paths } = await state.list(prefix)
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path, await stored(state, path)] as const)))
}

/** Counts the calls of an object's methods by name. */
export function counted<T extends object>(target: T): T & { readonly calls: Record<string, number> } {
  const calls: Record<string, number> = {}
  return new Proxy(target, {
    get(object, name) {
      if (name === "calls") return calls
      const member: unknown = Reflect.get(object, name)
      if (typeof member !== "function") return member
      return (...args: unknown[]) => {
        calls[String(name)] = (calls[String(name)] ?? 0) + 1
        return Reflect.apply(member, object, args) as unknown
      }
    },
  }) as T & { readonly calls: Record<string, number> }
}

/** A clock that stands still until it is moved. */
export function setClock(now = Date.parse("2025-06-01T12:00:00Z")) {
  const clock = () => now
  return Object.assign(clock, { forward: (seconds: number) => void (now += seconds * 1000) })
}

/** One instance for all tests. */
export const instance = {
  id: "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11",
  region: "us-south",
  crn: "crn:v1:bluemix:public:kms:us-south:a/acc1:0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11::",
  keyCrn: (id: string) => keyCrn("us-south", "acc1", "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11", id),
}

/** An embedded key service without waiting times; what is given replaces the presets. */
export function makeRootKeys(given: Partial<EmbeddedOptions> = {}): RootKeys {
  return embedded({
    state: memoryState(),
    sealer: fieldSealer(randomBytes(32), [], randomBytes),
    instance,
    clock: Date.now,
    random: randomBytes,
    cacheSeconds: 300,
    waits: { rotate: 0, enable: 0 },
    ...given,
  })
}

/** The CRN of a new root key. */
export const newRootKey = async (rootKeys: RootKeys): Promise<string> =>
  (await rootKeys.create({ name: "test key", tags: [] }, "iam-test")).crn

/** Keeps every plaintext that a key service gave out, to see that it is zeroed later. */
export function recordingPlaintexts(keyService: KeyService): KeyService & { readonly given: Uint8Array[] } {
  const given: Uint8Array[] = []
  const keep = <T extends { plaintext: Uint8Array }>(result: T): T => {
    given.push(result.plaintext)
    return result
  }
  return {
    given,
    describe: (rootKey) => keyService.describe(rootKey),
    generate: async (rootKey, aad) => keep(await keyService.generate(rootKey, aad)),
    wrap: (rootKey, plaintext, aad) => keyService.wrap(rootKey, plaintext, aad),
    unwrap: async (rootKey, ciphertext, aad) => keep(await keyService.unwrap(rootKey, ciphertext, aad)),
    rewrap: (rootKey, ciphertext, aad) => keyService.rewrap(rootKey, ciphertext, aad),
  }
}

/** An id that no key has. */
export const unknownId = (): string => randomUUID()
