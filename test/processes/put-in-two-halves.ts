/** Begins to put an object of 100,000 bytes into a local store, prints `half`, and goes on when it gets a line on
 *  stdin; then prints `done`, or the failure's code. Argument: folder. */
import { once } from "node:events"
import { Failure } from "../../shared/errors.ts"
import { localStore } from "../../shared/store/local.ts"
import { patterned } from "../bytes.ts"

const [folder = ""] = process.argv.slice(2)
const bytes = patterned(100_000)

async function* halves(): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 50_000)
  process.stdout.write("half\n")
  await once(process.stdin, "data")
  yield bytes.subarray(50_000)
}

async function run(): Promise<void> {
  const store = await localStore(folder)
  const put = store.put({ bucket: "halves", key: "k" }, { length: bytes.length, stream: halves() })
  const result = await put.then(
    () => "done",
    (error: unknown) => (error instanceof Failure ? error.code : "no Failure"),
  )
  process.stdout.write(`${result}\n`)
  await store.close()
  process.stdin.destroy()
}

void run()
