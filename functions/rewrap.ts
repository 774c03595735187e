/** Wraps a wrapped data key anew under the root key's newest version (Key Protect, "Rewrap a key"). */
import * as z from "zod/mini"
import type { KeysContext } from "../shared/context.ts"
import type { AnyRoute } from "../shared/runtime/endpoint.ts"
import { aadField, anyCase, demandBase64, WRAP_BODY_LIMIT } from "../shared/runtime/key-protect-body.ts"
import { uncachedJson } from "../shared/runtime/key-protect-reply.ts"
import { keyAction, keyResource } from "../shared/runtime/key-protect.ts"

const rewrapBody = z.object({ ciphertext: z.string(), aad: z.optional(z.unknown()) })

/** `POST /api/v2/keys/:id/actions/rewrap`, and its older form. */
export const rewrap: readonly AnyRoute<KeysContext>[] = keyAction("rewrap", {
  action: "kms.secrets.rewrap",
  maxBody: WRAP_BODY_LIMIT,
  body: { kind: "json", parser: anyCase(rewrapBody) },
  async run(call, context) {
    const { ciphertext, aad } = call.body
    demandBase64(ciphertext, "ciphertext")
    const rewrapped = await context.rootKeys.rewrap(keyResource(call, context), ciphertext, aadField(aad))
    return uncachedJson(200, {
      ciphertext: rewrapped.ciphertext,
      keyVersion: { id: rewrapped.previousVersion },
      rewrappedKeyVersion: { id: rewrapped.keyVersion },
    })
  },
})
