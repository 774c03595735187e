/** The name of an object in paths of the state, where its own could not stand. */
import { createHash } from "node:crypto"
import type { ObjectRef } from "../ports.ts"

/** SHA-256 of bucket LF key, in hex. */
export const objectHash = ({ bucket, key }: ObjectRef): string => createHash("sha256").update(`${bucket}\n${key}`).digest("hex")
