/**
 * Cloud Resource Names: `crn:v1:bluemix:public:<service>:<region>:a/<account>:<instance>:<type>:<resource>`
 * (IBM Cloud documentation, "Cloud Resource Names"). A CRN names; it never makes an address.
 */
import { Failure } from "../errors.ts"

/** The parts of a CRN that decisions are made on. Absent parts are empty strings. */
export interface Crn {
  readonly service: string
  readonly region: string
  readonly account: string
  readonly instance: string
  readonly type: string
  readonly resource: string
}

/** Reads a CRN, or gives `undefined` for what is none. The resource, the last part, may itself hold colons. */
export function parseCrn(text: string): Crn | undefined {
  const parts = text.split(":")
  const [crn, version, cname, ctype, service = "", region = "", scope = "", instance = "", type = ""] = parts
  if (crn !== "crn" || version !== "v1" || cname !== "bluemix" || ctype !== "public" || parts.length < 10) return undefined
  if (service === "" || !(scope === "" || scope.startsWith("a/"))) return undefined
  return { service, region, account: scope.slice(2), instance, type, resource: parts.slice(9).join(":") }
}

/** Writes a CRN. Throws `bad-field` where a part other than the resource holds a colon. */
export function formatCrn(crn: Crn): string {
  const { service, region, account, instance, type, resource } = crn
  if ([service, region, account, instance, type].some((part) => part.includes(":"))) {
    throw new Failure("bad-field", "a part of a CRN can't hold a colon")
  }
  const scope = account === "" ? "" : `a/${account}`
  return `crn:v1:bluemix:public:${service}:${region}:${scope}:${instance}:${type}:${resource}`
}

/** The CRN of a bucket: its region is always `global` (IBM COS documentation). */
export function bucketCrn(account: string, storeInstance: string, bucket: string): string {
  return formatCrn({
    service: "cloud-object-storage", region: "global", account, instance: storeInstance, type: "bucket", resource: bucket,
  })
}

/** The CRN of a whole store: what is decided for all of its buckets. */
export function storeCrn(account: string, storeInstance: string): string {
  return formatCrn({
    service: "cloud-object-storage", region: "global", account, instance: storeInstance, type: "", resource: "",
  })
}

/** The CRN of a root key of a Key Protect instance. */
export function keyCrn(region: string, account: string, instance: string, keyId: string): string {
  return formatCrn({ service: "kms", region, account, instance, type: "key", resource: keyId })
}
