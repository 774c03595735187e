/** The report of a run: figures, and what must be 0. */
import { problemKinds, type Problem, type ProblemKind } from "./tally.ts"
import type { World } from "./world.ts"

/** What became of one world. */
export interface WorldReport {
  readonly world: string
  readonly counts: Readonly<Record<string, number>>
  /** Of each kind of what must not happen, how often it did. */
  readonly mustBeZero: Readonly<Record<ProblemKind, number>>
  readonly problems: readonly Problem[]
}

/** A run. */
export interface Report {
  readonly seed: string
  readonly minutes: number
  /** All of it, setting up and checks included. */
  readonly seconds: number
  readonly passed: boolean
  readonly worlds: readonly WorldReport[]
}

const MOST_PROBLEMS = 100 // of one world are named

/** Sums up. */
export function reportOf(seed: string, minutes: number, seconds: number, worlds: readonly World[]): Report {
  const all = worlds.map(({ name, tally: { counts, problems } }): WorldReport => ({
    world: name, counts: Object.fromEntries(Object.entries(counts).sort()),
    mustBeZero: Object.fromEntries(problemKinds.map((kind) => [kind, problems.filter((one) => one.kind === kind).length])) as WorldReport["mustBeZero"],
    problems: problems.slice(0, MOST_PROBLEMS),
  }))
  return { seed, minutes, seconds, passed: all.every(({ problems }) => problems.length === 0), worlds: all }
}

/** As text. */
export function textOf({ seed, minutes, seconds, passed, worlds }: Report): string {
  return [
    `soak: ${minutes} minutes of uploads, ${seconds.toFixed(0)} s in all, seed ${seed}`,
    ...worlds.flatMap(worldLines),
    passed ? "passed: nothing lost, nothing left" : "FAILED",
  ].join("\n")
}

function worldLines({ world, counts, mustBeZero, problems }: WorldReport): string[] {
  const of = (...names: readonly string[]) => names.reduce((sum, name) => sum + (counts[name] ?? 0), 0)
  const group = (prefix: string) => Object.entries(counts).filter(([name]) => name.startsWith(`${prefix}.`))
    .map(([name, count]) => `${name.slice(prefix.length + 1)} ${count}`).join(", ") || "none"
  return [
    "", world,
    `  writes             ${group("writes")}`,
    `  copies             ${of("copies.moved")} of sealed objects; requests repeated ${of("uploader.repeated")}, conditions failed ${of("uploader.condition-failed")}`,
    `  reads meanwhile    ${group("reads")}`,
    `  hosts killed       ${of("kills")}, started again ${of("restarts")}; store killed ${of("store-restarts")}`,
    `  events             ${group("events")}`,
    `  looks at uploads   ${group("looks")}`,
    `  convergence        ${(of("converge-ms") / 1000).toFixed(0)} s; sealed by the sweep ${of("sealed.by-sweep")}`,
    `  uploads begun and not recorded ${of("uploads.unrecorded")}`,
    `  parked in the end  ${group("parked")}`,
    `  objects            ${of("objects")}: sealed, readable and equal ${of("objects.sealed-readable-equal")}, of them copies sealed again ${of("resealed")}; moved and listed ${of("objects.moved-and-listed")}`,
    `  errors, store down ${group("errors-while-store-was-down")}`,
    `  must be 0          ${Object.entries(mustBeZero).map(([kind, count]) => `${kind} ${count}`).join(", ")}`,
    ...problems.map(({ kind, bucket, key, detail, at }) => `  ! ${at} ${kind} ${bucket === undefined ? "" : `${bucket} ${JSON.stringify(key)} `}${detail}`),
  ]
}
