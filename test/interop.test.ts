/** Another program, in another language, agrees with ours about every byte: `test/interop/bucketseal_format.py`. */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { deriveMessageKey } from "../shared/crypto/chunked.ts"
import { encodeHeader, type Header } from "../shared/crypto/header.ts"
import { openEnvelope, parseEnvelope, sealEnvelope } from "../shared/keys/envelope.ts"
import { fieldSealer } from "../shared/keys/master-key.ts"
import { patterned } from "./bytes.ts"
import { openObject, sealObject } from "./sealed.ts"

const python = "/usr/bin/python3" // Debian's own: another one may come first on PATH
const program = fileURLToPath(new URL("./interop/bucketseal_format.py", import.meta.url))
const folder = new URL("./vectors/", import.meta.url)
const hasPython = spawnSync(python, ["-c", "import cryptography"]).status === 0
const withPython = describe.skipIf(!hasPython)
const needs = `(needs ${python} with cryptography: apt-get install python3-cryptography)`

interface Vector {
  name: string; dek: string; salt: string; header: Header; size: number; aeadKey: string; baseNonce: string
  sealedSize: number; sealedSha256: string; sealed?: string; file?: string
}
interface Invalid {
  name: string; reason: string; kind: "none" | "unknown-format" | "undecryptable"; dek: string; sealed: string
}
interface Wrapped { name: string; rootKey: string; aad: string[]; dek: string; envelope: string }
const suite: { sizes: Vector[]; names: Vector[]; samples: Vector[]; invalid: Invalid[]; wrapped: Wrapped[] } =
  JSON.parse(readFileSync(new URL("format-1.json", folder), "utf8"))

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const hex = (text: string) => Buffer.from(text, "hex")
const base64 = (text: string) => Buffer.from(text, "base64")

/** The plaintext of a vector, as the vectors file says it is made. */
function plaintextOf({ name, size }: Vector): Buffer {
  const counter = Buffer.alloc(4)
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, index) => {
    counter.writeUInt32BE(index)
    return createHash("sha256").update(name).update(counter).digest()
  })
  return Buffer.concat(blocks).subarray(0, size)
}

function runPython(args: readonly string[], input: string | Uint8Array) {
  return spawnSync(python, [program, ...args], { input, maxBuffer: 64 * 1024 * 1024 })
}

interface Answer { sealed?: string; header?: Header; plaintext?: string; refused?: string }

/** Many requests in one process. */
function batch(requests: readonly Record<string, unknown>[]): Answer[] {
  const lines = requests.map((request) => `${JSON.stringify(request)}\n`)
  const { stdout, stderr, status } = runPython(["batch"], lines.join(""))
  if (status !== 0) throw new Error(stderr.toString())
  return stdout.toString().trimEnd().split("\n").map((line): Answer => JSON.parse(line))
}

describe("the vectors of format 1", () => {
  it("have never changed", () => {
    const hash = sha256(readFileSync(new URL("format-1.json", folder)))
    expect(hash).toBe("4c7d6dba4213faa5515bab53456c28525f7f4b42e3ba7d2405e4bcfb9503b6aa")
  })

  const valid = [...suite.sizes, ...suite.names, ...suite.samples]

  it.each(valid)("$name: seals to the same bytes and opens again", async (vector) => {
    const plaintext = plaintextOf(vector)
    const sealed = await sealObject(hex(vector.dek), hex(vector.salt), vector.header, plaintext)
    expect([sealed.length, sha256(sealed)]).toEqual([vector.sealedSize, vector.sealedSha256])
    if (vector.sealed !== undefined) expect(sealed.equals(base64(vector.sealed))).toBe(true)
    const message = deriveMessageKey(hex(vector.dek), hex(vector.salt), encodeHeader(vector.header))
    expect(message.aead.export().toString("hex")).toBe(vector.aeadKey)
    expect(message.baseNonce.toString("hex")).toBe(vector.baseNonce)

    const opened = await openObject(hex(vector.dek), sealed)
    expect(opened.error).toBeUndefined()
    expect(opened.parsed).toMatchObject({ kind: "header", header: vector.header })
    expect(opened.bytes.equals(plaintext)).toBe(true)
  })

  it.each(suite.samples)("the sealed file $file opens", async (sample) => {
    const sealed = readFileSync(new URL(sample.file ?? "", folder))
    expect(sha256(sealed)).toBe(sample.sealedSha256)
    const opened = await openObject(hex(sample.dek), sealed)
    expect(opened.error).toBeUndefined()
    expect(opened.bytes.equals(plaintextOf(sample))).toBe(true)
  })

  it.each(suite.invalid)("$name is refused as $kind: $reason", async ({ kind, dek, sealed }) => {
    const opened = await openObject(hex(dek), base64(sealed))
    if (kind === "undecryptable") expect(opened.error).toMatchObject({ code: "undecryptable" })
    else expect(opened.parsed).toEqual({ kind })
    expect(opened.bytes.length).toBe(0)
  })

  it.each(suite.wrapped)("the envelope with AAD $name opens, and is what ours makes", (vector) => {
    const [rootKey, dek] = [hex(vector.rootKey), hex(vector.dek)]
    const parsed = parseEnvelope(vector.envelope)
    expect(Buffer.from(openEnvelope(rootKey, parsed, vector.aad)).equals(dek)).toBe(true)
    expect(sealEnvelope(rootKey, parsed.handle, parsed.iv, vector.aad, dek)).toBe(vector.envelope)
  })
})

withPython(`the Python program ${needs}`, () => {
  let temporary = ""
  beforeAll(() => void (temporary = mkdtempSync(join(tmpdir(), "bucketseal-interop-"))))
  afterAll(() => rmSync(temporary, { recursive: true, force: true }))

  it("makes the vectors and the sealed files again, byte for byte", () => {
    expect(runPython(["vectors", temporary], "").status).toBe(0)
    for (const file of ["format-1.json", ...suite.samples.map(({ file }) => file ?? "")]) {
      expect(readFileSync(join(temporary, file)).equals(readFileSync(new URL(file, folder))), file).toBe(true)
    }
  })

  it("refuses every invalid vector for the same reason, and gives no byte of it", () => {
    const answers = batch(suite.invalid.map(({ dek, sealed }) => ({ do: "open", dek, sealed })))
    for (const [index, { name, kind }] of suite.invalid.entries()) {
      expect(answers[index], name).toEqual({ refused: kind, plaintext: "" })
    }
  })

  describe("and ours, each on what the other made", () => {
    const dek = patterned(32)
    const salt = patterned(56).subarray(32)
    const sizes = [0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 100_000, 262_144, 5 * 1024 * 1024 + 1]
    const header = { dek: "5f0c7d4e-0b5a-4c93-9a57-3d1f6f0e7a11", bucket: "photos", key: "a/ü.txt" }
    const cases = [
      ...sizes.map((size) => ({ size, header })),
      ...suite.names.map((vector) => ({ size: 1, header: vector.header })),
    ].map((each) => ({ ...each, plaintext: patterned(each.size) }))
    const hexes = { dek: dek.toString("hex"), salt: salt.toString("hex") }
    let ours: Buffer[] = []
    beforeAll(async () => {
      ours = await Promise.all(cases.map(({ header, plaintext }) => sealObject(dek, salt, header, plaintext)))
    })

    it("opens what ours sealed, of every size and name", () => {
      const answers = batch(ours.map((sealed) => ({ do: "open", ...hexes, sealed: sealed.toString("base64") })))
      for (const [index, { header, plaintext }] of cases.entries()) {
        expect(answers[index]?.header).toEqual(header)
        expect(base64(answers[index]?.plaintext ?? "none").equals(plaintext)).toBe(true)
      }
    })

    it("seals to the very bytes that ours does, and ours opens them", async () => {
      const answers = batch(cases.map(({ header, plaintext }) => (
        { do: "seal", ...hexes, header, plaintext: plaintext.toString("base64") }
      )))
      for (const [index, { plaintext }] of cases.entries()) {
        const sealed = base64(answers[index]?.sealed ?? "")
        expect(ours[index]?.equals(sealed)).toBe(true)
        const opened = await openObject(dek, sealed)
        expect([opened.error, opened.bytes.equals(plaintext)]).toEqual([undefined, true])
      }
    })
  })

  describe("as a command", () => {
    const [sample] = suite.samples.filter(({ file }) => file === "sealed/two-chunks.sealed")
    if (!sample) throw new Error("the sample is missing")
    const sealed = readFileSync(new URL("sealed/two-chunks.sealed", folder))
    const open = (object: Uint8Array, ...more: string[]) => runPython(["open", "--dek", sample.dek, ...more], object)

    it("writes the header to stderr and the plaintext to stdout", () => {
      const { status, stdout, stderr } = open(sealed, "--bucket", sample.header.bucket, "--key", sample.header.key)
      expect(status).toBe(0)
      expect(JSON.parse(stderr.toString())).toEqual(sample.header)
      expect(stdout.equals(plaintextOf(sample))).toBe(true)
    })

    it("writes nothing of a bad chunk and exits with 1", () => {
      const broken = Buffer.from(sealed)
      broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1
      const { status, stdout, stderr } = open(broken)
      expect([status, stdout.length]).toEqual([1, 16_384])
      expect(stdout.equals(plaintextOf(sample).subarray(0, 16_384))).toBe(true)
      expect(stderr.toString()).toContain("undecryptable: chunk 1")
    })

    it("refuses what stands elsewhere than its header says", () => {
      const { status, stdout, stderr } = open(sealed, "--key", "another key")
      expect([status, stdout.length]).toEqual([1, 0])
      expect(stderr.toString()).toContain("moved: it was sealed for another key")
    })

    it("seals with a fresh salt each time, and ours opens it", async () => {
      const plaintext = patterned(40_000)
      const key = 'emoji 🦀\nand "line"'
      const args = ["seal", "--dek", sample.dek, "--id", sample.header.dek, "--bucket", "b", "--key", key]
      const [first, second] = [runPython(args, plaintext).stdout, runPython(args, plaintext).stdout]
      expect(first.equals(second)).toBe(false)
      const opened = await openObject(hex(sample.dek), first)
      expect(opened.parsed).toMatchObject({ kind: "header", header: { bucket: "b", key } })
      expect([opened.error, opened.bytes.equals(plaintext)]).toEqual([undefined, true])
    })

    it("unwraps a data key, and refuses other AAD, another order, another root key and a changed envelope", () => {
      const vector = suite.wrapped.find(({ name }) => name === "a data key's")
      if (!vector) throw new Error("the vector is missing")
      const { rootKey, aad, envelope: good, dek } = vector
      const args = ["unwrap", "--root-key", rootKey, ...aad.flatMap((text) => ["--aad", text])]
      expect(runPython(args, good).stdout.toString().trim()).toBe(dek)
      expect(runPython([...args, "--aad", "more"], good)).toMatchObject({ status: 1, stdout: Buffer.alloc(0) })
      const envelope = Buffer.from(base64(vector.envelope).toString().replace("4.0.0", "3.0.0")).toString("base64")
      const wrong = [
        { aad: [] }, { aad: vector.aad.toReversed() }, { rootKey: "00".repeat(32) }, { envelope }, { envelope: "{}" },
      ]
      const answers = batch(wrong.map((change) => ({ do: "unwrap", ...vector, ...change })))
      expect(answers).toEqual(wrong.map(() => ({ refused: "undecryptable", plaintext: "" })))
    })

    it("finds a root key's material under the master key, in its own document and version only", () => {
      const path = "root-keys/instance/id.json"
      const sealer = fieldSealer(patterned(32), [], (size) => patterned(size))
      const versions = ["old", "new"].map((id, index) => (
        { id, material: sealer.seal(Buffer.alloc(32, index + 1), path, id) }
      ))
      const masterKey = join(temporary, "master.key")
      writeFileSync(masterKey, `${patterned(32).toString("base64")}\n`, { mode: 0o600 })
      const material = (document: unknown, ...more: string[]) => (
        runPython(["root-key", "--master-key", masterKey, ...more], JSON.stringify(document)).stdout.toString().trim()
      )
      expect(material({ versions }, "--path", path)).toBe("02".repeat(32))
      expect(material({ versions }, "--path", path, "--version", "old")).toBe("01".repeat(32))
      expect(material({ versions }, "--path", "root-keys/instance/other.json")).toBe("")
      expect(material({ versions: [{ ...versions[0], id: "new" }] }, "--path", path)).toBe("")
    })
  })
})
