import { XMLParser } from "fast-xml-parser"

/** An XML element: its text, or its children by name. */
export type XmlElement = string | { readonly [name: string]: unknown }

/** A parsed document: the name of its root element, without a namespace, and the element. */
export interface XmlDocument {
  readonly root: string
  readonly element: XmlElement
}

// Numbers stay text, and white space stays: keys and tags may be "007" or " ". Numeric references such as &#10; are read
// only with htmlEntities.
const parser = new XMLParser({
  ignoreAttributes: true, ignoreDeclaration: true, ignorePiTags: true, parseTagValue: false, trimValues: false,
  removeNSPrefix: true, processEntities: true, htmlEntities: true,
})

/** Parses a document; `undefined` for what is no XML, or ends before its root element does. */
export function parseXml(text: string): XmlDocument | undefined {
  const entry = Object.entries(parsed(text)).find(([name]) => name !== "#text")
  if (!entry) return undefined
  const [root, value] = entry
  // The parser is lenient about what is missing at the end.
  const last = /<\/(?:[^<>:]+:)?([^<>:\s]+)\s*>\s*$/.exec(text)?.[1]
  const closed = last === root || (value === "" && /\/>\s*$/.test(text))
  return closed ? { root, element: asElement(value) } : undefined
}

function parsed(text: string): { readonly [name: string]: unknown } {
  try {
    return asRecord(parser.parse(text))
  } catch {
    return {}
  }
}

/** The text of a child; `undefined` if there is none. Of several the first. */
export function textOf(element: XmlElement, name: string): string | undefined {
  const [child] = childrenOf(element, name)
  if (child === undefined) return undefined
  if (typeof child === "string") return child
  const text = child["#text"]
  return typeof text === "string" ? text : ""
}

/** All children of that name, in their order. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  if (typeof element === "string") return []
  const child = element[name]
  if (child === undefined) return []
  return Array.isArray(child) ? child.map(asElement) : [asElement(child)]
}

/** Text as it stands in a document. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"'\r\n\t]/g, (letter) => `&#${letter.charCodeAt(0)};`)
}

function asElement(value: unknown): XmlElement {
  return typeof value === "string" ? value : asRecord(value)
}

function asRecord(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null ? { ...value } : {}
}
