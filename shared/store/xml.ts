import { XMLParser, XMLValidator } from "fast-xml-parser"
import { Failure } from "../errors.ts"

/** An XML element: its text, or its children by name. */
export type XmlElement = string | { readonly [name: string]: unknown }

/** A parsed document: the name of its root element, without a namespace, and the element. */
export interface XmlDocument {
  readonly root: string
  readonly element: XmlElement
}

// Numbers stay text, and white space stays: keys and tags may be "007" or " ". References are read here, as the parser
// leaves out those to characters that XML 1.0 does not allow, such as &#1;, and stores write keys with them: a key would
// come out as another one. CDATA, in which there are none, is kept apart.
const parser = new XMLParser({
  ignoreAttributes: true, ignoreDeclaration: true, ignorePiTags: true, parseTagValue: false, trimValues: false,
  removeNSPrefix: true, processEntities: false, cdataPropName: "#cdata",
  tagValueProcessor: (_, text) => unescapeXml(text),
})

const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" }

/** Text whose references are replaced by what they mean (XML 1.0, sections 4.1 and 4.6); others stay as they are. */
function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot|apos));/g, (reference, decimal, hex, name) => {
    if (typeof name === "string") return named[name] ?? reference
    const code = typeof decimal === "string" ? parseInt(decimal, 10) : parseInt(String(hex), 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : reference
  })
}

/** Parses a document; `undefined` for what is no well-formed XML. */
export function parseXml(text: string): XmlDocument | undefined {
  const [entry, ...others] = Object.entries(parsed(text)).filter(([name]) => name !== "#text")
  if (!entry || others.length > 0 || Array.isArray(entry[1])) return undefined // the validator takes a second root
  const [root, value] = entry
  return { root, element: asElement(value) }
}

function parsed(text: string): { readonly [name: string]: unknown } {
  try {
    // The parser alone is lenient: it closes what is left open, and takes any end tag for the right one.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the same code, moved to a package of its own
    return XMLValidator.validate(text) === true ? asRecord(parser.parse(text)) : {}
  } catch {
    return {}
  }
}

/** The text of a child; `undefined` if there is none. Of several the first. Throws `store-refused` where the child has
 *  children itself. */
export function textOf(element: XmlElement, name: string): string | undefined {
  const [child] = childrenOf(element, name)
  if (child === undefined || typeof child === "string") return child
  throw new Failure("store-refused", `the document has elements where the text of ${name} should be`)
}

/** All children of that name, in their order. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  if (typeof element === "string") return []
  const child = element[name]
  if (child === undefined) return []
  return Array.isArray(child) ? child.map(asElement) : [asElement(child)]
}

/** All children that have one of these names, in their order, which the parser keeps only among those of one name: it is
 *  read from the text of the document. No other element may have one of the names. */
export function childrenInOrder(
  text: string,
  element: XmlElement,
  names: readonly string[],
): readonly (readonly [name: string, child: XmlElement])[] {
  const waiting = new Map(names.map((name) => [name, childrenOf(element, name).values()]))
  const opening = new RegExp(`<(?:[^<>:\\s]+:)?(${names.join("|")})[\\s/>]`, "g")
  return [...text.matchAll(opening)].flatMap(([, name = ""]) => {
    const child = waiting.get(name)?.next()
    return child && !child.done ? [[name, child.value] as const] : []
  })
}

/** Text as it stands in a document. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"'\r\n\t]/g, (letter) => `&#${letter.charCodeAt(0)};`)
}

/** Text may stand in CDATA whole; where it does in part only, what came before what is not known. */
function asElement(value: unknown): XmlElement {
  if (typeof value === "string") return value
  const element = asRecord(value)
  const { "#cdata": text, ...others } = element
  return typeof text === "string" && Object.keys(others).length === 0 ? text : element
}

function asRecord(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null ? { ...value } : {}
}
