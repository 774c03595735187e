import { Failure } from "../errors.ts"
import type { Origin } from "../net/request.ts"
import { percentEncode } from "../net/sigv4-canonical.ts"

/** Where the store is, and how buckets are named to it. */
export interface AddressOptions {
  /** `https://host[:port]`, or `http://…` where that is allowed. */
  readonly endpoint: string
  /** The region that requests are signed for, unless the store names another one for a bucket. */
  readonly region: string
  /** `path`: the bucket begins the path. `virtual`: it begins the host name. */
  readonly addressing: "path" | "virtual"
}

/** Where one request goes. */
export interface Address {
  readonly origin: Origin
  /** The value of the `host` header. */
  readonly host: string
  /** Percent-encoded; sent as it is. */
  readonly path: string
}

// S3 user guide, "General purpose bucket naming rules", with what older buckets in us-east-1 were allowed.
const bucketName = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/
const hostName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

/**
 * Gives the address of a bucket or object in a region. Another region than the configured one changes the endpoint only
 * where the configured region is a label of its host name, and none of the last two; no store can make it go anywhere else. Throws
 * `store-refused` for what can be no bucket or key. Throws `bad-field` at once for an endpoint that is none.
 */
export function addresses(options: AddressOptions): (region: string, bucket?: string, key?: string) => Address {
  const endpoint = parseEndpoint(options.endpoint)
  return (region, bucket, key) => {
    const origin = { ...endpoint, hostname: inRegion(endpoint.hostname, options.region, region) }
    if (bucket === undefined) return addressed(origin, "/")
    if (!bucketName.test(bucket)) throw new Failure("store-refused", "that is no bucket name", { bucket })
    // A certificate for *.host does not cover a.b.host (RFC 9525, section 6.3), so such a bucket goes into the path.
    const virtual = options.addressing === "virtual" && hostName.test(bucket) && !bucket.includes(".")
    if (virtual) return addressed({ ...origin, hostname: `${bucket}.${origin.hostname}` }, `/${encodeKey(key)}`)
    return addressed(origin, `/${bucket}${key === undefined ? "" : "/" + encodeKey(key)}`)
  }
}

function parseEndpoint(endpoint: string): Origin {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const { protocol } = url ?? {}
  const bare = url && url.pathname === "/" && url.search === "" && url.username === "" && url.password === ""
  if (!bare || (protocol !== "https:" && protocol !== "http:")) {
    throw new Failure("bad-field", "the S3 endpoint must be https://host[:port], without a path")
  }
  return { protocol, hostname: url.hostname, port: Number(url.port || defaultPorts[protocol]) }
}

const defaultPorts = { "https:": 443, "http:": 80 }

function addressed(origin: Origin, path: string): Address {
  const host = origin.port === defaultPorts[origin.protocol] ? origin.hostname : `${origin.hostname}:${origin.port}`
  return { origin: { ...origin, hostname: origin.hostname.replace(/^\[|\]$/g, "") }, host, path }
}

/** The last two labels stay, whatever they are: with endpoint `https://garage` and region `garage`, a store could else
 *  send its client to any host of the network, and by `127` of 127.0.0.1 to any address. */
function inRegion(hostname: string, configured: string, region: string): string {
  const labels = hostname.split(".")
  if (region === configured || /^\d+$/.test(labels.at(-1) ?? "")) return hostname
  return labels.map((label, at) => (label === configured && at < labels.length - 2 ? region : label)).join(".")
}

/** The key as it stands in a path: every byte kept, slashes as they are, nothing normalised. */
function encodeKey(key: string | undefined): string {
  // The path of an empty key is that of the bucket: a delete would hit the bucket itself.
  if (key === "") throw new Failure("store-refused", "a key must not be empty")
  try {
    return percentEncode(key ?? "").replaceAll("%2F", "/")
  } catch (error) {
    throw new Failure("store-refused", "a key must be Unicode text", error)
  }
}
