/** Path templates over percent-encoded paths: decoding comes after splitting, so an encoded slash stays in its segment. */
import { Failure } from "../errors.ts"

/** What a template's names stand for in one path, percent-decoded once. */
export type PathParams = Readonly<Record<string, string>>

/** Matches a raw path against a template, or gives `undefined`. `:name` is one non-empty segment; `:name*`, last, is the
 *  non-empty rest. Throws `bad-query` where a matched segment is not valid percent-encoded UTF-8. */
export function matchPath(template: string, path: string): PathParams | undefined {
  const names = template.split("/")
  const segments = path.split("/")
  const rest = names.at(-1)?.endsWith("*") ? names.pop() : undefined
  if (rest ? segments.length <= names.length : segments.length !== names.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, name] of names.entries()) {
    const segment = segments[index] ?? ""
    if (name.startsWith(":")) {
      if (segment === "") return undefined
      params[name.slice(1)] = segment
    } else if (name !== segment) return undefined
  }
  if (rest) {
    const tail = segments.slice(names.length).join("/")
    if (tail === "") return undefined
    params[rest.slice(1, -1)] = tail
  }
  return decodeAll(params)
}

function decodeAll(params: PathParams): PathParams {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, decode(name, value)]))
}

function decode(name: string, value: string): string {
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw new Failure("bad-query", `${name} isn't valid percent-encoded UTF-8`, cause)
  }
}

/** True for a raw request target whose path holds a `.` or `..` segment, plain or percent-encoded: URL parsing would
 *  silently turn it into another object's name. */
export function hasDotSegment(target: string): boolean {
  const path = target.split(/[?#]/, 1)[0] ?? ""
  return path.split(/[/\\]/).some((segment) => /^(\.|%2e){1,2}$/i.test(segment))
}
