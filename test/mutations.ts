/** JSON changed at random, by a seed: members deleted, replaced, repeated, renamed; types swapped; nesting; hostile texts. */

/** A number of [0, 1) at each call, the same for the same seed (mulberry32, a public-domain generator). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

type Random = () => number

const below = (random: Random, limit: number) => Math.floor(random() * limit)
const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)] as T // no list here is empty

const URLS = ["http://attacker.example/x", "https://192.0.2.66:443/", "http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data/"]
const NAMES = [
  "__proto__", "constructor", "prototype", "toString", "toJSON", "then", "length", "__bx_creds", "endpoint", "SubscribeURL", "UnsubscribeURL",
  "SigningCertURL", "url", "push-endpoint", "callback", "jwks_uri", "Records", "events", "Message", "body", "data", "key", "bucket", "Type", "specversion",
]
const VALUES: readonly unknown[] = [
  null, true, false, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER + 2, "", "null", "abc", "%", "%00", "%2F", "%ff", "+", "..", "\ud800", "\u0000", "{}", "[]", "[[[[]]]]",
  '{"Records":[]}', [], {}, [[]], { Records: {} }, "aws:s3", "ceph:s3", "minio:s3", "aws:sqs", "Notification", "SubscriptionConfirmation", "s3:TestEvent", "k".repeat(1_025), ...URLS,
]

/** A copy with one change somewhere in it. */
export function mutated(value: unknown, random: Random): unknown {
  if (typeof value === "string") return random() < 0.7 ? mutatedInside(value, random) : changed(value, random)
  if (typeof value !== "object" || value === null || random() < 0.1) return changed(value, random)
  if (Array.isArray(value)) {
    const at = below(random, value.length)
    return value.length === 0 ? changed(value, random) : value.map((one, index) => index === at ? mutated(one, random) : one as unknown)
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || random() < 0.2) return Object.fromEntries(withOther(entries, random)) // makes an own `__proto__`
  const at = below(random, entries.length)
  return Object.fromEntries(entries.map(([name, one], index) => [name, index === at ? mutated(one, random) : one]))
}

/** A wrapped text is changed as the JSON that it is. */
function mutatedInside(text: string, random: Random): unknown {
  try {
    return JSON.stringify(mutated(JSON.parse(text), random))
  } catch {
    return changed(text, random)
  }
}

function withOther(entries: readonly [string, unknown][], random: Random): readonly [string, unknown][] {
  const at = below(random, entries.length)
  switch (below(random, 3)) {
    case 0: return entries.filter((_, index) => index !== at)
    case 1: return [...entries, [pick(random, NAMES), pick(random, VALUES)]]
    default: return entries.map(([name, one], index) => [index === at ? pick(random, NAMES) : name, one])
  }
}

function changed(value: unknown, random: Random): unknown {
  switch (below(random, 6)) {
    case 0: return Array.from({ length: 1 + below(random, 30) }, () => value)
    case 1: return nested(value, 1 + below(random, random() < 0.1 ? 1_000 : 8), pick(random, NAMES))
    case 2: return JSON.stringify(value)
    case 3: return typeof value === "string" ? spoilt(value, random) : { [pick(random, NAMES)]: value }
    default: return pick(random, VALUES)
  }
}

function nested(value: unknown, depth: number, name: string): unknown {
  let all = value
  for (let level = 0; level < depth; level++) all = level % 2 === 0 ? [all] : Object.fromEntries([[name, all]])
  return all
}

function spoilt(text: string, random: Random): string {
  const at = below(random, text.length + 1)
  const more = pick(random, ["%", "+", "%2F", "/../", "\ud800", "\u0000", '"', "\n", "é", "🪣", ...URLS, "x".repeat(pick(random, [10, 1_100, 20_000]))])
  return text.slice(0, at) + more + text.slice(at + below(random, 3))
}

/** A copy of a text with a few of its characters replaced, removed, or repeated. */
export function mutatedText(text: string, random: Random): string {
  let all = text
  for (let left = 1 + below(random, 4); left > 0; left--) {
    const at = below(random, all.length + 1)
    const more = pick(random, ["", "{", "}", "[", "]", '"', ",", ":", "\\", "\\u0000", "0", "e", "[".repeat(2_000), all.slice(at, at + 20), "\ufffd"])
    all = all.slice(0, at) + more + all.slice(at + below(random, 3))
  }
  return all
}
