import { randomBytes } from "node:crypto"
import { beforeAll, describe, expect, it } from "vitest"
import { isFailure } from "../shared/errors.ts"
import type { KeyService } from "../shared/ports.ts"

/** A key service under test, and what the suite can't do by the port alone. */
export interface KeyServiceUnderTest {
  readonly keyService: KeyService
  /** Makes an active root key and gives its resolved name. */
  newKey(): Promise<string>
  /** The name of a root key that isn't there. */
  unknownKey(): string
  rotate(rootKey: string): Promise<void>
  disable(rootKey: string): Promise<void>
  /** Deletes for good or for a time: no use from then on. */
  destroy(rootKey: string): Promise<void>
}

const failing = (...codes: string[]): unknown => expect.objectContaining({ code: expect.toBeOneOf(codes) as unknown })

/** What the `KeyService` port promises, as a suite to run on every implementation. */
export function keyServiceContract(name: string, make: () => Promise<KeyServiceUnderTest>): void {
  describe(`KeyService: ${name}`, () => {
    let tested: KeyServiceUnderTest
    let keyService: KeyService
    let key: string
    beforeAll(async () => {
      tested = await make()
      keyService = tested.keyService
      key = await tested.newKey()
    })

    it("describes an active key by its resolved name", async () => {
      expect(await keyService.describe(key)).toMatchObject({ id: key, state: "active" })
    })

    it("generates 32 fresh bytes each time, and they unwrap to themselves", async () => {
      const [one, two] = [await keyService.generate(key, ["a"]), await keyService.generate(key, ["a"])]
      expect([one.plaintext.length, two.plaintext.length]).toEqual([32, 32])
      expect(Buffer.from(one.plaintext).equals(two.plaintext)).toBe(false)
      expect(one.ciphertext).not.toBe(two.ciphertext)
      expect(Buffer.from((await keyService.unwrap(key, one.ciphertext, ["a"])).plaintext).equals(one.plaintext)).toBe(true)
    })

    it.each([1, 16, 32, 1000])("wraps %i bytes, and they unwrap to the same", async (size) => {
      const plaintext = randomBytes(size)
      const { ciphertext } = await keyService.wrap(key, plaintext, [])
      expect(ciphertext).not.toContain(plaintext.toString("base64"))
      expect(Buffer.from((await keyService.unwrap(key, ciphertext, [])).plaintext)).toEqual(plaintext)
    })

    it("gives plaintexts that are the caller's to overwrite", async () => {
      const { plaintext, ciphertext } = await keyService.generate(key, [])
      const kept = Buffer.from(plaintext)
      plaintext.fill(0)
      const opened = await keyService.unwrap(key, ciphertext, [])
      opened.plaintext.fill(0)
      expect(Buffer.from((await keyService.unwrap(key, ciphertext, [])).plaintext)).toEqual(kept)
    })

    it.each([
      ["reordered", ["a", "b"], ["b", "a"]],
      ["missing", ["a", "b"], []],
      ["missing in part", ["a", "b"], ["a"]],
      ["extended", ["a"], ["a", "b"]],
      ["given where there was none", [], ["a"]],
      ["joined", ["a", "b"], ["ab"]],
      ["cut otherwise", ["ab", "c"], ["a", "bc"]],
      ["in another case", ["a"], ["A"]],
      ["with a comma for a border", ["a,b"], ["a", "b"]],
      ["with a quote for a border", ['a","b'], ["a", "b"]],
    ])("refuses AAD that is %s as undecryptable", async (_, sealed, opened) => {
      const { ciphertext } = await keyService.generate(key, sealed)
      await expect(keyService.unwrap(key, ciphertext, opened)).rejects.toEqual(failing("undecryptable"))
      await expect(keyService.rewrap(key, ciphertext, opened)).rejects.toEqual(failing("undecryptable"))
    })

    it("takes AAD of any characters, up to 255 of them", async () => {
      const aad = ["", "\n\u0000", "ä😀", "x".repeat(255)]
      const { ciphertext, plaintext } = await keyService.generate(key, aad)
      expect(Buffer.from((await keyService.unwrap(key, ciphertext, aad)).plaintext).equals(plaintext)).toBe(true)
    })

    it("refuses another key's ciphertext as undecryptable", async () => {
      const other = await tested.newKey()
      const { ciphertext } = await keyService.generate(other, [])
      await expect(keyService.unwrap(key, ciphertext, [])).rejects.toEqual(failing("undecryptable"))
    })

    it("refuses every kind of broken ciphertext with the same words", async () => {
      const { ciphertext } = await keyService.generate(key, [])
      const bytes = Buffer.from(ciphertext, "base64")
      const broken = [
        "", "%", "e30=", ciphertext.slice(0, -4), Buffer.concat([bytes, Buffer.from(" x")]).toString("base64"),
      ]
      for (let at = 0; at < bytes.length; at += 7) {
        const tampered = Buffer.from(bytes)
        tampered[at] = (tampered[at] ?? 0) ^ 1
        broken.push(tampered.toString("base64"))
      }
      const messages = new Set<string>()
      for (const text of broken) {
        const error: unknown = await keyService.unwrap(key, text, []).catch((thrown: unknown) => thrown)
        expect(isFailure(error, "undecryptable"), `${text} gave ${String(error)}`).toBe(true)
        messages.add(String(error))
      }
      expect(messages.size).toBe(1)
    })

    it("has nothing under a name that it does not know", async () => {
      const unknown = tested.unknownKey()
      await expect(keyService.describe(unknown)).rejects.toEqual(failing("key-not-found"))
      await expect(keyService.generate(unknown, [])).rejects.toEqual(failing("key-not-found"))
      await expect(keyService.wrap(unknown, randomBytes(32), [])).rejects.toEqual(failing("key-not-found"))
      await expect(keyService.unwrap(unknown, "e30=", [])).rejects.toEqual(failing("key-not-found"))
    })

    it("opens what was wrapped before a rotation, and gives it under the newest version", async () => {
      const rotated = await tested.newKey()
      const old = await keyService.generate(rotated, ["a"])
      await tested.rotate(rotated)
      const fresh = await keyService.wrap(rotated, randomBytes(32), ["a"])
      const opened = await keyService.unwrap(rotated, old.ciphertext, ["a"])
      expect(Buffer.from(opened.plaintext).equals(old.plaintext)).toBe(true)
      if (old.keyVersion === undefined) return // the service has no versions to tell
      expect(fresh.keyVersion).not.toBe(old.keyVersion)
      expect((await keyService.describe(rotated)).keyVersion).toBe(fresh.keyVersion)
      expect(opened).toMatchObject({ keyVersion: old.keyVersion, rewrapped: { keyVersion: fresh.keyVersion } })
      const again = await keyService.unwrap(rotated, opened.rewrapped?.ciphertext ?? "", ["a"])
      expect(Buffer.from(again.plaintext).equals(old.plaintext)).toBe(true)
      expect(again).toMatchObject({ keyVersion: fresh.keyVersion })
      expect(again.rewrapped).toBeUndefined()
    })

    it("rewraps under the newest version without giving out the plaintext", async () => {
      const rotated = await tested.newKey()
      const old = await keyService.generate(rotated, ["a"])
      await tested.rotate(rotated)
      const rewrapped = await keyService.rewrap(rotated, old.ciphertext, ["a"])
      expect(rewrapped).not.toHaveProperty("plaintext")
      expect(rewrapped.ciphertext).not.toBe(old.ciphertext)
      if (old.keyVersion !== undefined) {
        expect(rewrapped.previousVersion).toBe(old.keyVersion)
        expect(rewrapped.keyVersion).toBe((await keyService.describe(rotated)).keyVersion)
      }
      const opened = await keyService.unwrap(rotated, rewrapped.ciphertext, ["a"])
      expect(Buffer.from(opened.plaintext).equals(old.plaintext)).toBe(true)
    })

    it("rewraps what is under the newest version already to another ciphertext", async () => {
      const { ciphertext, plaintext } = await keyService.generate(key, [])
      const rewrapped = await keyService.rewrap(key, ciphertext, [])
      expect(rewrapped.ciphertext).not.toBe(ciphertext)
      expect(Buffer.from((await keyService.unwrap(key, rewrapped.ciphertext, [])).plaintext).equals(plaintext)).toBe(true)
    })

    it("neither wraps nor unwraps with a disabled key", async () => {
      const disabled = await tested.newKey()
      const { ciphertext } = await keyService.generate(disabled, [])
      await tested.disable(disabled)
      expect((await keyService.describe(disabled)).state).toBe("suspended")
      await expect(keyService.generate(disabled, [])).rejects.toEqual(failing("key-state"))
      await expect(keyService.wrap(disabled, randomBytes(32), [])).rejects.toEqual(failing("key-state"))
      await expect(keyService.unwrap(disabled, ciphertext, [])).rejects.toEqual(failing("key-state"))
      await expect(keyService.rewrap(disabled, ciphertext, [])).rejects.toEqual(failing("key-state"))
    })

    it("neither wraps nor unwraps with a deleted key", async () => {
      const deleted = await tested.newKey()
      const { ciphertext } = await keyService.generate(deleted, [])
      await tested.destroy(deleted)
      await expect(keyService.generate(deleted, [])).rejects.toEqual(failing("key-deleted", "key-state"))
      await expect(keyService.unwrap(deleted, ciphertext, [])).rejects.toEqual(failing("key-deleted", "key-state"))
      await expect(keyService.rewrap(deleted, ciphertext, [])).rejects.toEqual(failing("key-deleted", "key-state"))
    })

    it("answers a hundred at once as one by one", async () => {
      const made = await Promise.all(Array.from({ length: 100 }, (_, index) => keyService.generate(key, [`${index}`])))
      const opened = await Promise.all(made.map(({ ciphertext }, index) => keyService.unwrap(key, ciphertext, [`${index}`])))
      expect(opened.map(({ plaintext }) => Buffer.from(plaintext).toString("hex")))
        .toEqual(made.map(({ plaintext }) => Buffer.from(plaintext).toString("hex")))
    })
  })
}
