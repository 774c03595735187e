/** S3's XML bodies, written and read. */
import { parseXml, type XmlElement } from "../../shared/store/xml.ts"
import { S3Error } from "./errors.ts"

/** An element: its name, and its text or its children. `undefined` leaves it out. */
export type Element = readonly [name: string, content: string | number | boolean | readonly Element[] | undefined]

/** The namespace of S3's documents (S3 reference; errors have none). */
export const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

/** An XML document with this root. */
export function document(root: Element, namespace?: string): string {
  const [name, content] = root
  const attribute = namespace === undefined ? "" : ` xmlns="${namespace}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${attribute}>${text(content)}</${name}>`
}

function text(content: Element[1]): string {
  if (content === undefined) return ""
  if (typeof content !== "object") return escape(String(content))
  return content.map(([name, inner]) => (inner === undefined ? "" : `<${name}>${text(inner)}</${name}>`)).join("")
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
