/** What the user does, and an attacker who may write the state store. */
import type { Sealing } from "../../shared/objects/protocol.ts"
import { voidOthers } from "./ledger.ts"
import { USERS_UPLOAD, withoutCurrent, withVersion } from "./store.ts"
import { current, type Document, type Move, type Scenario, type State, type UserAction } from "./world.ts"

/** What the user may do next. */
export function userMoves(state: State, scenario: Scenario): Move[] {
  if (state.budget.actions === 0) return []
  const after = { ...state, budget: { ...state.budget, actions: state.budget.actions - 1 } }
  return scenario.user.flatMap((action) => {
    const next = act(after, action, scenario)
    return next ? [{ label: `user: ${action}`, state: next }] : []
  })
}

function act(state: State, action: UserAction, scenario: Scenario): State | undefined {
  const there = current(state.world.source)
  switch (action) {
    case "put-new": return uploaded(state, `u${state.ledger.uploads.length + 1}`, "", state.ledger.description, scenario)
    case "put-first-again": return uploaded(state, "u1", "", state.ledger.description, scenario)
    case "put-marked": return uploaded(state, "marked", "", state.ledger.description, scenario)
    case "describe": return there && uploaded(state, there.bytes, there.salt, state.ledger.description + 1, scenario)
    case "delete": return there && removed(state)
    case "delete-in-vault": return deletedInVault(state)
    case "uploads-vanish": return state.world.uploads.length === 0 ? undefined : { ...state, world: { ...state.world, uploads: [] } }
    case "enable-versioning": return state.world.source.versioning !== "off" ? undefined
      : { ...state, world: { ...state.world, source: { ...state.world.source, versioning: "enabled" } } }
  }
}

/** A state in which the user has put these bytes. */
export function uploaded(state: State, bytes: string, salt: string, description: number, { sameSecond }: Scenario): State {
  const { ledger } = state
  const upload = ledger.uploads.length
  const version = { bytes, salt, description, lastModified: sameSecond ? 0 : upload + 1, upload }
  return {
    ...state,
    world: withVersion(state.world, "source", version),
    ledger: { ...ledger, bytes, description, uploads: [...ledger.uploads, bytes], withdrawn: false },
  }
}

/** In place the object is deleted. In destination mode an upload is withdrawn, which is no delete in the vault. */
function removed(state: State): State {
  const ledger = state.world.vault ? { ...state.ledger, withdrawn: true } : { ...state.ledger, bytes: "" }
  return { ...state, world: withoutCurrent(state.world, "source"), ledger }
}

function deletedInVault(state: State): State | undefined {
  const there = state.world.vault && current(state.world.vault)
  if (!there) return undefined
  const { shown, uploads } = state.ledger
  const deleted = uploads[shown] === there.bytes ? shown : there.upload // the same bytes put again are in it
  return { ...state, world: withoutCurrent(state.world, "target"), ledger: { ...state.ledger, deleted } }
}

/** What an attacker may do to the progress document: put an earlier one back, or change what is in one. */
export function attackerMoves(state: State): Move[] {
  if (state.budget.attacks === 0) return []
  const { ledger, world } = state
  const after = { ...state, budget: { ...state.budget, attacks: state.budget.attacks - 1 } }
  const put = (progress: Document): State => voidOthers({ ...after, world: { ...world, progress } })
  const shown = (world.progress ?? ledger.documents.at(-1))?.sealing
  const earlier = ledger.documents.map((document) => ({ label: `attacker: puts ${document.sealing.salt} back`, state: put(document) }))
  const forged = shown ? forgeries(shown, Object.keys(ledger.sealed)) : []
  return [...earlier, ...forged.map((sealing) => ({
    label: `attacker: forges ${sealing.salt} ${sealing.uploadId ?? ""}`, state: put({ authentic: false, sealing }),
  }))]
}

function forgeries(sealing: Sealing, salts: readonly string[]): Sealing[] {
  return [...salts.filter((salt) => salt !== sealing.salt).map((salt) => ({ ...sealing, salt })), { ...sealing, uploadId: USERS_UPLOAD }]
}
