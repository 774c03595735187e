/** Seals one object by a multipart upload, 8 MiB × 4 at a time, in a process of its own, and prints its peak memory in KiB. */
import { seal, multipartSealingIn, ownStore } from "./sealing-world.ts"

const [, , bucket = "", key = ""] = process.argv
await seal(await multipartSealingIn(ownStore().store, bucket), { bucket, key })
process.stdout.write(String(process.resourceUsage().maxRSS)) // KiB (Node.js, process.resourceUsage)
