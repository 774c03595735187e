/** Whether a bucket keeps versions, and what it does with them. */
import { isFailure } from "../errors.ts"
import type { BucketSettings, EtagForm, Versioning } from "../ports.ts"
import { allOf, together } from "./probe-groups.ts"
import type { Findings } from "./probe-report.ts"
import { completionRefused } from "./probe-uploads.ts"
import { refusesBothForms } from "./probe-writes.ts"
import { attempt, type Canary, type Scratch } from "./scratch.ts"

/** Whether versions are kept, by what is seen: ids on writes, or a marker in the place of what was deleted. */
export async function measuredVersioning(
  scratch: Scratch, settings: BucketSettings, givesVersions: boolean,
): Promise<Versioning | "unknown"> {
  if (givesVersions) return "enabled"
  await scratch.put("unversioned")
  await scratch.store.delete(scratch.ref("unversioned"))
  try {
    return (await scratch.versions("unversioned")).some(({ marker }) => marker) ? "suspended" : "off"
  } catch (error) {
    if (isFailure(error, "forbidden")) return settings.versioning
    if (isFailure(error, "store-refused", "not-implemented")) return "off" // what can't list versions has none
    throw error
  }
}

/** What holds where versions are kept. */
export async function versions(
  scratch: Scratch, versioning: "enabled" | "suspended", form: EtagForm | undefined,
): Promise<Partial<Findings>> {
  return together([
    overMarkers(scratch), form === undefined ? Promise.resolve({}) : above(scratch, versioning, form),
    versioning === "enabled" ? named(scratch) : nullVersion(scratch),
  ])
}

/** Conditions over a delete marker: there is no object, so that `If-Match` fails and `If-None-Match` holds. */
async function overMarkers(scratch: Scratch) {
  const hidden = async (name: string) => {
    const { etag } = await scratch.put(name)
    await scratch.store.delete(scratch.ref(name))
    return etag
  }
  const stays = async (name: string) => (await scratch.read(name)) === undefined
  const puts = async () => (await refusesBothForms(scratch, "marker", await hidden("marker"))) && stays("marker")
  const completes = async () =>
    (await completionRefused(scratch, "marker-complete", await hidden("marker-complete"))) && stays("marker-complete")
  const creates = async () => {
    await hidden("marker-create")
    const created = await attempt(scratch.put("marker-create", { condition: { ifNoneMatch: "*" } }))
    return created !== undefined && scratch.holds("marker-create", created)
  }
  const [markerMatchRefused, markerCompleteRefused, createOverMarkerAccepted] =
    await allOf([puts(), completes(), creates()])
  return { markerMatchRefused, markerCompleteRefused, createOverMarkerAccepted }
}

/** Where a conditional write's version lies. While versioning is suspended both are the null version: one is left. */
async function above(scratch: Scratch, versioning: "enabled" | "suspended", form: EtagForm) {
  const name = "above"
  const source = await scratch.put(name)
  const written = await attempt(scratch.put(name, { condition: { ifMatch: source.etag, form } }))
  const all = (await scratch.versions(name)).map(({ etag }) => etag)
  const expected = versioning === "enabled" ? [written?.etag, source.etag] : [written?.etag]
  const isInOrder = all.length === expected.length && all.every((etag, index) => etag === expected[index])
  return { versionDirectlyAbove: written !== undefined && isInOrder && (await scratch.holds(name, written)) }
}

/** Three versions, of which the middle one is read, and then deleted. */
async function named(scratch: Scratch) {
  const name = "version"
  const [oldest, middle, newest] = [await scratch.put(name), await scratch.put(name), await scratch.put(name)]
  const [get, head] = await allOf([bytesOf(scratch, name, middle), headOf(scratch, name, middle)])
  await attempt(scratch.store.delete(scratch.ref(name), versionOf(middle)))
  const [below, gone, above] =
    await allOf([bytesOf(scratch, name, oldest), attempt(scratch.read(name, versionOf(middle))), scratch.holds(name, newest)])
  const listed = (await scratch.versions(name)).map(({ versionId }) => versionId)
  const isListedSo = listed.length === 2 && listed[0] === newest.versionId && listed[1] === oldest.versionId
  return {
    getVersionHonoured: get, headVersionHonoured: head,
    versionDeleteExact: below && gone === undefined && above && isListedSo,
  }
}

const versionOf = ({ versionId = "" }: Pick<Canary, "versionId">) => ({ versionId })

const bytesOf = async (scratch: Scratch, name: string, canary: Canary) =>
  (await attempt(scratch.read(name, versionOf(canary))))?.bytes.equals(canary.bytes) ?? false

const headOf = async (scratch: Scratch, name: string, canary: Canary) =>
  (await attempt(scratch.store.head(scratch.ref(name), versionOf(canary))))?.etag === canary.etag

// Of a form that ids have in several stores; there is none such, or it is another object's.
const ABSENT_VERSION = { versionId: "0".repeat(32) }

/** While versioning is suspended a canary has the null version only: it is read and deleted by that name, by no other. */
async function nullVersion(scratch: Scratch) {
  const name = "null-version"
  const canary = await scratch.put(name)
  const byNull = { ...canary, versionId: "null" }
  const [get, head, otherGet, otherHead] = await allOf([
    bytesOf(scratch, name, byNull), headOf(scratch, name, byNull),
    attempt(scratch.read(name, ABSENT_VERSION)), attempt(scratch.store.head(scratch.ref(name), ABSENT_VERSION)),
  ])
  await attempt(scratch.store.delete(scratch.ref(name), ABSENT_VERSION))
  const stays = await scratch.holds(name, canary)
  await attempt(scratch.store.delete(scratch.ref(name), versionOf(byNull)))
  return {
    getVersionHonoured: get && otherGet === undefined, headVersionHonoured: head && otherHead === undefined,
    versionDeleteExact: stays && (await scratch.versions(name)).length === 0,
  }
}
