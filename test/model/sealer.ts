/** Two sealers: when they start and stop, how a decision follows what was seen, and what may become of a request. */
import type { Seen, Step } from "../../shared/objects/protocol.ts"
import type { Conduct } from "./conduct.ts"
import { effect } from "./ledger.ts"
import type { Answer } from "./store.ts"
import type { Move, Request, Run, Scenario, State } from "./world.ts"

/** One of the two sealers in a state in which it runs. */
export interface Turn {
  readonly state: State
  readonly who: 0 | 1
  readonly run: Run
  readonly scenario: Scenario
  readonly conduct: Conduct
}

/** The state with another run in that sealer's place. */
function withRun(state: State, who: 0 | 1, run: Run | null): State {
  return { ...state, runs: who === 0 ? [run, state.runs[1]] : [state.runs[0], run] }
}

/** An event, or the sweep, starts the protocol. */
export function started(state: State, who: 0 | 1, { setting }: Scenario, conduct: Conduct): State {
  const { memory, next } = conduct.begin(setting)
  return withRun(state, who, {
    memory, next, at: 0, grip: "none", salt: "", looked: { description: 0, upload: 0 }, knows: { seen: 0, again: false },
    listed: [], madeUpload: "",
  })
}

/** The run goes on inside its step. */
export const within = ({ state, who, run }: Turn, label: string, change: Partial<Run>): Move =>
  ({ label: `${name(who)} ${label}`, state: withRun(state, who, { ...run, ...change }) })

/** The step is done: the protocol decides on the next one. */
export function seen({ state, who, run, conduct }: Turn, label: string, what: Seen, change: Partial<Run> = {}): Move {
  const { memory, next } = conduct.decide(change.memory ?? run.memory, what)
  const goesOn: Run = { ...run, ...change, memory, next, at: 0, listed: [] }
  return { label: `${name(who)} ${label}`, state: next.step === "end" ? ended(state, who, goesOn, next) : withRun(state, who, goesOn) }
}

const name = (who: 0 | 1): string => (who === 0 ? "A" : "B")

/** Whoever ends with the object sealed, and held the lease to the end, has left nothing unsettled. */
function ended(state: State, who: 0 | 1, { grip }: Run, { end }: Extract<Step, { step: "end" }>): State {
  const settled = end === "sealed" && grip === "held" && state.ledger.unsettled
  return { ...withRun(state, who, null), ended: end, ...(settled ? { ledger: { ...state.ledger, unsettled: false } } : {}) }
}

/** How a sealer takes it that a request is not answered: it goes on, knowing that it does not know, or gives up. */
export type Patience = "goes-on" | "gives-up"

/**
 * Sends a request. It is answered; or it is not, and takes effect at some time or never; or, on top of that, the sealer dies.
 * An effect whose answer is lost is one that takes place right after.
 */
export function send(turn: Turn, label: string, request: Request, patience: Patience, then: (turn: Turn, answer: Answer | "unknown") => Move): Move[] {
  const { state, who, run } = turn
  const { state: after, answer } = effect(state, request)
  const mine = request.do === "store-progress" ? { ...run, grip: "held" as const } : run
  const moves = [then({ ...turn, run: mine, state: withRun(after, who, mine) }, answer)]
  if (state.budget.faults === 0) return moves
  const late = spend({ ...state, world: { ...state.world, network: [...state.world.network, request] } })
  if (patience === "goes-on") moves.push(renamed(then({ ...turn, state: late }, "unknown"), "(unanswered)"))
  return [...moves, { label: `${name(who)} ${label} (under way as it dies)`, state: withRun(late, who, null) }]
}

const renamed = ({ label, state }: Move, suffix: string): Move => ({ label: `${label} ${suffix}`, state })

const spend = (state: State): State => ({ ...state, budget: { ...state.budget, faults: state.budget.faults - 1 } })

/** What happens around the sealers' own steps: starts, deaths, requests that arrive late. */
export function surroundings(state: State, scenario: Scenario, conduct: Conduct): Move[] {
  return [...starts(state, scenario, conduct), ...deaths(state), ...arrivals(state)]
}

function starts(state: State, scenario: Scenario, conduct: Conduct): Move[] {
  const who = state.runs[0] === null ? 0 : 1 // both are alike: one that is at rest stands for the other
  if (state.budget.starts === 0 || state.runs[who] !== null) return []
  const after = { ...state, budget: { ...state.budget, starts: state.budget.starts - 1 } }
  return [{ label: `${name(who)} starts`, state: started(after, who, scenario, conduct) }]
}

function deaths(state: State): Move[] {
  if (state.budget.faults === 0) return []
  return ([0, 1] as const).filter((who) => state.runs[who] !== null)
    .map((who) => ({ label: `${name(who)} dies`, state: withRun(spend(state), who, null) }))
}

function arrivals(state: State): Move[] {
  return state.world.network.map((request, index) => {
    const network = state.world.network.filter((_, other) => other !== index)
    return { label: `late: ${request.do}`, state: effect({ ...state, world: { ...state.world, network } }, request, true).state }
  })
}
