/** S3's XML bodies, written and read. */
import { parseXml, type XmlElement } from "../../shared/store/xml.ts"
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

/** Reads a body whose root is `root`. Throws `MalformedXML` for all else, and for a document type declaration, which no
 *  request to S3 has. */
export function parseDocument(body: string, root: string): XmlElement {
  const parsed = body.includes("<!DOCTYPE") ? undefined : parseXml(body)
  if (parsed?.root !== root) throw new S3Error("MalformedXML")
  return parsed.element
}

/** How many elements of that name a body has, counted in its text: parsing many small ones would take seconds. */
export function elementCount(body: string, name: string): number {
  return body.match(new RegExp(`<(?:[^<>\\s:]+:)?${name}[\\s/>]`, "g"))?.length ?? 0
}
