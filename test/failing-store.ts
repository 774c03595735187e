/**
 * Decorators of a store and of a state that make one I/O go wrong: the n-th of all that go through them. A crash is the end of
 * a process: that I/O and everything behind it is refused.
 */
import { Failure } from "../shared/errors.ts"
import type { Body, StateStore, Store, StoredObject } from "../shared/ports.ts"

/** What can go wrong with one I/O. */
export type Fault =
  | "before" // refused, without effect
  | "after" // done, and the answer lost
  | "slow" // done some turns of the event loop later
  | "short body" // a read ends early, without an error
  | "reset read" // a read fails half-way
  | "reset write" // a write fails half-way, without effect
  | "conflict" // 409, without effect
  | "forgotten" // done, and answered as if it had been done already: 404 to a completion, 412 to a write with a condition
  | "crash before" // the process ends before this I/O
  | "crash after" // the process ends behind it

/** Thrown into what runs in a process that has ended. */
export class Crash extends Error {}

/** One I/O as it was asked for. */
export interface Io {
  readonly name: string
  /** Whether it can change anything. */
  readonly writes: boolean
  readonly faults: readonly Fault[]
}

/** Which I/O fails, counted from 0, and how. */
export interface Plan {
  readonly at: number
  readonly fault: Fault
}

/** What is told of all I/Os; both are awaited. */
export interface Watch {
  /** Before an I/O reaches the store. */
  before?(index: number, io: Io): Promise<void> | void
  /** Behind one that reached it. `answer` is what the store gave, whatever its caller sees. */
  after?(index: number, io: Io, answer: unknown): Promise<void> | void
}

/** Decorators that count together. */
export interface Failing {
  /** All I/Os so far. */
  readonly ios: readonly Io[]
  /** Whether the planned fault has happened. */
  readonly injected: boolean
  store(store: Store): Store
  state(state: StateStore): StateStore
}

const writers = ["put", "copy", "delete", "putTags", "createUpload", "putPart", "completeUpload", "abortUpload", "create", "replace", "remove"]
const SLOW_TURNS = 20

/** Decorators with this plan. */
export function failing(plan?: Plan, watch: Watch = {}): Failing {
  const ios: Io[] = []
  let crashed = false
  let injected = false

  async function io(name: string, args: readonly unknown[], call: (...args: readonly unknown[]) => Promise<unknown>): Promise<unknown> {
    if (crashed) throw new Crash("this process has ended")
    const one: Io = { name, writes: writers.includes(name), faults: faultsOf(name, args) }
    const index = ios.push(one) - 1
    const fault = plan?.at === index && one.faults.includes(plan.fault) ? plan.fault : undefined
    if (fault) injected = true
    await watch.before?.(index, one)
    await begun(fault, one)
    const answer = await call(...fault === "reset write" ? withBody(args, resetBody) : withBody(args, orCrash))
    await watch.after?.(index, one, answer)
    return ended(fault, one, answer)
  }

  async function begun(fault: Fault | undefined, { name }: Io): Promise<void> {
    if (fault === "crash before") {
      crashed = true
      throw new Crash(name)
    }
    if (fault === "before") throw new Failure("unavailable", `${name} did not arrive`)
    if (fault === "conflict") throw new Failure("conflict", `${name} lost a race`)
    if (fault === "slow") for (let turn = 0; turn < SLOW_TURNS; turn++) await new Promise((resolve) => void setImmediate(resolve))
  }

  function ended(fault: Fault | undefined, { name }: Io, answer: unknown): unknown {
    if (fault === "crash after") {
      crashed = true
      throw new Crash(name)
    }
    if (fault === "after") throw new Failure("unavailable", `the answer to ${name} was lost`)
    if (fault === "forgotten") throw new Failure(name === "completeUpload" ? "not-found" : "precondition-failed", `${name} was done already`)
    if (!isStoredObject(answer)) return answer
    return { ...answer, body: fault === "short body" || fault === "reset read" ? broken(answer, fault) : orCrash(answer.body) }
  }

  /** What is read from, or sent by, a process that has ended goes no further. */
  async function* orCrash(body: AsyncIterable<Uint8Array>) {
    for await (const piece of body) {
      if (crashed) throw new Crash("this process has ended")
      yield piece
    }
  }

  function decorated<T extends object>(target: T): T {
    return new Proxy(target, {
      get(object, name) {
        const member: unknown = Reflect.get(object, name)
        if (typeof member !== "function") return member
        return (...args: unknown[]) => io(String(name), args, (...given) => Reflect.apply(member, object, given) as Promise<unknown>)
      },
    })
  }

  return { ios, get injected() { return injected }, store: decorated, state: decorated }
}

/** What can go wrong with this I/O so that its caller sees a difference. */
function faultsOf(name: string, args: readonly unknown[]): readonly Fault[] {
  const writes = writers.includes(name)
  const conditional = name === "put" || name === "completeUpload"
  return [
    "before", "slow", "crash before",
    ...(writes ? ["after", "crash after"] as const : []),
    ...(name === "get" ? ["short body", "reset read"] as const : []),
    ...(args.some(isStreamed) ? ["reset write"] as const : []),
    ...(conditional ? ["conflict", "forgotten"] as const : []),
  ]
}

const isStreamed = (value: unknown): value is Exclude<Body, Uint8Array> =>
  typeof value === "object" && value !== null && "stream" in value && "length" in value

const isStoredObject = (value: unknown): value is StoredObject =>
  typeof value === "object" && value !== null && "body" in value && "cancel" in value

/** The same arguments, a streamed body replaced. */
const withBody = (args: readonly unknown[], change: (body: AsyncIterable<Uint8Array>, length: number) => AsyncIterable<Uint8Array>) =>
  args.map((one) => (isStreamed(one) ? { ...one, stream: change(one.stream, one.length) } : one))

async function* resetBody(body: AsyncIterable<Uint8Array>, length: number) {
  let left = Math.floor(length / 2)
  for await (const piece of body) {
    if (piece.length > left) throw new Failure("unavailable", "the connection was reset half-way")
    left -= piece.length
    yield piece
  }
}

async function* broken({ body }: StoredObject, fault: "short body" | "reset read") {
  for await (const piece of body) {
    yield piece.subarray(0, Math.floor(piece.length / 2))
    break
  }
  if (fault === "reset read") throw new Failure("unavailable", "the connection was reset half-way")
}
