/** What callers get wrong, by the name of the field. */
import { Failure } from "../errors.ts"

/** A `bad-field` failure that names the field in its message and as its target. */
export const badField = (field: string, why: string): Failure =>
  new Failure("bad-field", `${field}: ${why}`, undefined, { type: "field", name: field })
