/** Removes the source of what was sealed. */
import { seen, send, within, type Turn } from "./sealer.ts"
import { current, type Move, type Request } from "./world.ts"
import { sourceOf } from "./steps.ts"

/** Requests of the step `remove-source`. */
export function removeSource(turn: Turn): Move[] {
  const { scenario: { setting } } = turn
  if (!setting.destination) return removeInPlace(turn)
  return setting.removal === "version" ? removeUpTo(turn) : removeUnlessChanged(turn)
}

/** In place: exactly the version that was sealed. */
function removeInPlace(turn: Turn): Move[] {
  const id = versionInPlace(turn)
  return send(turn, `removes ${id}`, { do: "delete-version", where: "source", id }, "goes-on", (then, answer) =>
    seen(then, `removes ${id}`, { step: "remove-source", removed: answer === "unknown" ? "unknown" : true }))
}

function versionInPlace(turn: Turn): string {
  const { conduct, state: { world: { source: { versions } } }, run } = turn
  const pinned = sourceOf(turn)?.versionId ?? "null"
  const salt = run.memory.sealing?.salt ?? run.salt
  if (conduct.removes === "newest") return versions.at(-1)?.id ?? pinned
  if (conduct.removes === "below-ours") return versions[versions.findLastIndex((version) => version.salt === salt) - 1]?.id ?? pinned
  return conduct.removes === "source-or-null" && !versions.some(({ id }) => id === pinned) ? "null" : pinned
}

/** Destination mode, with versions: from the oldest up to the one that was sealed, or an older one would be current again. */
function removeUpTo(turn: Turn): Move[] {
  const { run, conduct, state: { world: { source: { versions } } } } = turn
  const pinned = sourceOf(turn)?.versionId ?? "null"
  if (run.at === 0) {
    const end = conduct.removesFrom === "oldest-and-newer-ones-too" ? versions.length : versions.findIndex(({ id }) => id === pinned) + 1
    const listed = versions.slice(0, end).map(({ id }) => id)
    return [within(turn, "lists the source's versions", { at: 1, listed: conduct.removesFrom === "newest" ? listed.reverse() : listed })]
  }
  const [id, ...listed] = run.listed
  if (id === undefined) return [seen(turn, "has removed the source", { step: "remove-source", removed: true })]
  return send(turn, `removes ${id}`, { do: "delete-version", where: "source", id }, "goes-on", (then, answer) =>
    answer === "unknown" ? seen(then, `removes ${id}`, { step: "remove-source", removed: "unknown" }) : within(then, `removes ${id}`, { listed }))
}

/** Destination mode, without versions. */
function removeUnlessChanged(turn: Turn): Move[] {
  const { conduct, run: { knows }, state: { world } } = turn
  const etag = sourceOf(turn)?.etag ?? ""
  const condition = conduct.removesIfUnchanged ? { ifMatch: etag } : undefined
  if (!condition && !current(world.source)) return [seen(turn, "finds nothing to remove", { step: "remove-source", removed: true })]
  const request: Request = { do: "delete", where: "source", condition, knows }
  return send(turn, "removes the source", request, "goes-on", (then, answer) =>
    seen(then, `removes the source: ${answer}`, { step: "remove-source", removed: answer === "unknown" ? answer : answer === "done" }))
}
