/** What a store does with conditional and ranged reads, copies and conditional deletes. */
import type { BucketSettings, ByteRange, EtagForm, ReadOptions } from "../ports.ts"
import { allOf } from "./probe-groups.ts"
import type { Finding } from "./probe-report.ts"
import { attempt, type Canary, type Scratch } from "./scratch.ts"

/** `If-Match` on GET and HEAD: the right ETag gives the object, a stale one nothing. */
export async function reads(scratch: Scratch) {
  const { etag: stale } = await scratch.put("read")
  const canary = await scratch.put("read")
  const get = async (options: ReadOptions) => (await attempt(scratch.read("read", options)))?.bytes.equals(canary.bytes)
  const head = async (options: ReadOptions) => (await attempt(scratch.store.head(scratch.ref("read"), options)))?.etag === canary.etag
  const [getRight, getStale, headRight, headStale] = await allOf([
    get({ ifMatch: canary.etag }), attempt(scratch.read("read", { ifMatch: stale })),
    head({ ifMatch: canary.etag }), attempt(scratch.store.head(scratch.ref("read"), { ifMatch: stale })),
  ])
  return {
    getMatchHonoured: getRight === true && getStale === undefined,
    headMatchHonoured: headRight && headStale === undefined,
  }
}

/** Whether ranges give exactly the bytes asked for, and one behind the end none. */
export async function ranges(scratch: Scratch) {
  const { bytes } = await scratch.put("range")
  const { length } = bytes
  const gives = async (range: ByteRange, expected: Buffer) =>
    (await attempt(scratch.read("range", { range })))?.bytes.equals(expected) ?? false
  const exact = await allOf([
    gives({ start: 0, end: 0 }, bytes.subarray(0, 1)),
    gives({ start: 10, end: 19 }, bytes.subarray(10, 20)),
    gives({ start: 20 }, bytes.subarray(20)),
    gives({ start: 20, end: 2 * length }, bytes.subarray(20)),
    gives({ suffix: 5 }, bytes.subarray(-5)),
  ])
  const behind = await attempt(scratch.read("range", { range: { start: length } }))
  return { rangesExact: exact.every((right) => right) && behind === undefined }
}

/** Whether the bucket's owner owns what we write: else it is closed to him (S3 user guide, "Controlling ownership of
 *  objects"). */
export async function ownership(scratch: Scratch, { owner }: BucketSettings): Promise<{ ownerReads: Finding }> {
  if (owner === undefined) return { ownerReads: "unknown" }
  const [newest] = await scratch.versions("plain")
  return { ownerReads: newest?.owner === undefined ? "unknown" : newest.owner === owner }
}

/** Conditions on both ends of a copy, and what it takes along. */
export async function copies(scratch: Scratch, form: EtagForm) {
  const source = await scratch.put("copied", { attributes: { metadata: { canary: "1" } }, tags: [["canary", "1"]] })
  const [kept, copySourceMatchHonoured, copyTargetMatchHonoured] =
    await allOf([takenAlong(scratch), sourceMatches(scratch, source), targetMatches(scratch, source, form)])
  return { ...kept, copySourceMatchHonoured, copyTargetMatchHonoured }
}

async function takenAlong(scratch: Scratch) {
  const copy = scratch.ref("copy")
  await scratch.store.copy(scratch.ref("copied"), copy)
  const [info, tags] = await allOf([scratch.store.head(copy), scratch.store.getTags(copy)])
  return {
    copyKeepsMetadata: info?.metadata["canary"] === "1",
    copyKeepsTags: tags?.some(([name, value]) => name === "canary" && value === "1") ?? false,
  }
}

async function sourceMatches(scratch: Scratch, source: Canary): Promise<boolean> {
  const { etag: other } = await scratch.put("copy-source")
  const copied = (name: string, ifMatch: string) =>
    attempt(scratch.store.copy(scratch.ref("copied"), scratch.ref(name), { ifMatch }))
  const [stale, right] = await allOf([copied("copy-stale", other), copied("copy-source", source.etag)])
  const isRefused = stale === undefined && (await scratch.read("copy-stale")) === undefined
  return isRefused && right !== undefined && scratch.holds("copy-source", source)
}

async function targetMatches(scratch: Scratch, source: Canary, form: EtagForm): Promise<boolean> {
  const name = "copy-target"
  const target = await scratch.put(name)
  const copied = (condition: { ifNoneMatch: "*" } | { ifMatch: string; form: EtagForm }) =>
    attempt(scratch.store.copy(scratch.ref("copied"), scratch.ref(name), { condition }))
  const existing = await copied({ ifNoneMatch: "*" })
  const stale = await copied({ ifMatch: source.etag, form })
  if (existing !== undefined || stale !== undefined || !(await scratch.holds(name, target))) return false
  return (await copied({ ifMatch: target.etag, form })) !== undefined && scratch.holds(name, source)
}

/** `If-Match` on a delete. */
export async function deletes(scratch: Scratch, form: EtagForm) {
  const name = "delete"
  const { etag: stale } = await scratch.put(name)
  const canary = await scratch.put(name)
  const deleted = (ifMatch: string) => attempt(scratch.store.delete(scratch.ref(name), { condition: { ifMatch, form } }))
  const staleDeleteRefused = (await deleted(stale)) === undefined && (await scratch.holds(name, canary))
  if (!staleDeleteRefused) return { staleDeleteRefused }
  const done = await deleted(canary.etag)
  return { staleDeleteRefused, rightDeleteAccepted: done !== undefined && (await scratch.read(name)) === undefined }
}
