/** The name under which this process holds events of the inbox, and whether another holder's process is gone. */
import { createHash, randomBytes } from "node:crypto"
import { readFile, readlink } from "node:fs/promises"
import { hostname } from "node:os"
import type { Sharing } from "../shared/objects/inbox-entries.ts"

/** `<host>.<8 hex: which run of which machine, and which process space of it>.<pid>.<8 hex: which inbox>`. Only of
 *  those in its own process space can it say that they are dead: then what they held need not wait for a lease to end. */
export async function inboxHolder(): Promise<Omit<Sharing, "lease">> {
  const host = hostname().replace(/\W/g, "_")
  const place = `${host}.${await processSpace()}.`
  return {
    holder: `${place}${process.pid}.${randomBytes(4).toString("hex")}`,
    isDead: (other) => other.startsWith(place) && isGone(Number(other.slice(place.length).split(".", 1)[0])),
  }
}

/** Machines may share a host name, and containers a machine: a process id means something only within one of each, and
 *  until the next boot. Where the system is no Linux, the host name has to do. */
async function processSpace(): Promise<string> {
  const parts = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ])
  return createHash("sha256").update(parts.join()).digest("hex").slice(0, 8)
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0) // signal 0 only asks (kill(2))
    return false
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH" // EPERM: there, and somebody else's
  }
}
