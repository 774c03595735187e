/** Whether anything may be sealed under a root key, by the documents of the registrations alone. */
import * as z from "zod/mini"
import type { StateStore } from "../ports.ts"

const bucketDocument = z.object({ rootKeys: z.array(z.string()) }) // the part of it that is asked about

/** True while any bucket's registrations have, or had, this root key (a CRN). Reads them all, now. */
export async function isRootKeyInUse(state: StateStore, rootKey: string): Promise<boolean> {
  for (let page: { paths: readonly string[]; more: boolean } = { paths: [], more: true }; page.more; ) {
    const last = page.paths.at(-1)
    page = await state.list("registrations/", last === undefined ? {} : { startAfter: last })
    for (const path of page.paths) {
      if ((await state.read(path, bucketDocument))?.value.rootKeys.includes(rootKey)) return true
    }
  }
  return false
}
