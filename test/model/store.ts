/** A store that does exactly what it says: conditions are about what is current, and an effect is whole or none. */
import { bucketAt, current, etagOf, withBucket, type Bucket, type Condition, type Part, type Request, type Version, type World } from "./world.ts"

/** What a store answers. `refused`: 412 or 404 under a condition. `missing`: no such upload. */
export type Answer = "done" | "refused" | "missing"

/** The effect of a request, and its answer. */
export function take(world: World, request: Request): { readonly world: World; readonly answer: Answer } {
  switch (request.do) {
    case "put":
      return write(world, request, request.content, request.description)
    case "complete":
      return complete(world, request)
    case "create-upload":
      return done(withUpload(world, request.description))
    case "send-part":
      return sendPart(world, request)
    case "abort":
      return done({ ...world, uploads: world.uploads.filter(({ id }) => id !== request.id), usersUpload: world.usersUpload && request.id !== USERS_UPLOAD })
    case "delete":
      return remove(world, request)
    case "delete-version": {
      const bucket = bucketAt(world, request.where)
      return done(withBucket(world, request.where, { ...bucket, versions: bucket.versions.filter(({ id }) => id !== request.id) }))
    }
    case "store-progress":
      return done({ ...world, progress: request.progress })
  }
}

/** The upload that a user has under way under the same key. */
export const USERS_UPLOAD = "users-upload"

/** When a sealer's write happened: nobody asks. A user's write is of second 0 or later. */
export const OURS = -1

const done = (world: World) => ({ world, answer: "done" as const })

function holds(bucket: Bucket, condition: Condition): boolean {
  const version = current(bucket)
  if (condition === undefined) return true
  if ("ifMatch" in condition && condition.orAbsent && !version) return true // a store, or a bug, that forgets
  return "ifMatch" in condition ? version !== undefined && etagOf(version) === condition.ifMatch : version === undefined
}

/** A bucket with a new newest version: in the place of all others, beside them, or in the place of the `null` version. */
export function withVersion(world: World, where: "source" | "target", version: Omit<Version, "id">): World {
  const bucket = bucketAt(world, where)
  const kept = { off: [], enabled: bucket.versions, suspended: bucket.versions.filter(({ id }) => id !== "null") }[bucket.versioning]
  const number = world.made.versions + 1
  const id = bucket.versioning === "enabled" ? `v${number}` : "null"
  const changed = withBucket(world, where, { ...bucket, versions: [...kept, { id, ...version }] })
  return bucket.versioning === "enabled" ? { ...changed, made: { ...changed.made, versions: number } } : changed
}

function write(world: World, { where, condition, upload }: Extract<Request, { do: "put" | "complete" }>, content: Part, description: number) {
  if (!holds(bucketAt(world, where), condition)) return { world, answer: "refused" as const }
  return done(withVersion(world, where, { bytes: content.bytes, salt: content.salt, description, lastModified: OURS, upload }))
}

function withUpload(world: World, description: number): World {
  const uploads = world.made.uploads + 1
  return { ...world, uploads: [...world.uploads, { id: `upload${uploads}`, description, parts: [null, null] }], made: { ...world.made, uploads } }
}

function sendPart(world: World, { id, number, part }: Extract<Request, { do: "send-part" }>) {
  if (!world.uploads.some((upload) => upload.id === id)) return { world, answer: "missing" as const }
  const uploads = world.uploads.map((upload) =>
    upload.id === id ? { ...upload, parts: number === 0 ? [part, upload.parts[1]] as const : [upload.parts[0], part] as const } : upload)
  return done({ ...world, uploads })
}

function complete(world: World, request: Extract<Request, { do: "complete" }>) {
  const upload = world.uploads.find(({ id }) => id === request.id)
  const [first, second] = upload?.parts ?? []
  if (!upload || !first || !second) return { world, answer: "missing" as const }
  const whole = first.bytes === second.bytes && first.salt === second.salt
  const content = whole ? first : { bytes: "mixture", salt: `${first.salt}+${second.salt}` }
  const written = write(world, request, content, upload.description)
  if (written.answer === "refused") return written
  return done({ ...written.world, uploads: written.world.uploads.filter(({ id }) => id !== request.id) })
}

function remove(world: World, { where, condition }: Extract<Request, { do: "delete" }>) {
  const bucket = bucketAt(world, where)
  if (!holds(bucket, condition)) return { world, answer: "refused" as const }
  return done(withoutCurrent(world, where))
}

/** A delete that names no version: nothing is left, or a delete marker is newest. */
export function withoutCurrent(world: World, where: "source" | "target"): World {
  const bucket = bucketAt(world, where)
  if (bucket.versioning === "off") return withBucket(world, where, { ...bucket, versions: [] })
  return withVersion(world, where, { bytes: "", salt: "", description: 0, lastModified: 0, upload: 0 })
}
