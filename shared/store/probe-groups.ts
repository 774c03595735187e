/** Groups of findings, measured at once. */
import { isFailure } from "../errors.ts"
import type { Findings } from "./probe-report.ts"

/** As `Promise.all`, but fails only once all have ended: what still writes would write behind the clean-up. */
export async function allOf<T extends readonly unknown[]>(
  promises: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

/** What several groups found. */
export async function together(groups: readonly Promise<Partial<Findings>>[]): Promise<Partial<Findings>> {
  return (await allOf(groups)).reduce((all, group) => ({ ...all, ...group }), {})
}

/** What the store does not offer, or does not allow us, stays unknown. */
export async function mayFail(group: Promise<Partial<Findings>>): Promise<Partial<Findings>> {
  try {
    return await group
  } catch (error) {
    if (isFailure(error, "forbidden", "not-implemented", "store-refused", "not-found")) return {}
    throw error
  }
}
