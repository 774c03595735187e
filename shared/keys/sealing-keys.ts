/** Data keys in use for sealing: one a registration at a time, within its limits and while its root key is active. */
import type { Clock, KeyService } from "../ports.ts"
import type { DataKeyDocument } from "./data-key-document.ts"
import { after, lentKey, type LentKey } from "./lent-key.ts"

/** How much one data key seals; whichever is reached first ends its use. A single object may be larger than `bytes`. */
export interface DataKeyLimits {
  readonly objects: number
  readonly bytes: number
  readonly seconds: number
}

/** Whom a data key is made for. A registration is one. */
export interface DataKeyOwner {
  readonly bucket: string
  readonly prefix: string
  /** A resolved CRN or ARN. */
  readonly rootKey: string
  /** What differs from the general limits. */
  readonly limits?: { readonly [Name in keyof DataKeyLimits]?: number | undefined } | undefined
}

/** A data key that has just been made, stored and checked. Who gets it owns `dek`. */
export interface MadeDataKey {
  readonly document: DataKeyDocument
  readonly dek: Uint8Array
}

/** What this takes. */
export interface SealingKeysOptions {
  readonly keyService: KeyService
  readonly make: (owner: DataKeyOwner) => Promise<MadeDataKey>
  /** Called when the key service said that the root key is still active; `since` is when it was asked. */
  readonly confirmed: (document: DataKeyDocument, dek: Promise<Uint8Array>, since: number) => void
  readonly limits: DataKeyLimits
  readonly cacheSeconds: number
  readonly clock: Clock
}

interface InUse {
  readonly made: Promise<MadeDataKey>
  readonly key: LentKey
  readonly began: number
  readonly cancel: () => void
  objects: number
  bytes: number
  /** When the root key was last known to be active. */
  checked: number
  checking?: Promise<boolean>
}

const IN_USE_LIMIT = 1_000 // registrations sealing at once in one instance

/** Gives data keys to seal with. */
export function sealingKeys(options: SealingKeysOptions) {
  const { keyService, limits, clock } = options
  const current = new Map<string, InUse>()

  /** Counts the object before anything is awaited: no number of concurrent callers gets a key past its limits, and what
   *  does not fit a key that is still being made starts the next one beside it. */
  function reserve(name: string, owner: DataKeyOwner, bytes: number): InUse {
    const present = current.get(name)
    const inUse = present && fits(present, owner, bytes) ? present : begin(name, owner)
    inUse.objects += 1
    inUse.bytes += bytes
    return inUse
  }

  function fits(inUse: InUse, owner: DataKeyOwner, bytes: number): boolean {
    const most = limitsOf(limits, owner)
    const young = clock() - inUse.began < most.seconds * 1000
    return young && inUse.objects < most.objects && inUse.bytes + bytes <= most.bytes
  }

  function begin(name: string, owner: DataKeyOwner): InUse {
    drop(name)
    const began = clock()
    const made = options.make(owner)
    const cancel = after(limitsOf(limits, owner).seconds * 1000, () => drop(name, inUse))
    const inUse: InUse = {
      made, key: lentKey(made.then(({ dek }) => dek)), began, cancel, objects: 0, bytes: 0, checked: began,
    }
    made.catch(() => drop(name, inUse)) // its callers get the error; the next caller tries anew
    current.set(name, inUse)
    const [oldest] = current.keys()
    if (oldest !== undefined && current.size > IN_USE_LIMIT) drop(oldest)
    return inUse
  }

  function drop(name: string, inUse = current.get(name)): void {
    if (!inUse) return
    if (current.get(name) === inUse) current.delete(name)
    inUse.cancel()
    inUse.key.retire()
  }

  /** Past the cache limit a key is used on only if the key service has meanwhile called its root key active. */
  async function confirm(name: string, owner: DataKeyOwner, bytes: number): Promise<void> {
    const inUse = current.get(name)
    const fresh = inUse && clock() - inUse.checked < options.cacheSeconds * 1000
    if (!inUse || fresh || !fits(inUse, owner, bytes)) return
    inUse.checking ??= isActive(inUse).finally(() => delete inUse.checking)
    if (!(await inUse.checking)) drop(name, inUse)
  }

  /** A service that does not answer counts as "no": a new data key is then asked of it, and its error is the
   *  caller's. */
  async function isActive(inUse: InUse): Promise<boolean> {
    const asked = clock()
    try {
      const { document } = await inUse.made
      const { state, keyVersion } = await keyService.describe(document.rootKey)
      const rotated = keyVersion !== undefined && keyVersion !== document.keyVersion
      if (state !== "active" || rotated) return false // the newest version wraps a new data key: one less to rewrap
      inUse.checked = asked
      options.confirmed(document, inUse.key.copy(), asked)
      return true
    } catch {
      return false
    }
  }

  return {
    /** A data key for one object of so many bytes. The caller zeroes `dek`. */
    async take(owner: DataKeyOwner, bytes: number): Promise<{ id: string; dek: Uint8Array }> {
      const name = JSON.stringify([owner.bucket, owner.prefix, owner.rootKey])
      await confirm(name, owner, bytes)
      const inUse = reserve(name, owner, bytes)
      const dek = await inUse.key.copy()
      return { id: (await inUse.made).document.id, dek }
    },
    /** Zeroes all keys in use; who has been promised one still gets it. */
    close(): void {
      for (const name of [...current.keys()]) drop(name)
    },
  }
}

function limitsOf(general: DataKeyLimits, { limits }: DataKeyOwner): DataKeyLimits {
  return {
    objects: limits?.objects ?? general.objects,
    bytes: limits?.bytes ?? general.bytes,
    seconds: limits?.seconds ?? general.seconds,
  }
}
