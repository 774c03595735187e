/** How the store contract looks at answers: failure codes, whole bodies, random names. */
import { createHash, randomBytes } from "node:crypto"
import { Failure } from "../shared/errors.ts"
import type { GetOptions, ListOptions, ObjectRef, ObjectStore } from "../shared/ports.ts"

/** The code a promise fails with; what it did instead, as text, where it did not fail with a `Failure`. */
export function failureOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no failure",
    (error: unknown) => (error instanceof Failure ? error.code : `no Failure but ${String(error)}`),
  )
}

/** The bytes of a stream. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The bytes of an object or a range of it, or `undefined` if there is none. */
export async function bytesOf(store: ObjectStore, ref: ObjectRef, options?: GetOptions): Promise<Buffer | undefined> {
  const object = await store.get(ref, options)
  return object && collect(object.body)
}

/** The text of an object, or `undefined` if there is none. */
export async function textOf(store: ObjectStore, ref: ObjectRef, options?: GetOptions): Promise<string | undefined> {
  return (await bytesOf(store, ref, options))?.toString()
}

/** Every key and rolled-up prefix of a listing, page by page; a listing that does not end within 10,000 pages fails. */
export async function listAll(store: ObjectStore, bucket: string, options: ListOptions = {}): Promise<string[][]> {
  const pages: string[][] = []
  let token = options.token
  for (let page = 0; page < 10_000; page++) {
    const { objects, prefixes, next } = await store.list(bucket, { ...options, ...(token !== undefined && { token }) })
    pages.push([...objects.map((object) => object.key), ...prefixes])
    if (next === undefined) return pages
    token = next
  }
  throw new Error("the listing does not end")
}

/** MD5 in hex: the ETag of a single put (S3 API reference, Object). */
export const md5 = (bytes: Uint8Array | string): string => createHash("md5").update(bytes).digest("hex")

/** A name that nobody else uses. */
export const randomName = (): string => randomBytes(8).toString("hex")

/** Ascending by UTF-8 bytes. */
export const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
