/** The streaming API, fed from memory in 64 KiB pieces, against the barest loop over the same bytes. */
import { randomBytes } from "node:crypto"
import {
  CHUNK_SIZE, chunkOffset, deriveMessageKey, KEY_SIZE, messageShape, openChunk, SALT_SIZE, sealChunk, SEALED_CHUNK_SIZE,
} from "../../shared/crypto/chunked.ts"
import { openMessage, sealMessage } from "../../shared/crypto/stream.ts"
import { collect } from "../../shared/objects/reading.ts"
import { drained, pieces, plaintext } from "../pieces.ts"
import { interleaved, median, ratios, timed } from "../rounds.ts"
import { fixed, print } from "../table.ts"

const TIMES = 4 // messages of 64 MiB in one measurement
const POOLED = 16 // chunks in the bare loop's buffer, as many as the streaming API's has

const dek = randomBytes(KEY_SIZE)
const salt = randomBytes(SALT_SIZE)
const context = Buffer.from("bench")
const message = deriveMessageKey(dek, salt, context)
const sealed = await collect(sealMessage(message, salt, pieces(plaintext), { reopen: false }))
const { finalChunk } = messageShape(sealed.length)
const pool = Buffer.allocUnsafeSlow(POOLED * SEALED_CHUNK_SIZE)
const place = (index: number, size: number) => (index % POOLED) * size

function sealBare(): void {
  for (let index = 0; index <= finalChunk; index++) {
    const chunk = plaintext.subarray(index * CHUNK_SIZE, (index + 1) * CHUNK_SIZE)
    sealChunk(message, index, chunk, pool, place(index, SEALED_CHUNK_SIZE))
  }
}

function openBare(): void {
  for (let index = 0; index <= finalChunk; index++) {
    openChunk(message, index, sealed.subarray(chunkOffset(index), chunkOffset(index + 1)), pool, place(index, CHUNK_SIZE))
  }
}

const sealStream = () => drained(sealMessage(message, salt, pieces(plaintext), { reopen: false }))
const openStream = () => drained(openMessage(dek, context, pieces(sealed)))

function repeated(job: () => unknown) {
  return () => timed(async () => {
    for (let turn = 0; turn < TIMES; turn++) await job()
  })
}

if ((await openStream()) !== plaintext.length) throw new Error("the stream did not open to as many bytes")
const samples = await interleaved(9, {
  sealBare: repeated(sealBare), sealStream: repeated(sealStream), openBare: repeated(openBare), openStream: repeated(openStream),
})
const perCpuSecond = ({ cpu }: { cpu: number }) => (TIMES * plaintext.length) / cpu / 1e6
const compared = (stream: "sealStream" | "openStream", bare: "sealBare" | "openBare") => ({
  against: "the bare loop over the same memory",
  bar: { relation: "≥", node20: 0.85, node22: 0.85 } as const,
  ratios: ratios(samples[stream], samples[bare], perCpuSecond),
  figures: `${fixed(median(samples[stream].map(perCpuSecond)))} / ${fixed(median(samples[bare].map(perCpuSecond)))} MB/CPU s`,
})
print([
  { what: "streaming API, seal", ...compared("sealStream", "sealBare") },
  { what: "streaming API, open", ...compared("openStream", "openBare") },
])
