/** The tags of objects (S3 user guide, "Categorizing your objects using tags"). */
import type { Tag } from "../../shared/ports.ts"
import { childrenOf } from "../../shared/store/xml.ts"
import { xmlAnswer, type Answer, type Call, type Endpoint } from "./call.ts"
import { S3Error } from "./errors.ts"
import { readText } from "./payload.ts"
import { refuseAbsent, versionOf } from "./versions.ts"
import { parseDocument, textOf } from "./xml.ts"

/** GetObjectTagging. */
export async function getObjectTagging(call: Call, { store }: Endpoint): Promise<Answer> {
  const tags = (await store.getTags(call, versionOf(call))) ?? await refuseAbsent(call, store)
  const elements = tags.map(([name, value]) => ["Tag", [["Key", name], ["Value", value]]] as const)
  const answer = xmlAnswer(["Tagging", [["TagSet", elements]]])
  return { ...answer, headers: { ...answer.headers, "x-amz-version-id": versionOf(call).versionId } }
}

// Ten tags of 128 and 256 characters in XML, each at most an entity of ten letters.
const maxTaggingBytes = 64 * 1024

/** PutObjectTagging. */
export async function putObjectTagging(call: Call, { store }: Endpoint): Promise<Answer> {
  const tagging = parseDocument(await readText(call.openPayload(), maxTaggingBytes), "Tagging")
  const [set] = childrenOf(tagging, "TagSet")
  if (set === undefined) throw new S3Error("MalformedXML")
  const tags = childrenOf(set, "Tag").map((tag): Tag => {
    const [name, value] = [textOf(tag, "Key"), textOf(tag, "Value")]
    if (name === undefined || value === undefined) throw new S3Error("MalformedXML")
    return [name, value]
  })
  const { versionId } = (await store.putTags(call, checked(tags), versionOf(call))) ?? await refuseAbsent(call, store)
  return { status: 200, headers: { "x-amz-version-id": versionId } }
}

/** DeleteObjectTagging. */
export async function deleteObjectTagging(call: Call, { store }: Endpoint): Promise<Answer> {
  const { versionId } = (await store.putTags(call, [], versionOf(call))) ?? await refuseAbsent(call, store)
  return { status: 204, headers: { "x-amz-version-id": versionId } }
}

/** The tags that a write carries, form-encoded in `x-amz-tagging`; `undefined` if none. Throws `InvalidTag`, or
 *  `BadRequest` for too many. */
export function tagsOf(call: Call): readonly Tag[] | undefined {
  const header = call.header("x-amz-tagging")
  return header === undefined ? undefined : checked([...new URLSearchParams(header)])
}

// The limits of the page above; lengths count UTF-16 units, as it says.
const maxTags = 10
const tagName = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u
const tagValue = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u

function checked(tags: readonly Tag[]): readonly Tag[] {
  if (tags.length > maxTags) throw new S3Error("BadRequest", `Object tags cannot be greater than ${maxTags}`)
  const valid = tags.every(([name, value]) =>
    tagName.test(name) && name.length <= 128 && tagValue.test(value) && value.length <= 256 && !/^aws:/i.test(name))
  if (!valid) throw new S3Error("InvalidTag")
  const names = new Set(tags.map(([name]) => name))
  if (names.size < tags.length) throw new S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
  return tags
}
