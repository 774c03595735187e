/** A guard around this process: connections and name look-ups are written down and refused, but for those allowed. */
import dns from "node:dns"
import net from "node:net"

/** What a guard saw, and how to take it away. */
export interface NetworkGuard {
  /** Each refused attempt: what it was, and where to. */
  readonly outgoing: string[]
  release(): void
}

/** Refuses every connection, TCP, TLS or to a Unix socket, and every look-up that `node:dns` makes, until it is released.
 *  Loopback ports in `allowed` may be connected to: they are what a setting names in a test. */
export function networkGuard(allowed: readonly number[] = []): NetworkGuard {
  const outgoing: string[] = []
  const refuse = (what: string, where: unknown): never => {
    outgoing.push(`${what} ${JSON.stringify(where)}`)
    throw new Error("no request may leave")
  }
  const { connect } = net.Socket.prototype
  const { lookup, resolve, resolve4, resolve6 } = dns
  const { lookup: lookupLater } = dns.promises
  net.Socket.prototype.connect = function (this: net.Socket, ...where: unknown[]): net.Socket {
    const place = placeOf(where)
    const isAllowed = place !== undefined && place.host === "127.0.0.1" && allowed.includes(place.port)
    return isAllowed ? Reflect.apply(connect, this, where) : refuse("connect", place ?? where)
  }
  const refuseName = (name: string) => refuse("look-up", name)
  Object.assign(dns, { lookup: refuseName, resolve: refuseName, resolve4: refuseName, resolve6: refuseName })
  dns.promises.lookup = refuseName
  return {
    outgoing,
    release() {
      net.Socket.prototype.connect = connect
      Object.assign(dns, { lookup, resolve, resolve4, resolve6 })
      dns.promises.lookup = lookupLater
    },
  }
}

/** Where `connect` was asked to go: by an object, by a port and a host, or by the array that node:net makes of either. */
function placeOf([first, second]: readonly unknown[]): { readonly host: string; readonly port: number } | undefined {
  if (Array.isArray(first)) return placeOf(first)
  if (typeof first === "object" && first !== null && "port" in first) {
    const host = "host" in first && typeof first.host === "string" ? first.host : "localhost"
    return { host, port: Number(first.port) }
  }
  return typeof first === "number" ? { host: typeof second === "string" ? second : "localhost", port: first } : undefined
}
