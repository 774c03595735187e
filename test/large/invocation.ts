/** One invocation of a function that seals one object: a process with a deadline, which the end of its input brings forward.
 *  Its task comes as JSON in `TASK`; it prints one line, its result and the most memory it has had. */
import { sealObject } from "../../shared/objects/seal.ts"
import { s3Store } from "../../shared/store/s3.ts"
import { stateStore } from "../../shared/store/state.ts"
import type { Task } from "./invocations.ts"
import { wired } from "./wiring.ts"

async function run(): Promise<void> {
  const { s3, stateBucket, masterKey, ref, clockAhead, deadline, partsMemory } = JSON.parse(process.env["TASK"] ?? "") as Task
  const { credentials, ...where } = s3
  const store = s3Store({ ...where, addressing: "path", allowHttp: true, credentials: () => Promise.resolve(credentials) })
  const state = stateStore(store, { bucket: stateBucket, prefix: "" })
  const clock = () => Date.now() + clockAhead
  const { sealer, close } = wired({ store, state, clock, masterKey: Buffer.from(masterKey, "base64") })
  const stop = new AbortController()
  setTimeout(() => stop.abort(), deadline)
  process.stdin.once("end", () => stop.abort()).resume()
  const sized = partsMemory === undefined ? sealer : { ...sealer, partsMemory }
  const result = await sealObject(sized, ref, { uploaded: 0 }, stop.signal)
  close()
  process.stdout.write(`${JSON.stringify({ result, rss: process.resourceUsage().maxRSS * 1024 })}\n`, () => process.exit(0))
}

void run()
