/** What is explored: every way of sealing, against a user who does what hurts it. */
import type { Scenario, UserAction } from "./world.ts"

const everyday: readonly UserAction[] = ["put-new", "put-first-again", "delete", "describe"]
const budget = { starts: 3, faults: 2, actions: 2, attacks: 0 }

const inPlace = { destination: false, removal: "none" } as const
const versioned = { destination: false, removal: "version" } as const
const toVault = { destination: true, removal: "version" } as const

/** All scenarios. */
export const scenarios: readonly Scenario[] = [
  { name: "in place", setting: inPlace, versioning: "off", multipart: false, answersProve: true, user: everyday, ...budget },
  { name: "in place, multipart", setting: inPlace, versioning: "off", multipart: true, answersProve: false, user: [...everyday, "uploads-vanish"], ...budget },
  { name: "in place, multipart, then small", setting: inPlace, versioning: "off", multipart: true, smallAgain: true, answersProve: false, user: everyday, ...budget },
  { name: "in place, multipart, attacked", setting: inPlace, versioning: "off", multipart: true, answersProve: false, user: ["put-new"], ...budget, attacks: 1, actions: 1, faults: 1 },
  { name: "versioned", setting: versioned, versioning: "enabled", multipart: false, answersProve: false, user: everyday, ...budget },
  { name: "versioned, multipart", setting: versioned, versioning: "enabled", multipart: true, answersProve: true, user: everyday, ...budget },
  { name: "suspended", setting: versioned, versioning: "suspended", multipart: false, answersProve: true, user: everyday, ...budget },
  { name: "to a vault, If-Match", setting: { destination: true, removal: "if-match" }, versioning: "off", multipart: false, answersProve: false, user: [...everyday, "delete-in-vault"], ...budget },
  { name: "to a vault, versioned", setting: toVault, versioning: "enabled", vaultVersioning: "enabled", multipart: false, answersProve: true, user: [...everyday, "delete-in-vault"], ...budget },
  { name: "to a vault, multipart", setting: toVault, versioning: "enabled", vaultVersioning: "off", multipart: true, answersProve: false, user: [...everyday, "delete-in-vault"], ...budget },
  { name: "to a vault, source kept", setting: { destination: true, removal: "keep" }, versioning: "off", multipart: false, answersProve: true, user: [...everyday, "delete-in-vault"], ...budget },
]

/** The scenario of that name. */
export function scenario(name: string): Scenario {
  const found = scenarios.find((one) => one.name === name)
  if (!found) throw new Error(`there is no scenario ${name}`)
  return found
}
