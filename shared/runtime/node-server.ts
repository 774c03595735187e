/** Servers on node:http: where they listen, and what they answer to bytes that are no request. */
import { createServer, type RequestListener, type Server, type ServerOptions, type ServerResponse } from "node:http"

/** Listens, and gives the port. Throws a plain `Error` that names the port where it is taken. */
export async function listen(server: Server, port: number, hostname: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new Error(`port ${port} is taken; choose another one`, { cause: error }) : error)
    })
    server.listen(port, hostname, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port")
  return address.port
}

/** An error body and its media type. */
interface ErrorText {
  readonly type: string
  readonly text: string
}

// Those of node:http ("Event: 'clientError'"); whatever else its parser refuses is a 400.
const unreadableStatuses: Readonly<Record<string, readonly [status: number, words: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Payload Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"],
}

/** A server that leaves node:http none of the refusals for requests it can read, which have no body: a request without a
 *  host, or with another expectation than 100-continue, is `listener`'s to answer too. */
export function ownAnswers(listener: RequestListener, options: ServerOptions = {}): Server {
  const server = createServer({ ...options, requireHostHeader: false }, listener)
  return server.on("checkExpectation", listener)
}

/** Has a server answer bytes that are no HTTP request by `bodyOf` the status, and close the connection; after the
 *  answers to the requests before them. Where they are the rest of a request that is half answered, the connection is
 *  cut: nothing may look like a part of that answer. */
export function answerUnreadable(server: Server, bodyOf: (status: number) => ErrorText): void {
  const latest = new WeakMap<object, ServerResponse>() // by its connection: requests may come before others are answered
  const note: RequestListener = (request, response) => void latest.set(request.socket, response)
  server.on("request", note).on("checkContinue", note).on("checkExpectation", note)
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const before = latest.get(socket)
    const isAnswered = before === undefined || before.writableFinished || before.destroyed
    const refuse = () => {
      if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy()
      const [status, words] = unreadableStatuses[error.code ?? ""] ?? [400, "Bad Request"]
      const { type, text } = bodyOf(status)
      const head = [`${status} ${words}`, "Connection: close", `Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(text)}`]
      socket.end(`HTTP/1.1 ${head.join("\r\n")}\r\n\r\n${text}`, () => socket.destroy())
    }
    if (!isAnswered && before.req.complete) before.once("close", refuse)
    else if (!isAnswered && before.headersSent) socket.destroy()
    else refuse()
  })
}
