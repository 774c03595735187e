/** The promises, checked in every state; and, where everything is at rest, by what a sweep leaves. */
import type { Conduct } from "./conduct.ts"
import { started } from "./sealer.ts"
import { stepMoves } from "./steps.ts"
import { current, etagOf, targetOf, type Breach, type Scenario, type State, type Version, type Window } from "./world.ts"

const LOST = "1: the latest bytes are never lost"
const UNDONE = "2: no delete is undone, no overwrite rolled back"
const LEFT = "3: one sealed object, nothing left, no loop"
const DESCRIPTION = "S8: no description is lost"

/** What this state breaks. */
export function breachIn(state: State): Breach | undefined {
  return state.broken ?? (state.world.vault ? breachInVault(state) : breachInPlace(state))
}

/** What is current is the user's last word, as it is or sealed. */
function breachInPlace({ world, ledger }: State): Breach | undefined {
  const there = current(world.source)
  if (ledger.bytes === "") return there ? { promise: UNDONE, how: `deleted, but ${etagOf(there)} is there` } : undefined
  if (there?.bytes === ledger.bytes) return undefined
  const older = there !== undefined && ledger.uploads.includes(there.bytes)
  return { promise: older ? UNDONE : LOST, how: `${ledger.bytes} was written last, but ${there ? etagOf(there) : "nothing"} is current` }
}

/** The last upload is in one bucket or the other, and the vault loses nothing but by the user. */
function breachInVault({ world, ledger }: State): Breach | undefined {
  const sealed = current(targetOf(world))
  if (sealed && (sealed.salt === "" || !ledger.uploads.includes(sealed.bytes))) return { promise: LOST, how: `${etagOf(sealed)} is in the vault` }
  if (!sealed && ledger.shown > ledger.deleted) return { promise: LOST, how: "the vault lost its object" }
  const latest = ledger.uploads.length - 1
  const safe = current(world.source)?.bytes === ledger.bytes || sealed?.bytes === ledger.bytes || ledger.deleted >= latest || ledger.withdrawn
  return safe ? undefined : { promise: LOST, how: `${ledger.bytes} was uploaded last and is current nowhere` }
}

/** What a sweep leaves behind, and a second one. Undisturbed: no request under way arrives, and every lease has run out. */
export function breachAfterSweep(state: State, scenario: Scenario, conduct: Conduct): { readonly breach?: Breach; readonly window?: Window } {
  const still = { ...state, world: { ...state.world, network: [] }, budget: { starts: 0, faults: 0, actions: 0, attacks: state.budget.attacks } }
  const first = swept(still, scenario, conduct)
  if ("promise" in first) return { breach: first }
  const second = swept(first, scenario, conduct)
  if ("promise" in second) return { breach: second }
  const wrote = textOfBuckets(first) !== textOfBuckets(second)
  if (wrote) return { breach: { promise: LEFT, how: "the second sweep writes again" } }
  return breachAtRest(first, scenario)
}

const MOST_STEPS = 100 // the longest undisturbed run has 25

/** A sweep also goes over what was begun: it looks for a document whatever the object is. */
function swept(state: State, scenario: Scenario, by: Conduct): State | Breach {
  const conduct = { ...by, meetsBegun: true }
  let now = started(state, 0, scenario, conduct)
  for (let step = 0; step < MOST_STEPS; step++) {
    const run = now.runs[0]
    const breach = breachIn(now)
    if (breach) return breach
    if (!run) return ["sealed", "as-looked", "gone"].includes(now.ended ?? "") ? now : { promise: LEFT, how: `the sweep ends ${now.ended}` }
    const [move] = stepMoves({ state: now, who: 0, run, scenario, conduct })
    if (!move) throw new Error("a run has no next move")
    now = move.state
  }
  return { promise: LEFT, how: "the sweep does not end" }
}

const textOfBuckets = ({ world: { source, vault, uploads } }: State): string => JSON.stringify([source, vault, uploads])

function breachAtRest(state: State, scenario: Scenario): { readonly breach?: Breach; readonly window?: Window } {
  const how = plaintextLeft(state, scenario) ?? remnant(state) ?? progressLeft(state, scenario)
  if (how !== undefined) return { breach: { promise: LEFT, how } }
  const described = descriptionLost(state)
  if (described) return { breach: described }
  return state.world.uploads.length > 0 ? { window: "an upload made whose id was never recorded" } : {}
}

function plaintextLeft({ world, ledger }: State, { setting }: Scenario): string | undefined {
  const there = current(world.source)
  if (!world.vault) return there && there.salt === "" ? `${there.bytes} is not sealed` : undefined
  if (setting.removal !== "keep" && world.source.versions.some(isPlain) && !ledger.withdrawn) return "plaintext is left in the source"
  const sealed = current(world.vault)
  return there && sealed?.bytes !== there.bytes && ledger.deleted < ledger.uploads.length - 1 ? `${there.bytes} is not sealed` : undefined
}

const isPlain = ({ bytes, salt }: Version): boolean => bytes !== "" && salt === ""

function remnant({ world: { source: { versions } }, ledger }: State): string | undefined {
  const left = ledger.remnants.find(([above, below]) =>
    versions.some((version) => etagOf(version) === above) && versions.some((version) => version.id === below && isPlain(version)))
  return left && `the plaintext version ${left[1]} is left under ${left[0]}`
}

function progressLeft({ world, ledger, budget }: State, scenario: Scenario): string | undefined {
  if (world.progress && !world.progress.sealing.kept) return "a progress document is left"
  const attacked = budget.attacks < scenario.attacks // who may write the state may make us forget an upload
  const upload = attacked ? undefined : world.uploads.find(({ id }) => ledger.recorded.includes(id))
  return upload && `${upload.id} is left, though its id stood in progress`
}

function descriptionLost({ world, ledger }: State): Breach | undefined {
  const there = current(targetOf(world))
  const lost = there && there.bytes === ledger.bytes && there.description !== ledger.description && !ledger.withdrawn
  return lost ? { promise: DESCRIPTION, how: `the object has description ${there.description}, the user gave ${ledger.description}` } : undefined
}
