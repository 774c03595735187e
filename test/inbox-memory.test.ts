import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "vitest"
import { entries } from "../shared/objects/inbox-entries.ts"
import type { Parser, StateStore } from "../shared/ports.ts"
import { door, due, keptLog, openInbox } from "./inbox-fixtures.ts"

const MIB = 2 ** 20
const EVENTS = 100_000
const DELIVERY = 1_000 // records of a notification of some 256 KiB

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** Bytes on the heap that are in use. */
function heap(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** A state store that lists 100,000 documents as fast as a real one: names are sorted when a list follows a write. */
function largeState(): StateStore & { readonly requests: Record<string, number> } {
  const documents = new Map<string, string>()
  const requests: Record<string, number> = {}
  let names: string[] | undefined
  const arrive = async (what: string) => {
    requests[what] = (requests[what] ?? 0) + 1
    await new Promise((resolve) => void setImmediate(resolve))
  }
  const etagOf = (text: string) => String((JSON.parse(text) as { until: number }).until) // each write of an entry has another
  return {
    requests,
    async read<T>(path: string, parser: Parser<T>) {
      await arrive("read")
      const text = documents.get(path)
      return text === undefined ? undefined : { value: parser.parse(JSON.parse(text)), etag: etagOf(text) }
    },
    readIfChanged: () => { throw new Error("the inbox has no use for it") },
    async create(path, value) {
      await arrive("create")
      names = undefined
      const text = JSON.stringify(value)
      documents.set(path, text)
      return etagOf(text)
    },
    async replace(path, value, etag) {
      await arrive("replace")
      const present = documents.get(path)
      if (present === undefined || etagOf(present) !== etag) return undefined
      documents.set(path, JSON.stringify(value))
      return etagOf(JSON.stringify(value))
    },
    async remove(path) {
      await arrive("remove")
      documents.delete(path)
    },
    async list(_prefix, { startAfter = "" } = {}) {
      await arrive("list")
      names ??= [...documents.keys()].sort()
      const paths: string[] = []
      let at = names.findIndex((name) => name > startAfter)
      for (; at >= 0 && at < names.length && paths.length < 1_000; at++) {
        const name = names[at] ?? ""
        if (documents.has(name)) paths.push(name)
      }
      return { paths, more: at >= 0 && at < names.length }
    },
  }
}

const keyOf = (n: number) => `incoming/2026/11/24/some-team/an-object-with-a-name-of-usual-length-${n}.parquet`

/** All events, delivery by delivery. */
function* deliveries() {
  for (let first = 0; first < EVENTS; first += DELIVERY) {
    yield Array.from({ length: DELIVERY }, (_, n) => due(keyOf(first + n), Date.now()))
  }
}

/** The heap that so many documents take without an inbox. */
async function heapOfDocuments(): Promise<number> {
  const before = heap()
  const state = largeState()
  const documents = entries({ state, clock: Date.now, log: keptLog(), holder: "here.1", isDead: () => false, lease: 600_000 })
  for (const delivery of deliveries()) {
    await Promise.all(delivery.map(({ event, due: at }) => documents.create(documents.pathFor(at), event, 0)))
  }
  await state.list("inbox/")
  return heap() - before
}

describe("an inbox with 100,000 waiting events", () => {
  it("holds 10,000 of them in memory, and handles each exactly once, with a few listings for each 1,000", async () => {
    const ofDocuments = await heapOfDocuments()
    const before = heap()
    const rss = process.memoryUsage().rss
    const state = largeState()
    const held = door()
    const handled = new Uint8Array(EVENTS)
    const box = await openInbox({ state, lease: 600_000, concurrency: 8, handle: async ({ key }) => {
      await held.opened
      const n = Number(/(\d+)\.parquet$/.exec(key)?.[1])
      handled[n] = (handled[n] ?? 0) + 1
      return "handled"
    } })
    for (const delivery of deliveries()) await box.accept(delivery)
    await state.list("inbox/")
    const ofInbox = heap() - before - ofDocuments
    const rssGrown = process.memoryUsage().rss - rss
    held.open()
    await box.idle()
    const { list = 0, ...requests } = state.requests
    process.stdout.write(`100,000 events: heap of documents ${(ofDocuments / MIB).toFixed(1)} MiB, of the inbox ${(ofInbox / MIB).toFixed(1)} MiB; `
      + `RSS +${(rssGrown / MIB).toFixed(0)} MiB; requests ${JSON.stringify(state.requests)}\n`)
    expect(ofInbox).toBeLessThan(20 * MIB)
    expect(handled.every((times) => times === 1)).toBe(true)
    expect(requests).toEqual({ create: EVENTS, read: EVENTS - 10_000 - 8, remove: EVENTS })
    expect(list).toBeLessThan(500)
    await box.close()
  }, 120_000)
})
