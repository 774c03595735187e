/** Requests of Key Protect's v2 API: whose they are, and their paths (API reference: headers, actions on a key). */
import type { Action, KeysContext } from "../context.ts"
import { Failure } from "../errors.ts"
import { endpoint, type AnyRoute, type Call, type Route } from "./endpoint.ts"

/** The CRN of the key in the path. Throws `bad-field` unless the header Bluemix-Instance names the instance served
 *  here. */
export function keyResource(call: Call<unknown>, context: KeysContext): string {
  demandInstance(call, context)
  return context.rootKeys.instance.keyCrn(keyId(call))
}

/** The CRN of the instance, under the same condition. */
export function instanceResource(call: Call<unknown>, context: KeysContext): string {
  demandInstance(call, context)
  return context.rootKeys.instance.crn
}

function demandInstance(call: Call<unknown>, context: KeysContext): void {
  const target = { type: "header", name: "Bluemix-Instance" } as const
  const given = call.request.headers.get("bluemix-instance")
  if (given === null) throw new Failure("bad-field", "the header Bluemix-Instance is needed", undefined, target)
  if (given.toLowerCase() === context.rootKeys.instance.id) return
  throw new Failure("bad-field", "the instance in the header Bluemix-Instance isn't served here", undefined, target)
}

/** The `:id` of the path. */
export const keyId = (call: Call<unknown>): string => call.params["id"] ?? ""

/**
 * An action on a key under both of its paths: `POST …/keys/:id/actions/<name>`, and `POST …/keys/:id?action=<name>`,
 * which is deprecated and still sent.
 */
export function keyAction<Body>(
  name: string,
  rest: Pick<Route<Body, KeysContext>, "maxBody" | "body" | "run"> & { readonly action: Action },
): readonly AnyRoute<KeysContext>[] {
  const route = { ...rest, method: "POST", resource: keyResource, errors: "key-protect" } as const
  return [
    endpoint({ ...route, path: `/api/v2/keys/:id/actions/${name}` }),
    endpoint({ ...route, path: "/api/v2/keys/:id", query: { action: name } }),
  ]
}

/** A whole number from the query, or `preset` where there is none. Throws `bad-query` unless it is within bounds. */
export function queryNumber(call: Call<unknown>, name: string, preset: number, least: number, most: number): number {
  const text = call.query.get(name)
  if (text === null) return preset
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new Failure("bad-query", `${name} must be a whole number from ${least} to ${most}`, undefined, {
    type: "query_param", name,
  })
}
