/** Envelope-sealing small objects in process: a fresh data key each, wrapped by a root key in memory. */
import { randomBytes, randomUUID } from "node:crypto"
import { IV_SIZE } from "../../shared/crypto/aead.ts"
import { deriveMessageKey, KEY_SIZE, SALT_SIZE } from "../../shared/crypto/chunked.ts"
import { encodeHeader } from "../../shared/crypto/header.ts"
import { openMessage, sealMessage } from "../../shared/crypto/stream.ts"
import { openEnvelope, parseEnvelope, sealEnvelope } from "../../shared/keys/envelope.ts"
import { collect } from "../../shared/objects/reading.ts"
import { once } from "../../shared/objects/sealed.ts"
import { esdk, keyring, unsigned } from "../esdk.ts"
import { interleaved, median, ratios, timed, type Sample } from "../rounds.ts"
import { fixed, print } from "../table.ts"

const SIZE = 4096
const OURS = 10_000 // objects in one measurement
const THEIRS = 1_000 // theirs take so much longer

const rootKey = randomBytes(KEY_SIZE)
const keyVersion = randomUUID()
const plaintext = randomBytes(SIZE)

/** Data key, its wrapping, header, message: all that a sealed object needs, and the bytes that are stored of it. */
async function sealOne(): Promise<{ wrapped: string; header: Buffer; sealed: Buffer }> {
  const random = randomBytes(KEY_SIZE + SALT_SIZE + IV_SIZE)
  const dek = random.subarray(0, KEY_SIZE)
  const salt = random.subarray(KEY_SIZE, KEY_SIZE + SALT_SIZE)
  const header = encodeHeader({ dek: randomUUID(), bucket: "bench", key: "small/object" })
  const wrapped = sealEnvelope(rootKey, keyVersion, random.subarray(KEY_SIZE + SALT_SIZE), ["bucketseal/1", "bench"], dek)
  const message = deriveMessageKey(dek, salt, header)
  dek.fill(0)
  return { wrapped, header, sealed: await collect(sealMessage(message, salt, once(plaintext), { reopen: false })) }
}

/** Seconds an object, on the clock and of CPU. */
async function each(count: number, one: () => Promise<unknown>): Promise<Sample> {
  const { seconds, cpu } = await timed(async () => {
    for (let done = 0; done < count; done++) await one()
  })
  return { seconds: seconds / count, cpu: cpu / count }
}

const { wrapped, header, sealed } = await sealOne()
const dek = openEnvelope(rootKey, parseEnvelope(wrapped), ["bucketseal/1", "bench"])
if (!(await collect(openMessage(dek, header, once(sealed)))).equals(plaintext)) throw new Error("ours does not open")
const encrypted = await esdk.encrypt(keyring, plaintext, { suiteId: unsigned })
if (!(await esdk.decrypt(keyring, encrypted.result)).plaintext.equals(plaintext)) throw new Error("theirs does not open")

const samples = await interleaved(15, {
  ours: () => each(OURS, sealOne),
  theirs: () => each(THEIRS, () => esdk.encrypt(keyring, plaintext, { suiteId: unsigned })),
})
const micros = (way: keyof typeof samples, measure: (sample: Sample) => number) => fixed(median(samples[way].map(measure)) * 1e6)
print([{
  what: "envelope-seal 4 KiB in process, times faster",
  against: "AWS Encryption SDK for JS, unsigned suite",
  bar: { relation: "≥", node20: 10, node22: 10 },
  ratios: ratios(samples.theirs, samples.ours, ({ seconds }) => seconds),
  figures: `${micros("ours", ({ seconds }) => seconds)} / ${micros("theirs", ({ seconds }) => seconds)} µs an object, ` +
    `CPU ${micros("ours", ({ cpu }) => cpu)} / ${micros("theirs", ({ cpu }) => cpu)} µs`,
}])
