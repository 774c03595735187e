/** Failures as responses: Key Protect's error body, IAM's, and what is logged instead of sent. */
import { Failure, isFailure, reasonOf, statusOf, type FailureCode } from "../errors.ts"
import type { Log } from "../ports.ts"

/** Whose error body a route answers with. `own` is Key Protect's body with 403 for a missing right. */
export type ErrorShape = "key-protect" | "iam" | "own"

const statusText: Readonly<Record<number, string>> = {
  304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
  405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 412: "Precondition Failed",
  413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content", 429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
}

/** The response for whatever was thrown. What is no `Failure` is logged whole and answered as `internal`, nothing more. */
export function errorResponse(error: unknown, shape: ErrorShape, correlationId: string, log: Log): Response {
  const failure = asFailure(error)
  const status = statusOf(failure.code)
  const entry = { code: failure.code, correlationId, cause: failure.cause }
  if (status >= 500) log.error(failure.message, entry)
  else log.info(failure.message, entry)
  if (status === 304) return new Response(null, { status, headers: failure.headers })
  const headers = { ...failure.headers, "content-type": "application/json", "correlation-id": correlationId, "cache-control": "no-store" }
  if (status === 401) Object.assign(headers, { "www-authenticate": "Bearer" }) // RFC 9110, section 15.5.2
  const body = shape === "iam" ? iamBody(failure, correlationId) : keyProtectBody(failure)
  return new Response(JSON.stringify(body), { status, headers })
}

/** A `Failure` as it is; a zod error as `bad-body` with the field at fault; all else as `internal`. */
function asFailure(error: unknown): Failure {
  if (isFailure(error)) return error
  const issue = firstIssue(error)
  if (!issue) return new Failure("internal", "something went wrong here; the log has it under this correlation id", error)
  const name = issue.path.join(".")
  const field = issue.keys ? `${name ? `${name}.` : ""}${issue.keys.join(", ")}` : name
  const message = field === "" ? issue.message : `${field}: ${issue.message}`
  return new Failure("bad-body", message, undefined, { type: "field", name: field })
}

interface Issue { readonly path: readonly PropertyKey[]; readonly message: string; readonly keys?: readonly string[] }

function firstIssue(error: unknown): Issue | undefined {
  if (!(error instanceof Error) || !error.name.startsWith("$Zod") && error.name !== "ZodError") return undefined
  const issues = (error as { issues?: unknown }).issues
  return Array.isArray(issues) ? (issues[0] as Issue | undefined) : undefined
}

/** Key Protect's shape, for a failure that is answered with this status. */
export function keyProtectBody(failure: Failure, status = statusOf(failure.code)): unknown {
  const reason = reasonOf(failure.code)
  const errorMsg = `${statusText[status] ?? "Error"}: ${failure.message}`
  const moreInfo = "https://cloud.ibm.com/apidocs/key-protect"
  const reasons = [{ code: reason, message: failure.message, status, moreInfo, ...(failure.target ? { target: failure.target } : {}) }]
  return {
    metadata: { collectionType: "application/vnd.ibm.kms.error+json", collectionTotal: 1 },
    resources: [failure.code === "unauthorized" ? { errorMsg } : { errorMsg, reasons }],
  }
}

/** IAM's shape. */
function iamBody(failure: Failure, requestId: string): unknown {
  const { message } = failure
  return { errorCode: iamCode(failure), errorMessage: message, errorDetails: message, context: { requestId } }
}

/** `BXNIM0415E` is the code clients know for an API key that can't be found; the others follow its family. */
function iamCode({ code, target }: Failure): string {
  if (code === "bad-field" && target?.name === "apikey") return "BXNIM0415E"
  const known: Partial<Record<FailureCode, string>> = {
    unauthorized: "BXNIM0408E", "bad-field": "BXNIM0109E", "bad-body": "BXNIM0109E", "bad-query": "BXNIM0109E",
  }
  return known[code] ?? `BXNIM0${statusOf(code)}E`
}
