/** What the API refused, as a failure: its message, and what to do next where that is known. */
import { Failure, type FailureCode } from "../shared/errors.ts"
import { isAction, lowestRole } from "../shared/iam/actions.ts"
import { authorizeCommandIn } from "./missing.ts"

/** What the statuses of the API stand for, as far as exit codes go by it. */
const codes: Readonly<Record<number, FailureCode>> = {
  400: "bad-field", 401: "unauthorized", 403: "forbidden", 404: "not-found", 409: "conflict",
  412: "precondition-failed", 416: "range-not-satisfiable", 422: "undecryptable", 429: "throttled", 503: "unavailable",
}

/** The failure for an answer that is no success. */
export function refusalOf(status: number, text: string): Failure {
  const message = messageIn(text) ?? `the server answered ${status}`
  return new Failure(codes[status] ?? "internal", withNextStep(message))
}

interface ErrorBody {
  readonly errorMessage?: unknown
  readonly resources?: readonly { readonly errorMsg?: unknown }[]
}

/** The message in an error's body: Key Protect's shape, whose messages begin with the status in words, or IAM's. */
function messageIn(text: string): string | undefined {
  try {
    const { errorMessage, resources } = JSON.parse(text) as ErrorBody
    const message = errorMessage ?? resources?.[0]?.errorMsg
    return typeof message === "string" ? message.replace(/^[A-Z][a-zA-Z ]*: /, "") : undefined
  } catch {
    return undefined
  }
}

function withNextStep(message: string): string {
  const [before = "", missing] = message.split("; create this authorization first: ")
  const command = missing === undefined ? undefined : authorizeCommandIn(missing)
  if (command !== undefined) return `${before}; this makes its authorization:\n${command}`
  const action = /^not allowed: ([\w.-]+) on /.exec(message)?.[1]
  if (action && isAction(action)) {
    return `${message}\nIt takes a policy with the role ${lowestRole(action)}: ask the account's owner for it.`
  }
  return message.endsWith("its authorization is missing") ? `${message}\nbucketseal authorize makes it.` : message
}
