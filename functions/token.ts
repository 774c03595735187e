/** An API key, or a service id's token, becomes a token; and the keys that tokens are verified with. */
import * as z from "zod/mini"
import type { IamContext } from "../shared/context.ts"
import { badField } from "../shared/iam/bad-field.ts"
import type { IssuedToken } from "../shared/iam/tokens.ts"
import { json } from "../shared/runtime/body.ts"
import { endpoint, type AnyRoute } from "../shared/runtime/endpoint.ts"

/** Clients send much more (`response_type`, `scope`, `client_id`, a Basic header): all ignored, as by IAM. */
const grant = z.object({
  grant_type: z.string(),
  apikey: z.optional(z.string()),
  access_token: z.optional(z.string()),
  desired_iam_id: z.optional(z.string()),
})

/** The second path is the default of the Go client and redstone. */
const grants = ["/identity/token", "/oidc/token"].map((path) => endpoint({
  method: "POST", path, action: "unsafe-anyone", maxBody: 32 * 1024, errors: "iam",
  body: { kind: "form", parser: grant },
  run: async ({ body }, { tokens }: IamContext) => reply(await issue(body, tokens)),
}))

const keys = endpoint({
  method: "GET", path: "/identity/keys", action: "unsafe-anyone", maxBody: 0, errors: "iam",
  run: async (_, { tokens }: IamContext) => json(200, await tokens.jwks()),
})

const discovery = endpoint({
  method: "GET", path: "/identity/.well-known/openid-configuration", action: "unsafe-anyone", maxBody: 0, errors: "iam",
  run: ({ request }, { tokens }: IamContext) =>
    Promise.resolve(json(200, tokens.discovery(new URL(request.url).origin))),
})

/** `POST /identity/token`, its older path, `GET /identity/keys` (JWKS), and the discovery document. */
export const token: readonly AnyRoute<IamContext>[] = [...grants, keys, discovery]

function issue(body: z.infer<typeof grant>, tokens: IamContext["tokens"]): Promise<IssuedToken> {
  switch (body.grant_type) {
    case "urn:ibm:params:oauth:grant-type:apikey":
      return tokens.issue({ apiKey: needed(body.apikey, "apikey") })
    case "urn:ibm:params:oauth:grant-type:iam-authz":
      return tokens.issueForService({
        token: needed(body.access_token, "access_token"),
        desiredIamId: needed(body.desired_iam_id, "desired_iam_id"),
      })
    default:
      throw badField("grant_type", "only urn:ibm:params:oauth:grant-type:apikey and …:iam-authz are served here")
  }
}

function needed(value: string | undefined, name: string): string {
  if (value === undefined || value === "") throw badField(name, "is needed for this grant type")
  return value
}

function reply({ token: access_token, expiresIn: expires_in, expiration }: IssuedToken): Response {
  const times = { expires_in, expiration }
  const body = { access_token, refresh_token: "not_supported", token_type: "Bearer", ...times, scope: "ibm openid" }
  return json(200, body, { "cache-control": "no-store" })
}
