/** Takes part in races: for each line `create KEY SIZE` or `count KEY STEPS` on stdin it does so and prints how often
 *  its own write won. Argument: folder. */
import { randomBytes } from "node:crypto"
import { createInterface } from "node:readline"
import { isFailure } from "../../shared/errors.ts"
import type { WriteCondition } from "../../shared/ports.ts"
import { localStore } from "../../shared/store/local.ts"

const [folder = ""] = process.argv.slice(2)
const ATTEMPTS = 10_000

async function run(): Promise<void> {
  const store = await localStore(folder)
  const won = async (key: string, bytes: Buffer, condition: WriteCondition) => {
    try {
      await store.put({ bucket: "race", key }, bytes, { condition })
      return 1
    } catch (error) {
      if (isFailure(error, "precondition-failed")) return 0
      throw error
    }
  }
  const count = async (key: string, steps: number) => {
    let done = 0
    for (let attempt = 0; attempt < ATTEMPTS && done < steps; attempt++) {
      const object = await store.get({ bucket: "race", key })
      if (!object) throw new Error("no counter")
      let text = ""
      for await (const chunk of object.body) text += Buffer.from(chunk).toString()
      done += await won(key, Buffer.from(String(Number(text) + 1)), { ifMatch: object.etag })
    }
    return done
  }
  process.stdout.write("ready\n")
  for await (const line of createInterface({ input: process.stdin })) {
    const [task, key = "", size = "0"] = line.split(" ")
    const create = () => won(key, randomBytes(Number(size)), { ifNoneMatch: "*" })
    process.stdout.write(`${await (task === "count" ? count(key, Number(size)) : create())}\n`)
  }
  await store.close()
}

void run()
