/** Rows of the table of results, as Markdown. */
import { median } from "./rounds.ts"

/** One measured ratio. */
export interface Row {
  readonly what: string
  readonly against: string
  /** One a round; the median counts. */
  readonly ratios: readonly number[]
  /** What is to be reached on Node 20, and on Node 22 and later. A row without a bar is for scale. */
  readonly bar?: Bar
  /** The medians behind the ratio, with their units. */
  readonly figures: string
}

/** What a ratio must reach. */
export interface Bar {
  readonly relation: "≥" | "≤"
  readonly node20: number
  readonly node22: number
}

/** The table's head. */
export const head = [
  "| what | against, in the same run | ratio: median (least–most) | bar | reached | medians |",
  "|---|---|---:|---:|---|---|",
].join("\n")

/** Prints rows, one a line: what `run.ts` puts under the head. */
export function print(rows: readonly Row[]): void {
  for (const row of rows) process.stdout.write(`${line(row)}\n`)
}

function line({ what, against, ratios, bar, figures }: Row): string {
  const ratio = median(ratios)
  const spread = `${fixed(ratio)} (${fixed(Math.min(...ratios))}–${fixed(Math.max(...ratios))})`
  const limit = bar && (Number(process.versions.node.split(".")[0]) < 22 ? bar.node20 : bar.node22)
  const reached = limit === undefined ? "" : verdict(ratio, bar?.relation, limit)
  return `| ${what} | ${against} | ${spread} | ${limit === undefined ? "" : `${bar?.relation} ${limit}`} | ${reached} | ${figures} |`
}

function verdict(ratio: number, relation: Bar["relation"] | undefined, limit: number): string {
  return (relation === "≥" ? ratio >= limit : ratio <= limit) ? "yes" : "**no**"
}

/** A number to be read: three significant figures, or whole. */
export function fixed(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(value < 0.1 ? 2 : 3)
}
