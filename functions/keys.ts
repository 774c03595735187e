/** Root keys: create and import, list and get, rotate, disable, enable, delete (Key Protect, API v2). */
import * as z from "zod/mini"
import type { KeysContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { keyResourceOf, materialOf, parseNewRootKey, STATE_NUMBERS } from "../shared/keys/key-resource.ts"
import type { RootKey } from "../shared/keys/root-key-lifecycle.ts"
import { endpoint, type AnyRoute, type Call } from "../shared/runtime/endpoint.ts"
import { anyCase } from "../shared/runtime/key-protect-body.ts"
import { collection, noContent, uncachedJson } from "../shared/runtime/key-protect-reply.ts"
import { instanceResource, keyAction, keyId, keyResource, queryNumber } from "../shared/runtime/key-protect.ts"

const MAX_BODY = 64 * 1024 // the longest resource: 90 + 240 characters, 30 tags of 30, a payload of 44; with room
const LIST_LIMIT = 5_000 // Key Protect's; without a limit in the query 200

const ofKeys = { path: "/api/v2/keys", resource: instanceResource, errors: "key-protect", maxBody: MAX_BODY } as const
const ofKey = { path: "/api/v2/keys/:id", resource: keyResource, errors: "key-protect", maxBody: MAX_BODY } as const
const anyBody = { kind: "json", parser: anyCase(z.unknown()) } as const
const rotateBody = z.object({ payload: z.optional(z.string()), encryptednonce: z.optional(z.string()) })

/** All routes under `/api/v2/keys` that are not an action on a data key. */
export const keys: readonly AnyRoute<KeysContext>[] = [
  endpoint({
    ...ofKeys, method: "POST", action: "kms.secrets.create", body: anyBody,
    async run(call, { rootKeys, clock }: KeysContext) {
      const wanted = parseNewRootKey(call.body, clock())
      try {
        return keyReply(await rootKeys.create(wanted, call.caller.subject.iamId), 201)
      } finally {
        wanted.material?.fill(0)
      }
    },
  }),
  endpoint({
    ...ofKeys, method: "GET", action: "kms.secrets.list",
    async run(call, context: KeysContext) {
      const limit = queryNumber(call, "limit", 200, 1, LIST_LIMIT)
      const offset = queryNumber(call, "offset", 0, 0, Number.MAX_SAFE_INTEGER)
      const matching = await matchingKeys(call, context, offset + limit)
      return uncachedJson(200, collection("key", matching.slice(offset).map(keyResourceOf)))
    },
  }),
  endpoint({
    ...ofKeys, method: "HEAD", action: "kms.secrets.head",
    async run(call, context: KeysContext) {
      const matching = await matchingKeys(call, context, Number.POSITIVE_INFINITY)
      return new Response(null, { headers: { "key-total": String(matching.length) } })
    },
  }),
  endpoint({
    ...ofKey, method: "GET", action: "kms.secrets.readmetadata", // root keys have no payload that `read` would open
    run: async (call, { rootKeys }: KeysContext) => keyReply(await rootKeys.get(keyId(call))),
  }),
  endpoint({
    ...ofKey, path: "/api/v2/keys/:id/metadata", method: "GET", action: "kms.secrets.readmetadata",
    run: async (call, { rootKeys }: KeysContext) => keyReply(await rootKeys.get(keyId(call))),
  }),
  endpoint({
    ...ofKey, path: "/api/v2/keys/:id/versions", method: "GET", action: "kms.secrets.listkeyversions",
    run: async (call, { rootKeys }: KeysContext) => versionsReply(call, await rootKeys.get(keyId(call))),
  }),
  endpoint({
    ...ofKey, method: "DELETE", action: "kms.secrets.delete",
    async run(call, context: KeysContext) {
      const { rootKeys } = context
      if (call.query.get("force") !== "true" && await context.isInUse(keyResource(call, context))) {
        throw new Failure("key-in-use", "buckets are registered with this key, and what is sealed under it could not be read: give force=true")
      }
      const deleted = await rootKeys.delete(keyId(call), call.caller.subject.iamId)
      const wantsKey = /\breturn=representation\b/.test(call.request.headers.get("prefer") ?? "")
      return wantsKey ? keyReply(deleted) : noContent()
    },
  }),
  ...keyAction("rotate", {
    action: "kms.secrets.rotate", maxBody: MAX_BODY, body: { kind: "json", parser: anyCase(rotateBody) },
    async run(call, { rootKeys }) {
      if (call.body.encryptednonce !== undefined) throw new Failure("not-implemented", "secure import isn't offered")
      const material = call.body.payload === undefined ? undefined : materialOf(call.body.payload)
      try {
        await rootKeys.rotate(keyId(call), material)
      } finally {
        material?.fill(0)
      }
      return noContent()
    },
  }),
  ...keyAction("disable", {
    action: "kms.secrets.disable", maxBody: MAX_BODY, body: anyBody,
    run: async (call, { rootKeys }) => rootKeys.disable(keyId(call)).then(noContent),
  }),
  ...keyAction("enable", {
    action: "kms.secrets.enable", maxBody: MAX_BODY, body: anyBody,
    run: async (call, { rootKeys }) => rootKeys.enable(keyId(call)).then(noContent),
  }),
]

const keyReply = (key: RootKey, status = 200) => uncachedJson(status, collection("key", [keyResourceOf(key)]))

/** Newest first. Only of an active key, unless asked for all states. */
function versionsReply(call: Call<unknown>, key: RootKey): Response {
  if (call.query.get("allKeyStates") !== "true") demandActive(key)
  const limit = queryNumber(call, "limit", 200, 1, LIST_LIMIT)
  const offset = queryNumber(call, "offset", 0, 0, Number.MAX_SAFE_INTEGER)
  const all = key.versions.map(({ id, created }) => ({ id, creationDate: created })).reverse()
  const total = call.query.get("totalCount") === "true" ? { totalCount: all.length } : {}
  return uncachedJson(200, collection("key.version", all.slice(offset, offset + limit), total))
}

function demandActive({ state }: RootKey): void {
  if (state === "destroyed") throw new Failure("key-deleted", "the root key is deleted")
  if (state !== "active") throw new Failure("key-state", `the root key is ${state}; give allKeyStates=true`)
}

/** The first `most` keys that the query asks for, by id; without `state` all but the destroyed ones. */
async function matchingKeys(call: Call<unknown>, { rootKeys }: KeysContext, most: number): Promise<RootKey[]> {
  for (const name of ["search", "sort", "filter"]) {
    if (call.query.has(name)) throw queryFailure("not-implemented", name, "isn't offered")
  }
  const states = statesAsked(call.query.get("state"))
  const extractable = call.query.get("extractable") ?? "false"
  if (!["true", "false"].includes(extractable)) throw queryFailure("bad-query", "extractable", "must be true or false")
  const matching: RootKey[] = []
  if (extractable === "true") return matching // there are no standard keys
  for await (const key of rootKeys.list()) {
    if (states.includes(STATE_NUMBERS[key.state])) matching.push(key)
    if (matching.length >= most) break
  }
  return matching
}

function statesAsked(text: string | null): readonly number[] {
  if (text === null) return [0, 1, 2, 3]
  if (/^[01235](,[01235])*$/.test(text)) return text.split(",").map(Number)
  throw queryFailure("bad-query", "state", "must be a list of 0, 1, 2, 3 and 5")
}

function queryFailure(code: "bad-query" | "not-implemented", name: string, rule: string): Failure {
  return new Failure(code, `${name} ${rule}`, undefined, { type: "query_param", name })
}
