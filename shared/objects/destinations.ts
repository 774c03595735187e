/** A bucket that others are sealed into: what it has to stay for them. */
import { Failure } from "../errors.ts"
import { longestFor, type Registration } from "./registrations.ts"

type Registered = Pick<Registration, "prefix" | "enabled" | "mode">

/** Throws `conflict`, naming who is sealed into the bucket, where with `after` as its registrations that would end. `all`: the
 *  present registrations of every bucket. What is not taken there now is no reason. */
export function demandStillTaken(all: readonly Registration[], bucket: string, after: readonly Registered[]): void {
  const before = all.filter((one) => one.bucket === bucket)
  const cut = all.find(({ enabled, mode, prefix }) =>
    enabled && typeof mode === "object" && mode.destination === bucket && isTaken(prefix, before) && !isTaken(prefix, after))
  if (!cut) return
  const source = `bucket ${cut.bucket}${cut.prefix === "" ? "" : ` with prefix ${cut.prefix}`}`
  throw new Failure("conflict", `${source} is sealed into this one: give it another mode, or disable or remove its registration, first`)
}

/** Whether whatever key begins with this is sealed in the bucket, or kept there sealed. */
function isTaken(prefix: string, registered: readonly Registered[]): boolean {
  const covering = longestFor(prefix, registered)
  const inside = registered.filter((one) => one.prefix.startsWith(prefix))
  return covering !== undefined && [covering, ...inside].every(({ enabled, mode }) => enabled && typeof mode === "string")
}
