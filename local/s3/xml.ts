/** S3's XML bodies, written and read. */
import { childrenOf, parseXml, type XmlElement } from "../../shared/store/xml.ts"
import { S3Error } from "./errors.ts"

/** An element: its name, its text or its children, and its attributes. Content `undefined` leaves it out. */
export type Element = readonly [name: string, content: Content, attributes?: Readonly<Record<string, string>>]
type Content = string | number | boolean | readonly Element[] | undefined

/** The namespace of S3's documents (S3 reference; errors have none). */
export const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

/** An XML document with this root. */
export function document([name, content = "", attributes = {}]: Element, namespace?: string): string {
  const root: Element = [name, content, namespace === undefined ? attributes : { xmlns: namespace, ...attributes }]
  return `<?xml version="1.0" encoding="UTF-8"?>\n${written(root)}`
}

function written([name, content, attributes = {}]: Element): string {
  if (content === undefined) return ""
  const inner = typeof content === "object" ? content.map(written).join("") : escape(String(content))
  const pairs = Object.entries(attributes).map(([attribute, value]) => ` ${attribute}="${escape(value)}"`).join("")
  return `<${name}${pairs}>${inner}</${name}>`
}

// Control characters become references: a parser would turn CR into LF (XML 1.0, section 2.11), and the others XML 1.0
// cannot hold at all; S3 writes them as references nevertheless, and clients that care ask for encoding-type=url.
function escape(content: string): string {
  return content.replace(/[&<>"\u0000-\u001f\u007f\ufffe\uffff]/g, (character) => `&#${character.charCodeAt(0)};`)
}

// The longest that S3 has is a key, of 1,024 bytes each written as a reference.
const longestText = 16 * 1024

/** Reads a body whose root is `root`. Throws `MalformedXML` for all else: for what is not well-formed or has more than
 *  `maxElements`, and for CDATA and document type declarations, which no request to S3 has. */
export function parseDocument(body: string, root: string, maxElements = 1000): XmlElement {
  const odd = body.includes("<!DOCTYPE") || body.includes("<![CDATA[") || isTedious(body, maxElements)
  const parsed = odd ? undefined : parseXml(body)
  if (parsed?.root !== root) throw new S3Error("MalformedXML")
  return parsed.element
}

/** Whether parsing could take seconds, which many small elements or one endless tag would: told by the text alone. */
function isTedious(body: string, maxElements: number): boolean {
  const pieces = body.split("<")
  const opening = pieces.filter((piece) => !piece.startsWith("/"))
  return opening.length > maxElements + 2 // what is before the first one, and the XML declaration
    || pieces.some((piece) => piece.length > longestText)
}

/** The text of a child; `undefined` if there is none. Throws `MalformedXML` where there are two, or it has children. */
export function textOf(element: XmlElement, name: string): string | undefined {
  const [child, second] = childrenOf(element, name)
  if (second !== undefined || typeof child === "object") throw new S3Error("MalformedXML")
  return child
}
