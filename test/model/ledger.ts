/** Keeps the ledger: what an effect means for what the user was promised. It sees what no part of the real system can. */
import { OURS, take, type Answer } from "./store.ts"
import { bucketAt, current, etagOf, targetOf, type Breach, type Grip, type Ledger, type Request, type Run, type State, type Version } from "./world.ts"

/** Carries out a request, and notes what it broke. `late`: one whose answer nobody waits for any more. */
export function effect(before: State, request: Request, late = false): { readonly state: State; readonly answer: Answer } {
  const { world, answer } = take(before.world, request)
  if (answer !== "done") return { state: before, answer }
  const state = { ...before, world }
  return { state: audit(before, state, request, late), answer }
}

function audit(before: State, state: State, request: Request, late: boolean): State {
  switch (request.do) {
    case "put":
    case "complete":
      return state.world.vault ? auditVault(before, state, late) : auditInPlace(before, state, request)
    case "delete":
    case "delete-version":
      return auditRemoval(before, state, request)
    case "abort":
      return before.world.usersUpload && !state.world.usersUpload
        ? broken(state, { promise: "S7: only uploads of our own are aborted", how: "a user's upload was aborted" }) : state
    case "store-progress":
      return auditProgress(voidOthers(state), request)
    default:
      return state
  }
}

const withLedger = (state: State, ledger: Partial<Ledger>): State => ({ ...state, ledger: { ...state.ledger, ...ledger } })

/** The state with a breach noted; the first one counts. */
const broken = (state: State, breach: Breach): State => (state.broken ? state : { ...state, broken: breach })

/** These bytes are sealed with that salt, here and now, whatever becomes of them. */
export function seals(state: State, salt: string, bytes: string): State {
  const known = state.ledger.sealed[salt]
  if (known !== undefined && known !== bytes) {
    return broken(state, { promise: "retry rule: one salt, one content", how: `${salt} sealed ${known}, then ${bytes}` })
  }
  return known === bytes ? state : withLedger(state, { sealed: { ...state.ledger.sealed, [salt]: bytes } })
}

function auditInPlace(before: State, state: State, request: Extract<Request, { do: "put" | "complete" }>): State {
  const replaced = current(before.world.source)
  const written = current(state.world.source)
  if (!replaced || !written || replaced.salt !== "") return state
  if (state.world.source.versions.some(({ id }) => id === replaced.id && id !== written.id)) {
    return withLedger(state, { remnants: [...state.ledger.remnants, [etagOf(written), replaced.id]] })
  }
  return auditDescription(state, replaced, written, request)
}

/** A description that is gone for good with the version that had it. */
function auditDescription(state: State, gone: Version, stays: Version, { do: how, knows }: Extract<Request, { do: "put" | "complete" | "delete" }>): State {
  if (gone.description === stays.description) return state
  const looked = knows.again || how !== "complete"
  if (!looked || gone.upload <= knows.seen) {
    return broken(state, { promise: "S8: no description is lost", how: "written over although there was time to see it" })
  }
  const forgiven = withLedger(state, { description: stays.description })
  return { ...forgiven, window: "the description changed between the last look and the write, or the removal" }
}

function auditVault(before: State, state: State, late: boolean): State {
  const { ledger } = state
  const replaced = current(targetOf(before.world))
  const written = current(targetOf(state.world))
  if (!written) return state
  const latest = ledger.uploads.lastIndexOf(written.bytes)
  const next = withLedger(state, { shown: Math.max(ledger.shown, written.upload), unsettled: true })
  if (latest < ledger.shown) {
    return broken(next, { promise: "2: no delete is undone, no overwrite rolled back", how: "an older upload in the place of a newer one" })
  }
  if (replaced && replaced.upload === written.upload && replaced.salt !== written.salt) {
    return broken(next, { promise: "3: one sealed object, nothing left, no loop", how: "one upload sealed twice" })
  }
  if (latest > ledger.deleted) return next
  if (!ledger.unsettled && late) {
    return { ...withLedger(next, { deleted: -1 }), window: "a write still under way arrives after what another run wrote was deleted in the vault" }
  }
  if (!ledger.unsettled) return broken(next, { promise: "2: no delete is undone, no overwrite rolled back", how: "what was deleted in the vault is back" })
  return { ...withLedger(next, { deleted: -1 }), window: "the vault's object deleted between its write and the note of it" }
}

function auditRemoval(before: State, state: State, request: Extract<Request, { do: "delete" | "delete-version" }>): State {
  const left = bucketAt(state.world, request.where).versions
  const removed = bucketAt(before.world, request.where).versions.find(({ id }) => !left.some((version) => version.id === id))
  if (!removed) return state
  return state.world.vault ? auditSourceRemoval(state, removed, request) : auditVersionRemoval(state, removed)
}

/** Destination mode: what was removed is in the vault, or has been there. */
function auditSourceRemoval(state: State, removed: Version, request: Extract<Request, { do: "delete" | "delete-version" }>): State {
  const { world: { source }, ledger } = state
  const sealed = current(targetOf(state.world))
  const isThere = sealed?.bytes === removed.bytes
  const shown = request.do === "delete" && isThere ? Math.max(ledger.shown, removed.upload) : ledger.shown
  const next = withLedger(state, { shown, unsettled: ledger.unsettled && source.versions.some(({ upload }) => upload === ledger.shown) })
  if (request.do === "delete-version") return next
  if (isThere) return auditDescription(next, removed, sealed, request)
  if (removed.upload <= request.knows.seen || ledger.uploads[ledger.deleted] !== removed.bytes) return next
  return { ...withLedger(next, { withdrawn: true }), window: "the same bytes put again after a delete in the vault, before the removal on If-Match" }
}

/** In place: a user's copy of the sealed object is told from ours only as long as ours is there too. */
function auditVersionRemoval(state: State, removed: Version): State {
  const { world: { source: { versions } }, ledger } = state
  const remnants = ledger.remnants.filter(([above, below]) =>
    versions.some((version) => etagOf(version) === above) && versions.some(({ id }) => id === below))
  const next = withLedger(state, { remnants })
  const isUsers = removed.salt !== "" && removed.lastModified !== OURS
  const below = current(state.world.source)
  if (!isUsers || !below || versions.some((version) => etagOf(version) === etagOf(removed) && version.lastModified === OURS)) return next
  return { ...withLedger(next, { description: below.description }), window: "a sealed object copied onto itself while an unexpected version lay under it" }
}

function auditProgress(state: State, { progress }: Extract<Request, { do: "store-progress" }>): State {
  if (!progress?.authentic) return state
  const { uploadId, kept, written } = progress.sealing
  const { recorded, unsettled, documents } = state.ledger
  return withLedger(state, {
    recorded: uploadId === undefined || recorded.includes(uploadId) ? recorded : [...recorded, uploadId],
    unsettled: unsettled && !kept && !written,
    documents: state.budget.attacks > 0 ? [...documents, progress] : documents,
  })
}

/** Another document is there: nobody knows it yet, and what was to replace the one before has come too late. */
export function voidOthers(state: State): State {
  const lost = (run: Run | null): Run | null => (run ? { ...run, grip: "none" as Grip } : null)
  const network = state.world.network.filter((request) => request.do !== "store-progress" || request.unconditional)
  return { ...state, runs: [lost(state.runs[0]), lost(state.runs[1])], world: { ...state.world, network } }
}
