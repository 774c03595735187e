/**
 * Every interleaving of two sealers, their crashes and late requests, and a user, against the protocol's decisions
 * (`shared/objects/protocol.ts`), breadth first; then the same with bugs put in, each of which must be caught.
 *
 * What is assumed: a look at the lease and the request behind it are one step (the request itself may take effect at any later
 * time); a lease may run out at any time; sealed bytes are told from any others by their commitment.
 */
import { afterAll, describe, expect, it } from "vitest"
import { bugs } from "./model/bugs.ts"
import { explore } from "./model/explore.ts"
import { scenarios } from "./model/scenarios.ts"
import type { Window } from "./model/world.ts"

const slow = process.env["SLOW"] === "1"
const MOST = slow ? 250_000 : 13_000 // of each scenario: 10⁶ states and more in all, or 10⁵
const MOST_FOR_A_BUG = 60_000
const MINUTES = 60_000

const report: string[] = []
const windows = new Map<Window, number>()
let states = 0
let transitions = 0

afterAll(() => {
  report.push(`model: ${states} states, ${transitions} transitions in all; ${bugs.length} bugs seeded`)
  for (const [window, times] of windows) report.push(`model: known to be open, met ${times} times: ${window}`)
  process.stdout.write(`${report.join("\n")}\n`)
})

describe("the sealing protocol keeps promises 1 to 3 in every state", () => {
  it.each(scenarios)("$name", (scenario) => {
    const found = explore(scenario, MOST)
    states += found.states
    transitions += found.transitions
    for (const [window, times] of found.windows) windows.set(window, (windows.get(window) ?? 0) + times)
    report.push(`model: ${scenario.name}: ${found.states} states${found.complete ? " (all)" : ""}, ${found.transitions} transitions, `
      + `depth ${found.depth}, ${found.sweeps} sweeps, violations ${found.breach ? 1 : 0}`)
    expect(found.breach).toBeUndefined()
  }, 10 * MINUTES)

  it("explores as many states as the issue asks for", () => expect(states).toBeGreaterThanOrEqual(slow ? 1_000_000 : 100_000))
})

describe("the model catches a protocol", () => {
  it.each(bugs)("with this bug: $name", ({ name, where, conduct, breaks }) => {
    const { breach, states: looked } = explore(where, MOST_FOR_A_BUG, conduct)
    report.push(`model: caught ${name}: broke ${breach?.promise ?? "nothing"} (${breach?.how ?? ""}) after ${breach?.trace.length ?? 0} moves, ${looked} states`)
    expect(breaks).toContain(breach?.promise)
  }, 10 * MINUTES)

  it("of at least 20 kinds", () => expect(bugs.length).toBeGreaterThanOrEqual(20))
})
