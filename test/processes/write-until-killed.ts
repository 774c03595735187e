/** Writes objects into a local store, by single puts and in parts, and prints a line for each that is acknowledged. To
 *  be killed. Arguments: folder, number of the first write. */
import { localStore } from "../../shared/store/local.ts"
import { bodyOf } from "./bodies.ts"

const [folder = "", first = "0"] = process.argv.slice(2)
const WRITERS = 4
const WRITES = 100_000 // more than it lives for

async function run(): Promise<void> {
  const store = await localStore(folder)
  let next = Number(first)

  const put = async (key: string, n: number) => {
    await store.put({ bucket: "whole", key }, bodyOf(n))
    process.stdout.write(`whole ${key} ${n}\n`)
  }
  const putParts = async (key: string, n: number) => {
    const ref = { bucket: "parts", key }
    const body = bodyOf(n)
    const id = await store.createUpload(ref)
    const { etag } = await store.putPart(ref, id, 1, body)
    await store.completeUpload(ref, id, [{ number: 1, etag, size: body.length }])
    process.stdout.write(`parts ${key} ${n}\n`)
  }
  const write = async (writer: number) => {
    for (let round = 0; round < WRITES; round++) {
      await (round % 3 === 0 ? putParts : put)(`${writer}-${round % 5}`, next++)
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
}

void run()
