/** What commands write: text for people, or one JSON document. Names in it are somebody else's: none reaches a
 *  terminal raw. */

/** Options that every command has. */
export interface OutputOptions {
  readonly json?: true
}

/** Writes the result of a command to standard output: with `--json` the value as one document, else the lines. */
export function print(options: OutputOptions, value: unknown, lines: readonly string[]): void {
  if (options.json) process.stdout.write(`${escapeControls(JSON.stringify(value, null, 2), jsonKept)}\n`)
  else for (const line of lines) process.stdout.write(`${printable(line)}\n`)
}

/** Writes a remark to standard error, where it is in nobody's way. Line ends stay. */
export function remark(text: string): void {
  process.stderr.write(`${escapeControls(text, "\n")}\n`)
}

/** One line of text that does nothing to a terminal: controls, and what turns the direction of writing, are spelt
 *  out. */
export const printable = (text: string): string => escapeControls(text, "")

/** Aligns columns by spaces. The last one is left as it is. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const shown = rows.map((row) => row.map(printable))
  const widths = (shown[0] ?? []).map((_, index) => Math.max(...shown.map((row) => row[index]?.length ?? 0)))
  const padded = (cell: string, index: number) => cell.padEnd(index === widths.length - 1 ? 0 : widths[index] ?? 0)
  return shown.map((row) => row.map(padded).join("  "))
}

const jsonKept = "\n" // between the members; inside strings JSON has escaped it

/** C0, DEL, C1; zero-width and directional marks (Unicode UAX #9); line and paragraph separators; lone surrogates. */
const CONTROLS = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Cs}]/gu

function escapeControls(text: string, kept: string): string {
  const spellOut = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`
  return text.replace(CONTROLS, (one) => (kept.includes(one) ? one : spellOut(one)))
}
