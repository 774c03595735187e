/** Sealing and opening single chunks into a pooled buffer, against `openssl speed` on the same core. */
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  CHUNK_SIZE, deriveMessageKey, KEY_SIZE, openChunk, SALT_SIZE, sealChunk, SEALED_CHUNK_SIZE,
} from "../../shared/crypto/chunked.ts"
import { interleaved, median, ratios, timed } from "../rounds.ts"
import { fixed, print } from "../table.ts"

const POOLED = 16 // chunks in a buffer, as many as a piece of the streaming API has
const TURNS = 1024 // 256 MiB in all

const message = deriveMessageKey(randomBytes(KEY_SIZE), randomBytes(SALT_SIZE), Buffer.from("bench"))
const plaintext = randomBytes(POOLED * CHUNK_SIZE)
const sealed = Buffer.allocUnsafeSlow(POOLED * SEALED_CHUNK_SIZE)
const opened = Buffer.allocUnsafeSlow(POOLED * CHUNK_SIZE)

function sealAll(): void {
  for (let turn = 0; turn < TURNS; turn++) {
    for (let index = 0; index < POOLED; index++) {
      const chunk = plaintext.subarray(index * CHUNK_SIZE, (index + 1) * CHUNK_SIZE)
      sealChunk(message, index, chunk, sealed, index * SEALED_CHUNK_SIZE)
    }
  }
}

function openAll(): void {
  for (let turn = 0; turn < TURNS; turn++) {
    for (let index = 0; index < POOLED; index++) {
      const chunk = sealed.subarray(index * SEALED_CHUNK_SIZE, (index + 1) * SEALED_CHUNK_SIZE)
      openChunk(message, index, chunk, opened, index * CHUNK_SIZE)
    }
  }
}

/** Megabytes (10⁶ bytes) a CPU second. */
async function rate(job: () => void): Promise<number> {
  return (TURNS * POOLED * CHUNK_SIZE) / (await timed(job)).cpu / 1e6
}

/** Megabytes a second that OpenSSL seals, by its own account. It uses one core all the time. */
function opensslSpeed(): number {
  const options = ["speed", "-seconds", "1", "-bytes", String(CHUNK_SIZE), "-evp", "aes-256-gcm"]
  const printed = execFileSync("openssl", options, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
  const thousands = /^AES-256-GCM\s+([\d.]+)k\s*$/im.exec(printed)?.[1]
  if (thousands === undefined) throw new Error(`openssl speed printed something else:\n${printed}`)
  return Number(thousands) / 1e3
}

sealAll()
if (!opened.equals(plaintext)) openAll()
if (!opened.equals(plaintext)) throw new Error("what was sealed did not open to the same bytes")

const rates = await interleaved(9, { openssl: async () => opensslSpeed(), seal: () => rate(sealAll), open: () => rate(openAll) })
const against = "`openssl speed` AES-256-GCM 16 KiB, sealing"
const compared = (way: "seal" | "open") => ({
  ratios: ratios(rates[way], rates.openssl, (perSecond) => perSecond),
  figures: `${fixed(median(rates[way]))} / ${fixed(median(rates.openssl))} MB/s`,
})
print([
  { what: "seal 16 KiB chunks, per CPU second", against, bar: { relation: "≥", node20: 0.33, node22: 0.55 }, ...compared("seal") },
  { what: "open 16 KiB chunks, per CPU second", against, bar: { relation: "≥", node20: 0.31, node22: 0.5 }, ...compared("open") },
])
