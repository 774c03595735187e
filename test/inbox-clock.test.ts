import { describe, expect, it } from "vitest"
import { entries } from "../shared/objects/inbox-entries.ts"
import type { StateStore } from "../shared/ports.ts"
import { countingState, due, keptLog, openInbox, until } from "./inbox-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS
const pathsIn = async (state: StateStore) => (await state.list("inbox/")).paths

/** A clock that is ahead until it is set. */
function wrongClock(ahead: number) {
  return { clock: () => Date.now() + ahead, set: () => void (ahead = 0) }
}

describe("an inbox whose clock was set back", () => {
  it.each([["a day", DAY_MS], ["a year", YEAR_MS]])("by %s goes on looking for what dead hosts have left", async (_, ahead) => {
    const state = memoryState()
    const { clock, set } = wrongClock(ahead)
    const handled: string[] = []
    const box = await openInbox({
      state, clock, lease: 50, isDead: (holder) => holder === "gone.1", handle: async ({ key }) => { handled.push(key); return "handled" },
    })
    set()
    const gone = entries({ state, clock, log: keptLog(), holder: "gone.1", isDead: () => false, lease: 50 })
    await gone.create(gone.pathFor(clock()), { bucket: "b", key: "left" }, 0)
    await until(() => handled.length > 0)
    await box.idle()
    expect([handled, await pathsIn(state)]).toEqual([["left"], []])
    await box.close()
  })

  it("takes up what it had accepted for a time that is too far ahead", async () => {
    const state = memoryState()
    const { clock, set } = wrongClock(YEAR_MS)
    const handled: string[] = []
    const box = await openInbox({ state, clock, lease: 50, handle: async ({ key }) => { handled.push(key); return "handled" } })
    await box.accept([due("a", clock() + 5_000), due("b", clock() + DAY_MS)])
    set()
    await box.accept([due("tomorrow", clock() + DAY_MS)])
    await until(async () => (await pathsIn(state)).length === 1)
    expect(handled.sort()).toEqual(["a", "b"])
    await box.close()
  })

  it.each([["another process", () => true], ["another host", () => false]])("leaves what it had accepted to %s", async (_, isDead) => {
    const state = memoryState()
    const { clock, set } = wrongClock(YEAR_MS)
    const wrong = await openInbox({ state, clock, holder: "wrong.1", lease: 50 })
    await wrong.accept([due("a", clock() + 5_000)])
    await wrong.close()
    set()
    const handled: string[] = []
    const box = await openInbox({ state, clock, lease: 50, isDead, handle: async ({ key }) => { handled.push(key); return "handled" } })
    await box.idle()
    expect([handled, await pathsIn(state)]).toEqual([["a"], []])
    await box.close()
  })

  it("finds what is too far ahead behind thousands that are due tomorrow, for one listing more a scan", async () => {
    const { state, counts } = countingState()
    const wrong = entries({ state, clock: () => Date.now() + YEAR_MS, log: keptLog(), holder: "gone.1", isDead: () => false, lease: 50 })
    const present = await openInbox({ state, holder: "there.1" })
    await present.accept(Array.from({ length: 3_000 }, (_, n) => due(`tomorrow${n}`, Date.now() + DAY_MS)))
    await wrong.create(wrong.pathFor(Date.now() + YEAR_MS), { bucket: "b", key: "a" }, 0)
    delete counts.list
    const handled: string[] = []
    const box = await openInbox({ state, handle: async ({ key }) => { handled.push(key); return "handled" } })
    await box.idle()
    expect([handled, counts.list]).toEqual([["a"], 2])
    await Promise.all([present.close(), box.close()])
  })
})
