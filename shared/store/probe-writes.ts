/** What a store does with plain and conditional puts. */
import { createHash } from "node:crypto"
import type { EtagForm, StoredChecksum, WriteCondition } from "../ports.ts"
import { allOf } from "./probe-groups.ts"
import { onePutWins } from "./probe-race.ts"
import { matchFormOf, type Findings } from "./probe-report.ts"
import { attempt, type Scratch } from "./scratch.ts"

/** The first canary, before any other: a plain write, and what shows of it. */
export async function plainWrites(scratch: Scratch) {
  const name = "plain"
  const { bytes, etag, versionId } = await scratch.put(name, { tags: [["bucketseal-probe", "1"]] })
  const [listing, read] = await allOf([scratch.store.list(scratch.bucket, { prefix: scratch.prefix }), scratch.read(name)])
  return {
    givesVersions: versionId !== undefined && versionId !== "null",
    notLocked: read?.info.locked !== true,
    readAfterWrite: read?.bytes.equals(bytes) ?? false,
    listAfterWrite: listing.objects.some(({ key }) => key === scratch.ref(name).key),
    etagIsMd5: etag === createHash("md5").update(bytes).digest("hex"),
    reportsTagCount: read?.info.tagCount === 1,
  }
}

/** `If-None-Match: *`. */
export async function creates(scratch: Scratch) {
  const existing = async () => {
    const canary = await scratch.put("create")
    const refused = await isRefused(scratch, "create", { ifNoneMatch: "*" })
    return refused && (await scratch.holds("create", canary))
  }
  const [createRefusesExisting, createHasOneWinner] =
    await allOf([existing(), onePutWins(scratch, "create-race", { ifNoneMatch: "*" })])
  return { createRefusesExisting, createHasOneWinner }
}

/** `If-Match`. */
export async function replaces(scratch: Scratch) {
  const [refusals, accepted] = await allOf([refusedMatches(scratch), acceptedMatches(scratch)])
  const form = matchFormOf(accepted)
  const replaceHasOneWinner = form === undefined ? "unknown" : await replaceRace(scratch, form)
  return { ...refusals, ...accepted, replaceHasOneWinner } satisfies Partial<Findings>
}

async function refusedMatches(scratch: Scratch) {
  const { etag: stale } = await scratch.put("replace")
  const canary = await scratch.put("replace")
  const [staleRefused, missingRefused] =
    await allOf([refusesBothForms(scratch, "replace", stale), refusesBothForms(scratch, "missing", stale)])
  return {
    staleMatchRefused: staleRefused && (await scratch.holds("replace", canary)),
    missingMatchRefused: missingRefused && (await scratch.read("missing")) === undefined,
  }
}

async function acceptedMatches(scratch: Scratch) {
  const accepts = async (form: EtagForm) => {
    const name = `match-${form}`
    const { etag } = await scratch.put(name)
    const written = await attempt(scratch.put(name, { condition: { ifMatch: etag, form } }))
    return written !== undefined && scratch.holds(name, written)
  }
  const [quotedMatchAccepted, unquotedMatchAccepted] = await allOf([accepts("quoted"), accepts("unquoted")])
  return { quotedMatchAccepted, unquotedMatchAccepted }
}

async function replaceRace(scratch: Scratch, form: EtagForm): Promise<boolean> {
  const { etag } = await scratch.put("replace-race")
  return onePutWins(scratch, "replace-race", { ifMatch: etag, form })
}

/** Whether a put under `If-Match` is refused, in either form: a store may take the one for no condition at all. */
export async function refusesBothForms(scratch: Scratch, name: string, etag: string): Promise<boolean> {
  const quoted = await isRefused(scratch, name, { ifMatch: etag, form: "quoted" })
  return quoted && isRefused(scratch, name, { ifMatch: etag, form: "unquoted" })
}

async function isRefused(scratch: Scratch, name: string, condition: WriteCondition): Promise<boolean> {
  return (await attempt(scratch.put(name, { condition }))) === undefined
}

// The check value of CRC-32: that of these nine bytes is cbf43926 (ITU-T V.42; "A painless guide to CRC").
const checkedBytes = Buffer.from("123456789")
const rightChecksum: StoredChecksum = { algorithm: "crc32", type: "full", value: "y/Q5Jg==" }
const wrongChecksum: StoredChecksum = { ...rightChecksum, value: "AAAAAA==" }

/** Whether a wrong CRC-32 is refused, and a right one isn't. */
export async function checksums(scratch: Scratch) {
  const refusesWrong = async (name: string, isStream: boolean) => {
    const put = (kind: string, checksum: StoredChecksum) =>
      attempt(scratch.store.put(scratch.ref(`${name}-${kind}`), isStream ? streamed() : checkedBytes, { checksum: () => checksum }))
    const [right, wrong] = await allOf([put("right", rightChecksum), put("wrong", wrongChecksum)])
    return right !== undefined && wrong === undefined && (await scratch.read(`${name}-wrong`)) === undefined
  }
  const [checksumRefused, streamChecksumRefused] =
    await allOf([refusesWrong("checksum", false), refusesWrong("stream-checksum", true)])
  return { checksumRefused, streamChecksumRefused }
}

const streamed = () => ({ length: checkedBytes.length, stream: once(checkedBytes) })

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  yield bytes
}
