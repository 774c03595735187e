/** What happened in one world, counted, and by name what must not happen. */

/** Something that must not happen. */
export interface Problem {
  readonly kind: ProblemKind
  readonly bucket?: string
  readonly key?: string
  readonly detail: string
  /** ISO 8601. */
  readonly at: string
}

/** What must not happen, and is 0 in a run that has passed. */
export const problemKinds = [
  "lost", "undone-delete", "plaintext", "unreadable", "moved-left", "moved-unlisted", "stale-upload", "foreign-upload-aborted",
  "progress-left", "inbox-left", "unreadable-event", "loop", "not-converged", "host-crash", "error-logged", "leak",
] as const

/** One of these. */
export type ProblemKind = (typeof problemKinds)[number]

/** Counts and problems. */
export interface Tally {
  count(name: string, by?: number): void
  problem(kind: ProblemKind, detail: string, place?: { readonly bucket: string; readonly key: string }): void
  readonly counts: Readonly<Record<string, number>>
  readonly problems: readonly Problem[]
}

/** An empty one. */
export function tally(): Tally {
  const counts: Record<string, number> = {}
  const problems: Problem[] = []
  return {
    counts, problems,
    count: (name, by = 1) => void (counts[name] = (counts[name] ?? 0) + by),
    problem: (kind, detail, place) => void problems.push({ kind, detail, ...place, at: new Date().toISOString() }),
  }
}
