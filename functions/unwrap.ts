/** Unwraps a data key by its root key; one under an older version also comes wrapped anew (Key Protect, "Unwrap a
 *  key"). */
import * as z from "zod/mini"
import type { KeysContext } from "../shared/context.ts"
import type { AnyRoute } from "../shared/runtime/endpoint.ts"
import { aadField, anyCase, demandBase64, encoded, WRAP_BODY_LIMIT } from "../shared/runtime/key-protect-body.ts"
import { uncachedJson } from "../shared/runtime/key-protect-reply.ts"
import { keyAction, keyResource } from "../shared/runtime/key-protect.ts"

const unwrapBody = z.object({ ciphertext: z.string(), aad: z.optional(z.unknown()) })

/** `POST /api/v2/keys/:id/actions/unwrap`, and its older form. */
export const unwrap: readonly AnyRoute<KeysContext>[] = keyAction("unwrap", {
  action: "kms.secrets.unwrap",
  maxBody: WRAP_BODY_LIMIT,
  body: { kind: "json", parser: anyCase(unwrapBody) },
  async run(call, context) {
    const { ciphertext, aad } = call.body
    demandBase64(ciphertext, "ciphertext")
    const opened = await context.rootKeys.unwrap(keyResource(call, context), ciphertext, aadField(aad))
    const rewrapped = opened.rewrapped && {
      ciphertext: opened.rewrapped.ciphertext,
      rewrappedKeyVersion: { id: opened.rewrapped.keyVersion },
    }
    const keyVersion = { id: opened.keyVersion }
    return uncachedJson(200, { plaintext: encoded(opened.plaintext), keyVersion, ...rewrapped })
  },
})
