/** Sealing and opening a stream of 256 MiB, against the AWS Encryption SDK with its default settings. */
import { randomBytes } from "node:crypto"
import { Readable, type Duplex } from "node:stream"
import { finished } from "node:stream/promises"
import { deriveMessageKey, KEY_SIZE, SALT_SIZE } from "../../shared/crypto/chunked.ts"
import { openMessage, sealMessage } from "../../shared/crypto/stream.ts"
import { collect } from "../../shared/objects/reading.ts"
import { esdk, keyring } from "../esdk.ts"
import { drained, pieces, plaintext } from "../pieces.ts"
import { interleaved, median, ratios, timed, type Sample } from "../rounds.ts"
import { fixed, print } from "../table.ts"

const TIMES = 4 // times 64 MiB

const dek = randomBytes(KEY_SIZE)
const context = Buffer.from("bench")

function sealOurs(reopen: boolean): AsyncIterable<Uint8Array> {
  const salt = randomBytes(SALT_SIZE)
  return sealMessage(deriveMessageKey(dek, salt, context), salt, pieces(plaintext, TIMES), { reopen })
}

/** Feeds a stream of theirs, and throws away what it gives in the cheapest way there is. */
async function through(stream: Duplex, source: AsyncIterable<Uint8Array>): Promise<void> {
  Readable.from(source).on("error", (error) => stream.destroy(error)).pipe(stream)
  stream.resume()
  await finished(stream)
}

const sealedByUs = await collect(sealOurs(false))
const encryptedByThem = await collect(Readable.from(pieces(plaintext, TIMES)).pipe(esdk.encryptStream(keyring)))
if ((await drained(openMessage(dek, context, pieces(sealedByUs)))) !== TIMES * plaintext.length) throw new Error("ours does not open")
const theirs = Readable.from(pieces(encryptedByThem)).pipe(esdk.decryptStream(keyring))
if ((await drained(theirs)) !== TIMES * plaintext.length) throw new Error("theirs does not open")

const samples = await interleaved(5, {
  seal: () => timed(() => drained(sealOurs(false))),
  sealChecked: () => timed(() => drained(sealOurs(true))),
  open: () => timed(() => drained(openMessage(dek, context, pieces(sealedByUs)))),
  encrypt: () => timed(() => through(esdk.encryptStream(keyring), pieces(plaintext, TIMES))),
  decrypt: () => timed(() => through(esdk.decryptStream(keyring), pieces(encryptedByThem))),
})

/** How many times faster: their time by ours. */
function faster(ours: "seal" | "sealChecked" | "open", their: "encrypt" | "decrypt") {
  const middle = (way: keyof typeof samples, measure: (sample: Sample) => number) => fixed(median(samples[way].map(measure)))
  const seconds = ({ seconds }: Sample) => seconds
  const cpu = ({ cpu }: Sample) => cpu
  return {
    against: "AWS Encryption SDK for JS, defaults",
    ratios: ratios(samples[their], samples[ours], seconds),
    figures: `${middle(ours, seconds)} / ${middle(their, seconds)} s, CPU ${middle(ours, cpu)} / ${middle(their, cpu)} s`,
  }
}
print([
  { what: "seal a 256 MiB stream, times faster", bar: { relation: "≥", node20: 5, node22: 5 }, ...faster("seal", "encrypt") },
  { what: "open it, times faster", bar: { relation: "≥", node20: 6, node22: 6 }, ...faster("open", "decrypt") },
  { what: "seal it with each chunk opened again, times faster", ...faster("sealChecked", "encrypt") },
])
