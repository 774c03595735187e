/** Breadth-first search of all states of a scenario: the first breach that is found is one of the shortest. */
import { asBuilt, type Conduct } from "./conduct.ts"
import { fingerprints, textOf } from "./fingerprints.ts"
import { breachAfterSweep, breachIn } from "./promises.ts"
import { surroundings } from "./sealer.ts"
import { stepMoves } from "./steps.ts"
import { attackerMoves, uploaded, userMoves } from "./user.ts"
import { targetOf, type Breach, type Bucket, type Move, type Scenario, type State, type Window } from "./world.ts"

/** What a search has found. */
export interface Explored {
  readonly states: number
  readonly transitions: number
  /** Moves from the beginning to the farthest state. */
  readonly depth: number
  /** States at rest from which a sweep was tried. */
  readonly sweeps: number
  /** How often each open window was met. */
  readonly windows: ReadonlyMap<Window, number>
  readonly breach?: Breach & { readonly trace: readonly string[] }
  /** Whether all states were seen, rather than as many as were asked for. */
  readonly complete: boolean
}

/** The user has uploaded something, and an event says so. */
function initial(scenario: Scenario): State {
  const { starts, faults, actions, attacks, versioning, vaultVersioning, setting } = scenario
  const bucket = (kind: Bucket["versioning"]): Bucket => ({ versioning: kind, versions: [] })
  const empty: State = {
    world: {
      source: bucket(versioning === "suspended" ? "enabled" : versioning), // its first object has a version id of its own
      vault: setting.destination ? bucket(vaultVersioning ?? "off") : null, uploads: [], usersUpload: true, progress: null, network: [],
      made: { versions: 0, salts: 0, uploads: 0 },
    },
    runs: [null, null],
    budget: { starts, faults, actions, attacks },
    ledger: {
      bytes: "", description: 0, uploads: [], sealed: {}, recorded: [], remnants: [], shown: -1, deleted: -1, unsettled: false,
      withdrawn: false, documents: [],
    },
  }
  const { world, ...rest } = uploaded(empty, "u1", "", 0, scenario)
  return { ...rest, world: { ...world, source: { ...world.source, versioning } } }
}

/** All moves from a state, always in the same order. */
function movesFrom(state: State, scenario: Scenario, conduct: Conduct): Move[] {
  const steps = ([0, 1] as const).flatMap((who) => {
    const run = state.runs[who]
    return run ? stepMoves({ state, who, run, scenario, conduct }) : []
  })
  return [...steps, ...surroundings(state, scenario, conduct), ...userMoves(state, scenario), ...attackerMoves(state)]
}

/** Where a state was reached from, and by the how-manieth move. */
interface Origin {
  readonly from: number
  readonly move: number
}

/** Searches until a promise is broken, all states are seen, or `most` are. */
export function explore(scenario: Scenario, most: number, conduct: Conduct = asBuilt): Explored {
  const met = fingerprints()
  const rested = fingerprints()
  const origins: Origin[] = []
  const windows = new Map<Window, number>()
  let transitions = 0
  let depth = 0
  let breach: Breach | undefined
  let frontier: [State, number][] = []

  const note = (window: Window | undefined) => window && windows.set(window, (windows.get(window) ?? 0) + 1)

  /** Breach of a state that was not met before. */
  function check(state: State): Breach | undefined {
    const broken = breachIn(state)
    if (broken || state.runs[0] || state.runs[1]) return broken
    if (!rested.add(JSON.stringify([{ ...state.world, network: [] }, state.ledger, state.budget.attacks]))) return undefined
    const after = breachAfterSweep(state, scenario, conduct)
    note(after.window)
    return after.breach
  }

  /** Takes a state up, and says whether it breaks a promise. */
  function meet({ world, runs, budget, ledger, broken, window }: State, origin: Origin, next: [State, number][]): boolean {
    note(window)
    const state = { world, runs, budget, ledger }
    if (!broken && !met.add(textOf(state))) return false
    origins.push(origin)
    breach = check(broken ? { ...state, broken } : state)
    next.push([state, origins.length - 1])
    return breach !== undefined
  }

  const result = (complete: boolean): Explored => ({
    states: met.size, transitions, depth, sweeps: rested.size, windows, complete,
    ...(breach ? { breach: { ...breach, trace: trace(scenario, conduct, origins) } } : {}),
  })

  if (meet(initial(scenario), { from: -1, move: 0 }, frontier)) return result(false)
  for (; frontier.length > 0; depth++) {
    const next: [State, number][] = []
    for (const [state, from] of frontier) {
      for (const [move, { state: reached }] of movesFrom(state, scenario, conduct).entries()) {
        transitions++
        if (meet(reached, { from, move }, next)) return result(false)
      }
      if (met.size >= most) return result(false)
    }
    frontier = next
  }
  return result(true)
}

/** The moves that led to the state that was met last. */
function trace(scenario: Scenario, conduct: Conduct, origins: readonly Origin[]): string[] {
  const moves: number[] = []
  for (let at = origins.at(-1); at && at.from >= 0; at = origins[at.from]) moves.unshift(at.move)
  const labels: string[] = []
  let state = initial(scenario)
  for (const move of moves) {
    const taken = movesFrom(state, scenario, conduct)[move]
    if (!taken) throw new Error("a trace can't be followed")
    labels.push(taken.label)
    const { world, runs, budget, ledger } = taken.state
    state = { world, runs, budget, ledger }
  }
  return [...labels, `then: ${textOfWorld(state)}`]
}

const textOfWorld = (state: State): string => JSON.stringify({ source: state.world.source.versions, target: targetOf(state.world).versions, progress: state.world.progress })
