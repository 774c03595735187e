/** What a store really holds, opened by the product's own reader where it is sealed. */
import { parseHeader } from "../../shared/crypto/header.ts"
import type { ObjectsContext } from "../../shared/context.ts"
import { Failure } from "../../shared/errors.ts"
import { openFrom } from "../../shared/objects/open.ts"
import { collect, readStart } from "../../shared/objects/reading.ts"
import { isHere } from "../../shared/objects/sealed.ts"
import type { ObjectRef, ObjectStore } from "../../shared/ports.ts"
import { sha256 } from "./bodies.ts"

/** An object as it is stored. `moved`: sealed, under another name. */
export interface Stored {
  readonly kind: "plain" | "sealed" | "moved"
  /** Of the plaintext. */
  readonly sha256: string
}

/** What is there, or one version of it; `undefined` for nothing. Throws `undecryptable` for what does not open. */
export async function storedAt(
  { store, opener, registrations }: ObjectsContext & { readonly store: ObjectStore }, ref: ObjectRef, versionId?: string,
): Promise<Stored | undefined> {
  const version = versionId === undefined ? {} : { versionId }
  const start = await readStart(store, ref, version)
  if (!start) return undefined
  const parsed = parseHeader(start.bytes)
  if (parsed.kind !== "header") {
    const object = await store.get(ref, version)
    return object && { kind: "plain", sha256: sha256(await collect(object.body)) }
  }
  const { header, size } = parsed
  const registration = await registrations.find(header.bucket, header.key)
  if (!registration) throw new Failure("undecryptable", "the bucket that the header names is not registered")
  const opened = await openFrom(opener, registration, ref, start, header, size)
  const plaintext = await collect(opened.read(0, opened.size - 1))
  return { kind: isHere(header, ref) ? "sealed" : "moved", sha256: sha256(plaintext) }
}

/** Whether an object is sealed under another name, by its start alone. */
export async function isMoved(store: ObjectStore, ref: ObjectRef): Promise<boolean> {
  const start = await readStart(store, ref)
  const parsed = start && parseHeader(start.bytes)
  return parsed?.kind === "header" && !isHere(parsed.header, ref)
}
