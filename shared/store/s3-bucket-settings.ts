import type { BucketSettings } from "../ports.ts"
import { readBody } from "../net/answer-body.ts"
import { maxXml, type SendCall } from "./s3-call.ts"
import { ownerOf } from "./s3-listing.ts"
import { failureOf, type Refusal } from "./s3-refusal.ts"
import { childrenOf, parseXml, textOf, type XmlElement } from "./xml.ts"

/** One setting: its document, empty where the store says that there is none; or not known. */
type Setting = { readonly known: true; readonly element: XmlElement } | { readonly known: false }

const unset = [
  "ObjectLockConfigurationNotFoundError", "ReplicationConfigurationNotFoundError", "NoSuchLifecycleConfiguration",
  "NoSuchBucketPolicy",
]

/**
 * What a bucket is set to, by eight reads; `undefined` if there is no such bucket. A refusal (403, 501) is `unknown`, and
 * so is an answer that is another document: stores answer sub-resources that they do not know as if none were named.
 * Throws where the store does not answer.
 */
export async function bucketSettings(send: SendCall, bucket: string): Promise<BucketSettings | undefined> {
  const read = (query: string, root: string) => setting(send, bucket, query, root)
  const [location, versioning, lock, replication, lifecycle, notification, policy, access] = await Promise.all([
    read("location=", "LocationConstraint"),
    read("versioning=", "VersioningConfiguration"),
    read("object-lock=", "ObjectLockConfiguration"),
    read("replication=", "ReplicationConfiguration"),
    read("lifecycle=", "LifecycleConfiguration"),
    read("notification=", "NotificationConfiguration"),
    read("policy=", ""),
    read("acl=", "AccessControlPolicy"),
  ])
  if (!location || !versioning || !lock || !replication || !lifecycle || !notification || !policy || !access) return undefined
  const constraint = location.known && typeof location.element === "string" ? location.element : ""
  const owner = access.known ? ownerOf(access.element) : undefined
  return {
    versioning: versioning.known ? versioningOf(versioning.element) : "unknown",
    mfaDelete: versioning.known ? textOf(versioning.element, "MfaDelete") === "Enabled" : "unknown",
    objectLock: lock.known ? textOf(lock.element, "ObjectLockEnabled") === "Enabled" : "unknown",
    defaultRetention: lock.known ? childrenOf(lock.element, "Rule").length > 0 : "unknown",
    replicated: replication.known ? isReplicated(replication.element) : "unknown",
    notifies: notification.known ? typeof notification.element !== "string" : "unknown",
    policy: policy.known ? policy.element !== "" : "unknown",
    lifecycle: lifecycle.known ? lifecycleOf(lifecycle.element) : "unknown",
    ...(owner ? { owner } : {}),
    ...(constraint ? { location: constraint } : {}),
  }
}

async function setting(send: SendCall, bucket: string, query: string, root: string): Promise<Setting | undefined> {
  const answer = await send({ method: "GET", bucket, query, repeatable: true })
  if (answer.refusal) return refusedSetting(answer.refusal)
  const text = (await readBody(answer.response.body, maxXml)).toString()
  if (root === "") return text.trimStart().startsWith("{") ? { known: true, element: text } : { known: false } // a policy is JSON
  const document = parseXml(text)
  return document?.root === root ? { known: true, element: document.element } : { known: false }
}

function refusedSetting(refusal: Refusal): Setting | undefined {
  if (refusal.code === "NoSuchBucket") return undefined
  if (unset.includes(refusal.code)) return { known: true, element: "" }
  const failure = failureOf(refusal)
  if (failure.code === "unavailable" || failure.code === "throttled") throw failure
  return { known: false }
}

function versioningOf(element: XmlElement): BucketSettings["versioning"] {
  const status = textOf(element, "Status")
  if (status === "Enabled") return "enabled"
  return status === "Suspended" ? "suspended" : "off"
}

function isReplicated(element: XmlElement): boolean {
  return childrenOf(element, "Rule").some((rule) => textOf(rule, "Status") === "Enabled")
}

// S3 user guide, "Storage classes": what is in one of these can be read at once. Any other counts as an archive.
const readable = ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"]

function lifecycleOf(element: XmlElement): Exclude<BucketSettings["lifecycle"], "unknown"> {
  return childrenOf(element, "Rule").flatMap((rule) => {
    if (textOf(rule, "Status") !== "Enabled") return []
    const prefix = prefixOf(rule)
    const expires = childrenOf(rule, "Expiration").some((entry) => textOf(entry, "Days") ?? textOf(entry, "Date"))
    const classes = childrenOf(rule, "Transition").map((entry) => textOf(entry, "StorageClass") ?? "")
    const archives = classes.some((name) => !readable.includes(name))
    return [
      ...(expires ? [{ prefix, effect: "expires" as const }] : []),
      ...(archives ? [{ prefix, effect: "archives" as const }] : []),
    ]
  })
}

/** A rule's prefix stands in it, in its filter, or in the filter's conjunction; one without is for all objects. */
function prefixOf(rule: XmlElement): string {
  const filters = childrenOf(rule, "Filter")
  const places = [rule, ...filters, ...filters.flatMap((filter) => childrenOf(filter, "And"))]
  return places.map((place) => textOf(place, "Prefix")).find((prefix) => prefix !== undefined) ?? ""
}
