/** Wraps a data key by a root key; without a plaintext it makes one first (Key Protect, "Wrap a key"). */
import * as z from "zod/mini"
import type { KeysContext } from "../shared/context.ts"
import type { RootKeys } from "../shared/keys/embedded.ts"
import type { AnyRoute } from "../shared/runtime/endpoint.ts"
import { aadField, anyCase, base64Field, encoded, WRAP_BODY_LIMIT } from "../shared/runtime/key-protect-body.ts"
import { uncachedJson } from "../shared/runtime/key-protect-reply.ts"
import { keyAction, keyResource } from "../shared/runtime/key-protect.ts"

const wrapBody = z.object({ plaintext: z.optional(z.string()), aad: z.optional(z.unknown()) })

/** `POST /api/v2/keys/:id/actions/wrap`, and its older form. */
export const wrap: readonly AnyRoute<KeysContext>[] = keyAction("wrap", {
  action: "kms.secrets.wrap",
  maxBody: WRAP_BODY_LIMIT,
  body: { kind: "json", parser: anyCase(wrapBody) },
  async run(call, context) {
    const rootKey = keyResource(call, context)
    const aad = aadField(call.body.aad)
    const { plaintext } = call.body
    if (plaintext === undefined) return uncachedJson(200, await generated(context.rootKeys, rootKey, aad))
    return uncachedJson(200, await wrapped(context.rootKeys, rootKey, base64Field(plaintext, "plaintext"), aad))
  },
})

/** The one answer of `wrap` that holds a plaintext: the caller has no other copy. */
async function generated(rootKeys: RootKeys, rootKey: string, aad: readonly string[]) {
  const { plaintext, ciphertext, keyVersion } = await rootKeys.generate(rootKey, aad)
  return { plaintext: encoded(plaintext), ciphertext, keyVersion: { id: keyVersion } }
}

async function wrapped(rootKeys: RootKeys, rootKey: string, plaintext: Uint8Array, aad: readonly string[]) {
  try {
    const { ciphertext, keyVersion } = await rootKeys.wrap(rootKey, plaintext, aad)
    return { ciphertext, keyVersion: { id: keyVersion } }
  } finally {
    plaintext.fill(0)
  }
}
