/** What a function is given to work with, and nothing more: built once per host (or per container) and passed in. Each kind is
 *  built by a file of its own in `contexts/`, so that a bundle holds only what its function needs. */
import type { Identities } from "./iam/identities.ts"
import type { Policies } from "./iam/policies.ts"
import type { Caller, TokenIssuer } from "./iam/tokens.ts"
import type { RootKeys } from "./keys/embedded.ts"
import type { Opener } from "./objects/open.ts"
import type { Registrar } from "./objects/register.ts"
import type { Registrations } from "./objects/registrations.ts"
import type { Sealer } from "./objects/seal.ts"
import type { Authority, Clock, Log, StateStore, Store } from "./ports.ts"
import type { Settings } from "./settings.ts"

export type { Action } from "./iam/actions.ts"
export type { Caller } from "./iam/tokens.ts"

/** What every function has. */
export interface FunctionContext {
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
  readonly state: StateStore
  readonly authority: Authority
}

/** What every endpoint has. */
export interface BaseContext extends FunctionContext {
  /** The caller behind a bearer token; throws `unauthorized` for anything that does not hold. */
  authenticate(token: string): Promise<Caller>
}

/** What the Key Protect functions have besides. */
export interface KeysContext extends BaseContext {
  readonly rootKeys: RootKeys
  /** True while any registration has, or had, this root key: something may be sealed under it. */
  isInUse(rootKey: string): Promise<boolean>
}

/** What the IAM functions have besides. */
export interface IamContext extends BaseContext {
  readonly identities: Identities
  readonly policies: Policies
  readonly tokens: TokenIssuer
}

/** Sealing and opening objects, and the registrations that say how. */
export interface Objects {
  readonly registrations: Registrations
  readonly registrar: Registrar
  readonly sealer: Sealer
  readonly opener: Opener
}

/** What the endpoints on objects have. */
export interface ObjectsContext extends BaseContext, Objects {}

/** What the jobs on objects and buckets have: nobody calls them with a token. */
export interface JobsContext extends FunctionContext, Objects {
  readonly store: Store
}
