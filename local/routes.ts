/** All endpoints of the Node host: those of the functions, and the door for events. */
import { approvals } from "../functions/approvals.ts"
import { authorizations } from "../functions/authorizations.ts"
import { authorize } from "../functions/authorize.ts"
import { decryptObject } from "../functions/decrypt-object.ts"
import { identities } from "../functions/identities.ts"
import { keys } from "../functions/keys.ts"
import { registrations } from "../functions/registrations.ts"
import { rewrap } from "../functions/rewrap.ts"
import { status } from "../functions/status.ts"
import { token } from "../functions/token.ts"
import { unwrap } from "../functions/unwrap.ts"
import { wrap } from "../functions/wrap.ts"
import type { IamContext, KeysContext, ObjectsContext } from "../shared/context.ts"
import type { AnyRoute } from "../shared/runtime/endpoint.ts"
import { events, type EventsContext } from "./events.ts"

/** What all of them together need. */
export type HostContext = IamContext & KeysContext & ObjectsContext & EventsContext

export const routes: readonly AnyRoute<HostContext>[] = [
  ...token, ...identities, ...authorizations, ...authorize, ...keys, ...wrap, ...unwrap, ...rewrap, ...registrations,
  ...approvals, ...decryptObject, ...status, ...events,
]
